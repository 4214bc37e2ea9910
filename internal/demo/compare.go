package demo

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/apache/iceberg-go/catalog"
	icetable "github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/invariant"
	"github.com/cdcd-project/cdcd/internal/readback"
)

// examplesMax is how many differences of a table are told in detail.
const examplesMax = 5

// Comparison is what came out of holding a table against what it must hold.
type Comparison struct {
	Rows      int64 // Read back.
	Missing   int64 // Rows that the table lacks.
	Extra     int64 // Rows that it should not have; the second row of a key is one.
	Different int64 // Rows of the right key in which another column is wrong.
	Columns   int64 // Columns that lack, have another type, or should not be there. If there are any, no row was compared.

	Examples []string // The first few differences in detail.
}

// Mismatches returns the number of differences of all kinds.
func (c *Comparison) Mismatches() int64 { return c.Missing + c.Extra + c.Different + c.Columns }

func (c *Comparison) example(format string, values ...any) {
	if len(c.Examples) < examplesMax {
		c.Examples = append(c.Examples, fmt.Sprintf(format, values...))
	}
}

// Compare reads an Iceberg table back with iceberg-go's own scan and holds every row against truth, as Shop.Truth yields it.
// The rows of truth are held in memory, one string each; those of the table stream by.
func Compare(ctx context.Context, cat catalog.Catalog, t Table, truth iter.Seq[[]string]) (*Comparison, error) {
	shown, err := readback.Show(ctx, cat, TableName(t))
	if err != nil {
		return nil, err
	}
	c := &comparer{table: t}
	if c.columns(shown); c.Columns > 0 {
		return &c.Comparison, nil
	}
	c.expect(truth)
	if err := readback.Rows(ctx, cat, TableName(t), icetable.MainBranch, c.row); err != nil {
		return nil, err
	}
	c.end()
	return &c.Comparison, nil
}

// TableName returns the name of the Iceberg table that mirrors t: "salesdb.orders".
func TableName(t Table) string { return databaseName + "." + t.Name }

// comparer holds the rows that are still to be met. A row is one string, its columns in the order of the table's description
// and its key in front; so a prefix of the row is its key, and takes no memory of its own.
type comparer struct {
	Comparison

	table Table
	want  map[string]string // By key.
	order []int             // Where the scan has each column of the table.
	buf   []byte
}

// columns compares names, types and the key. A decimal that became a string has the same text, so rows do not tell.
func (c *comparer) columns(shown readback.Table) {
	for _, want := range c.table.Columns {
		i := slices.IndexFunc(shown.Columns, func(got readback.Column) bool { return got.Name == want.Name })
		switch {
		case i < 0:
			c.Columns++
			c.example("column %s is missing", want.Name)
		case strings.ReplaceAll(shown.Columns[i].Type, " ", "") != want.Type:
			c.Columns++
			c.example("column %s is %s, want %s", want.Name, shown.Columns[i].Type, want.Type)
		}
	}
	for _, got := range shown.Columns {
		if !slices.ContainsFunc(c.table.Columns, func(want Column) bool { return got.Name == want.Name }) {
			c.Columns++
			c.example("column %s should not be there", got.Name)
		}
	}
	if !slices.Equal(slices.Sorted(slices.Values(shown.Key)), slices.Sorted(slices.Values(c.table.Key))) {
		c.Columns++
		c.example("the key is %v, want %v", shown.Key, c.table.Key)
	}
}

// expect takes the rows that the table must hold.
func (c *comparer) expect(truth iter.Seq[[]string]) {
	for i, name := range c.table.Key {
		invariant.Check(c.table.Columns[i].Name == name, "demo: the key of %s is not its first columns", c.table.Name)
	}
	c.want = map[string]string{}
	for values := range truth {
		c.buf = c.buf[:0]
		key := 0
		for i, v := range values {
			if i == len(c.table.Key) {
				key = len(c.buf)
			}
			if v == Null {
				c.buf = appendCell(c.buf, nil)
			} else {
				c.buf = appendCell(c.buf, &v)
			}
		}
		row := string(c.buf)
		c.want[row[:key]] = row
	}
}

// row compares one row of the scan.
func (c *comparer) row(names []string, values []*string) error {
	if c.order == nil {
		for _, column := range c.table.Columns {
			i := slices.Index(names, column.Name)
			if i < 0 {
				return fmt.Errorf("scan table %s: no column %s", TableName(c.table), column.Name)
			}
			c.order = append(c.order, i)
		}
	}
	c.Rows++
	c.buf = c.buf[:0]
	key := 0
	for i, at := range c.order {
		if i == len(c.table.Key) {
			key = len(c.buf)
		}
		c.buf = appendCell(c.buf, values[at])
	}
	want, found := c.want[string(c.buf[:key])]
	switch {
	case !found:
		c.Extra++
		c.example("extra      %s", c.text(c.buf))
	case want != string(c.buf):
		c.Different++
		c.example("different  %s\n     want  %s", c.text(c.buf), c.text([]byte(want)))
	}
	delete(c.want, string(c.buf[:key])) // A second row of the key is extra.
	return nil
}

// end counts the rows that were not met.
func (c *comparer) end() {
	c.Missing = int64(len(c.want))
	for _, row := range c.want {
		c.example("missing    %s", c.text([]byte(row)))
	}
}

// appendCell appends a value so that no two rows become the same bytes: a NULL is no text, whatever it says.
func appendCell(dst []byte, value *string) []byte {
	if value == nil {
		return append(dst, 0)
	}
	return append(binary.AppendUvarint(dst, uint64(len(*value))+1), *value...)
}

// text returns a row for people.
func (c *comparer) text(row []byte) string {
	var out bytes.Buffer
	for i, column := range c.table.Columns {
		n, width := binary.Uvarint(row)
		row = row[width:]
		cell := Null
		if n > 0 {
			cell, row = string(row[:n-1]), row[n-1:]
		}
		if i > 0 {
			out.WriteString("  ")
		}
		out.WriteString(column.Name + "=" + printable(cell))
	}
	return out.String()
}
