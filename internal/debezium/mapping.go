package debezium

import (
	"fmt"
	"math"

	"github.com/cdcd-project/cdcd/internal/row"
)

// A meaning says what a literal stands for. A wire format has one function a meaning, which reads the literal in its own
// way and converts it to the column's type (jsonDecoder has JSON's).
type meaning uint8

const (
	asBoolean meaning = iota + 1
	asInteger         // Also days, microseconds and years: the unit of the column.
	asMillis
	asNanos
	asUnsigned // A BIGINT UNSIGNED that wraps at 2^63.
	asLong     // An int64 of which nothing tells whether it has wrapped.
	asFloat
	asDouble
	asText
	asEnum
	asBytes
	asBase64URL
	asHex
	asDecimal     // Connect's Decimal.
	asDecimalText // Digits.
	asBigDecimal  // Connect's Decimal of more digits than Iceberg's.
	asBits
	asZoned
	asIsoDate
	asIsoTime
	asIsoTimestamp
	asStruct
	asPoint
	asList
	asStructuredDate
	asStructuredTime
	asStructuredTimestamp
	asStructuredZoned

	// Of records without a schema.
	asUntypedText
	asUntypedDecimal
	asUntypedDate
	asUntypedTime
	asUntypedTimestamp
)

// A mapping is one line of the type table: what a Connect type is in the table, and what its literal means.
type mapping struct {
	literal, name string
	kind          row.Kind
	means         meaning
	refine        func(t *typing, c *connectSchema, src *source) error // Optional: reads the schema's parameters or parts.
}

// mappings returns the type table (Debezium documentation, "MySQL connector data type mappings"); docs/types.md publishes
// it. A name that is not here is stored as its literal type, whose line has no name.
func mappings() []mapping {
	return []mapping{
		{"boolean", "", row.Boolean, asBoolean, nil},
		{"int8", "", row.Int, asInteger, nil},
		{"int16", "", row.Int, asInteger, nil},
		{"int32", "", row.Int, asInteger, nil},
		{"int64", "", row.Long, asLong, refineLong},
		{"float", "", row.Float, asFloat, nil},
		{"double", "", row.Double, asDouble, nil},
		{"string", "", row.String, asText, refineText},
		{"bytes", "", row.Binary, asBytes, nil},
		{"struct", "", row.Struct, asStruct, refineStruct},
		{"array", "", row.List, asList, refineList},

		{"bytes", "org.apache.kafka.connect.data.Decimal", row.Decimal, asDecimal, refineDecimal},
		{"bytes", "io.debezium.data.Bits", row.Long, asBits, refineBits},
		{"string", "io.debezium.data.Enum", row.String, asEnum, nil},
		{"string", "io.debezium.data.EnumSet", row.String, asText, nil},
		{"string", "io.debezium.data.Json", row.String, asText, nil},
		{"string", "io.debezium.data.Xml", row.String, asText, nil},
		{"string", "io.debezium.data.Uuid", row.String, asText, nil}, // I12: Athena reads no uuid.
		{"array", "io.debezium.data.FloatVector", row.List, asList, refineList},
		{"array", "io.debezium.data.DoubleVector", row.List, asList, refineList},
		{"struct", "io.debezium.data.geometry.Point", row.Struct, asPoint, refineGeometry},
		{"struct", "io.debezium.data.geometry.Geometry", row.Struct, asStruct, refineGeometry},
		{"struct", "io.debezium.data.geometry.Geography", row.Struct, asStruct, refineGeometry},

		{"int32", "io.debezium.time.Date", row.Date, asInteger, nil},
		{"int32", "org.apache.kafka.connect.data.Date", row.Date, asInteger, nil},
		{"string", "io.debezium.time.IsoDate", row.Date, asIsoDate, nil},
		{"struct", "io.debezium.time.StructuredDate", row.Date, asStructuredDate, nil},
		{"int32", "io.debezium.time.Year", row.Int, asInteger, nil},
		{"int64", "io.debezium.time.Timestamp", row.Timestamp, asMillis, nil},
		{"int64", "org.apache.kafka.connect.data.Timestamp", row.Timestamp, asMillis, nil},
		{"int64", "io.debezium.time.MicroTimestamp", row.Timestamp, asInteger, nil},
		{"int64", "io.debezium.time.NanoTimestamp", row.Timestamp, asNanos, nil},
		{"string", "io.debezium.time.IsoTimestamp", row.Timestamp, asIsoTimestamp, nil},
		{"struct", "io.debezium.time.StructuredTimestamp", row.Timestamp, asStructuredTimestamp, nil},
		{"string", "io.debezium.time.ZonedTimestamp", row.TimestampTZ, asZoned, nil},
		{"struct", "io.debezium.time.StructuredZonedTimestamp", row.TimestampTZ, asStructuredZoned, nil},

		{"int64", "io.debezium.time.MicroTime", row.Long, asInteger, refineDuration},
		{"int32", "io.debezium.time.Time", row.Long, asMillis, refineDuration},
		{"int32", "org.apache.kafka.connect.data.Time", row.Long, asMillis, refineDuration},
		{"int64", "io.debezium.time.NanoTime", row.Long, asNanos, refineDuration},
		{"string", "io.debezium.time.IsoTime", row.Long, asIsoTime, refineDuration},
		{"struct", "io.debezium.time.StructuredTime", row.Long, asStructuredTime, refineDuration},
		{"struct", "io.debezium.time.StructuredDuration", row.Long, asStructuredTime, refineDuration},
	}
}

// A source is what one field of a record holds, before it meets a column.
type source struct {
	typ      row.Type // The column type that holds every value exactly.
	means    meaning
	plain    bool       // No name gives the literal a meaning: a string is the text that was stored.
	text     bool       // A decimal that arrives as the text of its digits.
	duration bool       // A TIME: a long, a string and a time column all take it.
	binary   meaning    // Of a plain string under a BinaryText: how it stands for bytes.
	parts    *structure // Of structs and lists.

	min, max         int64 // Of integers.
	precision, scale uint8 // Of decimals.
	bits             uint8 // Of bit fields.
}

// typing is what the configuration says about types, beside the type table.
type typing struct {
	time     TimeForm
	binary   BinaryText
	unsigned []string
	types    map[string]row.Type // Declared types by lower-case column name.
	table    []mapping
	unknown  map[string]int // The semantic names outside of the table, by how often a schema had them.
}

// maxUnknownNames bounds the names that are counted (I11).
const maxUnknownNames = 256

// sourceOf looks c up in the type table. column is the lower-case name of the column that it goes to; empty: none.
func (t *typing) sourceOf(c *connectSchema, column string) (source, error) {
	best := -1
	for i, m := range t.table {
		if m.literal == c.literal && (m.name == c.name || m.name == "" && best < 0) {
			best = i
		}
	}
	if best < 0 {
		return source{}, fmt.Errorf("the type %s is not supported", c.kind())
	}
	m := &t.table[best]
	if _, known := t.unknown[c.name]; m.name != c.name && (known || len(t.unknown) < maxUnknownNames) {
		t.unknown[c.name]++
	}
	src := source{typ: row.Type{Kind: m.kind}, means: m.means, plain: c.name == ""}
	src.min, src.max = integerRange(c.literal)
	if m.refine != nil {
		if err := m.refine(t, c, &src); err != nil {
			return source{}, err
		}
	}
	t.configured(c, column, &src)
	return src, nil
}

func integerRange(literal string) (low, high int64) {
	switch literal {
	case "int8":
		return math.MinInt8, math.MaxInt8
	case "int16":
		return math.MinInt16, math.MaxInt16
	case "int32":
		return math.MinInt32, math.MaxInt32
	}
	return math.MinInt64, math.MaxInt64
}

// untyped returns how a column of type t is decoded from a record that has no schema.
func (t *typing) untyped(typ row.Type, column string) source {
	src := source{typ: typ, min: math.MinInt64, max: math.MaxInt64, precision: typ.Precision, scale: typ.Scale}
	switch typ.Kind {
	case row.Boolean, row.Long:
		src.means = asBoolean // A TINYINT(1) may arrive as a boolean.
	case row.Int:
		src.means = asBoolean
		src.min, src.max = math.MinInt32, math.MaxInt32
	case row.Date:
		src.means = asUntypedDate
		src.min, src.max = math.MinInt32, math.MaxInt32
	case row.Float:
		src.means = asFloat
	case row.Double:
		src.means = asDouble
	case row.Decimal:
		src.means = asUntypedDecimal
		if t.isUnsigned(column) {
			src.means = asUnsigned
		}
	case row.Time:
		src.means = asUntypedTime
	case row.Timestamp:
		src.means = asUntypedTimestamp
	case row.TimestampTZ:
		src.means = asZoned
	case row.String:
		src.means = asUntypedText
	case row.Binary:
		if src.means = t.binary.meaning(); src.means == 0 {
			src.means = asBytes
		}
	case row.Struct, row.List:
		src.means = asStruct
		if typ.Kind == row.List {
			src.means = asList
		}
		src.parts = t.untypedParts(typ)
	}
	return src
}
