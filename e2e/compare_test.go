package main

import (
	"strings"
	"testing"
)

func TestCanonicalText(t *testing.T) {
	for _, c := range []struct{ typ, text, want string }{
		{"double", "1e-5", "0.00001"},
		{"double", "3", "3"},
		{"float", "0.10000000149011612", "0.10000000149011612"},
		{"datetime", "2024-02-29 23:59:59", "2024-02-29 23:59:59.000000"},
		{"timestamp", "2024-02-29 23:59:59.12", "2024-02-29 23:59:59.120000Z"},
		{"time", "-838:59:59.999", "-3020399999000"},
		{"time", "-00:00:00.000001", "-1"},
		{"time", "00:00:00", "0"},
		{"bit(1)", "1", "true"},
		{"varbinary", "\x00\xff", "hex:00ff"},
		{"decimal", "1.20", "1.20"},
		{"varchar", "1.20", "1.20"},
		{"int", "0000000042", "42"},
		{"int", "0000000000", "0"},
		{"tinyint", "-128", "-128"},
	} {
		got, err := canonical(c.typ, c.text)
		if err != nil || got != c.want {
			t.Errorf("canonical(%s, %q) = %q, %v; want %q", c.typ, c.text, got, err, c.want)
		}
	}
}

// table makes rows of text; "-" is NULL.
func table(columns string, lines ...string) rows {
	r := rows{columns: strings.Fields(columns)}
	for _, line := range lines {
		var row []*string
		for cell := range strings.FieldsSeq(line) {
			if cell == "-" {
				row = append(row, nil)
			} else {
				row = append(row, &cell)
			}
		}
		r.rows = append(r.rows, row)
	}
	return r
}

func TestCompareCountsEveryDifference(t *testing.T) {
	source := table("id name", "1 a", "2 -", "3 c")
	for _, c := range []struct {
		what    string
		read    rows
		ordered bool
		want    int
	}{
		{"the same rows in another order", table("id name", "3 c", "1 a", "2 -"), false, 0},
		{"another order where order matters", table("id name", "1 a", "3 c", "2 -"), true, 2},
		{"columns in another order, and one more", table("name extra id", "a x 1", "- x 2", "c x 3"), false, 0},
		{"a row is missing", table("id name", "1 a", "2 -"), false, 1},
		{"a row is there twice", table("id name", "1 a", "2 -", "3 c", "3 c"), false, 1},
		{"a value differs", table("id name", "1 a", "2 -", "3 x"), false, 2},
		{"NULL is not the text NULL", table("id name", "1 a", "2 NULL", "3 c"), false, 2},
		{"a column is missing", table("id", "1", "2", "3"), false, 3},
		{"nothing was read", table("id name"), false, 3},
	} {
		if got, examples := compare(source, c.read, c.ordered); got != c.want {
			t.Errorf("%s: %d mismatches, want %d: %q", c.what, got, c.want, examples)
		}
	}
}

func TestRecordsWithoutSchemaShowWhatTheJSONTells(t *testing.T) {
	for _, c := range []struct {
		typ                  sourceType
		declared, text, want string
	}{
		{sourceType{name: "datetime", digits: 3}, "long", "1969-12-31 23:59:59.999999", "-1"},
		{sourceType{name: "datetime", digits: 6}, "long", "1969-12-31 23:59:59.999999", "-1"},
		{sourceType{name: "datetime", digits: 4}, "long", "1970-01-01 00:00:01.500000", "1500000"},
		{sourceType{name: "bit", bits: 9}, "binary", "257", "hex:0101"},
		{sourceType{name: "bit", bits: 64}, "binary", "1", "hex:0100000000000000"},
		{sourceType{name: "decimal", digits: 2}, "", "-1.28", "gA=="},
		{sourceType{name: "decimal", digits: 2}, "", "1.28", "AIA="},
		{sourceType{name: "decimal", digits: 2}, "", "0.00", "AA=="},
		{sourceType{name: "decimal", digits: 2}, "decimal(5,2)", "-1.28", "-1.28"},
		{sourceType{name: "varchar"}, "", "x", "x"},
	} {
		source := rows{columns: []string{"v"}, types: []sourceType{c.typ}, rows: [][]*string{{&c.text}, {nil}}}
		got, err := source.arriveAs(plain, map[string]string{"v": c.declared})
		if err != nil || *got.rows[0][0] != c.want || got.rows[1][0] != nil {
			t.Errorf("%+v: %q, %v; want %q", c.typ, cell(got.rows[0][0]), err, c.want)
		}
		if got, _ := source.arriveAs(withSchema, nil); *got.rows[0][0] != c.text {
			t.Errorf("%+v: changed with a schema", c.typ)
		}
	}
}

func TestGeometriesReadAsJSONAreGeometries(t *testing.T) {
	text := `{"x":1.0,"y":-2.0,"wkb":"AQI=","srid":4326}`
	read := rows{columns: []string{"id", "g"}, rows: [][]*string{{new("1"), &text}, {new("2"), nil}, {new("3"), new("SRID=0;hex:01")}}}
	source := rows{columns: []string{"id", "g"}, types: []sourceType{{name: "int"}, {name: "point"}}}
	if err := read.readGeometries(source); err != nil {
		t.Fatal(err)
	}
	if g := read.rows; *g[0][1] != "SRID=4326;hex:0102" || g[1][1] != nil || *g[2][1] != "SRID=0;hex:01" {
		t.Errorf("got %s, %s, %s", cell(g[0][1]), cell(g[1][1]), cell(g[2][1]))
	}
}

func TestMarkerIsNotFoundInALongerNumber(t *testing.T) {
	if containsField([]byte(`{"id":1,"n":12}`), `"n":1`) {
		t.Error("12 was taken for 1")
	}
	if !containsField([]byte(`{"before":{"n":12},"after":{"id":1,"n":1},`), `"n":1`) {
		t.Error("1 was not found")
	}
}
