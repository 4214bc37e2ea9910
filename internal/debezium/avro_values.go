package debezium

import "github.com/cdcd-project/cdcd/internal/row"

// avroDecoder returns how a meaning is read from Avro. The kind is that of the literal: fit has checked that the two go together.
func avroDecoder(m meaning, t *avroType) decodeFunc {
	text := t.kind == avroString || t.kind == avroEnum
	switch m { //nolint:exhaustive // All others are text or records.
	case asBoolean:
		return avroBool
	case asInteger:
		return avroNumber
	case asMillis:
		return avroMillis
	case asNanos:
		return avroNanos
	case asUnsigned:
		return avroUnsigned
	case asLong:
		return avroInt64
	case asFloat:
		return avroSingle
	case asDouble:
		return avroDoubleValue
	case asBytes, asBase64URL, asHex:
		if text {
			return avroEncoded(m)
		}
		return avroBinary
	case asDecimal:
		return avroDecimal
	case asBigDecimal:
		return avroBig
	case asBits:
		return avroBits
	case asStruct:
		return avroStruct
	case asPoint:
		return avroPoint
	case asList:
		return avroList
	}
	if text {
		return avroTexts(m)
	}
	return avroTemporals(m)
}

// avroTexts returns how a meaning is read from a string.
func avroTexts(m meaning) decodeFunc {
	switch m { //nolint:exhaustive // All others are not written as strings.
	case asText:
		return func(s *scanner, f *field, v *row.Vector) bool {
			text, ok := s.avroText(f.wire.typ)
			return ok && s.appendText(text, f, v)
		}
	case asEnum:
		return func(s *scanner, f *field, v *row.Vector) bool {
			text, ok := s.avroText(f.wire.typ)
			return ok && s.appendEnum(text, v)
		}
	case asDecimalText:
		return func(s *scanner, f *field, v *row.Vector) bool {
			text, ok := s.avroText(f.wire.typ)
			return ok && s.appendDecimalText(text, f, v)
		}
	case asZoned:
		return avroInstant((*converter).appendZoned)
	case asIsoDate:
		return avroInstant((*converter).appendIsoDate)
	case asIsoTime:
		return avroInstant((*converter).appendIsoTime)
	case asIsoTimestamp:
		return avroInstant((*converter).appendIsoTimestamp)
	}
	return nil
}

func avroInstant(convert func(*converter, []byte, *row.Vector) bool) decodeFunc {
	return func(s *scanner, f *field, v *row.Vector) bool {
		text, ok := s.avroText(f.wire.typ)
		return ok && convert(&s.converter, text, v)
	}
}

// avroTemporals returns how a meaning is read from a record.
func avroTemporals(m meaning) decodeFunc {
	convert := map[meaning]func(*converter, *field, *temporal, *row.Vector) bool{
		asStructuredDate: (*converter).appendStructuredDate, asStructuredTime: (*converter).appendStructuredTime,
		asStructuredTimestamp: (*converter).appendStructured, asStructuredZoned: (*converter).appendStructuredZoned,
	}[m]
	if convert == nil {
		return nil
	}
	return func(s *scanner, f *field, v *row.Vector) bool {
		var t temporal
		return s.avroTemporal(f, &t) && convert(&s.converter, f, &t, v)
	}
}

// avroEncoded returns how the text of bytes is read (binary.handling.mode).
func avroEncoded(m meaning) decodeFunc {
	return func(s *scanner, f *field, v *row.Vector) bool {
		text, ok := s.avroText(f.wire.typ)
		switch {
		case !ok:
			return false
		case m == asHex:
			return s.appendHex(text, f, v)
		case m == asBase64URL:
			return s.appendBase64(s.base64URL, text, f, v)
		}
		return s.appendBase64(s.base64, text, f, v)
	}
}

func avroBool(s *scanner, _ *field, v *row.Vector) bool {
	raw, ok := s.take(1)
	return ok && (raw[0] <= 1 || s.short("a boolean that is neither 0 nor 1")) && s.appendInteger(int64(raw[0]), v)
}

func avroNumber(s *scanner, f *field, v *row.Vector) bool {
	x, ok := s.avroInteger(f)
	return ok && s.appendInteger(x, v)
}

func avroMillis(s *scanner, f *field, v *row.Vector) bool {
	x, ok := s.avroInteger(f)
	return ok && s.appendMillis(x, v)
}

func avroNanos(s *scanner, f *field, v *row.Vector) bool {
	x, ok := s.avroInteger(f)
	return ok && s.appendNanos(x, v)
}

func avroUnsigned(s *scanner, f *field, v *row.Vector) bool {
	x, ok := s.avroInteger(f)
	return ok && s.appendUnsigned(x, f, v)
}

func avroInt64(s *scanner, f *field, v *row.Vector) bool {
	x, ok := s.avroInteger(f)
	return ok && s.appendLong(x, v)
}

func avroSingle(s *scanner, f *field, v *row.Vector) bool {
	x, ok := s.avroReal(f, f.wire.typ)
	if ok {
		s.appendFloat(x, v)
	}
	return ok
}

func avroDoubleValue(s *scanner, f *field, v *row.Vector) bool {
	x, ok := s.avroReal(f, f.wire.typ)
	if ok {
		v.AppendFloat64(x)
	}
	return ok
}

// avroBinary decodes bytes as they are.
func avroBinary(s *scanner, f *field, v *row.Vector) bool {
	raw, ok := s.avroRaw(f.wire.typ)
	return ok && s.appendText(raw, f, v)
}

func avroDecimal(s *scanner, f *field, v *row.Vector) bool {
	raw, ok := s.avroUnscaled(f)
	return ok && s.appendUnscaled(raw, f, v)
}

func avroBits(s *scanner, f *field, v *row.Vector) bool {
	raw, ok := s.avroUnscaled(f)
	return ok && s.appendBits(raw, f, v)
}
