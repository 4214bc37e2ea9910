package debezium

import (
	"math"
	"slices"
	"strconv"

	"github.com/cdcd-project/cdcd/internal/row"
)

// A DATETIME lies between the years 1000 and 9999 (MySQL manual, "The DATE, DATETIME, and TIMESTAMP Types"). These are
// its bounds in milliseconds, as wall clock of UTC.
const (
	datetimeMillisMin = -30_610_224_000_000
	datetimeMillisMax = 253_402_300_799_999
)

const microsPerDay = 86_400_000_000

// decodeMillis decodes milliseconds into microseconds: io.debezium.time.Timestamp and Time, and Connect's.
func decodeMillis(s *scanner, f *field, v *row.Vector) bool {
	x, ok := s.int64(f)
	return ok && s.appendMillis(x, v)
}

func (c *converter) appendMillis(x int64, v *row.Vector) bool {
	if x > math.MaxInt64/1000 || x < math.MinInt64/1000 {
		return c.fail(OutOfRange, "milliseconds beyond a microsecond %s", v.Type)
	}
	return c.appendInteger(x*1000, v)
}

// decodeNanos decodes nanoseconds into microseconds: io.debezium.time.NanoTimestamp and NanoTime.
func decodeNanos(s *scanner, f *field, v *row.Vector) bool {
	x, ok := s.int64(f)
	return ok && s.appendNanos(x, v)
}

func (c *converter) appendNanos(x int64, v *row.Vector) bool {
	if x%1000 != 0 {
		return c.fail(OutOfRange, "nanoseconds that a microsecond %s cannot hold exactly", v.Type)
	}
	return c.appendInteger(x/1000, v)
}

// decodeZoned decodes io.debezium.time.ZonedTimestamp: RFC 3339 text with up to nine fraction digits and any offset.
func decodeZoned(s *scanner, f *field, v *row.Vector) bool {
	text, ok := s.string(f)
	return ok && s.appendZoned(text, v)
}

func (c *converter) appendZoned(text []byte, v *row.Vector) bool {
	micros, rest, well, exact := parseWallClock(text)
	offset, ok := parseOffset(rest)
	return c.instant(micros-offset*1_000_000, well && ok, exact, v)
}

// decodeIsoTimestamp decodes io.debezium.time.IsoTimestamp: a wall clock, behind which Debezium prints a Z that means nothing.
func decodeIsoTimestamp(s *scanner, f *field, v *row.Vector) bool {
	text, ok := s.string(f)
	return ok && s.appendIsoTimestamp(text, v)
}

func (c *converter) appendIsoTimestamp(text []byte, v *row.Vector) bool {
	micros, rest, well, exact := parseWallClock(text)
	return c.instant(micros, well && noOffset(rest), exact, v)
}

// decodeIsoDate decodes io.debezium.time.IsoDate: 2017-09-15Z.
func decodeIsoDate(s *scanner, f *field, v *row.Vector) bool {
	text, ok := s.string(f)
	return ok && s.appendIsoDate(text, v)
}

func (c *converter) appendIsoDate(text []byte, v *row.Vector) bool {
	days, rest, well := parseDate(text)
	if !well || !noOffset(rest) {
		return c.fail(TypeMismatch, "text that is no ISO 8601 date")
	}
	return c.appendInteger(days, v)
}

// decodeIsoTime decodes io.debezium.time.IsoTime: 04:05:11.789Z.
func decodeIsoTime(s *scanner, f *field, v *row.Vector) bool {
	text, ok := s.string(f)
	return ok && s.appendIsoTime(text, v)
}

func (c *converter) appendIsoTime(text []byte, v *row.Vector) bool {
	micros, rest, well, exact := parseClock(text)
	if !well || !noOffset(rest) {
		return c.fail(TypeMismatch, "text that is no ISO 8601 time")
	}
	if !exact {
		return c.fail(OutOfRange, "a fraction of a second that a microsecond cannot hold exactly")
	}
	return c.appendInteger(micros, v)
}

func (c *converter) instant(micros int64, well, exact bool, v *row.Vector) bool {
	if !well {
		return c.fail(TypeMismatch, "text that is no RFC 3339 time")
	}
	if !exact {
		return c.fail(OutOfRange, "a fraction of a second that a microsecond %s cannot hold exactly", v.Type)
	}
	v.AppendInt64(micros)
	return true
}

// noOffset reports whether text is nothing, or the offset of UTC.
func noOffset(text []byte) bool {
	if len(text) == 0 {
		return true
	}
	offset, ok := parseOffset(text)
	return ok && offset == 0
}

// parseWallClock parses YYYY-MM-DDTHH:MM:SS.fffffffff, in microseconds since 1970 as if it were UTC, and returns what follows.
func parseWallClock(text []byte) (micros int64, rest []byte, well, exact bool) {
	days, rest, ok := parseDate(text)
	if !ok || len(rest) == 0 || rest[0] != 'T' {
		return 0, nil, false, false
	}
	micros, rest, well, exact = parseClock(rest[1:])
	return days*microsPerDay + micros, rest, well, exact
}

// parseDate parses YYYY-MM-DD, in days since 1970, and returns what follows.
func parseDate(text []byte) (days int64, rest []byte, ok bool) {
	if len(text) < len("2006-01-02") || text[4] != '-' || text[7] != '-' {
		return 0, nil, false
	}
	year, ok1 := decimalField(text[0:4], 0, 9999)
	month, ok2 := decimalField(text[5:7], 1, 12)
	day, ok3 := decimalField(text[8:10], 1, 31)
	if !ok1 || !ok2 || !ok3 || day > daysIn(month, year) {
		return 0, nil, false
	}
	return daysFromCivil(year, month, day), text[10:], true
}

// parseClock parses HH:MM:SS with up to nine digits of a fraction, in microseconds, and returns what follows. exact is false if
// the fraction is finer than a microsecond.
func parseClock(text []byte) (micros int64, rest []byte, well, exact bool) {
	if len(text) < len("15:04:05") || text[2] != ':' || text[5] != ':' {
		return 0, nil, false, false
	}
	hour, ok1 := decimalField(text[0:2], 0, 23)
	minute, ok2 := decimalField(text[3:5], 0, 59)
	second, ok3 := decimalField(text[6:8], 0, 59)
	fraction, rest, ok4, exact := parseFraction(text[8:])
	return (hour*3_600+minute*60+second)*1_000_000 + fraction, rest, ok1 && ok2 && ok3 && ok4, exact
}

// decimalField parses a field of digits only.
func decimalField(text []byte, low, high int64) (x int64, ok bool) {
	for _, c := range text {
		if c-'0' > 9 {
			return 0, false
		}
		x = x*10 + int64(c-'0')
	}
	return x, x >= low && x <= high
}

// parseFraction parses an optional fraction of a second, in microseconds, and returns the text after it.
func parseFraction(text []byte) (micros int64, rest []byte, well, exact bool) {
	if len(text) == 0 || text[0] != '.' {
		return 0, text, true, true
	}
	end := digits(text, 1)
	if end == 1 || end > 10 {
		return 0, text, false, false
	}
	exact = true
	for i := range 9 {
		digit := int64(0)
		if 1+i < end {
			digit = int64(text[1+i] - '0')
		}
		if i < 6 {
			micros = micros*10 + digit
		} else if digit != 0 {
			exact = false
		}
	}
	return micros, text[end:], true, exact
}

// parseOffset parses Z, or +hh:mm with either sign, in seconds.
func parseOffset(text []byte) (seconds int64, ok bool) {
	if len(text) == 1 && text[0] == 'Z' {
		return 0, true
	}
	if len(text) != len("+07:00") || text[0] != '+' && text[0] != '-' || text[3] != ':' {
		return 0, false
	}
	hours, ok1 := decimalField(text[1:3], 0, 23)
	minutes, ok2 := decimalField(text[4:6], 0, 59)
	seconds = hours*3_600 + minutes*60
	if text[0] == '-' {
		seconds = -seconds
	}
	return seconds, ok1 && ok2
}

func daysIn(month, year int64) int64 {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// daysFromCivil returns the days from 1970-01-01 to a date of the proleptic Gregorian calendar, of the years 0 to 9999.
// It counts years from March, so that the leap day comes last.
func daysFromCivil(year, month, day int64) int64 {
	month -= 3
	if month < 0 {
		month += 12
		year--
	}
	year += 400 // The year before year 0 must not be negative: division truncates towards zero.
	const from0000March = 719_468
	return 365*year + year/4 - year/100 + year/400 - 146_097 + (153*month+2)/5 + day - 1 - from0000March
}

// appendDuration appends microseconds as [-]HH:MM:SS.ffffff. Hours have two digits or more.
func appendDuration(dst []byte, micros int64) []byte {
	x := uint64(micros)
	if micros < 0 {
		dst = append(dst, '-')
		x = -x
	}
	seconds := x / 1_000_000
	dst = appendPadded(dst, seconds/3_600, 2)
	dst = appendPadded(append(dst, ':'), seconds/60%60, 2)
	dst = appendPadded(append(dst, ':'), seconds%60, 2)
	return appendPadded(append(dst, '.'), x%1_000_000, 6)
}

// appendPadded appends x in at least width digits.
func appendPadded(dst []byte, x uint64, width int) []byte {
	start := len(dst)
	dst = strconv.AppendUint(dst, x, 10)
	for len(dst)-start < width {
		dst = slices.Insert(dst, start, '0')
	}
	return dst
}
