package debezium

import (
	"bytes"
	"slices"

	"github.com/cdcd-project/cdcd/internal/row"
)

// A decodeFunc reads the value at the scanner's position, which is not null, and appends it to v, converted to v's type
// exactly. It returns false after scanner.fail; what it then left in v is dropped with the row.
type decodeFunc func(s *scanner, f *field, v *row.Vector) bool

// decodeBoolean decodes true and false, and also 0 and 1: MySQL's BOOLEAN is a TINYINT(1), which a snapshot may send as
// an integer and the stream as a boolean, or the other way round.
func decodeBoolean(s *scanner, f *field, v *row.Vector) bool {
	switch s.peek() {
	case 't':
		return s.literal("true") && s.appendInteger(1, v)
	case 'f':
		return s.literal("false") && s.appendInteger(0, v)
	}
	x, ok := s.int64(f)
	return ok && s.appendInteger(x, v)
}

// decodeInteger decodes integers, and what Debezium prints as one in the unit of its column: days, microseconds, years.
func decodeInteger(s *scanner, f *field, v *row.Vector) bool {
	x, ok := s.int64(f)
	return ok && s.appendInteger(x, v)
}

// appendInteger appends x to a column of any kind that holds integers, if it fits.
func (s *scanner) appendInteger(x int64, v *row.Vector) bool {
	switch v.Type.Kind { //nolint:exhaustive // No other kind holds integers: fit refuses it.
	case row.Long, row.Timestamp:
		v.AppendInt64(x)
		return true
	case row.Int, row.Date:
		if y := int32(x); int64(y) == x {
			v.AppendInt32(y)
			return true
		}
	case row.Boolean:
		if x == 0 || x == 1 {
			v.AppendBool(x == 1)
			return true
		}
	case row.Decimal:
		d := decimal{magnitude: uint128{lo: uint64(x)}, negative: x < 0}
		if x < 0 {
			d.magnitude.lo = -uint64(x)
		}
		if d, ok := d.rescaled(v.Type.Scale); ok && d.fits(v.Type.Precision) {
			v.AppendDecimal(d.signed())
			return true
		}
	}
	return s.fail(OutOfRange, "an integer beyond the column's type %s", v.Type)
}

// decodeFloat decodes FLOAT. A float column takes the nearest float, which is the number that Java printed; a double
// column takes that float's value, so that a row does not depend on when its column was widened.
func decodeFloat(s *scanner, f *field, v *row.Vector) bool {
	x, ok := s.float(f, 32)
	if !ok {
		return false
	}
	if v.Type.Kind == row.Double {
		v.AppendFloat64(x)
		return true
	}
	v.AppendFloat32(float32(x))
	return true
}

// decodeDouble decodes DOUBLE.
func decodeDouble(s *scanner, f *field, v *row.Vector) bool {
	x, ok := s.float(f, 64)
	if ok {
		v.AppendFloat64(x)
	}
	return ok
}

// unavailableValue stands for a column that the connector could not read (Debezium's unavailable.value.placeholder), as
// text, and in base64 where the column holds bytes.
const (
	unavailableValue  = "__debezium_unavailable_value"
	unavailableBase64 = "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="
)

// available refuses Debezium's placeholder: written as a value, it would replace the real one for ever.
func (s *scanner) available(text []byte) bool {
	if n := len(text); n != len(unavailableValue) && n != len(unavailableBase64) {
		return true
	}
	if string(text) != unavailableValue && string(text) != unavailableBase64 {
		return true
	}
	return s.fail(SchemaMismatch, "the value is Debezium's placeholder for an unavailable one: set binlog_row_image=FULL")
}

// decodeText decodes strings of every kind, JSON documents included, as they are.
func decodeText(s *scanner, f *field, v *row.Vector) bool {
	text, ok := s.string(f)
	if !ok || !s.available(text) {
		return false
	}
	v.AppendBytes(text)
	return true
}

// decodeEnum decodes an ENUM. The stream escapes a comma inside of a value, the snapshot does not: both mean the same.
func decodeEnum(s *scanner, f *field, v *row.Vector) bool {
	text, ok := s.string(f)
	if !ok {
		return false
	}
	for {
		i := bytes.Index(text, []byte(`\,`))
		if i < 0 {
			break
		}
		v.Bytes = append(v.Bytes, text[:i]...)
		v.Bytes = append(v.Bytes, ',')
		text = text[i+2:]
	}
	v.AppendBytes(text)
	return true
}

// decodeBytes decodes base64 into a Binary column.
func decodeBytes(s *scanner, f *field, v *row.Vector) bool {
	text, ok := s.string(f)
	if !ok || !s.available(text) {
		return false
	}
	start := len(v.Bytes)
	v.Bytes = slices.Grow(v.Bytes, s.base64.DecodedLen(len(text)))
	n, ok := s.decodeBase64(v.Bytes[start:cap(v.Bytes)], text)
	if !ok {
		return s.fail(InvalidBase64, "no standard base64 of %s", f.kind)
	}
	v.Bytes = v.Bytes[:start+n]
	v.EndBytes()
	return true
}
