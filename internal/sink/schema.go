package sink

import (
	"fmt"
	"slices"

	"github.com/apache/iceberg-go"

	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/row"
)

// icebergType returns the Iceberg type of a column type. id gives out the ids of nested fields.
func icebergType(t row.Type, id func() int) iceberg.Type {
	switch t.Kind {
	case row.Boolean:
		return iceberg.PrimitiveTypes.Bool
	case row.Int:
		return iceberg.PrimitiveTypes.Int32
	case row.Long:
		return iceberg.PrimitiveTypes.Int64
	case row.Float:
		return iceberg.PrimitiveTypes.Float32
	case row.Double:
		return iceberg.PrimitiveTypes.Float64
	case row.Decimal:
		return iceberg.DecimalTypeOf(int(t.Precision), int(t.Scale))
	case row.Date:
		return iceberg.PrimitiveTypes.Date
	case row.Timestamp:
		return iceberg.PrimitiveTypes.Timestamp
	case row.TimestampTZ:
		return iceberg.PrimitiveTypes.TimestampTz
	case row.String:
		return iceberg.PrimitiveTypes.String
	case row.Binary:
		return iceberg.PrimitiveTypes.Binary
	case row.Time:
		return iceberg.PrimitiveTypes.Time
	case row.List:
		return &iceberg.ListType{ElementID: id(), Element: icebergType(t.Element(), id)}
	case row.Struct:
		s := &iceberg.StructType{}
		for _, f := range t.Fields() {
			s.FieldList = append(s.FieldList, iceberg.NestedField{ID: id(), Name: f.Name, Type: icebergType(f.Type, id)})
		}
		return s
	}
	panic("sink: no Iceberg type for " + t.String())
}

// rowType returns the column type of an Iceberg type, or false if cdcd does not write that type.
func rowType(t iceberg.Type) (row.Type, bool) {
	switch t := t.(type) {
	case iceberg.DecimalType:
		return row.Type{Kind: row.Decimal, Precision: uint8(t.Precision()), Scale: uint8(t.Scale())}, t.Precision() <= row.MaxPrecision
	case *iceberg.ListType:
		e, ok := rowType(t.Element)
		return row.ListOf(e), ok && !t.ElementRequired
	case *iceberg.StructType:
		fields := make([]row.Field, len(t.FieldList))
		for i, f := range t.FieldList {
			e, ok := rowType(f.Type)
			if !ok || f.Required {
				return row.Type{}, false
			}
			fields[i] = row.Field{Name: f.Name, Type: e}
		}
		out, err := row.StructOf(fields...)
		return out, err == nil
	}
	parsed, err := row.ParseType(t.String())
	return parsed, err == nil
}

// newIcebergSchema returns the schema of a table to be created; the catalog assigns the field ids anew.
func newIcebergSchema(s *row.Schema) *iceberg.Schema {
	fields := make([]iceberg.NestedField, len(s.Columns))
	nested := counter(len(s.Columns))
	for i, c := range s.Columns {
		fields[i] = iceberg.NestedField{ID: i + 1, Name: c.Name, Type: icebergType(c.Type, nested), Required: c.Required, Doc: c.Doc}
	}
	var ids []int
	for _, k := range s.Key {
		ids = append(ids, k+1)
	}
	return iceberg.NewSchemaWithIdentifiers(0, ids, fields...)
}

// counter returns a function that counts upwards from the number after last.
func counter(last int) func() int {
	return func() int { last++; return last }
}

// rowSchema returns the table schema of an existing Iceberg table. The configured key names the identifier columns in key order; if
// it is empty the table's identifier fields are the key, in the order of their ids. A changelog has none.
func rowSchema(s *iceberg.Schema, o TableOptions) (*row.Schema, error) {
	out := &row.Schema{}
	for _, f := range s.Fields() {
		t, ok := rowType(f.Type)
		if !ok {
			return nil, halt.Newf(halt.InvalidTable, "Drop the column, or let cdcd create the table.",
				"column %s is a %s, which cdcd cannot write", f.Name, f.Type)
		}
		out.Columns = append(out.Columns, row.Column{Name: f.Name, Type: t, Required: f.Required, Doc: f.Doc})
	}
	identifiers := slices.Clone(s.IdentifierFieldIDs)
	slices.Sort(identifiers)
	var names []string
	for _, id := range identifiers {
		name, ok := s.FindColumnName(id)
		if !ok {
			return nil, halt.Newf(halt.InvalidTable, "Set the identifier fields anew.", "identifier field %d is no column", id)
		}
		names = append(names, name)
	}
	key := o.Key
	if len(key) == 0 && !o.Changelog {
		key = names
	}
	if sorted(key) != sorted(names) {
		return nil, halt.Newf(halt.InvalidTable, "Set the table's identifier fields to the key, or the key to the identifier fields.",
			"the table's identifier fields are %v, but the key is %v", names, key)
	}
	for _, name := range key {
		out.Key = append(out.Key, out.Index(name))
	}
	if len(out.Key) == 0 && !o.Changelog {
		return nil, halt.Newf(halt.InvalidTable, "Set the table's identifier fields, or let cdcd create the table.", "the table has no identifier fields")
	}
	if err := out.CheckKey(); err != nil {
		return nil, halt.Newf(halt.InvalidTable, "Choose another key.", "%w", err)
	}
	return out, nil
}

func sorted(names []string) string {
	c := slices.Clone(names)
	slices.Sort(c)
	return fmt.Sprint(c)
}
