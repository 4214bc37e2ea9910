package sink

import (
	"context"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/wiretest"
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

var errLostReply = wiretest.ErrNoReply

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
