package debezium

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cdcd-project/cdcd/internal/row"
)

// A change collects what a record needs of the table schema beyond the bound one.
type change struct {
	want     *row.Schema
	lossless bool
	details  []string
}

func newChange(bound *row.Schema) *change {
	return &change{want: &row.Schema{Columns: slices.Clone(bound.Columns), Key: bound.Key}, lossless: true}
}

// add wants a column. It is optional: rows that exist have no value in it.
func (c *change) add(name string, t row.Type) {
	c.want.Columns = append(c.want.Columns, row.Column{Name: name, Type: t})
	c.details = append(c.details, fmt.Sprintf("add column %s %s (optional)", name, t))
}

// fit wants column i in a type that holds src, if the present one does not. It reports whether the present one does.
func (c *change) fit(i int, src *source) bool {
	column := &c.want.Columns[i]
	t, v := fit(src, column.Type)
	switch v {
	case fits:
		return true
	case widens:
		c.details = append(c.details, fmt.Sprintf("%s %s -> %s", column.Name, column.Type, t))
	case conflicts:
		c.lossless = false
		c.details = append(c.details, fmt.Sprintf("column %s is %s in the table, and %s in the record", column.Name, column.Type, t))
	}
	column.Type = t
	return false
}

// err returns the collected change, or nil if there is none.
func (c *change) err() error {
	if len(c.details) == 0 {
		return nil
	}
	return &SchemaChange{Want: c.want, Lossless: c.lossless, Detail: strings.Join(c.details, "; ")}
}

// rowProjection returns the projection of the row image to the bound schema.
func (d *Decoder) rowProjection() (*projection, error) {
	if d.boundErr != nil {
		return nil, d.boundErr
	}
	e := d.value
	if e == nil || e.root == nil {
		return d.untypedRow, nil
	}
	if e.row.bound != d.bound || e.row.flattened != d.env.flattened {
		p, err := d.projectRow(d.rowFields())
		e.row = projected{bound: d.bound, flattened: d.env.flattened, p: p, err: err}
	}
	return e.row.p, e.row.err
}

// projectRow fits the fields of an embedded schema to the bound schema's columns.
func (d *Decoder) projectRow(fields []*connectSchema) (*projection, error) {
	if fields == nil {
		return nil, errorf(SchemaMismatch, "the embedded schema has no row image, the payload has one")
	}
	names, nameErr := fieldNames(fields)
	if nameErr != nil {
		return nil, nameErr
	}
	p := newProjection(&d.typing, d.bound, refuseUnknown)
	p.partial = d.o.Partial
	change := newChange(d.bound)
	for i, c := range fields {
		src, err := d.typing.sourceOf(c, names[i])
		if err != nil {
			return nil, errorf(TypeMismatch, "column %s: %v", c.field, err)
		}
		if column, ok := d.columns[names[i]]; ok {
			if change.fit(column, &src) {
				p.addTyped(c, src, column, d.addedBy(c))
			}
		} else {
			change.add(names[i], src.typ)
		}
	}
	if len(change.want.Columns) > d.scan.limits.Columns {
		return nil, errorf(TooLarge, "more than %d columns", d.scan.limits.Columns)
	}
	if err := change.err(); err != nil {
		return nil, err
	}
	if d.env.flattened && !d.added.keep {
		d.addAdded(p)
	}
	if d.value.avro && d.env.flattened {
		p.writtenAs(d.value.root.fields)
	}
	return p, nil
}

// addedBy returns what a field of a flattened record's schema adds to its row.
func (d *Decoder) addedBy(c *connectSchema) addedField {
	if !d.env.flattened {
		return notAdded
	}
	return d.added.field(c.field)
}

// addAdded adds the members of a flattened record that are no columns.
func (d *Decoder) addAdded(p *projection) {
	for _, c := range d.value.root.fields {
		if a := d.added.field(c.field); a != notAdded {
			p.addTyped(c, source{}, none, a)
		}
	}
}
