// Package debezium decodes a record's bytes into a change event, and its row into column vectors.
//
// It is pure: no I/O, no clock, no log, no goroutine. Records are JsonConverter's, with or without an embedded schema, or Avro
// with its schema in a registry, which the caller asks (SchemaNeeded). They hold Debezium's full envelope or what
// ExtractNewRecordState makes of it. A value is converted to its column's type exactly or refused; nothing is guessed.
//
// Decoding is one pass over the bytes that allocates nothing, once a schema is bound and its embedded form was seen. Only
// flattened records whose shape is neither configured nor told by a schema are read twice.
package debezium

import (
	"slices"
	"strings"

	"github.com/cdcd-project/cdcd/internal/row"
)

// A Decoder decodes the records that feed one table. It is not safe for concurrent use.
type Decoder struct {
	o      Options // With defaults; names are lower case.
	typing typing
	added  addedNames

	bound      *row.Schema
	boundErr   error          // Why no row can be decoded to the bound schema.
	columns    map[string]int // The bound columns by lower-case name.
	logColumns []int          // Of a changelog: its own columns, in the order of ChangelogColumns.
	keyRows    *row.Rows      // Takes one row of identifier values at a time.

	values, keys     schemaCache
	writers          writers     // The schemas of Avro records.
	avro             bool        // The text at hand is Avro.
	inflated         [2]inflater // Of values and keys.
	last             [2]*writer  // Of values and keys, by lastKey.
	lastKey          [2]writerKey
	body             []byte      // Of an Avro value.
	untypedRow       *projection // Of records without an embedded schema, for the bound schema.
	untypedKey       *projection
	untypedBefore    *projection
	keyImage         *projection // Of the last record key.
	record           Record      // The one at hand.
	scan             scanner
	env              envelope
	value            *embedded // The value's embedded schema; nil if there is none.
	braces           int       // Closing braces due after the payload.
	flat             bool      // The last record without a telling schema was flattened.
	undecided        bool      // Nothing tells whether the record is flattened.
	rest             rest
	headers          *Decoder   // Reads headers of JsonConverter, once there was one.
	forms            []*keyForm // Of record keys, the most recently met first.
	keyEchoed        bool       // The last record key has repeated the row's, and was not decoded.
	rowKey, eventKey []byte
	loose            bool // With configured identifier columns: the last record key has another field than these, or none.
}

// NewDecoder returns a decoder without a bound schema.
func NewDecoder(o Options) *Decoder {
	o = o.withDefaults()
	d := &Decoder{
		o: o, writers: writers{}, scan: newScanner(&o), added: addedNames{prefix: o.AddedPrefix, keep: o.KeepAdded},
		typing: typing{time: o.Time, binary: o.BinaryText, unsigned: o.Unsigned, types: o.Types, table: mappings(), unknown: map[string]int{}},
	}
	return d
}

// UnknownNames returns the semantic names of schemas that the type table does not have, and whose fields are stored as their
// literal types, with the number of fields that had them.
func (d *Decoder) UnknownNames() map[string]int { return d.typing.unknown }

// Bind sets the table's schema, to which rows are decoded from then on; nil before the table exists. The schema is
// not changed after that.
func (d *Decoder) Bind(s *row.Schema) {
	d.bound, d.boundErr = s, nil
	d.columns, d.keyRows, d.untypedRow, d.untypedKey, d.untypedBefore, d.keyImage = nil, nil, nil, nil, nil, nil
	if s == nil {
		return
	}
	d.columns = columnsByName(s)
	identifiers := s.KeySchema()
	d.keyRows = row.NewRows(identifiers)
	d.untypedRow = newProjection(&d.typing, s, evolveUnknown)
	d.untypedRow.partial, d.untypedRow.added = d.o.Partial, &d.added
	d.untypedBefore = newProjection(&d.typing, identifiers, skipUnknown)
	if len(d.o.Key) > 0 {
		d.untypedKey = newProjection(&d.typing, identifiers, skipUnknown)
	} else {
		d.untypedKey = newProjection(&d.typing, identifiers, foreignInKey)
		d.untypedKey.others = d.columns
	}
	d.boundErr = d.checkBound()
}

// checkBound says why rows of the bound schema cannot be told apart.
func (d *Decoder) checkBound() error {
	s := d.bound
	if len(d.columns) < len(s.Columns) {
		return errorf(DuplicateMember, "the table has columns that are equal ignoring case")
	}
	if d.o.Changelog {
		return d.checkChangelog()
	}
	if len(s.Key) == 0 && !d.o.Keyless {
		return errorf(InvalidKey, "the table has no identifier columns")
	}
	if err := s.CheckKey(); err != nil {
		return errorf(InvalidKey, "the table's identifier: %v", err)
	}
	if len(d.o.Key) > 0 && !sameNames(d.o.Key, d.identifiers()) {
		return d.keyChange(d.o.Key, "the configuration")
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
