package debezium

import (
	"fmt"

	"github.com/cdcd-project/cdcd/internal/row"
)

// A structure is what a struct or a list is made of.
type structure struct {
	fields []part // Of a list: its element alone.
	strict bool   // An embedded schema lists all fields.
}

// A part is one field of a struct, or the element of a list.
type part struct {
	name     string
	kind     string
	optional bool
	source   source
	column   int // The child that the value goes to, or none.
	wire     avroValue
}

// refineStruct makes a struct of the table from a struct of the record, field by field.
func refineStruct(t *typing, c *connectSchema, src *source) error {
	parts := &structure{strict: true}
	var fields []row.Field
	for _, f := range c.fields {
		inner, err := t.sourceOf(f, "")
		if err != nil {
			return fmt.Errorf("field %s: %w", f.field, err)
		}
		name, nameErr := columnName(f.field)
		if nameErr != nil {
			return nameErr
		}
		parts.fields = append(parts.fields, part{f.field, f.kind(), f.optional, inner, len(fields), f.wire})
		fields = append(fields, row.Field{Name: name, Type: inner.typ})
	}
	typ, err := row.StructOf(fields...)
	src.typ, src.parts = typ, parts
	return err
}

// geometryType is what all geometries are in the table.
func geometryType() row.Type {
	t, _ := row.StructOf(row.Field{Name: "wkb", Type: row.Type{Kind: row.Binary}}, row.Field{Name: "srid", Type: row.Type{Kind: row.Int}})
	return t
}

// refineGeometry makes struct<wkb: binary, srid: int> of every geometry. A point has its coordinates in x and y as well, which
// wkb repeats.
func refineGeometry(_ *typing, c *connectSchema, src *source) error {
	parts := &structure{strict: true}
	for _, f := range c.fields {
		p := part{name: f.field, kind: f.kind(), optional: f.optional, column: none, wire: f.wire}
		p.source.min, p.source.max = integerRange(f.literal)
		switch {
		case f.field == "wkb" && f.literal == "bytes":
			p.column, p.source.means = 0, asBytes
		case f.field == "srid" && f.literal == "int32":
			p.column, p.source.means = 1, asInteger
		case src.means == asPoint && (f.field == "x" || f.field == "y") && f.literal == "double":
		default:
			return fmt.Errorf("a geometry with the field %s %s", f.field, f.kind())
		}
		parts.fields = append(parts.fields, p)
	}
	src.typ, src.parts = geometryType(), parts
	return nil
}

// refineList makes a list of the table from an array of the record.
func refineList(t *typing, c *connectSchema, src *source) error {
	items := c.items
	if items == nil && c.name != "" { // A vector, whose elements its name tells.
		items = &connectSchema{literal: "float"}
		if c.name == "io.debezium.data.DoubleVector" {
			items.literal = "double"
		}
	}
	if items == nil {
		return fmt.Errorf("an array without the schema of its items")
	}
	inner, err := t.sourceOf(items, "")
	if err != nil {
		return fmt.Errorf("items: %w", err)
	}
	src.typ = row.ListOf(inner.typ)
	src.parts = &structure{strict: true, fields: []part{{name: "element", kind: items.kind(), optional: items.optional, source: inner, wire: items.wire}}}
	return nil
}

// untypedParts returns the parts of a declared struct or list. A geometry may have a point's coordinates beside it.
func (t *typing) untypedParts(typ row.Type) *structure {
	if typ.Kind == row.List {
		e := typ.Element()
		return &structure{fields: []part{{name: "element", kind: e.String(), optional: true, source: t.untyped(e, "")}}}
	}
	parts := &structure{}
	for i, f := range typ.Fields() {
		parts.fields = append(parts.fields, part{f.Name, f.Type.String(), true, t.untyped(f.Type, ""), i, avroValue{}})
	}
	if typ == geometryType() {
		for _, name := range []string{"x", "y"} {
			parts.fields = append(parts.fields, part{name: name, kind: "double", optional: true, column: none})
		}
	}
	return parts
}
