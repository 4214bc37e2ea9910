package sink

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/apache/iceberg-go/catalog"
	icetable "github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/merge"
	"github.com/cdcd-project/cdcd/internal/readback"
	"github.com/cdcd-project/cdcd/internal/row"
)

// newLogWriter returns a writer of a table without identifier fields, to which rows are only added.
func newLogWriter(t *testing.T) (*writer, *meddling) {
	t.Helper()
	s, cat := newSink(t)
	m := &meddling{Catalog: cat}
	s.o.Catalog = m
	schema := customerSchema()
	schema.Key, schema.Columns[0].Required = nil, false
	schema.Columns = append(schema.Columns, row.Column{Name: "share", Type: row.Type{Kind: row.Double}})
	o := customerOptions()
	o.Changelog = true
	table, err := s.Create(t.Context(), o, schema)
	if err != nil {
		t.Fatal(err)
	}
	return &writer{tb: t, ctx: t.Context(), table: table, batch: merge.NewBatch(table.Schema()), draft: table.Draft(), truth: map[string]string{}}, m
}

func (w *writer) append(id int64) {
	rows := w.batch.Rows()
	rows.Vectors[0].AppendInt64(id)
	rows.Vectors[1].AppendNull()
	rows.Vectors[2].AppendFloat64(0.5)
	rows.End()
	w.batch.Append()
	w.next++
	w.truth[fmt.Sprint(id)] = fmt.Sprintf("%d|∅|0.5", id)
}

func (w *writer) checkLog(cat catalog.Catalog) {
	w.tb.Helper()
	got, err := readback.Map(w.ctx, cat, w.table.o.Name, "cust_id")
	if err != nil {
		w.tb.Fatal(err)
	}
	if len(got) != len(w.truth) || w.table.Rows() != len(w.truth) {
		w.tb.Errorf("the table has %d rows, and tells of %d, want %d", len(got), w.table.Rows(), len(w.truth))
	}
	for k, v := range w.truth {
		if got[k] != v {
			w.tb.Errorf("row %s is %q, want %q", k, got[k], v)
		}
	}
}

// Rows without a key are appended, in several chunks and files; other tools may move them, and replies may be lost.
func TestChangelogIsOnlyAddedTo(t *testing.T) {
	w, m := newLogWriter(t)
	id := int64(0)
	fill := func() {
		for range 10 {
			id++
			w.append(id)
			if id%4 == 0 {
				w.chunk()
			}
		}
	}
	fill()
	if done := w.commit(); done.Inserted != 10 || done.Operation != string(icetable.OpAppend) {
		t.Errorf("committed %+v, want 10 inserted by an append", done)
	}
	m.act = func(do func() (icetable.Metadata, string, error)) (icetable.Metadata, string, error) {
		compact(t, m.Catalog, w.table.ident)
		return do()
	}
	fill()
	if done := w.commit(); done.Attempts != 2 {
		t.Errorf("%d attempts, want 2", done.Attempts)
	}
	m.act = func(do func() (icetable.Metadata, string, error)) (icetable.Metadata, string, error) {
		_, _, _ = do()
		return nil, "", errLostReply
	}
	fill()
	w.commit()
	w.checkLog(m)
	reopened, err := w.table.s.Open(t.Context(), w.table.o)
	if err != nil {
		t.Fatal(err)
	}
	w.table = reopened
	w.reset()
	fill()
	w.commit()
	w.checkLog(m)
}

// A tool that says that no row has changed, and has lost some, is found out by their number: there are no keys to compare.
func TestChangelogFindsRowsThatOthersLost(t *testing.T) {
	w, m := newLogWriter(t)
	w.append(1)
	w.commit()
	first := w.table.head
	w.append(2)
	w.commit()
	m.act = func(do func() (icetable.Metadata, string, error)) (icetable.Metadata, string, error) {
		replaceBy(t, m.Catalog, w.table, first)
		return do()
	}
	w.append(3)
	_, err := w.table.Commit(t.Context(), w.change())
	if h, ok := errors.AsType[*halt.Error](err); !ok || h.Reason != halt.ForeignRows {
		t.Errorf("committed with %v, want a halt for foreign rows", err)
	}
}

// replaceBy commits a replace that has the files of an earlier snapshot.
func replaceBy(t *testing.T, cat catalog.Catalog, tbl *Table, s *icetable.Snapshot) {
	t.Helper()
	id := int64(4712)
	_, _, err := cat.CommitTable(t.Context(), tbl.ident, nil, []icetable.Update{
		icetable.NewAddSnapshotUpdate(&icetable.Snapshot{
			SnapshotID: id, ParentSnapshotID: new(tbl.head.SnapshotID), SequenceNumber: tbl.meta.LastSequenceNumber() + 1,
			TimestampMs: tbl.meta.LastUpdatedMillis() + 1, ManifestList: s.ManifestList, SchemaID: s.SchemaID,
			Summary: &icetable.Summary{Operation: icetable.OpReplace, Properties: map[string]string{"total-data-files": "1"}},
		}),
		icetable.NewSetSnapshotRefUpdate("main", id, icetable.BranchRef, 0, 0, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Rows with keys do not mix with rows without.
func TestBatchOfAChangelogHasNoKeys(t *testing.T) {
	w, _ := newLogWriter(t)
	w.batch.Delete(key(1))
	defer func() {
		if recover() == nil {
			t.Error("a row without a key was taken")
		}
	}()
	w.append(1)
}

// An operator's decision about a changelog goes through the same door.
func TestOperatorRewindsAChangelog(t *testing.T) {
	w, m := newLogWriter(t)
	w.append(1)
	w.commit()
	first, mark := w.table.head.SnapshotID, w.table.Bookmark()
	w.append(2)
	w.commit()
	done, err := w.table.s.Operate(t.Context(), w.table.o, Operation{Name: OperationRewind, Reason: "test", Decide: func(_ context.Context, _ Standing) (Decision, error) {
		return Decision{Snapshot: first}, nil
	}})
	if err != nil || !done.After.Equal(mark) {
		t.Fatalf("rewound to %s, %v, want %s", done.After, err, mark)
	}
	reopened, err := w.table.s.Open(t.Context(), w.table.o)
	if err != nil {
		t.Fatal(err)
	}
	w.table = reopened
	delete(w.truth, "2")
	w.checkLog(m)
}
