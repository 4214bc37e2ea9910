package pipeline_test

import (
	"errors"
	"fmt"

	"github.com/cdcd-project/cdcd/internal/pipeline"
)

// reaches waits until a table has so many rows.
func (w *world) reaches(table string, rows int) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("%s has %d rows", table, rows), func() bool { return len(w.rows(table, "id")) == rows })
}

// running starts a process that maintains d.t from topic shop, and waits for its first row. change may be nil.
func (w *world) running(change func(*pipeline.Options)) *process {
	w.t.Helper()
	w.produce(customers("shop").upsert("c", "1", `"Ann"`))
	p := w.start(soon(mirror("d.t", "shop")), change)
	w.reaches("d.t", 1)
	return p
}

// notHalted fails the test if a table is said to be halted.
func (p *process) notHalted() {
	p.w.t.Helper()
	if n := p.metric("cdcd_table_halted"); n != 0 {
		p.w.t.Errorf("%v tables are said to be halted, want none", n)
	}
}

// settle runs a table to its end, where bad records are no failure.
func (w *world) settle(target pipeline.Table) *process {
	w.t.Helper()
	p, err := w.runToEnd([]pipeline.Table{target}, nil)
	if err != nil && !errors.Is(err, pipeline.ErrQuarantined) {
		w.t.Fatal(err)
	}
	return p
}

// mustSetAside is settle for a table that sets records aside, which the run tells at its end.
func (w *world) mustSetAside(target pipeline.Table) *process {
	w.t.Helper()
	p, err := w.runToEnd([]pipeline.Table{target}, nil)
	if !errors.Is(err, pipeline.ErrQuarantined) || errors.Is(err, pipeline.ErrHalted) {
		w.t.Fatalf("got %v, want %v", err, pipeline.ErrQuarantined)
	}
	return p
}
