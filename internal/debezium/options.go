package debezium

import (
	"strings"

	"github.com/cdcd-project/cdcd/internal/row"
)

// Limits bound what one record can make cdcd spend (I11). All are checked before the memory is.
type Limits struct {
	RecordBytes int // Key and value together.
	StringBytes int // One string or binary value.
	SchemaBytes int // An embedded schema.
	Columns     int // The columns of a table, the fields of a struct, and the members of any object.
}

// DefaultLimits returns limits above everything that a default Kafka and MySQL can produce.
func DefaultLimits() Limits {
	return Limits{
		RecordBytes: 64 << 20,
		StringBytes: 64 << 20,
		SchemaBytes: 8 << 20,
		Columns:     2000, // InnoDB has 1017.
	}
}

// Shape is the form of a record's value.
type Shape uint8

// The shapes. Auto goes by the embedded schema's name and fields, or else by the members of the record (see shape.go). Where
// those do not tell, the record is refused: ExtractNewRecordState without added fields leaves nothing to tell by.
const (
	Auto      Shape = iota
	Enveloped       // Debezium's envelope: before, after, source, op.
	Flattened       // The row alone, as the transformation ExtractNewRecordState leaves it.
)

// TimeForm is what a TIME column becomes. MySQL's TIME is a signed duration of up to 838:59:59, which no time of day holds.
type TimeForm uint8

// The forms of TIME. All are exact; a time of day refuses what is negative or reaches 24 hours.
const (
	TimeAsLong   TimeForm = iota // Microseconds.
	TimeAsString                 // [-]HH:MM:SS.ffffff
	TimeOfDay                    // Iceberg's time, which Athena cannot read (I12).
)

// BinaryText is how strings stand for the bytes of binary columns: the connector's binary.handling.mode, where it is not
// the default.
type BinaryText uint8

// The values of binary.handling.mode. Under all but BytesOnly a column that is known to be binary, by its propagated source
// type, its declared type, or the table's column, is decoded from its string.
const (
	BytesOnly BinaryText = iota // A string is text.
	Base64
	Base64URL
	Hex
)

// TruncatePolicy says what becomes of a TRUNCATE, which Debezium sends only with skipped.operations=none.
type TruncatePolicy uint8

// The policies. Under the first two Decode reports an event of the op Truncate, and its caller acts.
const (
	TruncateHalt TruncatePolicy = iota
	TruncateApply
	TruncateIgnore // The event is ignored by RuleTruncateIgnored.
)

// Options configure a Decoder. The zero value of every option is its default.
type Options struct {
	Key    []string            // The identifier columns from the configuration; empty: the record key's fields.
	Types  map[string]row.Type // Declared types by column name: for records without an embedded schema, and for binary text.
	Limits Limits              // A zero field takes its default.

	Format    Format // Of values; zero: JSON.
	KeyFormat Format // Of keys; zero: that of values.
	PlainAvro bool   // Accept Avro schemas without connect.* attributes, whose numbers and texts are no more than that.

	Shape      Shape
	SideTopics map[string]Rule // Topics by their exact names whose records are ignored, by the given rule.

	// AddedPrefix is the add.fields.prefix, and AddedHeaderPrefix the add.headers.prefix, of ExtractNewRecordState; empty: "__".
	AddedPrefix, AddedHeaderPrefix string
	// KeepAdded makes columns of the metadata that ExtractNewRecordState has added (__op, __source_ts_ms). Otherwise a flattened
	// record gives the same row as its envelope.
	KeepAdded bool

	Time       TimeForm
	BinaryText BinaryText
	Unsigned   []string // Columns known to be BIGINT UNSIGNED under bigint.unsigned.handling.mode=long: decimal(20,0).

	// Placeholder is the connector's unavailable.value.placeholder; empty: Debezium's default.
	Placeholder string
	// Partial accepts rows in which a column holds the placeholder: Event.Unchanged names those columns. Otherwise such a row is
	// refused: a null in the place of the old value would be wrong for ever.
	Partial bool

	Truncate TruncatePolicy
	// Keyless accepts tables without identifier columns, whose creates and reads are appends. Otherwise a record that nothing
	// identifies is refused.
	Keyless bool
	// Changelog makes every change event one more row of a table without identifier columns, which has ChangelogColumns besides.
	Changelog bool
}

// The default of AddedPrefix, AddedHeaderPrefix and Placeholder.
const (
	defaultAddedPrefix = "__"
	defaultPlaceholder = "__debezium_unavailable_value"
)

// withDefaults returns o with all its defaults, and all column names in lower case.
func (o Options) withDefaults() Options {
	key := make([]string, len(o.Key))
	for i, name := range o.Key {
		key[i] = strings.ToLower(name)
	}
	types := map[string]row.Type{}
	for name, t := range o.Types {
		types[strings.ToLower(name)] = t
	}
	unsigned := make([]string, len(o.Unsigned))
	for i, name := range o.Unsigned {
		unsigned[i] = strings.ToLower(name)
	}
	o.Key, o.Types, o.Unsigned = key, types, unsigned
	defaults := DefaultLimits()
	for _, l := range []struct{ limit, fallback *int }{
		{&o.Limits.RecordBytes, &defaults.RecordBytes},
		{&o.Limits.StringBytes, &defaults.StringBytes},
		{&o.Limits.SchemaBytes, &defaults.SchemaBytes},
		{&o.Limits.Columns, &defaults.Columns},
	} {
		if *l.limit == 0 {
			*l.limit = *l.fallback
		}
	}
	for _, s := range []struct {
		text     *string
		fallback string
	}{{&o.AddedPrefix, defaultAddedPrefix}, {&o.AddedHeaderPrefix, defaultAddedPrefix}, {&o.Placeholder, defaultPlaceholder}} {
		if *s.text == "" {
			*s.text = s.fallback
		}
	}
	return o
}
