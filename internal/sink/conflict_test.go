package sink

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/halt"
)

// meddling lets a test step in at the next commit request: act does the request as it sees fit.
type meddling struct {
	catalog.Catalog
	act func(do func() (table.Metadata, string, error)) (table.Metadata, string, error)
}

func (m *meddling) CommitTable(ctx context.Context, ident table.Identifier, reqs []table.Requirement, updates []table.Update) (table.Metadata, string, error) {
	ctx = context.WithoutCancel(ctx) // A request may arrive after its sender gave it up.
	do := func() (table.Metadata, string, error) { return m.Catalog.CommitTable(ctx, ident, reqs, updates) }
	if act := m.act; act != nil {
		m.act = nil
		return act(do)
	}
	return do()
}

var errLostReply = errors.New("connection reset by peer")

// newMeddledWriter returns a writer whose table has three customers, and the catalog to meddle with.
func newMeddledWriter(t *testing.T) (*writer, *meddling) {
	t.Helper()
	s, cat := newSink(t)
	m := &meddling{Catalog: cat}
	s.o.Catalog = m
	w := newWriter(t, s, customerOptions())
	for id, name := range []string{"a", "b", "c"} {
		w.upsert(int64(id), name)
	}
	w.commit()
	return w, m
}

func TestLostReplyOfACommitThatLandedCountsOnce(t *testing.T) {
	w, m := newMeddledWriter(t)
	m.act = func(do func() (table.Metadata, string, error)) (table.Metadata, string, error) {
		if _, _, err := do(); err != nil {
			t.Error(err)
		}
		return nil, "", errLostReply
	}
	before := len(w.table.meta.Snapshots())
	w.upsert(1, "x")
	w.commit()
	if n := len(w.table.meta.Snapshots()); n != before+1 {
		t.Errorf("%d snapshots, want %d (I5)", n, before+1)
	}
	w.check(m)
}

func TestRefusedCommitIsSentAgain(t *testing.T) {
	w, m := newMeddledWriter(t)
	m.act = func(func() (table.Metadata, string, error)) (table.Metadata, string, error) {
		return nil, "", errLostReply
	}
	w.upsert(1, "x")
	w.commit()
	w.check(m)
}

func TestCommitThatLandsAfterItWasSentAgainLandsOnce(t *testing.T) {
	w, m := newMeddledWriter(t)
	m.act = func(first func() (table.Metadata, string, error)) (table.Metadata, string, error) {
		m.act = func(func() (table.Metadata, string, error)) (table.Metadata, string, error) {
			meta, location, err := first() // The first request arrives while the second is on its way.
			if err != nil {
				t.Error(err)
			}
			_, _ = meta, location
			return nil, "", errLostReply
		}
		return nil, "", errLostReply
	}
	before := len(w.table.meta.Snapshots())
	w.upsert(1, "x")
	w.commit()
	if n := len(w.table.meta.Snapshots()); n != before+1 {
		t.Errorf("%d snapshots, want %d (I5)", n, before+1)
	}
	w.check(m)
}

func TestWriterStandsDownWhenAnotherMovedTheBookmark(t *testing.T) {
	w, m := newMeddledWriter(t)
	other, err := w.table.s.Open(t.Context(), w.table.o)
	if err != nil {
		t.Fatal(err)
	}
	zombie := &writer{tb: t, ctx: t.Context(), table: other, draft: other.Draft(), batch: w.batch, next: w.next, truth: map[string]string{}}
	w.upsert(1, "x")
	w.commit()
	zombie.reset()
	zombie.upsert(1, "stale")
	if _, err := other.Commit(t.Context(), zombie.change()); !errors.Is(err, ErrStandDown) {
		t.Fatalf("the zombie's commit ended with %v, want ErrStandDown (I2)", err)
	}
	w.check(m)
}

func TestCommitIsRestagedOnACompactedHead(t *testing.T) {
	w, m := newMeddledWriter(t)
	w.upsert(1, "x") // Two data files, and a position delete.
	w.commit()
	m.act = func(do func() (table.Metadata, string, error)) (table.Metadata, string, error) {
		compact(t, m.Catalog, w.table.ident)
		return do()
	}
	w.upsert(2, "y") // Its old row stands in a file that is gone by now.
	w.delete(0)
	done := w.commit()
	if done.Attempts != 2 {
		t.Errorf("%d attempts, want 2", done.Attempts)
	}
	w.check(m)
	w.upsert(1, "z")
	w.commit()
	w.check(m)
}

// compact rewrites all data files into one, as other engines do: a replace without cdcd's bookmark.
func compact(t *testing.T, cat catalog.Catalog, ident table.Identifier) {
	t.Helper()
	loaded, err := cat.LoadTable(t.Context(), ident)
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := loaded.Scan().PlanFiles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	groups := []table.CompactionTaskGroup{{Tasks: tasks}}
	tx := loaded.NewTransaction()
	if _, err := tx.RewriteDataFiles(t.Context(), groups, table.RewriteDataFilesOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestForeignRowsHaltTheTable(t *testing.T) {
	w, m := newMeddledWriter(t)
	m.act = func(do func() (table.Metadata, string, error)) (table.Metadata, string, error) {
		appendCustomer(t, m.Catalog, w.table.ident, 77)
		return do()
	}
	w.upsert(2, "y")
	_, err := w.table.Commit(t.Context(), w.change())
	if h, ok := errors.AsType[*halt.Error](err); !ok || h.Reason != halt.ForeignRows {
		t.Fatalf("commit ended with %v, want foreign_rows", err)
	}
	_, err = w.table.s.Open(t.Context(), w.table.o)
	if h, ok := errors.AsType[*halt.Error](err); !ok || h.Reason != halt.ForeignRows {
		t.Fatalf("opening ended with %v, want foreign_rows", err)
	}
}

// appendCustomer adds a row as another engine would.
func appendCustomer(t *testing.T, cat catalog.Catalog, ident table.Identifier, id int64) {
	t.Helper()
	loaded, err := cat.LoadTable(t.Context(), ident)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := table.SchemaToArrowSchema(loaded.Schema(), nil, true, false)
	if err != nil {
		t.Fatal(err)
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	b.Field(0).(*array.Int64Builder).Append(id)
	b.Field(1).(*array.StringBuilder).Append("foreign")
	reader, err := array.NewRecordReader(schema, []arrowBatch{b.NewRecordBatch()})
	if err != nil {
		t.Fatal(err)
	}
	tx := loaded.NewTransaction()
	if err := tx.Append(t.Context(), reader, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A commit to another branch uses our sequence number up: the ref has not moved, but the snapshot has to be restaged.
func TestSequenceNumberTakenByAnotherBranch(t *testing.T) {
	w, m := newMeddledWriter(t)
	m.act = func(do func() (table.Metadata, string, error)) (table.Metadata, string, error) {
		commitToBranch(t, m.Catalog, w.table, "audit")
		return do()
	}
	w.upsert(2, "y")
	if done := w.commit(); done.Attempts != 2 {
		t.Errorf("%d attempts, want 2", done.Attempts)
	}
	w.check(m)
	for range 2 * customerOptions().RetainSnapshots { // Our expiry leaves the other branch alone.
		w.upsert(1, "again")
		w.commit()
	}
	if w.table.meta.SnapshotByName("audit") == nil {
		t.Error("the branch audit is gone")
	}
	w.check(m)
}

// commitToBranch forks a branch off the head and adds an empty snapshot to it.
func commitToBranch(t *testing.T, cat catalog.Catalog, tbl *Table, branch string) {
	t.Helper()
	head := tbl.head
	s := &table.Snapshot{
		SnapshotID: 4711, ParentSnapshotID: new(head.SnapshotID), SequenceNumber: tbl.meta.LastSequenceNumber() + 1, TimestampMs: time.Now().UnixMilli(),
		ManifestList: head.ManifestList, SchemaID: head.SchemaID,
		Summary: &table.Summary{Operation: table.OpReplace, Properties: iceberg.Properties{}},
	}
	_, _, err := cat.CommitTable(t.Context(), tbl.ident, nil, []table.Update{
		table.NewAddSnapshotUpdate(s), table.NewSetSnapshotRefUpdate(branch, s.SnapshotID, table.BranchRef, 0, 0, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOperatorsRollbackTakesTheBookmarkBack(t *testing.T) {
	w, m := newMeddledWriter(t)
	mark, head := w.table.Bookmark(), w.table.head.SnapshotID
	w.upsert(1, "x")
	w.commit()
	_, _, err := m.CommitTable(t.Context(), w.table.ident, nil, []table.Update{table.NewSetSnapshotRefUpdate("main", head, table.BranchRef, 0, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	reopened, err := w.table.s.Open(t.Context(), w.table.o)
	if err != nil {
		t.Fatal(err)
	}
	if got := reopened.Bookmark(); !got.Equal(mark) {
		t.Errorf("bookmark %s, want %s", got, mark)
	}
	if reopened.Rows() != 3 {
		t.Errorf("%d rows, want 3", reopened.Rows())
	}
}

// A commit that landed unseen, and that another writer has gone on from since, is the past: whoever made it must not go on
// from its own bookmark, or what the other one committed is applied twice (I2).
func TestCommitThatARivalHasGoneOnFromStandsDown(t *testing.T) {
	w, m := newMeddledWriter(t)
	m.act = func(do func() (table.Metadata, string, error)) (table.Metadata, string, error) {
		if _, _, err := do(); err != nil {
			t.Error(err)
		}
		rival, err := w.table.s.Open(t.Context(), w.table.o)
		if err != nil {
			t.Fatal(err)
		}
		mark := bookmark.Bookmark{Cluster: "c"}
		mark.Set("t", "id", bookmark.Partition{Next: 100, Epoch: -1})
		if _, err := rival.Commit(t.Context(), Change{Bookmark: mark}); err != nil {
			t.Error(err)
		}
		return nil, "", errLostReply
	}
	w.upsert(2, "b")
	if _, err := w.table.Commit(t.Context(), w.change()); !errors.Is(err, ErrStandDown) {
		t.Errorf("Commit returned %v, want ErrStandDown: the bookmark is %s now", err, w.table.Bookmark())
	}
}
