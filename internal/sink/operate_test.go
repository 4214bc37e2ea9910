package sink

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
	"github.com/google/go-cmp/cmp"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/halt"
)

// mark returns the bookmark that writer uses, at an offset.
func mark(next int64) bookmark.Bookmark {
	b := bookmark.Bookmark{Cluster: "c"}
	b.Set("t", "id", bookmark.Partition{Next: next, Epoch: -1})
	return b
}

// stays returns an operation that leaves rows and bookmark as they are.
func stays(name OperationName, reason string) Operation {
	return Operation{Name: name, Reason: reason, Decide: func(_ context.Context, at Standing) (Decision, error) {
		return Decision{Bookmark: at.Bookmark}, nil
	}}
}

// rewindTo returns an operation that brings the rows of a snapshot back.
func rewindTo(id int64) Operation {
	return Operation{Name: OperationRewind, Decide: func(context.Context, Standing) (Decision, error) { return Decision{Snapshot: id}, nil }}
}

func (w *writer) operate(op Operation) Operated {
	w.tb.Helper()
	done, err := w.table.s.Operate(w.ctx, w.table.o, op)
	if err != nil {
		w.tb.Fatal(err)
	}
	return done
}

// reopen opens the table as its next owner does, which has read the log up to the bookmark.
func (w *writer) reopen(truth map[string]string) {
	w.tb.Helper()
	opened, err := w.table.s.Open(w.ctx, w.table.o)
	if err != nil {
		w.tb.Fatal(err)
	}
	p, _ := opened.Bookmark().Partition("t", 0)
	w.table, w.next, w.truth = opened, p.Next, truth
	w.reset()
}

// head returns the table's present head.
func head(t *testing.T, m *meddling) *table.Snapshot {
	t.Helper()
	loaded, err := m.LoadTable(t.Context(), strings.Split(customers, "."))
	if err != nil {
		t.Fatal(err)
	}
	return loaded.CurrentSnapshot()
}

// wantHalt checks why opening the table is refused.
func (w *writer) wantHalt(reason halt.Reason) {
	w.tb.Helper()
	_, err := w.table.s.Open(w.ctx, w.table.o)
	h, ok := errors.AsType[*halt.Error](err)
	if !ok || h.Reason != reason {
		w.tb.Fatalf("opening ended with %v, want %s", err, reason)
	}
}

// A rewind lays the old rows on top of the head, with their bookmark: the owner that runs meanwhile stands down, reads again from
// there, and the table ends equal. Old files stay for as long as anything refers to them.
func TestRewindToASnapshotBringsRowsAndBookmarkBack(t *testing.T) {
	w, m := newMeddledWriter(t)
	w.upsert(1, "x")
	w.delete(0)
	w.commit()
	back, truth, next := w.table.head.SnapshotID, maps.Clone(w.truth), w.next
	for i := range 5 { // What the old rows stand in is superseded by and by.
		w.upsert(int64(i), "later")
		w.commit()
	}
	before := w.table.head
	done := w.operate(rewindTo(back))
	now := head(t, m)
	if now.SnapshotID != done.SnapshotID || *now.ParentSnapshotID != before.SnapshotID || now.SequenceNumber != before.SequenceNumber+1 {
		t.Errorf("the head is %v, want a child of %v", now, before)
	}
	if now.Summary.Operation != table.OpOverwrite || now.Summary.Properties["cdcd.operation"] != "rewind" {
		t.Errorf("the head is a %v", now.Summary)
	}
	var detail Detail
	if err := json.Unmarshal([]byte(now.Summary.Properties["cdcd.operation.detail"]), &detail); err != nil {
		t.Fatal(err)
	}
	want := Detail{Snapshot: back, Moved: []Move{{"t", 0, w.next, next}}}
	if diff := cmp.Diff(want, detail); diff != "" || !done.After.Equal(mark(next)) {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}

	w.upsert(7, "stale")
	if _, err := w.table.Commit(t.Context(), w.change()); !errors.Is(err, ErrStandDown) {
		t.Fatalf("the owner's commit ended with %v, want ErrStandDown (I2)", err)
	}
	w.table.Close()
	w.reopen(truth)
	if w.next != next {
		t.Errorf("the next owner begins at %d, want %d", w.next, next)
	}
	w.check(m)
	for i := range 2 * customerOptions().RetainSnapshots { // Everything before expires.
		w.upsert(int64(i%3), "again")
		w.commit()
	}
	w.check(m)
	if total := head(t, m).Summary.Properties["total-data-files"]; total == "" {
		t.Error("no total-data-files")
	}
}

// An owner that stands at the very bookmark that comes back must stand down as well: what it had given up is live again.
func TestRewindWithTheSameBookmarkEndsTheOwner(t *testing.T) {
	w, m := newMeddledWriter(t)
	back := w.table.head.SnapshotID
	compact(t, m.Catalog, w.table.ident)
	w.reopen(w.truth)
	if _, err := w.table.Commit(t.Context(), Change{Bookmark: mark(w.next)}); err != nil { // The bookmark alone, on the compacted head.
		t.Fatal(err)
	}
	w.operate(rewindTo(back))
	w.upsert(1, "x")
	if _, err := w.table.Commit(t.Context(), w.change()); !errors.Is(err, ErrStandDown) {
		t.Fatalf("the owner's commit ended with %v, want ErrStandDown", err)
	}
}

// What Open refuses can be rewound; everything else leaves such a table alone.
func TestRewindFromEveryFaultOfAHead(t *testing.T) {
	for _, test := range []struct {
		name    string
		prepare func(t *testing.T, w *writer, m *meddling)
		want    halt.Reason
	}{
		{"foreign rows", func(t *testing.T, w *writer, m *meddling) { appendCustomer(t, m.Catalog, w.table.ident, 77) }, halt.ForeignRows},
		{"bookmark lost", func(t *testing.T, w *writer, m *meddling) {
			maintainTwice(t, m.Catalog, w.table.ident)
			forget(t, w)
		}, halt.BookmarkLost},
		{"bookmark of another version", func(t *testing.T, w *writer, m *meddling) {
			setBookmark(t, w, m, `{"v":9}`)
		}, halt.BookmarkInvalid},
		{"paused", func(_ *testing.T, w *writer, _ *meddling) { w.operate(stays(OperationPause, "wait")) }, halt.Paused},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, m := newMeddledWriter(t)
			back := w.table.head.SnapshotID
			test.prepare(t, w, m)
			w.wantHalt(test.want)
			if test.want != halt.Paused {
				_, err := w.table.s.Operate(t.Context(), w.table.o, stays(OperationResume, ""))
				if h, ok := errors.AsType[*halt.Error](err); !ok || h.Reason != test.want {
					t.Errorf("resume ended with %v, want %s", err, test.want)
				}
			}
			w.operate(rewindTo(back))
			if test.want == halt.Paused { // It lasts until resume.
				w.wantHalt(halt.Paused)
				w.operate(stays(OperationResume, ""))
			}
			w.reopen(w.truth)
			w.check(m)
			w.upsert(1, "on")
			w.commit()
			w.check(m)
		})
	}
}

// forget removes all metadata.json files but the present one, so that nothing tells of what has expired.
func forget(t *testing.T, w *writer) {
	t.Helper()
	loaded, err := w.table.s.o.Catalog.LoadTable(t.Context(), w.table.ident)
	if err != nil {
		t.Fatal(err)
	}
	for e := range loaded.Metadata().PreviousFiles() {
		if err := w.table.fs.Remove(e.MetadataFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// An owner commits nothing on a paused table, whatever others put on top, until resume.
func TestPausedTableTakesNoCommits(t *testing.T) {
	w, m := newMeddledWriter(t)
	before := w.table.Bookmark()
	if done := w.operate(stays(OperationPause, "the source is being migrated")); !done.Paused || !done.After.Equal(before) {
		t.Errorf("paused: %+v", done)
	}
	w.upsert(1, "x")
	_, err := w.table.Commit(t.Context(), w.change())
	if h, ok := errors.AsType[*halt.Error](err); !ok || h.Reason != halt.Paused || !strings.Contains(err.Error(), "migrated") {
		t.Fatalf("the owner's commit ended with %v, want paused, and why", err)
	}
	w.draft.Discard()
	compact(t, m.Catalog, w.table.ident)
	w.wantHalt(halt.Paused)
	if done := w.operate(Operation{Name: OperationSkip, Decide: func(context.Context, Standing) (Decision, error) {
		return Decision{Bookmark: mark(w.next + 1)}, nil
	}}); !done.Paused {
		t.Error("skip has ended the pause")
	}
	w.wantHalt(halt.Paused)
	if done := w.operate(stays(OperationResume, "")); done.Paused {
		t.Error("resume has not ended the pause")
	}
	delete(w.truth, "1")
	w.truth["1"] = "1|b"
	w.reopen(w.truth)
	w.check(m)
}

func TestDryRunOfAnOperationWritesNothing(t *testing.T) {
	w, m := newMeddledWriter(t)
	back := w.table.head.SnapshotID
	w.upsert(1, "x")
	w.commit()
	before, was := objects(t, w.table), head(t, m).SnapshotID
	m.act = func(do func() (table.Metadata, string, error)) (table.Metadata, string, error) {
		t.Error("a commit was requested")
		return do()
	}
	op := rewindTo(back)
	op.DryRun = true
	if done := w.operate(op); done.SnapshotID != 0 || !done.After.Equal(mark(3)) || done.Parent != was {
		t.Errorf("the dry run says %+v", done)
	}
	if diff := cmp.Diff(before, objects(t, w.table)); diff != "" || head(t, m).SnapshotID != was {
		t.Errorf("objects (-before +after):\n%s", diff)
	}
}

// The owner's commit may come first: the decision is made anew, on what is there then.
func TestOperationStartsAgainAfterTheOwnersCommit(t *testing.T) {
	w, m := newMeddledWriter(t)
	m.act = func(do func() (table.Metadata, string, error)) (table.Metadata, string, error) {
		w.upsert(1, "first")
		w.commit()
		return do()
	}
	if done := w.operate(stays(OperationResume, "")); !done.Before.Equal(mark(4)) || !done.After.Equal(mark(4)) {
		t.Errorf("%+v, want the bookmark of the owner's commit", done)
	}
	if _, err := w.table.Commit(t.Context(), Change{Bookmark: mark(4)}); !errors.Is(err, ErrStandDown) {
		t.Errorf("the owner's next commit ended with %v, want ErrStandDown", err)
	}
	w.reopen(w.truth)
	w.check(m)
}

func TestOneOfTwoOperatorsLoses(t *testing.T) {
	w, m := newMeddledWriter(t)
	m.act = func(do func() (table.Metadata, string, error)) (table.Metadata, string, error) {
		w.operate(stays(OperationPause, "mine"))
		return do()
	}
	_, err := w.table.s.Operate(t.Context(), w.table.o, stays(OperationResume, ""))
	if !errors.Is(err, ErrDecidedMeanwhile) || !strings.Contains(err.Error(), "pause") {
		t.Errorf("the second operator's command ended with %v, want ErrDecidedMeanwhile", err)
	}
	w.wantHalt(halt.Paused)
}

func TestLostReplyOfAnOperationCountsOnce(t *testing.T) {
	for name, lands := range map[string]bool{"it landed": true, "it did not": false} {
		t.Run(name, func(t *testing.T) {
			w, m := newMeddledWriter(t)
			m.act = func(do func() (table.Metadata, string, error)) (table.Metadata, string, error) {
				if lands {
					if _, _, err := do(); err != nil {
						t.Error(err)
					}
				}
				return nil, "", errLostReply
			}
			before := len(w.table.meta.Snapshots())
			done := w.operate(stays(OperationResume, ""))
			loaded, err := m.LoadTable(t.Context(), w.table.ident)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(loaded.Metadata().Snapshots()); n != before+1 || head(t, m).SnapshotID != done.SnapshotID {
				t.Errorf("%d snapshots, want %d (I5)", n, before+1)
			}
		})
	}
}

// A target must be there, and carry a bookmark that tells from where to go on.
func TestRewindRefusesWhatIsNoTarget(t *testing.T) {
	w, m := newMeddledWriter(t)
	compact(t, m.Catalog, w.table.ident)
	foreign, was := head(t, m).SnapshotID, len(objects(t, w.table))
	for want, id := range map[string]int64{"expired": 4711, "no bookmark": foreign} {
		if _, err := w.table.s.Operate(t.Context(), w.table.o, rewindTo(id)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if head(t, m).SnapshotID != foreign || len(objects(t, w.table)) != was {
		t.Error("something was written")
	}
	if _, err := w.table.s.Operate(t.Context(), TableOptions{Name: "no.such", Ref: "main"}, rewindTo(1)); !errors.Is(err, ErrNoTable) {
		t.Errorf("got %v, want ErrNoTable", err)
	}
}

func TestAsOfTakesTheNewestSnapshotBefore(t *testing.T) {
	w, m := newMeddledWriter(t)
	ids := []int64{w.table.head.SnapshotID}
	times := []int64{w.table.head.TimestampMs}
	for range 2 {
		w.upsert(1, "x")
		w.commit()
		ids, times = append(ids, w.table.head.SnapshotID), append(times, w.table.head.TimestampMs)
	}
	compact(t, m.Catalog, w.table.ident) // No target: it carries no bookmark.
	w.operate(Operation{Name: OperationResume, DryRun: true, Decide: func(_ context.Context, at Standing) (Decision, error) {
		for i, id := range ids {
			if got, err := at.AsOf(time.UnixMilli(times[i])); err != nil || got != id {
				t.Errorf("as of snapshot %d: %d, %v, want %d", i, got, err, id)
			}
		}
		if got, err := at.AsOf(time.Now().Add(time.Hour)); err != nil || got != ids[2] {
			t.Errorf("as of an hour ahead: %d, %v, want %d", got, err, ids[2])
		}
		if got, err := at.AsOf(time.UnixMilli(times[0] - 1)); err == nil {
			t.Errorf("as of before the first: %d, want an error", got)
		}
		return Decision{Bookmark: at.Bookmark}, nil
	}})
}

// setBookmark puts a snapshot with a bookmark of somebody else's making on top.
func setBookmark(t *testing.T, w *writer, m *meddling, text string) {
	t.Helper()
	loaded, err := m.LoadTable(t.Context(), w.table.ident)
	if err != nil {
		t.Fatal(err)
	}
	s := *loaded.CurrentSnapshot()
	s.ParentSnapshotID, s.SnapshotID, s.SequenceNumber = new(s.SnapshotID), 4711, loaded.Metadata().LastSequenceNumber()+1
	s.Summary = &table.Summary{Operation: table.OpReplace, Properties: iceberg.Properties{keyBookmark: text}}
	if _, _, err := m.Catalog.CommitTable(t.Context(), w.table.ident, nil, []table.Update{
		table.NewAddSnapshotUpdate(&s), table.NewSetSnapshotRefUpdate("main", s.SnapshotID, table.BranchRef, 0, 0, 0),
	}); err != nil {
		t.Fatal(err)
	}
}
