package debezium

import (
	"bytes"
	"slices"
	"strings"

	"github.com/cdcd-project/cdcd/internal/row"
)

// recordKey decodes the canonical key from the record key into eventKey. With configured identifier columns told is
// false if the record key does not have them all; without, it is never false.
func (d *Decoder) recordKey() (told bool, err error) {
	defer d.keyRows.Drop()
	if told, err = d.decodeKey(); !told || err != nil {
		return told, err
	}
	return true, d.canonicalKey("the record key")
}

// decodeKey decodes the record key into a started row of keyRows, which the caller drops.
func (d *Decoder) decodeKey() (told bool, err error) {
	if d.boundErr != nil {
		return false, d.boundErr
	}
	d.loose = len(d.o.Key) > 0
	e, told, err := d.openKey(d.record.Key)
	if !told || err != nil {
		return false, err
	}
	p := d.untypedKey
	if e != nil && e.root != nil {
		p, err = d.keyProjection(e)
		d.loose = e.key.foreign
		if p == nil || err != nil {
			return false, err
		}
	}
	d.keyImage = p
	filled, ok := d.object(p, d.keyRows.Vectors, 0)
	if !ok || !d.finish() {
		return false, d.keyError()
	}
	if d.loose && (e == nil || e.root == nil) {
		d.loose = p.hadForeign()
	}
	if filled < len(d.keyRows.Vectors) {
		if len(d.o.Key) > 0 {
			return false, nil
		}
		return false, d.keyChange(p.present(), "the record key")
	}
	return true, nil
}

// completeRow takes the identifier columns that the row image does not have, as opposed to a null in them, from the record key.
func (d *Decoder) completeRow(rows *row.Rows) error {
	missing, null := 0, false
	for _, c := range d.bound.Key {
		null = null || rows.Vectors[c].IsNull(rows.Len())
	}
	if !null {
		return nil
	}
	for _, c := range d.bound.Key {
		if !d.inRow(c) {
			missing++
		}
	}
	switch missing {
	case 0:
		return nil
	case len(d.bound.Key):
		return errorf(InvalidKey, "the row has no identifier column")
	}
	defer d.keyRows.Drop()
	told, err := d.decodeKey()
	if err != nil {
		return err
	}
	if !told {
		return errorf(InvalidKey, "neither the row nor the record key has all identifier columns")
	}
	for k, c := range d.bound.Key {
		if v := &rows.Vectors[c]; !d.inRow(c) {
			v.Truncate(rows.Len())
			v.AppendFrom(&d.keyRows.Vectors[k], []int32{0})
		}
	}
	return nil
}

// inRow reports whether the row image that was decoded last has the bound column.
func (d *Decoder) inRow(column int) bool {
	p, err := d.rowProjection()
	return err == nil && slices.ContainsFunc(p.fields, func(f field) bool { return f.column == column && f.seen == p.objects })
}

// openKey starts to scan a record key. told is false if there is none, which is an error unless identifier columns are
// configured.
func (d *Decoder) openKey(key []byte) (e *embedded, told bool, err error) {
	s := &d.scan
	if key == nil && len(d.o.Key) > 0 {
		return nil, false, nil
	}
	if key == nil {
		return nil, false, errorf(NullKey, "the record has no key, and no identifier columns are configured: %s", waysToKey)
	}
	if len(d.o.Key) > 0 && d.o.format(true) == JSON && !startsObject(key) {
		return nil, false, nil // Not a JSON object: it carries no columns.
	}
	if e, err = d.open(&d.keys, key, true); err != nil {
		return nil, false, d.unopened(err)
	}
	if d.avro {
		return d.openAvroKey(e)
	}
	ok := true
	if s.peek() == 'n' {
		if s.literal("null") && d.finish() {
			return nil, false, d.nullKey()
		}
		ok = false
	}
	if ok && s.peek() != '{' {
		ok = s.notAnObject()
	}
	if !ok {
		return nil, false, d.keyError()
	}
	return e, true, nil
}

// waysToKey says what to do about a source table without a key.
const waysToKey = "give the source table a primary key, or name unique columns in the connector's message.key.columns, or in key of the table's configuration, " +
	"which one partition must feed then, or keep a changelog (mode)"

func (d *Decoder) nullKey() error {
	if len(d.o.Key) > 0 {
		return nil
	}
	return errorf(NullKey, "the record key is null, and no identifier columns are configured: %s", waysToKey)
}

// startsObject reports whether the first byte of text, white space aside, opens an object.
func startsObject(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	return len(text) > 0 && text[0] == '{'
}

// keyError turns the scanner's error into one of the record key.
func (d *Decoder) keyError() error {
	err := d.scan.err
	if err.Reason == TooLarge {
		return err
	}
	return errorf(InvalidKey, "the record key: %s: %s", err.Reason, err.Detail)
}

// beforeKey decodes the canonical key from the row image before into eventKey.
func (d *Decoder) beforeKey() error {
	s := &d.scan
	if d.env.flattened {
		return errorf(InvalidKey, "the record key does not have the identifier columns, and a flattened update does not tell the old ones")
	}
	if d.env.before == 0 {
		return errorf(NullKey, "the record key does not have the identifier columns, and before is null")
	}
	if d.boundErr != nil {
		return d.boundErr
	}
	p := d.untypedBefore
	if d.value != nil && d.value.root != nil {
		var err error
		if p, err = d.beforeProjection(d.value); err != nil {
			return err
		}
	}
	d.reopen()
	s.pos = d.env.before - 1
	defer d.keyRows.Drop()
	filled, ok := d.object(p, d.keyRows.Vectors, 0)
	if !ok {
		return s.err
	}
	if filled < len(d.keyRows.Vectors) {
		return errorf(InvalidKey, "before does not have all identifier columns")
	}
	return d.canonicalKey("before")
}

// canonicalKey takes the started row of keyRows as the event's key.
func (d *Decoder) canonicalKey(where string) (err error) {
	d.eventKey, err = d.keyRows.AppendKey(d.eventKey[:0], 0)
	if err != nil {
		return errorf(InvalidKey, "%s: %v", where, err)
	}
	return nil
}

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
