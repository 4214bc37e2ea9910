package row

import (
	"encoding/hex"
	"math/big"
	"strconv"
	"time"
)

// AppendText appends value i in canonical text: integers and decimals plain, decimals with their exact scale; dates as
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
	case String:
		return append(dst, v.Slice(i)...)
	case Binary:
		return hex.AppendEncode(append(dst, "hex:"...), v.Slice(i))
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
