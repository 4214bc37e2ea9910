package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// A reportLine is one comparison: a scenario's tables through one catalog with one reader.
type reportLine struct {
	scenario, catalog, reader string
	what                      string
	rows, mismatches          int
	took                      time.Duration
}

// report collects what was compared.
type report struct{ lines []reportLine }

func (r *report) add(l reportLine) { r.lines = append(r.lines, l) }

func (r *report) mismatches() int {
	n := 0
	for _, l := range r.lines {
		n += l.mismatches
	}
	return n
}

func (r *report) print(out io.Writer) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "SCENARIO\tCATALOG\tREADER\tTABLE\tROWS\tMISMATCHES\tSECONDS")
	rows := 0
	for _, l := range r.lines {
		rows += l.rows
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%d\t%.1f\n", l.scenario, l.catalog, l.reader, l.what, l.rows, l.mismatches, l.took.Seconds())
	}
	_ = t.Flush()
	_, _ = fmt.Fprintf(out, "%d comparisons, %d rows, %d mismatches\n", len(r.lines), rows, r.mismatches())
}
