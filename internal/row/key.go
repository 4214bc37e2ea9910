package row

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrNullKey is returned by AppendKey for a row with a null in an identifier column, which Iceberg forbids.
var ErrNullKey = errors.New("null in an identifier column")

// CheckKey says whether cdcd can tell rows apart by the schema's identifier columns. Floating point numbers, structs and
// lists cannot identify a row (Iceberg specification, "Identifier field IDs").
func (s *Schema) CheckKey() error {
	for _, i := range s.Key {
		if k := s.Columns[i].Type.Kind; k == Float || k == Double || k == Struct || k == List {
			return fmt.Errorf("column %s is a %s, which cannot identify a row", s.Columns[i].Name, s.Columns[i].Type)
		}
	}
	return nil
}

// AppendKey appends the canonical key of row i to dst: the identifier values in key order, each as the AppendKey function
// of its kind writes it. Two rows have the same canonical key if and only if their identifier values are equal after
// conversion to the table's types, also when a column was widened in between (int to long, a decimal's precision).
func (r *Rows) AppendKey(dst []byte, i int) ([]byte, error) {
	for _, c := range r.Schema.Key {
		v := &r.Vectors[c]
		if v.IsNull(i) {
			return dst, fmt.Errorf("column %s: %w", r.Schema.Columns[c].Name, ErrNullKey)
		}
		dst = v.appendKey(dst, i)
	}
	return dst, nil
}

func (v *Vector) appendKey(dst []byte, i int) []byte {
	switch v.Type.Kind {
	case Boolean:
		if v.Bool(i) {
			return append(dst, 1)
		}
		return append(dst, 0)
	case Int, Date:
		return AppendKeyInt(dst, int64(v.Int32s[i]))
	case Long, Timestamp, TimestampTZ, Time:
		return AppendKeyInt(dst, v.Int64s[i])
	case Decimal:
		return AppendKeyDecimal(dst, v.Decimals[i])
	case String, Binary:
		return AppendKeyBytes(dst, v.Slice(i))
	case Float, Double, Struct, List:
	}
	panic("row: a " + v.Type.String() + " column cannot identify a row") // CheckKey refused it.
}

// AppendKeyInt appends an integer, date or timestamp of a key: eight bytes, big endian.
func AppendKeyInt(dst []byte, x int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(x)) }

// AppendKeyDecimal appends the unscaled value of a decimal: sixteen bytes, big endian.
func AppendKeyDecimal(dst []byte, x Decimal128) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, uint64(x.Hi)), x.Lo)
}

// AppendKeyBytes appends a string or binary: its length as an unsigned varint, then its bytes, so that no two
// composite keys run into each other.
func AppendKeyBytes(dst, x []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(x))), x...)
}

// ErrKey is returned by ReadKey for bytes that AppendKey has not written.
var ErrKey = errors.New("not a canonical key of the schema")

// ReadKey reads the canonical key of a row of schema s back into one row of s.KeySchema.
func (s *Schema) ReadKey(key []byte) (*Rows, error) {
	rows := NewRows(s.KeySchema())
	for i := range rows.Vectors {
		var ok bool
		if key, ok = rows.Vectors[i].readKey(key); !ok {
			return nil, ErrKey
		}
	}
	if len(key) > 0 {
		return nil, ErrKey
	}
	rows.End()
	return rows, nil
}

// readKey appends the value at the beginning of key, and returns the rest of it.
func (v *Vector) readKey(key []byte) (rest []byte, ok bool) {
	n := 8
	switch v.Type.Kind { //nolint:exhaustive // All others have eight bytes.
	case Boolean:
		n = 1
	case Decimal:
		n = 16
	case String, Binary:
		length, skip := binary.Uvarint(key)
		if skip <= 0 || length > uint64(len(key)-skip) {
			return nil, false
		}
		key, n = key[skip:], int(length)
	}
	if len(key) < n {
		return nil, false
	}
	text, rest := key[:n], key[n:]
	switch v.Type.Kind {
	case Boolean:
		v.AppendBool(text[0] != 0)
	case Int, Date:
		v.AppendInt32(int32(binary.BigEndian.Uint64(text)))
	case Long, Timestamp, TimestampTZ, Time:
		v.AppendInt64(int64(binary.BigEndian.Uint64(text)))
	case Decimal:
		v.AppendDecimal(Decimal128{Hi: int64(binary.BigEndian.Uint64(text)), Lo: binary.BigEndian.Uint64(text[8:])})
	case String, Binary:
		v.AppendBytes(text)
	case Float, Double, Struct, List:
		return nil, false
	}
	return rest, true
}
