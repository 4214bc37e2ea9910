package demo

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/apache/iceberg-go/catalog"
	icetable "github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/readback"
)

const (
	topRows = 5
	// topQuery is what is shown after each step. A large shop has customers above handLast, too.
	topQuery = "SELECT * FROM salesdb.customer WHERE cust_id <= 9999 ORDER BY cust_id DESC LIMIT 5;"
)

// step is one step of the walk-through: what somebody types into the source database, and what is to be seen then.
type step struct {
	statements []string
	said       string
	do         func(s *Shop) []Message
}

func steps() []step {
	return []step{
		{
			statements: []string{
				"INSERT INTO customer VALUES (8887, 'Grace Hopper', 'MACHINERY');",
				"INSERT INTO customer VALUES (8888, 'Ada Lovelace', 'BUILDING');",
				"INSERT INTO customer VALUES (8889, 'Alan Turing', 'AUTOMOBILE');",
			},
			said: "Three customers came in. Their keys are new, so nothing in the table had to die.",
			do: func(s *Shop) []Message {
				return slices.Concat(s.InsertCustomer(8887, "Grace Hopper", "MACHINERY"), s.InsertCustomer(8888, "Ada Lovelace", "BUILDING"),
					s.InsertCustomer(8889, "Alan Turing", "AUTOMOBILE"))
			},
		},
		{
			statements: []string{
				"UPDATE customer SET name = 'Ada King', mktsegment = 'FURNITURE' WHERE cust_id = 8888;",
				"UPDATE customer SET mktsegment = 'HOUSEHOLD' WHERE cust_id = 8889;",
			},
			said: "Two customers changed: their old rows are deleted by position, and the new ones appended.",
			do: func(s *Shop) []Message {
				return slices.Concat(s.UpdateCustomer(8888, "Ada King", "FURNITURE"), s.UpdateCustomer(8889, "Alan Turing", "HOUSEHOLD"))
			},
		},
		{
			statements: []string{"DELETE FROM customer WHERE cust_id = 8887;"},
			said:       "Customer 8887 is gone.",
			do:         func(s *Shop) []Message { return s.DeleteCustomer(8887) },
		},
		{
			statements: []string{"INSERT INTO customer VALUES (9000, 'Edsger Dijkstra', 'MACHINERY');"},
			said:       "Customer 9000 came in.",
			do:         func(s *Shop) []Message { return s.InsertCustomer(9000, "Edsger Dijkstra", "MACHINERY") },
		},
	}
}

// walkThrough plays the steps by hand, and shows the table after each.
func (p *player) walkThrough(ctx context.Context) error {
	p.Screen.Print("\nBy hand, in the source database:")
	for _, s := range steps() {
		p.Screen.Print("")
		for _, statement := range s.statements {
			p.Screen.Print("  mysql>    %s", statement)
		}
		started := time.Now()
		if err := p.send(ctx, s.do(p.Shop)...); err != nil {
			return err
		}
		if err := p.settle(ctx); err != nil {
			return err
		}
		table, err := topCustomers(ctx, p.Catalog)
		if err != nil {
			return err
		}
		p.Screen.Print("  %s Committed %.1f s after the change.\n  iceberg>  %s\n%s", s.said, time.Since(started).Seconds(), topQuery, table)
	}
	return nil
}

// topCustomers answers topQuery, as aligned lines under a heading.
func topCustomers(ctx context.Context, cat catalog.Catalog) (string, error) {
	var heading []string
	var top [][]string
	id := -1
	err := readback.Rows(ctx, cat, databaseName+".customer", icetable.MainBranch, func(names []string, values []*string) error {
		if heading == nil {
			heading, id = slices.Clone(names), slices.Index(names, "cust_id")
		}
		if id < 0 || values[id] == nil {
			return fmt.Errorf("table %s.customer: a row without cust_id", databaseName)
		}
		if n, err := strconv.Atoi(*values[id]); err != nil || n > handLast {
			return err
		}
		row := make([]string, len(values))
		for i, v := range values {
			row[i] = Null
			if v != nil {
				row[i] = printable(*v)
			}
		}
		i, _ := slices.BinarySearchFunc(top, row, func(a, b []string) int { return cmp.Compare(number(b[id]), number(a[id])) })
		if i < topRows {
			top = slices.Insert(top, i, row)
			top = top[:min(len(top), topRows)]
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, row := range slices.Concat([][]string{heading}, top) {
		_, _ = fmt.Fprintf(w, "            %s\n", strings.Join(row, "\t")) // Into memory.
	}
	_ = w.Flush()
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// number returns the value of a text that is known to be one.
func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}
