package debezium

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cdcd-project/cdcd/internal/row"
)

// The parameters by which Debezium propagates a column's source type (datatype.propagate.source.type).
const (
	sourceTypeParameter   = "__debezium.source.column.type"
	sourceLengthParameter = "__debezium.source.column.length"
	sourceScaleParameter  = "__debezium.source.column.scale"
	sourceNameParameter   = "__debezium.source.column.name"
)

// sourceType returns the propagated source type in upper case, and its first word.
func (c *connectSchema) sourceType() (whole, word string) {
	whole = strings.ToUpper(strings.TrimSpace(c.parameters[sourceTypeParameter]))
	word, _, _ = strings.Cut(whole, " ")
	word, _, _ = strings.Cut(word, "(")
	return whole, word
}

// refineLong makes a plain int64 a decimal(20,0) if the source column is known to be unsigned, and a plain long if it is
// known to be signed.
func refineLong(_ *typing, c *connectSchema, src *source) error {
	if c.name != "" {
		src.means = asInteger
		return nil
	}
	switch whole, word := c.sourceType(); {
	case word == "SERIAL", word == "BIGINT" && strings.Contains(whole, "UNSIGNED"):
		src.unsigned()
	case word != "":
		src.means = asInteger
	}
	return nil
}

func (src *source) unsigned() {
	src.typ, src.means = row.Type{Kind: row.Decimal, Precision: 20}, asUnsigned
}

// isUnsigned reports whether a column is declared to be a BIGINT UNSIGNED.
func (t *typing) isUnsigned(column string) bool { return slices.Contains(t.unsigned, column) }

// configured applies what the configuration declares of a column.
func (t *typing) configured(c *connectSchema, column string, src *source) {
	if src.means == asLong && t.isUnsigned(column) {
		src.unsigned()
	}
	if c.literal != "string" || !src.plain || src.means != asText {
		return
	}
	src.binary = t.binary.meaning()
	if src.binary != 0 && (t.types[column].Kind == row.Binary || hasBinaryType(c)) {
		src.typ, src.means = row.Type{Kind: row.Binary}, src.binary
	}
}

// meaning returns how a string stands for bytes, or zero if it does not.
func (b BinaryText) meaning() meaning {
	switch b {
	case Base64:
		return asBytes
	case Base64URL:
		return asBase64URL
	case Hex:
		return asHex
	case BytesOnly:
	}
	return 0
}

func hasBinaryType(c *connectSchema) bool {
	_, word := c.sourceType()
	return word == "BINARY" || word == "VARBINARY" || strings.HasSuffix(word, "BLOB")
}

// refineText makes a string a decimal if the source column is known to be one (decimal.handling.mode=string).
func refineText(_ *typing, c *connectSchema, src *source) error {
	switch _, word := c.sourceType(); word {
	case "DECIMAL", "NUMERIC", "DEC", "FIXED":
	default:
		return nil
	}
	precision, ok := parameter(c, sourceLengthParameter)
	if c.name != "" || !ok || precision == 0 || precision > row.MaxPrecision {
		return nil
	}
	scale, _ := parameter(c, sourceScaleParameter) // Absent for DECIMAL(p).
	if scale > precision {
		return fmt.Errorf("a decimal of precision %d and scale %d", precision, scale)
	}
	src.typ = row.Type{Kind: row.Decimal, Precision: precision, Scale: scale}
	src.means, src.text, src.precision, src.scale = asDecimalText, true, precision, scale
	return nil
}

// refineDecimal reads scale and precision. A Decimal without precision (other producers) may have any number of digits
// up to Iceberg's limit; one that is too wide for Iceberg is kept as text, never rounded.
func refineDecimal(_ *typing, c *connectSchema, src *source) error {
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
		src.typ, src.means = row.Type{Kind: row.String}, asBigDecimal
	}
	return nil
}

func refineBits(_ *typing, c *connectSchema, src *source) error {
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

func refineDuration(t *typing, _ *connectSchema, src *source) error {
	src.duration = true
	switch t.time {
	case TimeAsString:
		src.typ.Kind = row.String
	case TimeOfDay:
		src.typ.Kind = row.Time
	case TimeAsLong:
	}
	return nil
}

// parameter returns a small number among the schema's parameters.
func parameter(c *connectSchema, name string) (uint8, bool) {
	x, err := strconv.ParseUint(c.parameters[name], 10, 8)
	return uint8(x), err == nil
}
