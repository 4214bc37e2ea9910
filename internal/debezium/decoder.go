// Package debezium decodes a record's bytes into a change event, and its row into column vectors.
//
// It is pure: no I/O, no clock, no log, no goroutine. Records are JsonConverter's, with or without an embedded schema,
// holding Debezium's full envelope. A value is converted to its column's type exactly or refused; nothing is guessed.
//
// Decoding is one pass over the bytes that allocates nothing, once a schema is bound and its embedded form was seen.
package debezium

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/cdcd-project/cdcd/internal/invariant"
	"github.com/cdcd-project/cdcd/internal/row"
)

// Limits bound what one record can make cdcd spend (I11). All are checked before the memory is.
type Limits struct {
	RecordBytes int // Key and value together.
	StringBytes int // One string or binary value.
	SchemaBytes int // An embedded schema.
	Columns     int // The columns of a table, and the field names of a record.
}

// DefaultLimits returns limits above everything that a default Kafka and MySQL can produce.
func DefaultLimits() Limits {
	return Limits{
		RecordBytes: 64 << 20,
		StringBytes: 64 << 20,
		SchemaBytes: 8 << 20,
		Columns:     4096, // MySQL's own limit.
	}
}

// Options configure a Decoder.
type Options struct {
	Key    []string            // The identifier columns from the configuration; empty: the record key's fields.
	Types  map[string]row.Type // Declared types by column name, for records without an embedded schema.
	Limits Limits              // A zero field takes its default.
}

// A Decoder decodes the records that feed one table. It is not safe for concurrent use.
type Decoder struct {
	configured []string // Options.Key, lower case.
	types      map[string]row.Type

	bound    *row.Schema
	boundErr error          // Why no row can be decoded to the bound schema.
	columns  map[string]int // The bound columns by lower-case name.
	keyRows  *row.Rows      // Takes one row of identifier values at a time.

	values, keys     schemaCache
	untypedRow       *projection // Of records without an embedded schema, for the bound schema.
	untypedKey       *projection
	untypedBefore    *projection
	scan             scanner
	env              envelope
	value            *embedded // The value's embedded schema; nil if there is none.
	braces           int       // Closing braces due after the payload.
	others           [][]byte  // The envelope's members that memberOf does not know.
	sources          sourceMemo
	rowKey, eventKey []byte
}

// NewDecoder returns a decoder without a bound schema.
func NewDecoder(o Options) *Decoder {
	d := &Decoder{types: map[string]row.Type{}}
	for _, name := range o.Key {
		d.configured = append(d.configured, strings.ToLower(name))
	}
	for name, t := range o.Types {
		d.types[strings.ToLower(name)] = t
	}
	limits, defaults := o.Limits, DefaultLimits()
	for _, l := range []struct{ limit, fallback *int }{
		{&limits.RecordBytes, &defaults.RecordBytes},
		{&limits.StringBytes, &defaults.StringBytes},
		{&limits.SchemaBytes, &defaults.SchemaBytes},
		{&limits.Columns, &defaults.Columns},
	} {
		if *l.limit == 0 {
			*l.limit = *l.fallback
		}
	}
	d.scan.limits = limits
	d.scan.base64 = base64.StdEncoding.Strict()
	return d
}

// Bind sets the table's schema, to which rows are decoded from then on; nil before the table exists. The schema is
// not changed after that.
func (d *Decoder) Bind(s *row.Schema) {
	d.bound, d.boundErr = s, nil
	d.columns, d.keyRows, d.untypedRow, d.untypedKey, d.untypedBefore = nil, nil, nil, nil, nil
	if s == nil {
		return
	}
	d.columns = columnsByName(s)
	identifiers := s.KeySchema()
	d.keyRows = row.NewRows(identifiers)
	d.untypedRow = newProjection(s, evolveUnknown)
	d.untypedBefore = newProjection(identifiers, skipUnknown)
	d.untypedKey = d.untypedBefore
	if len(d.configured) == 0 {
		d.untypedKey = newProjection(identifiers, foreignInKey)
	}
	d.boundErr = d.checkBound()
}

// checkBound says why rows of the bound schema cannot be told apart.
func (d *Decoder) checkBound() error {
	s := d.bound
	if len(d.columns) < len(s.Columns) {
		return errorf(DuplicateMember, "the table has columns that are equal ignoring case")
	}
	if len(s.Key) == 0 {
		return errorf(InvalidKey, "the table has no identifier columns")
	}
	if err := s.CheckKey(); err != nil {
		return errorf(InvalidKey, "the table's identifier: %v", err)
	}
	if len(d.configured) > 0 && !sameNames(d.configured, d.identifiers()) {
		return d.keyChange(d.configured, "the configuration")
	}
	return nil
}

// identifiers returns the lower-case names of the bound identifier columns, in key order.
func (d *Decoder) identifiers() []string {
	names := make([]string, len(d.bound.Key))
	for i, c := range d.bound.Key {
		names[i] = strings.ToLower(d.bound.Columns[c].Name)
	}
	return names
}

// sameNames reports whether a and b hold the same names, in any order.
func sameNames(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// Decode decodes one record into ev. For an upsert exactly one row was appended to rows, whose schema is the bound one;
// rows is as before for every other event, and on an error. A nil value is a tombstone, a nil key is no key.
//
// The error is an *Error if the record is refused, and a *SchemaChange if it needs another schema to be bound first. While
// no schema is bound, rows may be nil.
func (d *Decoder) Decode(key, value []byte, rows *row.Rows, ev *Event) error {
	*ev = Event{}
	err := d.decode(key, value, rows, ev)
	if err != nil && d.env.row {
		rows.Drop()
	}
	return err
}

func (d *Decoder) decode(key, value []byte, rows *row.Rows, ev *Event) error {
	d.env = envelope{}
	if n, limit := len(key)+len(value), d.scan.limits.RecordBytes; n > limit {
		return errorf(TooLarge, "a record of %d bytes exceeds the limit of %d", n, limit)
	}
	if value == nil {
		return d.tombstone(key, ev)
	}
	invariant.Check(d.bound == nil || rows.Schema == d.bound || rows.Schema.Equal(d.bound), "debezium: rows of another schema than the bound one")
	var ok bool
	if d.value, ok = d.unwrap(&d.values, value); !ok || !d.envelope(rows) || !d.finish() {
		return d.scan.err
	}
	ev.SourceMs, ev.Snapshot, ev.Op = d.env.sourceMs, d.env.snapshot, d.env.op
	switch d.env.op {
	case Create, Read, Update:
		return d.upsert(key, value, rows, ev)
	case Delete:
		return d.delete(key, value, ev)
	case Message:
		ev.Ignored = RuleMessage
		return nil
	case Truncate:
		return nil
	case Tombstone:
	}
	return d.sideTopic(key, ev)
}

// upsert ends the row that the envelope's scan has started, after its key was checked.
func (d *Decoder) upsert(key, value []byte, rows *row.Rows, ev *Event) error {
	switch {
	case d.env.after == 0:
		return errorf(MissingAfter, "op %s without a row image", d.env.op)
	case d.bound == nil:
		return d.newTable(key, value)
	case d.env.rowErr == errUnknownColumn: //nolint:errorlint // A sentinel that is never wrapped.
		return d.newColumns(value)
	case d.env.rowErr != nil:
		return d.env.rowErr
	}
	var err error
	if d.rowKey, err = rows.AppendKey(d.rowKey[:0], rows.Len()); err != nil {
		return errorf(InvalidKey, "the row: %v", err)
	}
	if err := d.checkKey(key, value); err != nil {
		return err
	}
	rows.End()
	d.env.row = false
	ev.Key = d.rowKey
	return nil
}

// checkKey checks that the row has the key of its record. Where the record key does not tell, an update must at least
// not move the row to another key: the row of the old key would stay.
func (d *Decoder) checkKey(key, value []byte) error {
	told, err := d.recordKey(key)
	if err != nil {
		return err
	}
	if !told {
		if d.env.op != Update {
			return nil
		}
		if err := d.beforeKey(value); err != nil {
			return err
		}
	}
	if !bytes.Equal(d.rowKey, d.eventKey) {
		if told {
			return errorf(InvalidKey, "the record key and the row differ in the identifier columns")
		}
		return errorf(InvalidKey, "an update changes the identifier columns, which the record key does not carry: the row of the old key would stay")
	}
	return nil
}

func (d *Decoder) delete(key, value []byte, ev *Event) error {
	if d.env.after != 0 {
		return errorf(SchemaMismatch, "op d with a row image after")
	}
	if d.bound == nil {
		return d.newTable(key, value)
	}
	told, err := d.recordKey(key)
	if err == nil && !told {
		err = d.beforeKey(value)
	}
	if err != nil {
		return err
	}
	ev.Key = d.eventKey
	return nil
}

// tombstone decodes a record with a null value: a delete of its key, if the record key says which row that is. Without
// a table there is nothing to delete.
func (d *Decoder) tombstone(key []byte, ev *Event) error {
	ev.Op = Tombstone
	if d.bound == nil {
		ev.Ignored = RuleTombstone
		return nil
	}
	told, err := d.recordKey(key)
	if err != nil {
		return err
	}
	if !told {
		ev.Ignored = RuleTombstone
		return nil
	}
	ev.Key = d.eventKey
	return nil
}
