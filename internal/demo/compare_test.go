package demo

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cdcd-project/cdcd/internal/readback"
)

// shopTable returns the description of a table of the shop.
func shopTable(name string) Table {
	s := NewShop(1)
	return s.tables[s.find(name)].Table
}

func TestComparisonNoticesEveryDifference(t *testing.T) {
	truth := [][]string{
		{"5000000001", "1", "SKU-1", "3", "1.50", Null, "true"},
		{"5000000001", "2", "", "3", "-0.05", "2026-01-01", "false"},
		{"5000000002", "1", "SKU-2", "1", "2.00", Null, "false"},
	}
	for _, test := range []struct {
		name   string
		change func(rows [][]string) [][]string
		want   Comparison
		said   string
	}{
		{"all rows are equal", func(rows [][]string) [][]string { return rows }, Comparison{Rows: 3}, ""},
		{"in another order they are equal, too", func(rows [][]string) [][]string { slices.Reverse(rows); return rows }, Comparison{Rows: 3}, ""},
		{"a missing row", func(rows [][]string) [][]string { return rows[:2] }, Comparison{Rows: 2, Missing: 1}, "missing    order_id=5000000002  line=1  sku=SKU-2"},
		{"no rows", func([][]string) [][]string { return nil }, Comparison{Missing: 3}, "missing"},
		{
			"an extra row", func(rows [][]string) [][]string {
				return append(rows, []string{"5000000003", "1", "x", "1", "1.00", Null, "true"})
			},
			Comparison{Rows: 4, Extra: 1},
			"extra      order_id=5000000003  line=1  sku=x",
		},
		{"a row twice", func(rows [][]string) [][]string { return append(rows, rows[1]) }, Comparison{Rows: 4, Extra: 1}, "extra      order_id=5000000001  line=2"},
		{"a wrong value", func(rows [][]string) [][]string { rows[0][4] = "1.51"; return rows }, Comparison{Rows: 3, Different: 1}, "price=1.50"},
		{"a lost digit of the scale", func(rows [][]string) [][]string { rows[0][4] = "1.5"; return rows }, Comparison{Rows: 3, Different: 1}, "price=1.5 "},
		{"a null in place of an empty string", func(rows [][]string) [][]string { rows[1][2] = Null; return rows }, Comparison{Rows: 3, Different: 1}, "sku=NULL"},
		{
			"a wrong key", func(rows [][]string) [][]string { rows[0][1] = "9"; return rows },
			Comparison{Rows: 3, Extra: 1, Missing: 1},
			"missing    order_id=5000000001  line=1",
		},
		{
			"what moved from one column to the next",
			func(rows [][]string) [][]string { rows[2][2], rows[2][3] = "SKU-21", ""; return rows },
			Comparison{Rows: 3, Different: 1},
			"sku=SKU-21",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			table := shopTable("order_item")
			c := &comparer{table: table}
			c.expect(slices.Values(truth))
			rows := [][]string{}
			for _, row := range truth {
				rows = append(rows, slices.Clone(row))
			}
			for _, row := range test.change(rows) {
				names, values := []string{"gift"}, []*string{&row[6]} // A scan may have its columns in another order.
				for i, column := range table.Columns[:6] {
					names, values = append(names, column.Name), append(values, &row[i])
					if row[i] == Null {
						values[len(values)-1] = nil
					}
				}
				if err := c.row(names, values); err != nil {
					t.Fatal(err)
				}
			}
			c.end()
			if diff := cmp.Diff(test.want, c.Comparison, cmpopts.IgnoreFields(Comparison{}, "Examples")); diff != "" {
				t.Error(diff)
			}
			if said := strings.Join(c.Examples, "\n"); !strings.Contains(said, test.said) || (test.said == "") != (said == "") {
				t.Errorf("examples:\n%s\nwant %q", said, test.said)
			}
		})
	}
}

// The text NULL in a table is not an SQL NULL.
func TestComparisonTellsNullFromItsName(t *testing.T) {
	c := &comparer{table: shopTable("customer")}
	c.expect(slices.Values([][]string{{"1", Null, "BUILDING"}}))
	id, name, segment := "1", Null, "BUILDING"
	if err := c.row([]string{"cust_id", "name", "mktsegment"}, []*string{&id, &name, &segment}); err != nil {
		t.Fatal(err)
	}
	if c.Different != 1 {
		t.Errorf("%+v, want one different row", c.Comparison)
	}
}

func TestComparisonTellsAFewDifferencesOnly(t *testing.T) {
	c := &comparer{table: shopTable("customer")}
	s := NewShop(1)
	s.fill(1000)
	c.expect(s.Truth("customer"))
	c.end()
	if c.Missing != 100 || len(c.Examples) != examplesMax {
		t.Errorf("%d missing, %d examples; want 100, %d", c.Missing, len(c.Examples), examplesMax)
	}
}

func TestComparisonNoticesColumns(t *testing.T) {
	right := readback.Table{Key: []string{"cust_id"}, Columns: []readback.Column{{Name: "cust_id", Type: "int"}, {Name: "name", Type: "string"}, {Name: "mktsegment", Type: "string"}}}
	for _, test := range []struct {
		name   string
		change func(*readback.Table)
		want   int64
	}{
		{"all is right", func(*readback.Table) {}, 0},
		{"another type", func(t *readback.Table) { t.Columns[0].Type = "long" }, 1},
		{"a missing column", func(t *readback.Table) { t.Columns = t.Columns[:2] }, 1},
		{"another name", func(t *readback.Table) { t.Columns[1].Name = "names" }, 2},
		{"a column too many", func(t *readback.Table) { t.Columns = append(t.Columns, readback.Column{Name: "x", Type: "int"}) }, 1},
		{"another key", func(t *readback.Table) { t.Key = []string{"name"} }, 1},
		{"no key", func(t *readback.Table) { t.Key = nil }, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := right
			got.Columns = slices.Clone(right.Columns)
			test.change(&got)
			c := &comparer{table: shopTable("customer")}
			if c.columns(got); c.Columns != test.want || c.Mismatches() != test.want {
				t.Errorf("%d wrong columns (%v), want %d", c.Columns, c.Examples, test.want)
			}
		})
	}
}
