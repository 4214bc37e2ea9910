// Package row holds rows and their table schema, knowing neither Debezium nor Iceberg.
//
// Rows are kept as column vectors in Arrow's memory layout, so that decoding appends plain values, and writing wraps
// them without a copy. There are no per-row objects.
package row

import "slices"

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
