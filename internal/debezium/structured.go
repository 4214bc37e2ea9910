package debezium

import "github.com/cdcd-project/cdcd/internal/row"

// The members of Debezium's structured temporals (time.precision.mode=structured), as indexes of a temporal.
const (
	partYear = iota
	partMonth
	partDay
	partHour
	partMinute
	partSecond
	partNanos
	partOffset
	partYears
	partMonths
	partDays
	partHours
	partMinutes
	partSeconds
	temporalParts
)

// A temporal is what a structured temporal says, part by part.
type temporal struct {
	parts   [temporalParts]int64
	given   uint32 // A bit for each part that is not null.
	special bool   // A specialValue is given, such as infinity.
	utc     bool   // The zone's id is that of UTC.
}

func temporalPart(name []byte) int {
	switch string(name) {
	case "year":
		return partYear
	case "month":
		return partMonth
	case "day":
		return partDay
	case "hour":
		return partHour
	case "minute":
		return partMinute
	case "second":
		return partSecond
	case "nanos":
		return partNanos
	case "offsetSeconds":
		return partOffset
	case "years":
		return partYears
	case "months":
		return partMonths
	case "days":
		return partDays
	case "hours":
		return partHours
	case "minutes":
		return partMinutes
	case "seconds":
		return partSeconds
	}
	return -1
}

// temporal reads a structured temporal. Members that it does not know have to be null: their meaning could matter.
func (s *scanner) temporal(f *field, t *temporal) bool {
	if s.peek() != '{' {
		return s.mismatch(f)
	}
	integer := field{kind: "an integer", source: source{min: -maxTemporalPart, max: maxTemporalPart}}
	return s.members(func(name []byte) (ok bool) {
		part := temporalPart(name)
		switch {
		case s.peek() == 'n':
			return s.literal("null")
		case part >= 0:
			t.given |= 1 << part
			t.parts[part], ok = s.int64(&integer)
			return ok
		case string(name) == "precision":
			return s.skip()
		case string(name) == "specialValue":
			t.special = true
			return s.skip()
		case string(name) == "zoneId":
			text, ok := s.string(&integer)
			t.utc = string(text) == "UTC" || string(text) == "Z"
			return ok
		}
		return s.fail(SchemaMismatch, "the member %q is none of %s", name, f.kind)
	})
}

// maxTemporalPart bounds the parts, so that their sum in microseconds cannot overflow.
const maxTemporalPart = 1_000_000_000_000

// has reports whether all parts from first to last are given.
func (t *temporal) has(first, last int) bool {
	for part := first; part <= last; part++ {
		if t.given>>part&1 == 0 {
			return false
		}
	}
	return true
}

// date returns the days since 1970. A date with a part that is zero ('0000-00-00', which MySQL has and nobody else) is a
// null, as in every other time.precision.mode.
func (c *converter) date(f *field, t *temporal) (days int64, zero, ok bool) {
	if t.special {
		return 0, false, c.fail(OutOfRange, "a special value of %s", f.kind)
	}
	if !t.has(partYear, partDay) {
		return 0, false, c.fail(SchemaMismatch, "%s without a year, month or day", f.kind)
	}
	year, month, day := t.parts[partYear], t.parts[partMonth], t.parts[partDay]
	if month < 0 || month > 12 || year < 0 || year > 9999 || day < 0 || day > 31 {
		return 0, false, c.fail(OutOfRange, "no date of the calendar in %s", f.kind)
	}
	if year == 0 || month == 0 || day == 0 {
		return 0, true, true
	}
	if day > daysIn(month, year) {
		return 0, false, c.fail(OutOfRange, "no date of the calendar in %s", f.kind)
	}
	return daysFromCivil(year, month, day), false, true
}

// clock returns the microseconds since midnight.
func (c *converter) clock(f *field, t *temporal) (micros int64, ok bool) {
	hour, minute, second, nanos := t.parts[partHour], t.parts[partMinute], t.parts[partSecond], t.parts[partNanos]
	if !t.has(partHour, partSecond) {
		return 0, c.fail(SchemaMismatch, "%s without an hour, minute or second", f.kind)
	}
	if hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 || nanos < 0 || nanos > 999_999_999 {
		return 0, c.fail(OutOfRange, "no time of day in %s", f.kind)
	}
	if nanos%1000 != 0 {
		return 0, c.fail(OutOfRange, "nanoseconds that microseconds cannot hold exactly")
	}
	return (hour*3_600+minute*60+second)*1_000_000 + nanos/1000, true
}

func decodeStructuredDate(s *scanner, f *field, v *row.Vector) bool {
	var t temporal
	return s.temporal(f, &t) && s.appendStructuredDate(f, &t, v)
}

func (c *converter) appendStructuredDate(f *field, t *temporal, v *row.Vector) bool {
	days, zero, ok := c.date(f, t)
	if ok && zero {
		v.AppendNull()
		return true
	}
	return ok && c.appendInteger(days, v)
}

func decodeStructuredTimestamp(s *scanner, f *field, v *row.Vector) bool {
	var t temporal
	return s.temporal(f, &t) && s.appendStructured(f, &t, v)
}

// decodeStructuredZoned decodes a wall clock and its offset from UTC.
func decodeStructuredZoned(s *scanner, f *field, v *row.Vector) bool {
	var t temporal
	return s.temporal(f, &t) && s.appendStructuredZoned(f, &t, v)
}

func (c *converter) appendStructuredZoned(f *field, t *temporal, v *row.Vector) bool {
	if !t.has(partOffset, partOffset) && !t.utc {
		return c.fail(SchemaMismatch, "%s without an offset from UTC", f.kind)
	}
	return c.appendStructured(f, t, v)
}

func (c *converter) appendStructured(f *field, t *temporal, v *row.Vector) bool {
	days, zero, ok := c.date(f, t)
	if ok && zero {
		v.AppendNull()
		return true
	}
	if !ok {
		return false
	}
	micros, ok := c.clock(f, t)
	if !ok {
		return false
	}
	offset := t.parts[partOffset]
	if max(offset, -offset) > 18*3_600 {
		return c.fail(OutOfRange, "an offset of %s beyond 18 hours", f.kind)
	}
	v.AppendInt64(days*microsPerDay + micros - offset*1_000_000)
	return true
}

// decodeStructuredTime decodes a duration, or a time of day: the sum of its parts, each of which may be negative. A year or a
// month has no length.
func decodeStructuredTime(s *scanner, f *field, v *row.Vector) bool {
	var t temporal
	return s.temporal(f, &t) && s.appendStructuredTime(f, &t, v)
}

func (c *converter) appendStructuredTime(f *field, t *temporal, v *row.Vector) bool {
	p := &t.parts
	if t.special || p[partYears] != 0 || p[partMonths] != 0 || t.given&(1<<partYear|1<<partMonth|1<<partDay|1<<partOffset) != 0 {
		return c.fail(OutOfRange, "years, months or a special value in %s", f.kind)
	}
	if t.given == 0 {
		return c.fail(SchemaMismatch, "%s without any part", f.kind)
	}
	if p[partNanos]%1000 != 0 {
		return c.fail(OutOfRange, "nanoseconds that microseconds cannot hold exactly")
	}
	for _, bound := range [...]struct{ part, limit int64 }{{p[partDays], 1e8}, {p[partHours], 1e9}, {p[partHour], 1e9}, {p[partMinutes], 1e11}, {p[partMinute], 1e11}} {
		if max(bound.part, -bound.part) > bound.limit {
			return c.fail(OutOfRange, "a duration beyond %s", f.kind)
		}
	}
	seconds := p[partDays]*86_400 + (p[partHours]+p[partHour])*3_600 + (p[partMinutes]+p[partMinute])*60 + p[partSeconds] + p[partSecond]
	if max(seconds, -seconds) > maxTemporalPart {
		return c.fail(OutOfRange, "a duration beyond %s", f.kind)
	}
	return c.appendInteger(seconds*1_000_000+p[partNanos]/1000, v)
}
