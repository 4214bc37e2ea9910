package debezium

import "github.com/cdcd-project/cdcd/internal/row"

// A decodeFunc reads the value at the scanner's position, which is not null, and appends it to v, converted to v's type
// exactly. It returns false after scanner.fail; what it then left in v is dropped with the row.
type decodeFunc func(s *scanner, f *field, v *row.Vector) bool

// jsonDecoder returns how JSON of a meaning is read.
func jsonDecoder(m meaning) decodeFunc { //nolint:funlen // A table, which cannot be a variable: it would refer to itself.
	switch m {
	case asBoolean:
		return decodeBoolean
	case asInteger:
		return decodeInteger
	case asMillis:
		return decodeMillis
	case asNanos:
		return decodeNanos
	case asUnsigned:
		return decodeUnsigned
	case asLong:
		return decodeLong
	case asFloat:
		return decodeFloat
	case asDouble:
		return decodeDouble
	case asText:
		return decodeText
	case asEnum:
		return decodeEnum
	case asBytes:
		return decodeBytes
	case asBase64URL:
		return decodeBytesURL
	case asHex:
		return decodeHex
	case asDecimal:
		return decodeDecimal
	case asDecimalText:
		return decodeDecimalText
	case asBigDecimal:
		return decodeBigDecimal
	case asBits:
		return decodeBits
	case asZoned:
		return decodeZoned
	case asIsoDate:
		return decodeIsoDate
	case asIsoTime:
		return decodeIsoTime
	case asIsoTimestamp:
		return decodeIsoTimestamp
	case asStruct:
		return decodeStruct
	case asPoint:
		return decodePoint
	case asList:
		return decodeList
	case asStructuredDate:
		return decodeStructuredDate
	case asStructuredTime:
		return decodeStructuredTime
	case asStructuredTimestamp:
		return decodeStructuredTimestamp
	case asStructuredZoned:
		return decodeStructuredZoned
	case asUntypedText:
		return decodeUntypedText
	case asUntypedDecimal:
		return decodeUntypedDecimal
	case asUntypedDate:
		return decodeUntypedDate
	case asUntypedTime:
		return decodeUntypedTime
	case asUntypedTimestamp:
		return decodeUntypedTimestamp
	}
	return nil
}

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

// decodeLong decodes an int64 that may have been a BIGINT UNSIGNED.
func decodeLong(s *scanner, f *field, v *row.Vector) bool {
	x, ok := s.int64(f)
	if ok && v.Type.Kind == row.Long {
		v.AppendInt64(x)
		return true
	}
	return ok && s.appendLong(x, v)
}

// decodeFloat decodes FLOAT. A float column takes the nearest float, which is the number that Java printed; a double
// column takes that float's value, so that a row does not depend on when its column was widened.
func decodeFloat(s *scanner, f *field, v *row.Vector) bool {
	x, ok := s.float(f, 32)
	if ok {
		s.appendFloat(x, v)
	}
	return ok
}

// decodeDouble decodes DOUBLE.
func decodeDouble(s *scanner, f *field, v *row.Vector) bool {
	x, ok := s.float(f, 64)
	if ok {
		v.AppendFloat64(x)
	}
	return ok
}

// decodeText decodes strings of every kind, JSON documents included, as they are.
func decodeText(s *scanner, f *field, v *row.Vector) bool {
	text, ok := s.string(f)
	return ok && s.appendText(text, f, v)
}

// decodeUntypedText decodes a string of a record without schema. Objects and arrays, such as a geometry, are kept as the JSON
// text that they are.
func decodeUntypedText(s *scanner, f *field, v *row.Vector) bool {
	if c := s.peek(); c != '{' && c != '[' {
		return decodeText(s, f, v)
	}
	start := s.pos
	if !s.skip() {
		return false
	}
	if n := s.pos - start; n > s.limits.StringBytes {
		return s.fail(TooLarge, "an object or array of %d bytes exceeds the limit of %d", n, s.limits.StringBytes)
	}
	v.AppendBytes(s.text[start:s.pos])
	return true
}

// decodeEnum decodes an ENUM.
func decodeEnum(s *scanner, f *field, v *row.Vector) bool {
	text, ok := s.string(f)
	return ok && s.appendEnum(text, v)
}

// decodeBytes decodes base64 into a Binary column.
func decodeBytes(s *scanner, f *field, v *row.Vector) bool {
	text, ok := s.string(f)
	return ok && s.appendBase64(s.base64, text, f, v)
}

// decodeBytesURL decodes the base64 alphabet for URLs (binary.handling.mode=base64-url-safe).
func decodeBytesURL(s *scanner, f *field, v *row.Vector) bool {
	text, ok := s.string(f)
	return ok && s.appendBase64(s.base64URL, text, f, v)
}

// decodeHex decodes hexadecimal digits (binary.handling.mode=hex).
func decodeHex(s *scanner, f *field, v *row.Vector) bool {
	text, ok := s.string(f)
	return ok && s.appendHex(text, f, v)
}
