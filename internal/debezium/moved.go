package debezium

import "bytes"

// Debezium reports a change of the record key as a delete, its tombstone, and a create: a pair of events that name each other's key in
// headers. No setting changes their names.
const (
	oldKeyHeader = "__debezium.oldkey"
	newKeyHeader = "__debezium.newkey" // The delete's, and the tombstone's.
)

// ReplacesKey reports whether the last record is the first half of such a pair.
func (d *Decoder) ReplacesKey() bool { return d.record.header("", newKeyHeader) != nil }

// ReplacedKey returns the canonical key that the row of the last upsert had before its record key was changed, if the record tells; it is
// valid until the next Decode.
func (d *Decoder) ReplacedKey() (key []byte, ok bool) {
	text := d.record.header("", oldKeyHeader)
	if text == nil || len(text) > maxHeaderBytes {
		return nil, false
	}
	own, loose, image := d.record.Key, d.loose, d.keyImage
	d.record.Key = text
	told, err := d.recordKey()
	d.record.Key, d.loose, d.keyImage = own, loose, image
	return d.eventKey, told && err == nil
}

// moved tells which row an update moves to another key, where the record key does not tell: the row of the old key would stay.
func (d *Decoder) moved(ev *Event) error {
	if d.env.op != Update && d.env.op != Upsert {
		return nil
	}
	if err := d.beforeKey(); err != nil {
		return err
	}
	if !bytes.Equal(d.rowKey, d.eventKey) {
		ev.OldKey = d.eventKey
	}
	return nil
}
