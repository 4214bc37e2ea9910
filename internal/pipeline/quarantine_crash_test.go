package pipeline_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// fuse stands between a process and the catalog, and blows at one of its changes: before it is done, or before its reply comes. A dead
// process is one whose fuse has blown: nothing gets through any more.
type fuse struct {
	catalog.Catalog

	mu     sync.Mutex
	at     int // Which change.
	lose   bool
	revive bool // Nothing happens to the process, it only does not hear the reply.
	blown  bool
	calls  []string
}

// change does one change of the catalog.
func (f *fuse) change(what string, do func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, what)
	mine := len(f.calls) == f.at
	if f.dead() || mine && !f.lose {
		f.blown = f.blown || mine
		return errUnreachable
	}
	err := do()
	if mine {
		f.blown = true
		return errUnreachable
	}
	return err
}

func (f *fuse) dead() bool { return f.blown && !f.revive }

func (f *fuse) CommitTable(ctx context.Context, ident table.Identifier, reqs []table.Requirement, updates []table.Update) (meta table.Metadata, location string, err error) {
	err = f.change("commit "+ident[1], func() error {
		meta, location, err = f.Catalog.CommitTable(ctx, ident, reqs, updates)
		return err
	})
	return meta, location, err
}

func (f *fuse) CreateTable(ctx context.Context, ident table.Identifier, s *iceberg.Schema, o ...catalog.CreateTableOpt) (t *table.Table, err error) {
	err = f.change("create "+ident[1], func() error {
		t, err = f.Catalog.CreateTable(ctx, ident, s, o...)
		return err
	})
	return t, err
}

func (f *fuse) LoadTable(ctx context.Context, ident table.Identifier) (*table.Table, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead() {
		return nil, errUnreachable
	}
	return f.Catalog.LoadTable(ctx, ident)
}

// A process that dies at any of its changes of the catalog, and one that only does not hear what became of it, leave nothing out and
// nothing twice: neither in the table nor in its quarantine table.
func TestQuarantineIsExactAcrossCrashes(t *testing.T) {
	for _, lose := range []bool{false, true} {
		for _, revive := range []bool{false, true} {
			for at := 1; at <= 6; at++ {
				t.Run(fmt.Sprintf("change %d, lost %v, alive %v", at, lose, revive), func(t *testing.T) {
					t.Parallel()
					crashAt(t, &fuse{at: at, lose: lose, revive: revive})
				})
			}
		}
	}
}

func crashAt(t *testing.T, f *fuse) {
	t.Helper()
	w := newWorld(t, "shop")
	e, wide := customers("shop"), files("shop")
	bad := map[string]*kgo.Record{}
	spoil := func(n int) *kgo.Record {
		r := badRecords(e)[n].record
		r.Headers = headers()
		bad[badRecords(e)[n].reason] = r
		return r
	}
	w.produce(spoil(0), e.upsert("c", "1", `"Ann"`), spoil(2), e.upsert("c", "2", `"Bob"`), spoil(3),
		wide.upsert("c", "3", `"Cid"`, `"aGk="`), spoil(8), wide.upsert("u", "2", `"Bo"`, "null"), spoil(10)) // The wider schema cuts the batch.
	f.Catalog = w.catalog
	target := lenient("d.shop", 100, "shop")
	p := w.start([]pipeline.Table{target}, func(o *pipeline.Options) {
		o.Bounded, o.GracePeriod = true, time.Millisecond
		o.Sink = w.sink(f, o.Logger, nil)
	})
	if !f.revive {
		w.eventually("the process dies", func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.blown
		})
		p.cancel()
	}
	if err := p.wait(); f.revive && !errors.Is(err, pipeline.ErrQuarantined) {
		t.Fatal(err)
	}
	want := []string{"create shop_quarantine", "create shop", "commit shop_quarantine", "commit shop", "commit shop_quarantine", "commit shop"}
	if !f.revive && !slices.Equal(f.calls[:f.at], want[:f.at]) {
		t.Errorf("the changes were %v", f.calls)
	}
	w.settle(target)
	w.expect("d.shop", []string{"id"}, map[string]string{"1": "1|Ann|∅", "2": "2|Bo|∅", "3": "3|Cid|hex:6869"})
	w.expectQuarantined("d.shop", bad)
}

// A log that lost its tail may have another record at a coordinate that the quarantine table has: it is the one that counts.
func TestAnotherRecordAtAKnownCoordinateIsSetAside(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	bad := badRecords(e)[0].record
	w.produce(e.upsert("c", "1", `"Ann"`), bad)
	target := lenient("d.shop", 10, "shop")
	back := func() {
		w.decide(target, sink.Operation{Name: sink.OperationRewind, Decide: func(_ context.Context, at sink.Standing) (sink.Decision, error) {
			at.Bookmark.Set("shop", "", bookmark.Partition{Next: 0, Epoch: -1})
			return sink.Decision{Bookmark: at.Bookmark}, nil
		}})
		w.mustSetAside(target)
	}
	w.settle(target)
	back()
	if n := len(w.snapshots("d.shop_quarantine")); n != 1 {
		t.Errorf("%d commits for a record that is there, want 1", n)
	}
	w.replay(target, func(o *pipeline.ReplayOptions) { // Marks the record as it is given.
		o.Dismiss, o.Records[0].Value = true, []byte("what stood there before")
	})
	back()
	w.expectQuarantined("d.shop", map[string]*kgo.Record{"invalid_json": bad})
}

// rebind makes a table read a recreated topic from its beginning.
func (w *world) rebind(target pipeline.Table) {
	w.t.Helper()
	w.decide(target, sink.Operation{Name: sink.OperationRebind, Decide: func(_ context.Context, at sink.Standing) (sink.Decision, error) {
		for _, topic := range target.Topics {
			id := w.cluster.TopicInfo(topic).TopicID
			at.Bookmark.Set(topic, base64.RawURLEncoding.EncodeToString(id[:]), bookmark.Partition{Next: 0, Epoch: -1})
		}
		return sink.Decision{Bookmark: at.Bookmark}, nil
	}})
}

// deleteAll removes all rows of a table, as another engine does.
func deleteAll(t *testing.T, w *world, ident table.Identifier) {
	t.Helper()
	loaded, err := w.catalog.LoadTable(t.Context(), ident)
	if err != nil {
		t.Fatal(err)
	}
	tx := loaded.NewTransaction()
	if err := tx.Delete(t.Context(), iceberg.EqualTo(iceberg.Reference("partition"), int32(0)), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(w.quarantined(strings.TrimSuffix(strings.Join(ident, "."), pipeline.QuarantineSuffix))); n != 0 {
		t.Fatalf("%d rows are left", n)
	}
}

// contextUntil returns a context that ends when a fuse has blown, as a process does.
func contextUntil(t *testing.T, f *fuse) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, kill := context.WithCancel(t.Context())
	go func() {
		for ctx.Err() == nil {
			f.mu.Lock()
			if f.blown {
				kill()
			}
			f.mu.Unlock()
			time.Sleep(time.Millisecond)
		}
	}()
	return ctx, kill
}
