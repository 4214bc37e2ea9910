package main

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Rows are a result in canonical text, so that results of different programs can be compared byte by byte:
//
//   - integers, years and decimals are plain digits, decimals with the scale of their column;
//   - floats are the shortest text that gives the same value, without an exponent;
//   - dates are YYYY-MM-DD, timestamps YYYY-MM-DD HH:MM:SS.ffffff, with a Z if they are instants;
//   - TIME is a signed number of microseconds, BIT a number (BIT(1) true or false), bytes are hex: and their hex digits;
//   - a geometry is SRID=n; and the hex: of its WKB; the rest is text.
type rows struct {
	columns []string
	rows    [][]*string
	types   []sourceType // Only of the source.
}

// A sourceType is what the source's catalog says of a column.
type sourceType struct {
	name   string // In lower case, without length; BIT(1) is bit(1).
	digits int    // Of the fraction of a DATETIME, or of a DECIMAL.
	bits   int    // Of a BIT.
}

// sourceRows reads what MariaDB has: SELECT * with each value in canonical text. The tail may order and limit.
func sourceRows(ctx context.Context, db *sql.DB, table, tail string) (rows, error) {
	var out rows
	selected, err := sourceColumns(ctx, db, table, &out)
	if err != nil {
		return rows{}, err
	}
	result, err := db.QueryContext(ctx, "SELECT "+selected+" FROM `"+table+"` "+tail)
	if err != nil {
		return rows{}, fmt.Errorf("read %s of the source: %w", table, err)
	}
	defer func() { _ = result.Close() }()
	cells := make([]sql.NullString, len(out.types))
	targets := make([]any, len(cells))
	for i := range cells {
		targets[i] = &cells[i]
	}
	for result.Next() {
		if err := result.Scan(targets...); err != nil {
			return rows{}, err
		}
		row := make([]*string, len(cells))
		for i, cell := range cells {
			if !cell.Valid {
				continue
			}
			text, err := canonical(out.types[i].name, cell.String)
			if err != nil {
				return rows{}, fmt.Errorf("%s.%s: %w", table, out.columns[i], err)
			}
			row[i] = &text
		}
		out.rows = append(out.rows, row)
	}
	return out, result.Err()
}

// sourceColumns fills in the names and types of the columns, and returns what to select.
func sourceColumns(ctx context.Context, db *sql.DB, table string, out *rows) (selected string, err error) {
	result, err := db.QueryContext(ctx, `SELECT column_name, IF(column_type = 'bit(1)', column_type, data_type), COALESCE(datetime_precision, numeric_scale, 0),
		COALESCE(numeric_precision, 0) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ? ORDER BY ordinal_position`, table)
	if err != nil {
		return "", err
	}
	defer func() { _ = result.Close() }()
	var list []string
	for result.Next() {
		var name string
		var typ sourceType
		if err := result.Scan(&name, &typ.name, &typ.digits, &typ.bits); err != nil {
			return "", err
		}
		expression := "`" + name + "`"
		switch {
		case typ.name == "float": // Printed with six digits only.
			expression = "CAST(" + expression + " AS DOUBLE)"
		case typ.name == "bit", typ.name == "bit(1)":
			expression += " + 0"
		case typ.isGeometry():
			expression = "CONCAT('SRID=', ST_SRID(" + expression + "), ';hex:', LOWER(HEX(ST_AsWKB(" + expression + "))))"
		}
		list = append(list, expression)
		out.columns, out.types = append(out.columns, strings.ToLower(name)), append(out.types, typ)
	}
	return strings.Join(list, ", "), result.Err()
}

func (t sourceType) isGeometry() bool {
	switch t.name {
	case "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection":
		return true
	}
	return false
}

func canonical(typ, text string) (string, error) {
	switch typ {
	case "tinyint", "smallint", "mediumint", "int", "bigint": // ZEROFILL prints zeros in front.
		sign, digits := "", text
		if rest, ok := strings.CutPrefix(text, "-"); ok {
			sign, digits = "-", rest
		}
		if digits = strings.TrimLeft(digits, "0"); digits == "" {
			sign, digits = "", "0"
		}
		return sign + digits, nil
	case "float", "double":
		return shortest(text)
	case "bit(1)":
		return strconv.FormatBool(text != "0"), nil
	case "datetime":
		return microseconds(text), nil
	case "timestamp":
		return microseconds(text) + "Z", nil
	case "time":
		return duration(text)
	case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
		return "hex:" + hex.EncodeToString([]byte(text)), nil
	}
	return text, nil
}

func shortest(text string) (string, error) {
	x, err := strconv.ParseFloat(text, 64)
	return strconv.FormatFloat(x, 'f', -1, 64), err
}

// microseconds pads the fraction of a date and time to six digits.
func microseconds(text string) string {
	whole, fraction, _ := strings.Cut(text, ".")
	return whole + "." + (fraction + "000000")[:6]
}

// duration turns MariaDB's [-]HHH:MM:SS[.ffffff] into microseconds.
func duration(text string) (string, error) {
	sign, digits := "", text
	if rest, ok := strings.CutPrefix(text, "-"); ok {
		sign, digits = "-", rest
	}
	var h, m, s, us int64
	whole, fraction, _ := strings.Cut(digits, ".")
	if _, err := fmt.Sscanf(whole, "%d:%d:%d", &h, &m, &s); err != nil {
		return "", fmt.Errorf("TIME %q: %w", text, err)
	}
	if _, err := fmt.Sscanf((fraction + "000000")[:6], "%d", &us); err != nil {
		return "", fmt.Errorf("TIME %q: %w", text, err)
	}
	total := ((h*60+m)*60+s)*1_000_000 + us
	if total == 0 {
		sign = ""
	}
	return sign + strconv.FormatInt(total, 10), nil
}

// compare returns how many rows differ, and the first few differences. A column that the source does not have (any
// more) is left out; one that the reader lacks counts for every row. Unordered rows are compared as multisets.
func compare(source, read rows, ordered bool) (mismatches int, examples []string) {
	identity, at := make([]int, len(source.columns)), make([]int, len(source.columns))
	for i, name := range source.columns {
		identity[i] = i
		if at[i] = slices.Index(read.columns, name); at[i] < 0 {
			return max(len(source.rows), 1), []string{fmt.Sprintf("the reader has no column %s: %v", name, read.columns)}
		}
	}
	want, have := lines(source, identity), lines(read, at)
	if !ordered {
		slices.Sort(want)
		slices.Sort(have)
		mismatches, examples = multisetDifference(want, have)
		if columns := byColumn(source, read, at); mismatches > 0 && len(columns) > 0 {
			examples = columns
		}
		return mismatches, examples
	}
	for i := range max(len(want), len(have)) {
		w, h := "(none)", "(none)"
		if i < len(want) {
			w = want[i]
		}
		if i < len(have) {
			h = have[i]
		}
		if w != h {
			mismatches++
			examples = append(examples, fmt.Sprintf("row %d: source %s, read %s", i, w, h))
		}
	}
	return mismatches, examples
}

// byColumn says which values differ between rows whose first values are the same, where no two rows of the source share them.
func byColumn(source, read rows, at []int) (examples []string) {
	byKey := map[string][]*string{}
	for _, row := range read.rows {
		if key := row[at[0]]; key != nil {
			byKey[*key] = row
		}
	}
	for _, want := range source.rows {
		if want[0] == nil || byKey[*want[0]] == nil {
			continue
		}
		have := byKey[*want[0]]
		for i, name := range source.columns {
			if w, h := cell(want[i]), cell(have[at[i]]); w != h {
				examples = append(examples, fmt.Sprintf("row %s, %s: source %s, read %s", *want[0], name, w, h))
			}
		}
	}
	return examples
}

// cell renders one value.
func cell(v *string) string {
	if v == nil {
		return "NULL"
	}
	return strconv.Quote(*v)
}

// multisetDifference counts what stands on one side only, of two sorted lists.
func multisetDifference(want, have []string) (mismatches int, examples []string) {
	i, j := 0, 0
	for i < len(want) || j < len(have) {
		switch {
		case j == len(have) || i < len(want) && want[i] < have[j]:
			examples = append(examples, "only in the source: "+want[i])
			i++
		case i == len(want) || have[j] < want[i]:
			examples = append(examples, "only read:          "+have[j])
			j++
		default:
			i, j = i+1, j+1
			continue
		}
		mismatches++
	}
	return mismatches, examples
}

// lines renders each row as one line; at picks and orders the columns.
func lines(r rows, at []int) []string {
	out := make([]string, len(r.rows))
	var b strings.Builder
	for n, row := range r.rows {
		b.Reset()
		for _, k := range at {
			if b.Len() > 0 {
				b.WriteString(" | ")
			}
			b.WriteString(cell(row[k]))
		}
		out[n] = b.String()
	}
	return out
}
