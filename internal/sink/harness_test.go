package sink

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/apache/iceberg-go/catalog"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/merge"
	"github.com/cdcd-project/cdcd/internal/readback"
	"github.com/cdcd-project/cdcd/internal/row"
)

const customers = "salesdb.customer"

func customerSchema() *row.Schema {
	return &row.Schema{Columns: []row.Column{
		{Name: "cust_id", Type: row.Type{Kind: row.Long}, Required: true},
		{Name: "name", Type: row.Type{Kind: row.String}},
	}, Key: []int{0}}
}

func customerOptions() TableOptions {
	return TableOptions{
		Name: customers, Ref: "main", TargetFileBytes: 1 << 20, RetainSnapshots: 10, RetainAge: time.Hour,
	}
}

// newSink returns a sink on an SQLite catalog and a folder, which are the test's own.
func newSink(t testing.TB) (*Sink, catalog.Catalog) {
	t.Helper()
	dir := t.TempDir()
	cat, err := OpenCatalog(t.Context(), CatalogOptions{
		Type: "sql", URI: "sqlite:" + filepath.Join(dir, "catalog.db"), Warehouse: "file://" + dir,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cat.Close(); err != nil {
			t.Error(err)
		}
	})
	return New(Options{Catalog: cat, Version: "test", Delete: true, Backoff: time.Millisecond, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}), cat
}

// writer folds changes of a customer table as the pipeline does, and keeps the truth beside it.
type writer struct {
	tb    testing.TB
	ctx   context.Context //nolint:containedctx // The test's, with the catalog's AWS configuration if it has one.
	table *Table
	batch *merge.Batch
	draft *Draft
	next  int64
	truth map[string]string
}

func newWriter(tb testing.TB, s *Sink, o TableOptions) *writer {
	tb.Helper()
	return newWriterIn(tb.Context(), tb, s, o)
}

func newWriterIn(ctx context.Context, tb testing.TB, s *Sink, o TableOptions) *writer {
	tb.Helper()
	table, err := s.Create(context.WithoutCancel(ctx), o, customerSchema())
	if err != nil {
		tb.Fatal(err)
	}
	return &writer{tb: tb, ctx: ctx, table: table, batch: merge.NewBatch(table.Schema()), draft: table.Draft(), truth: map[string]string{}}
}

func key(id int64) []byte { return row.AppendKeyInt(nil, id) }

func (w *writer) upsert(id int64, name string) {
	rows := w.batch.Rows()
	rows.Vectors[0].AppendInt64(id)
	rows.Vectors[1].AppendBytes([]byte(name))
	for i := 2; i < len(rows.Vectors); i++ {
		rows.Vectors[i].AppendNull()
	}
	rows.End()
	w.batch.Upsert(key(id))
	w.next++
	w.truth[fmt.Sprint(id)] = fmt.Sprintf("%d|%s", id, name)
}

func (w *writer) delete(id int64) {
	w.batch.Delete(key(id))
	w.next++
	delete(w.truth, fmt.Sprint(id))
}

// chunk writes the open chunk to the draft.
func (w *writer) chunk() {
	w.tb.Helper()
	if rows := w.batch.Chunk(); rows != nil {
		file, first, err := w.draft.Write(w.ctx, rows)
		if err != nil {
			w.tb.Fatal(err)
		}
		w.batch.Placed(file, first)
	}
}

func (w *writer) change() Change {
	w.tb.Helper()
	w.chunk()
	b := bookmark.Bookmark{Cluster: "c"}
	b.Set("t", "id", bookmark.Partition{Next: w.next, Epoch: -1})
	return Change{Batch: w.batch, Draft: w.draft, Bookmark: b}
}

func (w *writer) commit() Committed {
	w.tb.Helper()
	done, err := w.table.Commit(w.ctx, w.change())
	if err != nil {
		w.tb.Fatal(err)
	}
	w.reset()
	return done
}

func (w *writer) reset() {
	w.batch.Reset(w.table.Schema())
	w.draft = w.table.Draft()
}

// check compares the table, as iceberg-go's own scan reads it, with the truth.
func (w *writer) check(cat catalog.Catalog) {
	w.tb.Helper()
	got, err := readback.Map(w.ctx, cat, w.table.o.Name, "cust_id")
	if err != nil {
		w.tb.Fatal(err)
	}
	if len(got) != len(w.truth) {
		w.tb.Errorf("table has %d rows, want %d", len(got), len(w.truth))
	}
	for k, v := range w.truth {
		if got[k] != v {
			w.tb.Fatalf("row %s is %q, want %q", k, got[k], v)
		}
	}
	if w.table.Rows() != len(w.truth) {
		w.tb.Errorf("index has %d rows, want %d (I4)", w.table.Rows(), len(w.truth))
	}
}
