package debezium

import (
	"bytes"

	"github.com/cdcd-project/cdcd/internal/invariant"
	"github.com/cdcd-project/cdcd/internal/row"
)

// Decode decodes a record of which only key and value are known; see DecodeRecord.
func (d *Decoder) Decode(key, value []byte, rows *row.Rows, ev *Event) error {
	return d.DecodeRecord(Record{Key: key, Value: value}, rows, ev)
}

// DecodeRecord decodes one record into ev. For an upsert or an append exactly one row was appended to rows, whose schema is the
// bound one; rows is as before for every other event, and on an error. A nil value is a tombstone, a nil key is no key.
//
// The error is an *Error if the record is refused, a *SchemaChange if it needs another schema to be bound first, and a
// *SchemaNeeded if it names a writer's schema that the decoder does not have. While no schema is bound, rows may be nil.
func (d *Decoder) DecodeRecord(r Record, rows *row.Rows, ev *Event) error {
	*ev = Event{}
	d.record = r
	d.undecided, d.keyEchoed = false, false
	err := d.decode(rows, ev)
	if err != nil && d.env.row {
		rows.Drop()
	}
	if refused, ok := err.(*Error); ok && d.undecided { //nolint:errorlint // Ours, unwrapped.
		return &Error{Reason: refused.Reason, Detail: refused.Detail, Undecided: true}
	}
	return err
}

func (d *Decoder) decode(rows *row.Rows, ev *Event) error {
	r := &d.record
	d.env, d.value = envelope{}, nil
	if n, limit := len(r.Key)+len(r.Value), d.scan.limits.RecordBytes; n > limit {
		return errorf(TooLarge, "a record of %d bytes exceeds the limit of %d", n, limit)
	}
	if rule := d.o.sideTopic(r.Topic); rule != "" {
		ev.Ignored = rule
		return nil
	}
	if r.Value == nil {
		ev.Flattened = d.shape() == Flattened
		return d.tombstone(ev)
	}
	invariant.Check(d.bound == nil || rows.Schema == d.bound || rows.Schema.Equal(d.bound), "debezium: rows of another schema than the bound one")
	if err := d.read(rows); err != nil {
		return err
	}
	ev.SourceMs, ev.Snapshot, ev.Op, ev.Flattened = d.env.sourceMs, d.env.snapshot, d.env.op, d.env.flattened
	switch d.env.op {
	case Create, Read, Update, Upsert, Delete:
		if d.o.Changelog {
			return d.logChange(rows, ev)
		}
	case Message, Truncate, Tombstone:
	}
	switch d.env.op {
	case Create, Read, Update, Upsert:
		return d.upsert(rows, ev)
	case Delete:
		return d.delete(rows, ev)
	case Message:
		d.drop(rows)
		ev.Ignored = RuleMessage
		return nil
	case Truncate:
		d.drop(rows)
		if d.o.Truncate == TruncateIgnore {
			ev.Ignored = RuleTruncateIgnored
		}
		return nil
	case Tombstone:
	}
	d.drop(rows)
	return d.sideTopic(ev)
}

// drop takes back a started row that is not wanted.
func (d *Decoder) drop(rows *row.Rows) {
	if d.env.row {
		rows.Drop()
		d.env.row = false
	}
}

// read scans the record's value: an envelope, or a flattened row, as its shape tells.
func (d *Decoder) read(rows *row.Rows) error {
	s := &d.scan
	var err error
	if d.value, err = d.open(&d.values, d.record.Value, false); err != nil {
		return err
	}
	shape := d.shape()
	if d.avro {
		return d.readAvro(shape, rows)
	}
	if shape != Enveloped && s.peek() == 'n' {
		return d.nullRow()
	}
	if shape == Auto {
		return d.readEither(rows)
	}
	return d.readAs(shape, rows)
}

func (d *Decoder) readAs(shape Shape, rows *row.Rows) error {
	ok := shape == Flattened && d.flattened(rows) || shape == Enveloped && d.envelope(rows)
	if !ok || !d.finish() {
		return d.scan.err
	}
	if d.env.restAt > 0 && d.rest.gate.open() {
		d.learnRest()
	}
	return nil
}

// readEither scans a payload of which no schema tells the shape: as an envelope, unless its members or the last record say
// otherwise. What remains undecided is refused as the envelope that it is not.
func (d *Decoder) readEither(rows *row.Rows) error {
	s := &d.scan
	text, start, depth, braces := s.text, s.pos, s.depth, d.braces
	again := func() { s.text, s.pos, s.depth, s.err, d.braces = text, start, depth, nil, braces }
	if p := d.untypedRow; d.flat && p != nil && p.marked && (d.value == nil || d.value.root == nil) {
		if err := d.readAs(Flattened, rows); err == nil && s.ordered { // With all its fields, among which is the mark.
			return nil
		}
		d.drop(rows)
		again()
	}
	if !d.flat {
		if err := d.readAs(Enveloped, rows); err == nil && d.isEnvelope() {
			return nil
		}
		d.drop(rows)
		again()
	}
	shape, sound := d.guess()
	again()
	d.flat = shape == Flattened
	if d.flat {
		return d.readAs(Flattened, rows)
	}
	d.undecided = sound && shape == Auto
	return d.readAs(Enveloped, rows)
}

// nullRow reads a null payload, which is what ExtractNewRecordState makes of a delete by default: it says no more than its key.
func (d *Decoder) nullRow() error {
	s := &d.scan
	if !d.avro && !s.literal("null") || !d.finish() {
		return s.err
	}
	d.env = envelope{op: Delete, flattened: true}
	s.added = added{}
	d.env.sourceMs = d.headerMillis()
	return nil
}

// upsert ends the row that the scan has started, after its key was checked.
func (d *Decoder) upsert(rows *row.Rows, ev *Event) error {
	switch {
	case !d.env.image:
		return errorf(MissingAfter, "op %s without a row image", d.env.op)
	case d.bound == nil:
		return d.newTable()
	case d.env.rowErr == errUnknownColumn: //nolint:errorlint // A sentinel that is never wrapped.
		return d.newColumns()
	case d.env.rowErr != nil:
		return d.env.rowErr
	}
	if len(d.bound.Key) == 0 {
		return d.append(rows)
	}
	if err := d.completeRow(rows); err != nil {
		return err
	}
	var err error
	if d.rowKey, err = rows.AppendKey(d.rowKey[:0], rows.Len()); err != nil {
		return errorf(InvalidKey, "the row: %v", err)
	}
	if err := d.checkKey(ev); err != nil {
		return err
	}
	rows.End()
	d.env.row = false
	ev.Key, ev.Unordered = d.rowKey, d.loose
	if len(d.scan.unchanged) > 0 {
		ev.Unchanged = d.scan.unchanged
	}
	return nil
}

// append ends the row of a table without a key. Such a row is never told from another: it can only be added.
func (d *Decoder) append(rows *row.Rows) error {
	if err := d.keyless(); err != nil {
		return err
	}
	if len(d.scan.unchanged) > 0 {
		return errorf(SchemaMismatch, "an unavailable value in a row without a key: it has no old value")
	}
	rows.End()
	d.env.row = false
	return nil
}

// keyless checks that an event of a table without a key adds a row, and has no key indeed.
func (d *Decoder) keyless() error {
	if _, told, err := d.openKey(d.record.Key); told || err != nil {
		if refused, ok := err.(*Error); !ok || refused.Reason != NullKey { //nolint:errorlint // Ours, unwrapped.
			return errorf(InvalidKey, "the record has a key, the table has no identifier columns")
		}
	}
	if op := d.env.op; op != Create && op != Read {
		return errorf(NullKey, "op %s of a row without a key: nothing says which row is meant", op)
	}
	return nil
}

// checkKey checks that the row has the key of its record. Where the record key does not tell, the old row image does.
func (d *Decoder) checkKey(ev *Event) error {
	if d.keyEchoed = d.echoed(); d.keyEchoed {
		d.loose = false
		return nil
	}
	told, err := d.recordKey()
	switch {
	case err != nil:
		return err
	case !told:
		return d.moved(ev)
	case !bytes.Equal(d.rowKey, d.eventKey):
		return errorf(InvalidKey, "the record key and the row differ in the identifier columns")
	}
	return nil
}

func (d *Decoder) delete(rows *row.Rows, ev *Event) error {
	if d.env.image && !d.env.flattened {
		return errorf(SchemaMismatch, "op d with a row image after")
	}
	if d.bound == nil {
		return d.newTable()
	}
	if len(d.bound.Key) == 0 {
		return errorf(NullKey, "op d of a row without a key: nothing says which row is meant")
	}
	told, err := d.recordKey()
	if err == nil && !told {
		err = d.deletedKey(rows)
	}
	if err != nil {
		return err
	}
	d.drop(rows)
	ev.Key, ev.Unordered = d.eventKey, d.loose
	return nil
}

// deletedKey takes the key of a deleted row from its row image: before, or that of a flattened record.
func (d *Decoder) deletedKey(rows *row.Rows) (err error) {
	switch {
	case !d.env.flattened:
		return d.beforeKey()
	case d.env.rowErr != nil:
		return d.env.rowErr
	case !d.env.row:
		return errorf(NullKey, "the record key does not have the identifier columns, and there is no row")
	}
	if d.eventKey, err = rows.AppendKey(d.eventKey[:0], rows.Len()); err != nil {
		return errorf(InvalidKey, "the row: %v", err)
	}
	return nil
}

// tombstone decodes a record with a null value: a delete of its key, if the record key says which row that is. Without
// a table there is nothing to delete.
func (d *Decoder) tombstone(ev *Event) error {
	ev.Op = Tombstone
	if d.bound == nil || len(d.bound.Key) == 0 {
		ev.Ignored = RuleTombstone
		return nil
	}
	told, err := d.recordKey()
	if err != nil {
		return err
	}
	if !told {
		ev.Ignored = RuleTombstone
		return nil
	}
	ev.Key, ev.Unordered = d.eventKey, d.loose
	return nil
}
