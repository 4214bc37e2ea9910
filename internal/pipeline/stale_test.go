package pipeline_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// away is a catalog that refuses all commits until it is back.
type away struct {
	catalog.Catalog
	back atomic.Bool
}

func (a *away) CommitTable(ctx context.Context, ident table.Identifier, reqs []table.Requirement, updates []table.Update) (table.Metadata, string, error) {
	if !a.back.Load() {
		return nil, "", errors.New("connection refused")
	}
	return a.Catalog.CommitTable(ctx, ident, reqs, updates)
}

// A batch whose files have grown too old, because the catalog was away for so long, is read again and written anew: over
// and over, and nothing is lost or doubled.
func TestBatchWithOldFilesIsReadAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	cat := &away{Catalog: w.catalog}
	w.produce(e.upsert("c", "1", `"a"`), e.upsert("c", "2", `"b"`))
	p := w.start(soon(mirror("d.t", "shop")), func(o *pipeline.Options) {
		o.Sink = sink.New(sink.Options{
			Catalog: cat, Version: "test", Delete: true, Backoff: 5 * time.Millisecond, FileAge: 200 * time.Millisecond,
			Logger: o.Logger,
		})
	})
	w.eventually("the batch is read again, twice", func() bool { return p.metric("cdcd_table_restarts_total", "table=d.t") >= 2 })
	w.produce(e.upsert("u", "1", `"c"`), e.upsert("c", "3", `"d"`))
	cat.back.Store(true)
	w.eventually("all rows are committed", func() bool { return w.next("d.t", "shop", 0) == 4 })
	w.expect("d.t", []string{"id"}, map[string]string{"1": "1|c", "2": "2|b", "3": "3|d"})
	for _, entry := range p.log.entries("restarted table") {
		if entry["err"] != "commit: "+sink.ErrStaleFiles.Error() {
			t.Errorf("restarted for another reason: %v", entry["err"])
		}
	}
}
