package debezium

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/cdcd-project/cdcd/internal/row"
)

// A mapping is one line of the type table: what a Connect type is in the table, and how its JSON is decoded.
type mapping struct {
	literal, name string
	kind          row.Kind
	decode        decodeFunc
	refine        func(c *connectSchema, f *source) error // Optional: reads the schema's parameters.
}

// mappings is the type table (Debezium documentation, "MySQL connector data type mappings"). A name that is not here
// is stored as its literal type, whose line has no name.
var mappings = []mapping{ //nolint:gochecknoglobals // A constant table.
	{"boolean", "", row.Boolean, decodeBoolean, nil},
	{"int8", "", row.Int, decodeInteger, nil},
	{"int16", "", row.Int, decodeInteger, nil},
	{"int32", "", row.Int, decodeInteger, nil},
	{"int64", "", row.Long, decodeInteger, refineUnsigned},
	{"float", "", row.Float, decodeFloat, nil},
	{"double", "", row.Double, decodeDouble, nil},
	{"string", "", row.String, decodeText, refineDecimalText},
	{"bytes", "", row.Binary, decodeBytes, nil},

	{"bytes", "org.apache.kafka.connect.data.Decimal", row.Decimal, decodeDecimal, refineDecimal},
	{"bytes", "io.debezium.data.Bits", row.Long, decodeBits, refineBits},
	{"string", "io.debezium.data.Enum", row.String, decodeEnum, nil},
	{"string", "io.debezium.data.EnumSet", row.String, decodeText, nil},
	{"string", "io.debezium.data.Json", row.String, decodeText, nil},
	{"string", "io.debezium.data.Uuid", row.String, decodeText, nil}, // I12: Athena reads no uuid.

	{"int32", "io.debezium.time.Date", row.Date, decodeInteger, nil},
	{"int32", "org.apache.kafka.connect.data.Date", row.Date, decodeInteger, nil},
	{"int32", "io.debezium.time.Year", row.Int, decodeInteger, nil},
	{"int64", "io.debezium.time.Timestamp", row.Timestamp, decodeMillis, nil},
	{"int64", "org.apache.kafka.connect.data.Timestamp", row.Timestamp, decodeMillis, nil},
	{"int64", "io.debezium.time.MicroTimestamp", row.Timestamp, decodeInteger, nil},
	{"int64", "io.debezium.time.NanoTimestamp", row.Timestamp, decodeNanos, nil},
	{"string", "io.debezium.time.ZonedTimestamp", row.TimestampTZ, decodeZoned, nil},

	// MySQL's TIME is a signed duration of up to 838 hours, which no time of day can hold: microseconds in a long.
	{"int64", "io.debezium.time.MicroTime", row.Long, decodeInteger, nil},
	{"int32", "io.debezium.time.Time", row.Long, decodeMillis, nil},
	{"int32", "org.apache.kafka.connect.data.Time", row.Long, decodeMillis, nil},
	{"int64", "io.debezium.time.NanoTime", row.Long, decodeNanos, nil},
}

// A source is what one field of a record holds, before it meets a column.
type source struct {
	typ    row.Type // The column type that holds every value exactly.
	decode decodeFunc
	plain  bool // No name gives the literal a meaning: a string is the text that was stored.
	text   bool // A decimal that arrives as the text of its digits.

	min, max         int64 // Of integers.
	precision, scale uint8 // Of decimals.
	bits             uint8 // Of bit fields.
}

// sourceOf looks c up in the type table.
func sourceOf(c *connectSchema) (source, error) {
	best := -1
	for i, m := range mappings {
		if m.literal == c.literal && (m.name == c.name || m.name == "" && best < 0) {
			best = i
		}
	}
	if best < 0 {
		return source{}, fmt.Errorf("the type %s is not supported", c.kind())
	}
	m := &mappings[best]
	src := source{typ: row.Type{Kind: m.kind}, decode: m.decode, plain: c.name == ""}
	src.min, src.max = integerRange(c.literal)
	if m.refine == nil {
		return src, nil
	}
	err := m.refine(c, &src)
	return src, err
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

// The parameters by which Debezium propagates a column's source type (datatype.propagate.source.type).
const (
	sourceTypeParameter   = "__debezium.source.column.type"
	sourceLengthParameter = "__debezium.source.column.length"
	sourceScaleParameter  = "__debezium.source.column.scale"
)

func refineUnsigned(c *connectSchema, src *source) error {
	if c.name == "" && strings.HasPrefix(c.parameters[sourceTypeParameter], "BIGINT UNSIGNED") {
		src.typ = row.Type{Kind: row.Decimal, Precision: 20}
		src.decode = decodeUnsigned
	}
	return nil
}

// refineDecimalText makes a string a decimal if the source column is known to be one (decimal.handling.mode=string).
func refineDecimalText(c *connectSchema, src *source) error {
	sourceType := c.parameters[sourceTypeParameter]
	if c.name != "" || !strings.HasPrefix(sourceType, "DECIMAL") && !strings.HasPrefix(sourceType, "NUMERIC") {
		return nil
	}
	precision, ok := parameter(c, sourceLengthParameter)
	if !ok || precision == 0 || precision > row.MaxPrecision {
		return nil
	}
	scale, _ := parameter(c, sourceScaleParameter) // Absent for DECIMAL(p).
	if scale > precision {
		return fmt.Errorf("a decimal of precision %d and scale %d", precision, scale)
	}
	src.typ = row.Type{Kind: row.Decimal, Precision: precision, Scale: scale}
	src.decode, src.text, src.precision, src.scale = decodeDecimalText, true, precision, scale
	return nil
}

// refineDecimal reads scale and precision. A Decimal without precision (other producers) may have any number of digits
// up to Iceberg's limit; one that is too wide for Iceberg is kept as text, never rounded.
func refineDecimal(c *connectSchema, src *source) error {
	scale, ok := parameter(c, "scale")
	if !ok {
		return fmt.Errorf("a Decimal with the scale %q", c.parameters["scale"])
	}
	precision, ok := parameter(c, "connect.decimal.precision")
	if !ok {
		precision = max(scale, row.MaxPrecision)
	}
	if precision == 0 || scale > precision {
		return fmt.Errorf("a decimal of precision %d and scale %d", precision, scale)
	}
	src.precision, src.scale = precision, scale
	src.typ = row.Type{Kind: row.Decimal, Precision: precision, Scale: scale}
	if precision > row.MaxPrecision {
		src.typ, src.decode = row.Type{Kind: row.String}, decodeBigDecimal
	}
	return nil
}

func refineBits(c *connectSchema, src *source) error {
	length, ok := parameter(c, "length")
	if !ok || length == 0 || length > 64 {
		return fmt.Errorf("a bit field of the length %q", c.parameters["length"])
	}
	src.bits = length
	if length == 64 {
		src.typ = row.Type{Kind: row.Decimal, Precision: 20}
	}
	return nil
}

// parameter returns a small number among the schema's parameters.
func parameter(c *connectSchema, name string) (uint8, bool) {
	x, err := strconv.ParseUint(c.parameters[name], 10, 8)
	return uint8(x), err == nil
}

// untyped returns how a column of type t is decoded from a record that has no schema.
func untyped(t row.Type) source {
	src := source{typ: t, min: math.MinInt64, max: math.MaxInt64, precision: t.Precision, scale: t.Scale}
	switch t.Kind {
	case row.Boolean:
		src.decode = decodeBoolean
	case row.Int:
		src.decode = decodeBoolean // A TINYINT(1) may arrive as a boolean.
		src.min, src.max = math.MinInt32, math.MaxInt32
	case row.Long:
		src.decode = decodeBoolean
	case row.Date:
		src.decode = decodeInteger
		src.min, src.max = math.MinInt32, math.MaxInt32
	case row.Float:
		src.decode = decodeFloat
	case row.Double:
		src.decode = decodeDouble
	case row.Decimal:
		src.decode = decodeUntypedDecimal
	case row.Timestamp:
		src.decode = decodeUntypedTimestamp
	case row.TimestampTZ:
		src.decode = decodeZoned
	case row.String:
		src.decode = decodeText
	case row.Binary:
		src.decode = decodeBytes
	}
	return src
}
