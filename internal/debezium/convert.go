package debezium

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"slices"

	"github.com/cdcd-project/cdcd/internal/row"
)

// A converter puts values into vectors, converted to the column's type exactly, from whatever wire format they were read:
// that format's reader embeds it. Its methods return false once err is set.
//
// What a wire format hands over: the schema of a record as a connectSchema tree, from which typing and fit make
// projections; and for each meaning a function that reads the literal and calls the converter (jsonDecoder).
type converter struct {
	err    *Error
	limits Limits

	placeholders [4]string // How an unavailable value is written: as text, and its bytes in three notations.
	lengths      uint64    // Has the bit of each placeholder's length modulo 64.
	unchanged    []int     // The columns of the row at hand that hold a placeholder.
}

func (c *converter) fail(reason Reason, format string, args ...any) bool {
	c.err = errorf(reason, format, args...)
	return false
}

// setPlaceholder tells the converter what stands for an unavailable value.
func (c *converter) setPlaceholder(text string) {
	raw := []byte(text)
	c.placeholders = [4]string{text, base64.StdEncoding.EncodeToString(raw), base64.URLEncoding.EncodeToString(raw), hex.EncodeToString(raw)}
	for _, p := range c.placeholders {
		c.lengths |= 1 << (len(p) & 63)
	}
}

// isPlaceholder reports whether text, of a column of text or bytes, stands for an unavailable value.
func (c *converter) isPlaceholder(text []byte) bool {
	return c.lengths>>(len(text)&63)&1 == 1 && slices.Contains(c.placeholders[:], string(text))
}

// keep notes that the column of f is to keep its old value.
func (c *converter) keep(f *field, v *row.Vector) bool {
	if !f.keeps {
		return c.fail(SchemaMismatch, "the value is Debezium's placeholder for an unavailable one: set binlog_row_image=FULL")
	}
	c.unchanged = append(c.unchanged, f.column)
	v.AppendNull()
	return true
}

// appendInteger appends x to a column of any kind that holds integers, if it fits.
func (c *converter) appendInteger(x int64, v *row.Vector) bool {
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
		if d, ok := integerDecimal(x).rescaled(v.Type.Scale); ok && d.fits(v.Type.Precision) {
			v.AppendDecimal(d.signed())
			return true
		}
	case row.Time:
		if x >= 0 && x < microsPerDay {
			v.AppendInt64(x)
			return true
		}
	case row.String: // A TIME: no other integer becomes text.
		v.Bytes = appendDuration(v.Bytes, x)
		v.EndBytes()
		return true
	}
	return c.fail(OutOfRange, "an integer beyond the column's type %s", v.Type)
}

// appendLong appends an int64 of which nothing tells whether it is signed. A BIGINT UNSIGNED, which is a decimal(20,0), wraps
// at 2^63 under bigint.unsigned.handling.mode=long: a negative number in such a column may be a large one.
func (c *converter) appendLong(x int64, v *row.Vector) bool {
	if x < 0 && v.Type == (row.Type{Kind: row.Decimal, Precision: 20}) {
		return c.fail(OutOfRange, "a negative number where a BIGINT UNSIGNED may be due: propagate the source type "+
			"(datatype.propagate.source.type), or set bigint.unsigned.handling.mode=precise")
	}
	return c.appendInteger(x, v)
}

func integerDecimal(x int64) decimal {
	d := decimal{magnitude: uint128{lo: uint64(x)}, negative: x < 0}
	if x < 0 {
		d.magnitude.lo = -uint64(x)
	}
	return d
}

// appendUnsigned appends a BIGINT UNSIGNED that has wrapped at 2^63.
func (c *converter) appendUnsigned(x int64, f *field, v *row.Vector) bool {
	return c.appendDecimal(decimal{magnitude: uint128{lo: uint64(x)}}, f, v)
}

func (c *converter) appendDecimalText(text []byte, f *field, v *row.Vector) bool {
	d, well, fits := parseDecimal(text)
	if !well {
		return c.fail(TypeMismatch, "text that is no number where %s is due", f.kind)
	}
	if !fits {
		return c.fail(OutOfRange, "more digits than %s has", f.kind)
	}
	return c.appendDecimal(d, f, v)
}

// appendDecimal appends d at the column's scale, exactly. A string column takes the digits at the record's own scale.
func (c *converter) appendDecimal(d decimal, f *field, v *row.Vector) bool {
	if t := &v.Type; t.Kind == row.Decimal && t.Scale == f.scale && t.Precision == f.precision && d.scale == int(f.scale) && d.fits(f.precision) {
		v.AppendDecimal(d.signed())
		return true
	}
	if f.precision > 0 { // The record's own schema bounds the value, whatever the column would hold.
		own, ok := d.rescaled(f.scale)
		if !ok || !own.fits(f.precision) {
			return c.fail(OutOfRange, "more digits than %s has", f.kind)
		}
		if v.Type.Kind == row.String {
			v.Bytes = own.signed().AppendText(v.Bytes, f.scale)
			v.EndBytes()
			return true
		}
	}
	d, ok := d.rescaled(v.Type.Scale)
	if !ok || !d.fits(v.Type.Precision) {
		return c.fail(OutOfRange, "a number that %s cannot hold exactly", v.Type)
	}
	v.AppendDecimal(d.signed())
	return true
}

// appendUnscaled appends the bytes of Connect's Decimal: the unscaled value, big endian in two's complement.
func (c *converter) appendUnscaled(x []byte, f *field, v *row.Vector) bool {
	d, ok := fromTwosComplement(x, int(f.scale))
	if !ok || !d.fits(f.precision) {
		return c.fail(OutOfRange, "more digits than %s has", f.kind)
	}
	return c.appendDecimal(d, f, v)
}

// appendBits appends the bytes of BIT(n), little endian.
func (c *converter) appendBits(bytes []byte, f *field, v *row.Vector) bool {
	var x uint64
	for i, b := range bytes {
		if b != 0 && (i >= 8 || f.bits < 64 && uint64(b)<<(8*i) >= 1<<f.bits) {
			return c.fail(OutOfRange, "more bits than %s has", f.kind)
		}
		if i < 8 {
			x |= uint64(b) << (8 * i)
		}
	}
	if v.Type.Kind == row.Decimal {
		return c.appendDecimal(decimal{magnitude: uint128{lo: x}}, f, v)
	}
	v.AppendInt64(int64(x)) // Fewer than 64 bits.
	return true
}

// appendEnum appends an ENUM's value. The stream escapes a comma inside of it, the snapshot does not: both mean the same.
func (c *converter) appendEnum(text []byte, v *row.Vector) bool {
	for {
		i := bytes.Index(text, []byte(`\,`))
		if i < 0 {
			break
		}
		v.Bytes = append(append(v.Bytes, text[:i]...), ',')
		text = text[i+2:]
	}
	v.AppendBytes(text)
	return true
}

// appendFloat appends the value of a FLOAT, which is exact as a float; see decodeFloat.
func (*converter) appendFloat(x float64, v *row.Vector) {
	if v.Type.Kind == row.Double {
		v.AppendFloat64(x)
		return
	}
	v.AppendFloat32(float32(x))
}

// appendText appends text as it is, or notes that it stands for an unavailable value.
func (c *converter) appendText(text []byte, f *field, v *row.Vector) bool {
	if c.isPlaceholder(text) {
		return c.keep(f, v)
	}
	v.AppendBytes(text)
	return true
}

// appendBase64 appends the bytes that text stands for.
func (c *converter) appendBase64(e *base64.Encoding, text []byte, f *field, v *row.Vector) bool {
	if c.isPlaceholder(text) {
		return c.keep(f, v)
	}
	start := len(v.Bytes)
	v.Bytes = slices.Grow(v.Bytes, e.DecodedLen(len(text)))
	n, ok := decodeBase64(e, v.Bytes[start:cap(v.Bytes)], text)
	if !ok {
		return c.fail(InvalidBase64, "no base64 of %s", f.kind)
	}
	v.Bytes = v.Bytes[:start+n]
	v.EndBytes()
	return true
}

// appendHex appends the bytes that hexadecimal digits stand for.
func (c *converter) appendHex(text []byte, f *field, v *row.Vector) bool {
	if c.isPlaceholder(text) {
		return c.keep(f, v)
	}
	decoded, err := hex.AppendDecode(v.Bytes, text)
	if err != nil {
		return c.fail(InvalidBase64, "no hexadecimal digits of %s", f.kind)
	}
	v.Bytes = decoded
	v.EndBytes()
	return true
}
