package row

import (
	"github.com/cdcd-project/cdcd/internal/invariant"
)

// Decimal128 is a two's complement 128-bit integer, the unscaled value of a decimal, in Arrow's memory layout on
// little-endian machines: the low half first.
type Decimal128 struct {
	Lo uint64
	Hi int64
}

// Vector holds the values of one column in Arrow's layout: a validity bitmap (least significant bit first, 1 = not
// null) beside one value buffer chosen by the type's kind. A null has a zero value in the buffer. The exported buffers
// may be read and wrapped while the vector is not appended to.
//
// Invariant: exactly one of the value buffers is in use, which of a Struct or List are those of Children; Offsets has one
// element more than there are values.
type Vector struct {
	Type     Type
	Validity []byte
	Bits     []byte       // Boolean, one bit a value, least significant bit first.
	Int32s   []int32      // Int, Date.
	Int64s   []int64      // Long, Timestamp, TimestampTZ, Time.
	Float32s []float32    // Float.
	Float64s []float64    // Double.
	Decimals []Decimal128 // Decimal.
	Offsets  []int32      // String, Binary, List: value i is Bytes or Children[0] from Offsets[i] to Offsets[i+1].
	Bytes    []byte
	Children []Vector // Struct: the fields, as long as the vector. List: the elements of all values.

	n, nulls int
}

// NewVector returns an empty vector of type t.
func NewVector(t Type) Vector {
	v := Vector{Type: t}
	switch t.Kind { //nolint:exhaustive // All others begin empty.
	case String, Binary:
		v.Offsets = []int32{0}
	case List:
		v.Offsets = []int32{0}
		v.Children = []Vector{NewVector(t.Element())}
	case Struct:
		for _, f := range t.Fields() {
			v.Children = append(v.Children, NewVector(f.Type))
		}
	}
	return v
}

// Len returns the number of values, nulls included.
func (v *Vector) Len() int { return v.n }

// Nulls returns the number of nulls.
func (v *Vector) Nulls() int { return v.nulls }

// IsNull reports whether value i is null.
func (v *Vector) IsNull(i int) bool { return v.Validity[i>>3]&(1<<(i&7)) == 0 }

// Bool returns value i of a Boolean vector.
func (v *Vector) Bool(i int) bool { return v.Bits[i>>3]&(1<<(i&7)) != 0 }

// Slice returns value i of a String or Binary vector; it is valid until the next append or Reset.
func (v *Vector) Slice(i int) []byte { return v.Bytes[v.Offsets[i]:v.Offsets[i+1]] }

// AppendNull appends a null.
func (v *Vector) AppendNull() {
	v.grow(false)
	switch v.Type.Kind {
	case Boolean:
		v.bit(false)
	case Int, Date:
		v.Int32s = append(v.Int32s, 0)
	case Long, Timestamp, TimestampTZ, Time:
		v.Int64s = append(v.Int64s, 0)
	case Float:
		v.Float32s = append(v.Float32s, 0)
	case Double:
		v.Float64s = append(v.Float64s, 0)
	case Decimal:
		v.Decimals = append(v.Decimals, Decimal128{})
	case String, Binary:
		v.Offsets = append(v.Offsets, int32(len(v.Bytes)))
	case List:
		v.Offsets = append(v.Offsets, int32(v.Children[0].n))
	case Struct:
		for i := range v.Children {
			v.Children[i].AppendNull()
		}
	}
	v.n++
}

// AppendBool appends to a Boolean vector.
func (v *Vector) AppendBool(x bool) { v.grow(true); v.bit(x); v.n++ }

// AppendInt32 appends to an Int or Date vector.
func (v *Vector) AppendInt32(x int32) { v.grow(true); v.Int32s = append(v.Int32s, x); v.n++ }

// AppendInt64 appends to a Long, Timestamp, TimestampTZ or Time vector.
func (v *Vector) AppendInt64(x int64) { v.grow(true); v.Int64s = append(v.Int64s, x); v.n++ }

// AppendFloat32 appends to a Float vector.
func (v *Vector) AppendFloat32(x float32) { v.grow(true); v.Float32s = append(v.Float32s, x); v.n++ }

// AppendFloat64 appends to a Double vector.
func (v *Vector) AppendFloat64(x float64) { v.grow(true); v.Float64s = append(v.Float64s, x); v.n++ }

// AppendDecimal appends the unscaled value x to a Decimal vector.
func (v *Vector) AppendDecimal(x Decimal128) {
	v.grow(true)
	v.Decimals = append(v.Decimals, x)
	v.n++
}

// AppendBytes appends a copy of x to a String or Binary vector. The caller keeps the sum of all values below 2 GiB
// (Arrow's 32-bit offsets): Rows.Bytes tells when to stop.
func (v *Vector) AppendBytes(x []byte) { v.Bytes = append(v.Bytes, x...); v.EndBytes() }

// EndBytes ends a value whose bytes were appended to Bytes directly.
func (v *Vector) EndBytes() {
	v.grow(true)
	v.Offsets = append(v.Offsets, int32(len(v.Bytes)))
	v.n++
}

// EndStruct ends a value of a Struct vector, after one value was appended to each child.
func (v *Vector) EndStruct() {
	v.grow(true)
	v.n++
	for i := range v.Children {
		if v.Children[i].n != v.n {
			invariant.Check(false, "row: field %d has %d values in struct %d", i, v.Children[i].n, v.n)
		}
	}
}

// EndList ends a value of a List vector, after its elements were appended to Children[0].
func (v *Vector) EndList() {
	v.grow(true)
	v.Offsets = append(v.Offsets, int32(v.Children[0].n))
	v.n++
}

func (v *Vector) grow(valid bool) {
	if v.n&7 == 0 {
		v.Validity = append(v.Validity, 0)
	}
	if valid {
		v.Validity[v.n>>3] |= 1 << (v.n & 7)
	} else {
		v.nulls++
	}
}

func (v *Vector) bit(x bool) {
	if v.n&7 == 0 {
		v.Bits = append(v.Bits, 0)
	}
	if x {
		v.Bits[v.n>>3] |= 1 << (v.n & 7)
	}
}

// Truncate keeps the first n values and drops the rest, such as those of a row that could not be decoded to its end.
func (v *Vector) Truncate(n int) {
	if n > v.n { // The test stands here because boxing Check's arguments allocates.
		invariant.Check(false, "row: truncate %d values to %d", v.n, n)
	}
	for i := n; i < v.n; i++ {
		if v.IsNull(i) {
			v.nulls--
		}
	}
	v.Validity = truncateBits(v.Validity, n)
	switch v.Type.Kind {
	case Boolean:
		v.Bits = truncateBits(v.Bits, n)
	case Int, Date:
		v.Int32s = v.Int32s[:n]
	case Long, Timestamp, TimestampTZ, Time:
		v.Int64s = v.Int64s[:n]
	case Float:
		v.Float32s = v.Float32s[:n]
	case Double:
		v.Float64s = v.Float64s[:n]
	case Decimal:
		v.Decimals = v.Decimals[:n]
	case String, Binary:
		v.Offsets = v.Offsets[:n+1]
		v.Bytes = v.Bytes[:v.Offsets[n]]
	case List:
		v.Offsets = v.Offsets[:n+1]
		v.Children[0].Truncate(int(v.Offsets[n]))
	case Struct:
		for i := range v.Children {
			v.Children[i].Truncate(n)
		}
	}
	v.n = n
}

func truncateBits(bits []byte, n int) []byte {
	bits = bits[:(n+7)/8]
	if n&7 != 0 {
		bits[len(bits)-1] &= 1<<(n&7) - 1
	}
	return bits
}

// AppendFrom appends the values of src at the given indexes. Both vectors have the same type.
func (v *Vector) AppendFrom(src *Vector, indexes []int32) {
	invariant.Check(v.Type == src.Type, "row: append %s to %s", src.Type, v.Type)
	for _, i := range indexes {
		v.appendOne(src, int(i))
	}
}

func (v *Vector) appendOne(src *Vector, i int) {
	if src.IsNull(i) {
		v.AppendNull()
		return
	}
	switch v.Type.Kind {
	case Boolean:
		v.AppendBool(src.Bool(i))
	case Int, Date:
		v.AppendInt32(src.Int32s[i])
	case Long, Timestamp, TimestampTZ, Time:
		v.AppendInt64(src.Int64s[i])
	case Float:
		v.AppendFloat32(src.Float32s[i])
	case Double:
		v.AppendFloat64(src.Float64s[i])
	case Decimal:
		v.AppendDecimal(src.Decimals[i])
	case String, Binary:
		v.AppendBytes(src.Slice(i))
	case List:
		for k := src.Offsets[i]; k < src.Offsets[i+1]; k++ {
			v.Children[0].appendOne(&src.Children[0], int(k))
		}
		v.EndList()
	case Struct:
		for k := range v.Children {
			v.Children[k].appendOne(&src.Children[k], i)
		}
		v.EndStruct()
	}
}

// size returns the bytes that the values occupy.
func (v *Vector) size() int {
	total := len(v.Validity) + len(v.Bits) + 4*len(v.Int32s) + 8*len(v.Int64s) + 4*len(v.Float32s) + 8*len(v.Float64s) +
		16*len(v.Decimals) + 4*len(v.Offsets) + len(v.Bytes)
	for i := range v.Children {
		total += v.Children[i].size()
	}
	return total
}
