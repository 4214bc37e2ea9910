package row

import (
	"encoding/hex"
	"math/big"
	"strconv"
	"time"
)

// AppendText appends value i in canonical text (structs and lists as JSON, see AppendJSON): integers and decimals plain, decimals with their exact scale; dates as
// YYYY-MM-DD; timestamps as YYYY-MM-DDTHH:MM:SS.ffffff, with a Z for timestamptz; binary as "hex:" and its digits; floats
// and doubles in the fewest digits that read back to the same number; a null as "null".
func (v *Vector) AppendText(dst []byte, i int) []byte {
	if v.IsNull(i) {
		return append(dst, "null"...)
	}
	switch v.Type.Kind {
	case Boolean:
		return strconv.AppendBool(dst, v.Bool(i))
	case Int:
		return strconv.AppendInt(dst, int64(v.Int32s[i]), 10)
	case Long:
		return strconv.AppendInt(dst, v.Int64s[i], 10)
	case Float:
		return strconv.AppendFloat(dst, float64(v.Float32s[i]), 'g', -1, 32)
	case Double:
		return strconv.AppendFloat(dst, v.Float64s[i], 'g', -1, 64)
	case Decimal:
		return v.Decimals[i].AppendText(dst, v.Type.Scale)
	case Date:
		return time.Unix(int64(v.Int32s[i])*86_400, 0).UTC().AppendFormat(dst, time.DateOnly)
	case Timestamp:
		return time.UnixMicro(v.Int64s[i]).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000000")
	case TimestampTZ:
		return time.UnixMicro(v.Int64s[i]).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000000Z")
	case Time:
		return time.UnixMicro(v.Int64s[i]).UTC().AppendFormat(dst, "15:04:05.000000")
	case String:
		return append(dst, v.Slice(i)...)
	case Binary:
		return hex.AppendEncode(append(dst, "hex:"...), v.Slice(i))
	case Struct, List:
		return v.AppendJSON(dst, i)
	}
	panic("row: text of a " + v.Type.String())
}

// AppendText appends the decimal with the unscaled value x and the given scale, without an exponent.
func (x Decimal128) AppendText(dst []byte, scale uint8) []byte {
	unscaled := new(big.Int).Lsh(big.NewInt(x.Hi), 64)
	unscaled.Or(unscaled, new(big.Int).SetUint64(x.Lo))
	if unscaled.Sign() < 0 {
		dst = append(dst, '-')
	}
	digits := unscaled.Abs(unscaled).Append(nil, 10)
	for len(digits) <= int(scale) {
		digits = append([]byte{'0'}, digits...)
	}
	whole := len(digits) - int(scale)
	dst = append(dst, digits[:whole]...)
	if scale == 0 {
		return dst
	}
	return append(append(dst, '.'), digits[whole:]...)
}

// AppendJSON appends value i as JSON: a string of its canonical text, null, an array of a list's elements, or an object of
// a struct's fields.
func (v *Vector) AppendJSON(dst []byte, i int) []byte {
	switch {
	case v.IsNull(i):
		return append(dst, "null"...)
	case v.Type.Kind == List:
		dst = append(dst, '[')
		for k := v.Offsets[i]; k < v.Offsets[i+1]; k++ {
			if k > v.Offsets[i] {
				dst = append(dst, ',')
			}
			dst = v.Children[0].AppendJSON(dst, int(k))
		}
		return append(dst, ']')
	case v.Type.Kind == Struct:
		dst = append(dst, '{')
		for k, f := range v.Type.Fields() {
			if k > 0 {
				dst = append(dst, ',')
			}
			dst = append(AppendString(dst, []byte(f.Name)), ':')
			dst = v.Children[k].AppendJSON(dst, i)
		}
		return append(dst, '}')
	}
	return AppendString(dst, v.AppendText(nil, i))
}

// AppendString appends text, which is UTF-8, as a JSON string.
func AppendString(dst, text []byte) []byte {
	const hexDigits = "0123456789abcdef"
	dst = append(dst, '"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
