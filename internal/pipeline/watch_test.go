package pipeline_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/catalog/rest"
	"github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// decide commits an operator's decision from another process.
func (w *world) decide(o pipeline.Table, op sink.Operation) {
	w.t.Helper()
	log := slog.New(slog.NewTextHandler(w.t.Output(), nil))
	if _, err := w.sink(w.catalog, log, nil).Operate(w.t.Context(), o.Sink, op); err != nil {
		w.t.Fatal(err)
	}
}

func staying(name sink.OperationName) sink.Operation {
	return sink.Operation{Name: name, Reason: "test", Decide: func(_ context.Context, at sink.Standing) (sink.Decision, error) {
		return sink.Decision{Bookmark: at.Bookmark}, nil
	}}
}

// An operator's command takes effect on a running process: it looks whether the table is another one, and starts again.
func TestHaltedTableGoesOnWhenAnOperatorHasDecided(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "bad")
	e := customers("bad")
	w.produce(e.upsert("c", "1", `"Ann"`), badRecords(e)[0].record, e.upsert("c", "2", `"Bob"`))
	tables := soon(mirror("d.bad", "bad"))
	p := w.start(tables, nil)
	p.halted("d.bad", "bad_record")
	time.Sleep(200 * time.Millisecond) // Commits of its own are nothing to look at.
	if n := len(p.log.entries("halted table")); n != 1 {
		t.Errorf("halted %d times, want 1: nobody has changed the table", n)
	}
	w.decide(tables[0], staying(sink.OperationResume))
	w.eventually("it has tried again, in vain", func() bool { return len(p.log.entries("halted table")) == 2 })
	w.decide(tables[0], sink.Operation{Name: sink.OperationSkip, Decide: func(_ context.Context, at sink.Standing) (sink.Decision, error) {
		at.Bookmark.Set("bad", "", bookmark.Partition{Next: 2, Epoch: 0})
		return sink.Decision{Bookmark: at.Bookmark}, nil
	}})
	w.reaches("d.bad", 2)
	p.notHalted()
	if n := len(p.log.entries("halted table")); n != 2 {
		t.Errorf("halted %d times, want 2: once more after resume", n)
	}
	if n := len(p.log.entries("looked again at changed table")); n != 2 {
		t.Errorf("looked %d times at a changed table, want 2", n)
	}
}

// A quiet table notices as well, although it has nothing to commit.
func TestQuietTableNoticesAPauseAndItsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	w.produce(e.upsert("c", "1", `"Ann"`))
	tables := soon(mirror("d.shop", "shop"))
	p := w.start(tables, func(o *pipeline.Options) { o.QuietInterval = 100 * time.Millisecond })
	w.reaches("d.shop", 1)
	w.decide(tables[0], staying(sink.OperationPause))
	p.halted("d.shop", "paused")
	w.produce(e.upsert("c", "2", `"Bob"`))
	time.Sleep(300 * time.Millisecond)
	w.expect("d.shop", []string{"id"}, map[string]string{"1": "1|Ann"})
	w.decide(tables[0], staying(sink.OperationResume))
	w.reaches("d.shop", 2)
	n := len(w.snapshots("d.shop"))
	time.Sleep(500 * time.Millisecond)
	if got := len(w.snapshots("d.shop")); got > n+1 { // One bookmark alone may have been due.
		t.Errorf("a quiet table got %d more commits", got-n)
	}
}

// A bounded run does not wait for an operator.
func TestBoundedRunEndsAtAPausedTable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	w.produce(e.upsert("c", "1", `"Ann"`))
	w.mustRunToEnd(mirror("d.shop", "shop"))
	w.decide(mirror("d.shop", "shop"), staying(sink.OperationPause))
	w.produce(e.upsert("c", "2", `"Bob"`))
	if _, err := w.runToEnd([]pipeline.Table{mirror("d.shop", "shop")}, nil); err == nil {
		t.Error("the run succeeded")
	}
	w.expect("d.shop", []string{"id"}, map[string]string{"1": "1|Ann"})
}

// A table that was dropped and is put back, and one that others have mended, go on by themselves.
func TestHaltedTableGoesOnWhenItIsPutBackOrMended(t *testing.T) {
	there, elsewhere := table.Identifier{"d", "shop"}, table.Identifier{"d", "gone"}
	commit := func(t *testing.T, w *world, update func(*table.UpdateSchema) *table.UpdateSchema) {
		t.Helper()
		loaded, err := w.catalog.LoadTable(t.Context(), there)
		if err != nil {
			t.Fatal(err)
		}
		tx := loaded.NewTransaction()
		if err := update(tx.UpdateSchema(true, true)).Commit(); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	rename := func(t *testing.T, w *world, from, to table.Identifier) {
		t.Helper()
		if _, err := w.catalog.RenameTable(t.Context(), from, to); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		reason    string
		mar, mend func(t *testing.T, w *world)
	}{
		{
			"table_dropped",
			func(t *testing.T, w *world) { rename(t, w, there, elsewhere) },
			func(t *testing.T, w *world) { rename(t, w, elsewhere, there) },
		},
		{
			"invalid_table",
			func(t *testing.T, w *world) {
				commit(t, w, func(u *table.UpdateSchema) *table.UpdateSchema {
					return u.AddColumn([]string{"at"}, iceberg.PrimitiveTypes.UUID, "", false, nil)
				})
			},
			func(t *testing.T, w *world) {
				commit(t, w, func(u *table.UpdateSchema) *table.UpdateSchema { return u.DeleteColumn([]string{"at"}) })
			},
		},
	} {
		t.Run(test.reason, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "shop")
			e := customers("shop")
			w.produce(e.upsert("c", "1", `"Ann"`))
			p := w.start(soon(mirror("d.shop", "shop")), nil)
			w.reaches("d.shop", 1)
			test.mar(t, w)
			w.produce(e.upsert("c", "2", `"Bob"`))
			p.halted("d.shop", test.reason)
			test.mend(t, w)
			w.reaches("d.shop", 2)
		})
	}
}

// forbidding is a catalog that refuses its caller for a while.
type forbidding struct {
	catalog.Catalog

	refuse atomic.Bool
}

func (f *forbidding) LoadTable(ctx context.Context, ident table.Identifier) (*table.Table, error) {
	if f.refuse.Load() {
		return nil, fmt.Errorf("load table: %w", rest.ErrForbidden)
	}
	return f.Catalog.LoadTable(ctx, ident)
}

// Access that was refused is tried again by itself (README, "Operate it").
func TestTableGoesOnWhenAccessIsGranted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	w.produce(customers("shop").upsert("c", "1", `"Ann"`))
	f := &forbidding{Catalog: w.catalog}
	f.refuse.Store(true)
	p := w.start(soon(mirror("d.shop", "shop")), func(o *pipeline.Options) { o.Sink = w.sink(f, o.Logger, nil) })
	p.halted("d.shop", "access_denied")
	f.refuse.Store(false)
	w.reaches("d.shop", 1)
}
