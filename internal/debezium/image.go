package debezium

import (
	"slices"

	"github.com/cdcd-project/cdcd/internal/row"
)

// Image calls f with each field of the row of the last upsert or append, in the record's order: the name as the record spells
// it, and the bound column that took its value, or -1 for a null that no column has taken, since it tells no type.
func (d *Decoder) Image(f func(name string, column int)) {
	p, err := d.rowProjection()
	if err != nil {
		return
	}
	for i := range p.fields {
		if c := &p.fields[i]; c.seen == p.objects && (c.added == notAdded || c.column != none) {
			f(c.name, c.column)
		}
	}
}

// KeyName returns the name of identifier column k as the last record key spells it, or else the column's own.
func (d *Decoder) KeyName(k int) string {
	if d.keyEchoed {
		return d.untypedRow.fields[d.fieldOf(d.bound.Key[k])].name
	}
	if p := d.keyImage; p != nil {
		for i := range p.fields {
			if p.fields[i].column == k && p.fields[i].seen == p.objects {
				return p.fields[i].name
			}
		}
	}
	return d.keyRows.Schema.Columns[k].Name
}

// fieldOf returns the field of the row that goes to a column, in a record whose key has repeated it.
func (d *Decoder) fieldOf(column int) int {
	return slices.IndexFunc(d.untypedRow.fields[:len(d.bound.Key)], func(f field) bool { return f.column == column })
}

// ReadKey turns an event's key back into one row of the identifier columns, in key order.
func (d *Decoder) ReadKey(key []byte) (*row.Rows, error) { return d.bound.ReadKey(key) }
