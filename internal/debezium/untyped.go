package debezium

import (
	"bytes"

	"github.com/cdcd-project/cdcd/internal/row"
)

// The decoders of columns whose type is declared, of records without a schema. What could mean two things is refused.

// decodeUntypedDecimal decodes a decimal. A number is unambiguous. A string may be base64 or text: text of a column with a
// scale has a decimal point, which base64 has not; but four digits of a column without scale may be either, and are refused.
func decodeUntypedDecimal(s *scanner, f *field, v *row.Vector) bool {
	if s.peek() != '"' {
		return s.untypedNumber(f, v)
	}
	text, ok := s.string(f)
	if !ok {
		return false
	}
	digitsOnly := len(text) > 0 && digits(text, 0) == len(text)
	switch {
	case digitsOnly && v.Type.Scale == 0 && len(text)%4 == 0:
		return s.fail(TypeMismatch, "a string of digits may be a decimal's text or its base64: enable schemas in the converter, or set decimal.format=NUMERIC")
	case digitsOnly && len(text)%4 != 0, bytes.IndexByte(text, '.') >= 0, bytes.IndexByte(text, '-') >= 0:
		return s.appendDecimalText(text, f, v)
	}
	x, ok := s.unscaledText(text, f)
	return ok && s.appendUnscaled(x, f, v)
}

// untypedNumber decodes a number of a decimal column. Of a negative one in a decimal(20,0) nothing tells whether it is a
// BIGINT UNSIGNED that has wrapped.
func (s *scanner) untypedNumber(f *field, v *row.Vector) bool {
	if s.peek() == '-' && v.Type == (row.Type{Kind: row.Decimal, Precision: 20}) {
		x, ok := s.int64(f)
		return ok && s.appendLong(x, v)
	}
	return decodeDecimalNumber(s, f, v)
}

// decodeUntypedDate decodes days, or the text of time.precision.mode=isostring.
func decodeUntypedDate(s *scanner, f *field, v *row.Vector) bool {
	if s.peek() == '"' {
		return decodeIsoDate(s, f, v)
	}
	return decodeInteger(s, f, v)
}

// decodeUntypedTimestamp decodes a timestamp. Debezium prints DATETIME(0) to DATETIME(3) in milliseconds and DATETIME(4) to
// DATETIME(6) in microseconds: a number beyond every DATETIME in milliseconds is in microseconds, zero is the same in both,
// and of any other number nothing tells the unit.
func decodeUntypedTimestamp(s *scanner, f *field, v *row.Vector) bool {
	if s.peek() == '"' {
		return decodeIsoTimestamp(s, f, v)
	}
	x, ok := s.int64(f)
	if !ok {
		return false
	}
	if x != 0 && x >= datetimeMillisMin && x <= datetimeMillisMax {
		return s.fail(TypeMismatch, "nothing tells whether this timestamp is in milliseconds or microseconds: "+
			"enable schemas in the converter, or declare the column as long")
	}
	if x < datetimeMillisMin*1000 || x > datetimeMillisMax*1000+999 {
		return s.fail(OutOfRange, "microseconds beyond the year 9999")
	}
	v.AppendInt64(x)
	return true
}

// decodeUntypedTime decodes a time of day: a number beyond a day in milliseconds is in microseconds.
func decodeUntypedTime(s *scanner, f *field, v *row.Vector) bool {
	if s.peek() == '"' {
		return decodeIsoTime(s, f, v)
	}
	x, ok := s.int64(f)
	if !ok {
		return false
	}
	if x != 0 && max(x, -x) < microsPerDay/1000 {
		return s.fail(TypeMismatch, "nothing tells whether this time is in milliseconds or microseconds: "+
			"enable schemas in the converter, or declare the column as long")
	}
	return s.appendInteger(x, v)
}
