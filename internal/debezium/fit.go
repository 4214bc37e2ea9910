package debezium

import "github.com/cdcd-project/cdcd/internal/row"

// A verdict says how a field's values get into an existing column.
type verdict uint8

const (
	fits      verdict = iota // Each value is converted, exactly or not at all.
	widens                   // Every value fits after a promotion of the column.
	conflicts                // Some value would be changed, or its meaning lost.
)

// fit decides how src gets into a column of type t, and returns the type that the column needs. It never returns a
// narrower type: records with an older schema may follow those with a newer one.
//
// The promotions are those of the Iceberg specification ("Schema Evolution"). Beyond them, one source column may
// legally send different types, in a snapshot and in the stream, or before and after a setting of the connector changed:
// booleans and integers take each other's values, a decimal column takes integers and decimal text, a text column takes
// decimals, a binary column takes its text under the configured BinaryText, and a TIME fits whatever form the column has.
func fit(src *source, t row.Type) (row.Type, verdict) {
	from := src.typ
	if from == t || src.duration && (t.Kind == row.Long || t.Kind == row.String || t.Kind == row.Time) {
		return t, fits
	}
	switch from.Kind { //nolint:exhaustive // All other kinds fit only themselves.
	case row.Boolean:
		if t.Kind == row.Int || t.Kind == row.Long {
			return t, fits
		}
	case row.Int:
		if t.Kind == row.Long || t.Kind == row.Boolean || t.Kind == row.Decimal {
			return t, fits
		}
	case row.Long:
		if t.Kind == row.Decimal {
			return t, fits
		}
		if t.Kind == row.Int {
			return from, widens
		}
	case row.Float:
		if t.Kind == row.Double {
			return t, fits
		}
	case row.Double:
		if t.Kind == row.Float {
			return from, widens
		}
	case row.Decimal:
		if t.Kind == row.String && (src.text || src.means == asDecimal) {
			return t, fits
		}
		if t.Kind == row.Decimal {
			return fitDecimal(from, t)
		}
	case row.String:
		if t.Kind == row.Decimal && src.plain || t.Kind == row.Binary && src.binary != 0 {
			return t, fits
		}
	}
	return from, conflicts
}

// fitDecimal keeps the column's scale, which no promotion can change, and widens the column if it has too few digits
// before the decimal point. Fraction digits beyond the column's scale are checked value by value.
func fitDecimal(from, t row.Type) (row.Type, verdict) {
	precision := from.Precision - from.Scale + t.Scale
	if precision <= t.Precision || precision > row.MaxPrecision {
		return t, fits
	}
	t.Precision = precision
	return t, widens
}

// as returns the meaning of src's literals on their way into a column of type t, which it fits.
func (src *source) as(t row.Type) meaning {
	from := src.typ.Kind
	switch {
	case from == row.String && t.Kind == row.Decimal:
		return asDecimalText
	case from == row.String && t.Kind == row.Binary && src.binary != 0:
		return src.binary
	case src.text && t.Kind == row.String:
		return asText
	}
	return src.means
}
