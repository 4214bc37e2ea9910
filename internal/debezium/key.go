package debezium

import (
	"bytes"
	"slices"

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
