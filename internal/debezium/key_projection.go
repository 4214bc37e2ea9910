package debezium

import (
	"slices"
	"strings"

	"github.com/cdcd-project/cdcd/internal/row"
)

// keyProjection returns the projection of a record key with an embedded schema, or nil: with an error, or without one
// if the key does not have all configured identifier columns.
func (d *Decoder) keyProjection(e *embedded) (*projection, error) {
	if e.key.bound != d.bound {
		p, err := d.projectIdentifiers(e.root.fields, len(d.o.Key) == 0)
		e.key = projected{bound: d.bound, p: p, err: err, foreign: d.hasForeign(e.root.fields)}
	}
	return e.key.p, e.key.err
}

// sameImages checks that the row image before can be read by a projection of the one after: without names, order is all there is.
func (e *embedded) sameImages() error {
	if e.avro {
		if after := e.root.member("after"); after != nil && after.wire.typ != e.root.member("before").wire.typ {
			return errorf(SchemaMismatch, "the row images before and after are of different schemas")
		}
	}
	return nil
}

// beforeProjection returns the projection of the row image to the identifier columns.
func (d *Decoder) beforeProjection(e *embedded) (*projection, error) {
	if err := e.sameImages(); err != nil {
		return nil, err
	}
	if e.before.bound != d.bound {
		p, err := d.projectIdentifiers(d.rowFields(), false)
		if p == nil && err == nil {
			err = errorf(InvalidKey, "before does not have all identifier columns")
		}
		e.before = projected{bound: d.bound, p: p, err: err}
	}
	return e.before.p, e.before.err
}

// projectIdentifiers fits the fields of an embedded schema to the identifier columns. Strictly, there must be no other
// fields. It returns nil without an error if columns are missing.
func (d *Decoder) projectIdentifiers(fields []*connectSchema, strict bool) (*projection, error) {
	names, nameErr := fieldNames(fields)
	if nameErr != nil {
		return nil, errorf(InvalidKey, "%s", nameErr.Detail)
	}
	if strict {
		for i, name := range names {
			if _, ok := d.columns[name]; !ok {
				return nil, errorf(InvalidKey, "the record key's field %q is no column of the table", fields[i].field)
			}
		}
		if !sameNames(names, d.identifiers()) {
			return nil, d.keyChange(names, "the record key")
		}
	}
	p := newProjection(&d.typing, d.keyRows.Schema, refuseUnknown)
	change := newChange(d.bound)
	found := 0
	for i, c := range fields {
		column, ok := p.columns[names[i]]
		if !ok {
			p.addTyped(c, source{}, none, notAdded)
			continue
		}
		src, err := d.typing.sourceOf(c, names[i])
		if err != nil {
			return nil, errorf(InvalidKey, "the identifier column %s: %v", c.field, err)
		}
		if change.fit(d.bound.Key[column], &src) {
			p.addTyped(c, src, column, notAdded)
		}
		found++
	}
	if found < len(p.target.Columns) {
		return nil, nil
	}
	return p, change.err()
}

// keyChange says that rows are identified by other columns than the table's.
func (d *Decoder) keyChange(names []string, by string) error {
	want := &row.Schema{Columns: slices.Clone(d.bound.Columns)}
	for _, name := range names {
		if i, ok := d.columns[name]; ok {
			want.Key = append(want.Key, i)
		}
	}
	return &SchemaChange{
		Want:   want,
		Detail: "the identifier columns are " + strings.Join(d.identifiers(), ", ") + "; " + by + " has " + strings.Join(names, ", "),
	}
}

// hasForeign reports whether one of the fields of a record key's schema is no identifier column. Without configured identifier
// columns such a key is refused.
func (d *Decoder) hasForeign(fields []*connectSchema) bool {
	identifiers := d.identifiers()
	return len(d.o.Key) > 0 && slices.ContainsFunc(fields, func(c *connectSchema) bool { return !slices.Contains(identifiers, strings.ToLower(c.columnName())) })
}

// hadForeign reports whether the last object had a field that is no column of the target.
func (p *projection) hadForeign() bool {
	return slices.ContainsFunc(p.fields, func(f field) bool { return f.seen == p.objects && f.column == none })
}

// present returns the lower-case names of the fields that the last object had.
func (p *projection) present() []string {
	var names []string
	for i := range p.fields {
		if p.fields[i].seen == p.objects {
			names = append(names, strings.ToLower(p.fields[i].name))
		}
	}
	return names
}
