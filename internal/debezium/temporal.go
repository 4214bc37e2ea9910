package debezium

import (
	"math"

	"github.com/cdcd-project/cdcd/internal/row"
)

// A DATETIME lies between the years 1000 and 9999 (MySQL manual, "The DATE, DATETIME, and TIMESTAMP Types"). These are
// its bounds in milliseconds, as wall clock of UTC.
const (
	datetimeMillisMin = -30_610_224_000_000
	datetimeMillisMax = 253_402_300_799_999
)

// decodeMillis decodes milliseconds into microseconds: io.debezium.time.Timestamp and Time, and Connect's.
func decodeMillis(s *scanner, f *field, v *row.Vector) bool {
	x, ok := s.int64(f)
	if !ok {
		return false
	}
	if x > math.MaxInt64/1000 || x < math.MinInt64/1000 {
		return s.fail(OutOfRange, "milliseconds beyond a microsecond %s", v.Type)
	}
	return s.appendInteger(x*1000, v)
}

// decodeNanos decodes nanoseconds into microseconds: io.debezium.time.NanoTimestamp and NanoTime.
func decodeNanos(s *scanner, f *field, v *row.Vector) bool {
	x, ok := s.int64(f)
	if !ok {
		return false
	}
	if x%1000 != 0 {
		return s.fail(OutOfRange, "nanoseconds that a microsecond %s cannot hold exactly", v.Type)
	}
	return s.appendInteger(x/1000, v)
}

// decodeUntypedTimestamp decodes a timestamp column of a record without schema. Debezium prints DATETIME(0) to
// DATETIME(3) in milliseconds and DATETIME(4) to DATETIME(6) in microseconds: a number beyond every DATETIME in
// milliseconds is in microseconds, and of any other number nothing tells the unit.
func decodeUntypedTimestamp(s *scanner, f *field, v *row.Vector) bool {
	x, ok := s.int64(f)
	if !ok {
		return false
	}
	if x >= datetimeMillisMin && x <= datetimeMillisMax {
		return s.fail(TypeMismatch, "nothing tells whether this timestamp is in milliseconds or microseconds: "+
			"enable schemas in the converter, or declare the column as long")
	}
	if x < datetimeMillisMin*1000 || x > datetimeMillisMax*1000+999 {
		return s.fail(OutOfRange, "microseconds beyond the year 9999")
	}
	v.AppendInt64(x)
	return true
}

// decodeZoned decodes io.debezium.time.ZonedTimestamp: RFC 3339 text with up to nine fraction digits and any offset.
func decodeZoned(s *scanner, f *field, v *row.Vector) bool {
	text, ok := s.string(f)
	if !ok {
		return false
	}
	micros, well, exact := parseZoned(text)
	if !well {
		return s.fail(TypeMismatch, "text that is no RFC 3339 time")
	}
	if !exact {
		return s.fail(OutOfRange, "a fraction of a second that a microsecond %s cannot hold exactly", v.Type)
	}
	v.AppendInt64(micros)
	return true
}

// parseZoned returns the microseconds since 1970-01-01T00:00:00Z. well is false if the text is not RFC 3339, and exact
// if its fraction is finer than a microsecond.
func parseZoned(text []byte) (micros int64, well, exact bool) {
	if len(text) < len("2006-01-02T15:04:05Z") || text[4] != '-' || text[7] != '-' || text[10] != 'T' ||
		text[13] != ':' || text[16] != ':' {
		return 0, false, false
	}
	year, ok1 := decimalField(text[0:4], 0, 9999)
	month, ok2 := decimalField(text[5:7], 1, 12)
	day, ok3 := decimalField(text[8:10], 1, 31)
	hour, ok4 := decimalField(text[11:13], 0, 23)
	minute, ok5 := decimalField(text[14:16], 0, 59)
	second, ok6 := decimalField(text[17:19], 0, 59)
	fraction, rest, ok7, exact := parseFraction(text[19:])
	offset, ok8 := parseOffset(rest)
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 || !ok7 || !ok8 || day > daysIn(month, year) {
		return 0, false, false
	}
	seconds := daysFromCivil(year, month, day)*86_400 + hour*3_600 + minute*60 + second - offset
	return seconds*1_000_000 + fraction, true, exact
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
	if text[0] != '.' {
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
