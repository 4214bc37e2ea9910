package sink

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/iceberg-go/table"
)

// days is how long a process may have been frozen.
const days = 5 * 24 * time.Hour

// age makes the draft as old as one whose process was frozen for a while.
func (w *writer) age(d time.Duration) { w.draft.started = w.draft.started.Add(-d) }

// dropBatch does what the pipeline does after an error: it drops the batch, and opens the table again.
func (w *writer) dropBatch() {
	w.tb.Helper()
	w.draft.Discard()
	w.table.Close()
	var err error
	if w.table, err = w.table.s.Open(w.ctx, w.table.o); err != nil {
		w.tb.Fatal(err)
	}
	w.reset()
}

// objects returns the names of the files in the table's folder that match a pattern.
func (w *writer) objects(pattern string) []string {
	w.tb.Helper()
	found, err := filepath.Glob(filepath.Join(strings.TrimPrefix(w.table.meta.Location(), "file://"), pattern))
	if err != nil {
		w.tb.Fatal(err)
	}
	return found
}

// A process that was frozen for days between writing and committing does not commit: others may have taken the files for
// orphans. The batch is read again, and nothing is lost.
func TestFilesOfDaysAgoAreNotCommitted(t *testing.T) {
	w, m := newMeddledWriter(t)
	m.act = func(func() (table.Metadata, string, error)) (table.Metadata, string, error) {
		t.Error("the catalog was asked to commit files of days ago")
		return nil, "", errLostReply
	}
	before, files := w.next, w.objects("data/*.parquet")
	w.upsert(1, "x")
	change := w.change()
	w.age(days)
	if _, err := w.table.Commit(w.ctx, change); !errors.Is(err, ErrStaleFiles) {
		t.Fatalf("the commit ended with %v, want ErrStaleFiles", err)
	}
	m.act, w.next = nil, before
	w.dropBatch()
	if now := w.objects("data/*.parquet"); len(now) != len(files) {
		t.Errorf("%d data files are left, want %d: nothing names the one of the draft", len(now), len(files))
	}
	w.upsert(1, "x")
	w.commit()
	w.check(m)
}

// A process that was frozen for days while its request was on the way does not send it again. The table's head tells whether
// it arrived all the same, and the files stay until then (I5).
func TestRequestOfDaysAgoIsNotSentAgain(t *testing.T) {
	for _, arrives := range []bool{false, true} {
		w, m := newMeddledWriter(t)
		var arrive func() (table.Metadata, string, error)
		m.act = func(first func() (table.Metadata, string, error)) (table.Metadata, string, error) {
			arrive = first
			w.age(days)
			m.act = func(func() (table.Metadata, string, error)) (table.Metadata, string, error) {
				t.Error("files of days ago were sent once more")
				return nil, "", errLostReply
			}
			return nil, "", errLostReply
		}
		before := w.next
		w.upsert(1, "x")
		if _, err := w.table.Commit(w.ctx, w.change()); !errors.Is(err, ErrStaleFiles) {
			t.Fatalf("the commit ended with %v, want ErrStaleFiles", err)
		}
		if m.act = nil; arrives {
			if _, _, err := arrive(); err != nil {
				t.Fatal(err)
			}
		}
		w.dropBatch()
		mark, _ := w.table.Bookmark().Partition("t", 0)
		if landed := mark.Next > before; landed != arrives {
			t.Fatalf("the table stands at %d: the request landed is %t, want %t", mark.Next, landed, arrives)
		}
		if w.next = mark.Next; !arrives {
			w.upsert(1, "x")
		}
		w.upsert(2, "y")
		w.commit()
		w.check(m)
	}
}

// Delete files and manifests grow old as well: a commit without rows is not sent again after days either.
func TestRequestWithoutRowsOfDaysAgoIsNotSentAgain(t *testing.T) {
	w, m := newMeddledWriter(t)
	w.delete(1)
	change := w.change()
	st, err := w.table.stage(w.ctx, 4711, change)
	if err != nil {
		t.Fatal(err)
	}
	st.begun = st.begun.Add(-days)
	if _, err := w.table.send(w.ctx, st, change.Draft); !errors.Is(err, ErrStaleFiles) {
		t.Fatalf("the commit ended with %v, want ErrStaleFiles", err)
	}
	for _, path := range st.written {
		if f, err := w.table.fs.Open(path); !errors.Is(err, fs.ErrNotExist) {
			if err == nil {
				f.Close()
			}
			t.Errorf("%s is left (%v), although no request named it", path, err)
		}
	}
	w.dropBatch()
	w.delete(1)
	w.commit()
	w.check(m)
}
