package captured

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Cell is one value of a folded row: the type of its column, and its canonical text (row.Vector.AppendText).
type Cell struct{ Type, Text string }

// A Row holds the cells that are not null, by column.
type Row map[string]Cell

// Compare says how the rows that were folded from records of a form differ from the table: each row of it is one of them, by the column
// id or else the first, and there are no others.
func (t *Table) Compare(form string, rows []Row) (differences []string) {
	if len(t.Rows) == 0 || len(rows) != len(t.Rows) {
		differences = append(differences, fmt.Sprintf("%s has %d rows, want %d", t.Table, len(rows), len(t.Rows)))
	}
	id := max(0, slices.Index(t.Columns, "id"))
	left := map[string][]Row{}
	for _, r := range rows {
		key := r[t.Columns[id]].Text
		left[key] = append(left[key], r)
	}
	for _, want := range t.Rows {
		key := *want[id]
		best, at := []string{"there is no such row"}, -1
		for i, r := range left[key] { // More than one where the key has more columns.
			if d := t.compareRow(form, r, want); at < 0 || len(d) < len(best) {
				best, at = d, i
			}
		}
		if at >= 0 && len(best) == 0 {
			left[key] = slices.Delete(left[key], at, at+1)
		}
		for _, d := range best {
			differences = append(differences, fmt.Sprintf("%s %s: %s", t.Table, key, d))
		}
	}
	return differences
}

func (t *Table) compareRow(form string, got Row, want []*string) (differences []string) {
	for i, column := range t.Columns {
		cell, ok := got[column]
		if lacks(form, column) {
			if ok {
				differences = append(differences, column+" is there")
			}
			continue
		}
		switch w := want[i]; {
		case w == nil && ok:
			differences = append(differences, fmt.Sprintf("%s is %q, want NULL", column, cell.Text))
		case w != nil && !ok:
			differences = append(differences, fmt.Sprintf("%s is NULL, want %q", column, *w))
		case w != nil && !same(form, column, cell, *w):
			differences = append(differences, fmt.Sprintf("%s is %q (%s), want %q", column, cell.Text, cell.Type, *w))
		}
	}
	return differences
}

// lacks reports whether a form leaves the column out: ISO and Connect's times are times of day, which a TIME need not be.
func lacks(form, column string) bool {
	return (form == "iso" || form == "connect") && (column == "c_time" || strings.HasPrefix(column, "c_time_"))
}

// same compares a value with the source's, by the type of its column.
func same(form, column string, got Cell, want string) bool {
	if got.Text == want {
		return true
	}
	typ, _, _ := strings.Cut(got.Type, "(")
	typ, _, _ = strings.Cut(typ, "<")
	switch typ {
	case "float":
		return sameFloat(got.Text, want, 32)
	case "double": // A float of the source, or a DECIMAL under decimal.handling.mode=double.
		return sameFloat(got.Text, want, 64)
	case "struct":
		return structText(got.Text) == want
	case "timestamp", "timestamptz":
		if form == "connect" && typ == "timestamp" { // The connector cuts to milliseconds.
			want = want[:len(want)-3] + "000"
		}
		return got.Text == strings.Replace(want, " ", "T", 1)
	}
	return form == "plain" && samePlain(column, typ, got.Text, want)
}

// samePlain compares what no schema explains.
func samePlain(column, typ, got, want string) bool {
	switch {
	case typ == "long": // A DATETIME, in milliseconds or microseconds.
		at, err := time.Parse("2006-01-02 15:04:05.000000", want)
		return err == nil && (got == strconv.FormatInt(at.UnixMicro(), 10) || got == strconv.FormatInt(at.UnixMilli(), 10))
	case typ == "binary" && strings.HasPrefix(column, "c_bit_"): // Debezium's bytes, little endian.
		b, err := hex.DecodeString(strings.TrimPrefix(got, "hex:"))
		return err == nil && len(b) <= 8 && strconv.FormatUint(binary.LittleEndian.Uint64(append(b, make([]byte, 8)...)), 10) == want
	case column == "c_decimal_65": // Base64 of the unscaled value.
		b, err := base64.StdEncoding.DecodeString(got)
		x := new(big.Int).SetBytes(b)
		if len(b) > 0 && b[0] >= 0x80 {
			x.Sub(x, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
		}
		unscaled, ok := new(big.Int).SetString(strings.Replace(want, ".", "", 1), 10)
		return err == nil && ok && x.Cmp(unscaled) == 0
	case column == "c_enum": // The stream escapes commas.
		return strings.ReplaceAll(got, `\,`, ",") == want
	case strings.HasPrefix(got, "{"):
		return jsonText(got) == want
	}
	return false
}

func sameFloat(got, want string, bits int) bool {
	x, errX := strconv.ParseFloat(got, bits)
	y, errY := strconv.ParseFloat(want, bits)
	return errX == nil && errY == nil && x == y
}

// structText is the canonical text of a geometry that is a struct.
func structText(text string) string {
	var g struct{ WKB, SRID *string }
	if json.Unmarshal([]byte(text), &g) != nil || g.WKB == nil {
		return text
	}
	srid := "0"
	if g.SRID != nil {
		srid = *g.SRID
	}
	return "SRID=" + srid + ";" + *g.WKB
}

// jsonText is the canonical text of a geometry that was stored as the JSON that Debezium prints.
func jsonText(text string) string {
	var g struct {
		WKB  []byte
		SRID int64 // A null leaves it 0.
	}
	if json.Unmarshal([]byte(text), &g) != nil {
		return text
	}
	return fmt.Sprintf("SRID=%d;hex:%x", g.SRID, g.WKB)
}
