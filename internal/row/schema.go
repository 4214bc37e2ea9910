// Package row holds rows and their table schema, knowing neither Debezium nor Iceberg.
//
// Rows are kept as column vectors in Arrow's memory layout, so that decoding appends plain values, and writing wraps
// them without a copy. There are no per-row objects.
package row

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Kind is the kind of a column type. The names and meanings are those of the Iceberg specification.
type Kind uint8

// The kinds of columns. Date is days since 1970-01-01; Timestamp and TimestampTZ are microseconds since
// 1970-01-01T00:00:00, the former without a zone and the latter in UTC.
const (
	Boolean Kind = iota + 1
	Int
	Long
	Float
	Double
	Decimal
	Date
	Timestamp
	TimestampTZ
	String
	Binary
)

// MaxPrecision is the largest number of decimal digits a Decimal column can have (Iceberg specification, "Primitive types").
const MaxPrecision = 38

var kindNames = [...]string{ //nolint:gochecknoglobals // A constant table.
	Boolean: "boolean", Int: "int", Long: "long", Float: "float", Double: "double", Decimal: "decimal",
	Date: "date", Timestamp: "timestamp", TimestampTZ: "timestamptz", String: "string", Binary: "binary",
}

// Type is a column's type. Precision and Scale are zero but for Decimal. Types are comparable with ==.
type Type struct {
	Kind             Kind
	Precision, Scale uint8
}

// String returns the type as Iceberg writes it: "long", "decimal(10,2)".
func (t Type) String() string {
	if t.Kind == Decimal {
		return fmt.Sprintf("decimal(%d,%d)", t.Precision, t.Scale)
	}
	if int(t.Kind) >= len(kindNames) || t.Kind == 0 {
		return fmt.Sprintf("kind(%d)", t.Kind)
	}
	return kindNames[t.Kind]
}

// ParseType reads what String writes; spaces around the digits of a decimal are allowed.
func ParseType(text string) (Type, error) {
	if args, ok := strings.CutPrefix(text, "decimal("); ok {
		args, closed := strings.CutSuffix(args, ")")
		precision, scale, both := strings.Cut(args, ",")
		p, errP := strconv.ParseUint(strings.TrimSpace(precision), 10, 8)
		s, errS := strconv.ParseUint(strings.TrimSpace(scale), 10, 8)
		if !closed || !both || errP != nil || errS != nil || p == 0 || p > MaxPrecision || s > p {
			return Type{}, fmt.Errorf("type %q: write decimal(P,S) with 1 <= P <= %d and 0 <= S <= P", text, MaxPrecision)
		}
		return Type{Kind: Decimal, Precision: uint8(p), Scale: uint8(s)}, nil
	}
	i := slices.Index(kindNames[:], text)
	if i <= 0 || Kind(i) == Decimal {
		return Type{}, fmt.Errorf("type %q: not one of boolean, int, long, float, double, decimal(P,S), date, timestamp, timestamptz, string, binary", text)
	}
	return Type{Kind: Kind(i)}, nil
}

// Column is one column of a table.
type Column struct {
	Name     string
	Type     Type
	Required bool // Only identifier columns are required: MySQL's NOT NULL does not survive dropped columns.
	Doc      string
}

// Schema is a table schema: its columns, and which of them identify a row. A Schema is never changed after it was
// handed on; an evolved schema is a new value.
type Schema struct {
	Columns []Column
	Key     []int // The identifier columns as indexes into Columns, in key order. Empty: the table has no key.
}

// Index returns the index of the named column, or -1.
func (s *Schema) Index(name string) int {
	return slices.IndexFunc(s.Columns, func(c Column) bool { return c.Name == name })
}

// KeySchema returns the schema that has the identifier columns only, in key order.
func (s *Schema) KeySchema() *Schema {
	k := &Schema{}
	for i, c := range s.Key {
		k.Columns = append(k.Columns, s.Columns[c])
		k.Key = append(k.Key, i)
	}
	return k
}

// Equal reports whether both schemas have the same columns in the same order, and the same key.
func (s *Schema) Equal(o *Schema) bool {
	return slices.Equal(s.Columns, o.Columns) && slices.Equal(s.Key, o.Key)
}
