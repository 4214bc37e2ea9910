package sink

import (
	"fmt"
	"math/rand/v2"
	"testing"

	icetable "github.com/apache/iceberg-go/table"
)

// truncation is the change that empties the table, and moves the bookmark over one record.
func (w *writer) truncation() Change {
	w.tb.Helper()
	w.next++
	clear(w.truth)
	c := w.change()
	c.Batch, c.Draft, c.Truncate = nil, nil, true
	return c
}

func (w *writer) truncate() Committed {
	w.tb.Helper()
	done, err := w.table.Commit(w.ctx, w.truncation())
	if err != nil {
		w.tb.Fatal(err)
	}
	w.reset()
	return done
}

func TestTruncateLeavesNoFileAndCountsWhatWent(t *testing.T) {
	s, cat := newSink(t)
	w := newWriter(t, s, customerOptions())
	for commit := range 3 {
		for id := range int64(10) {
			w.upsert(id, fmt.Sprint(commit))
		}
		w.commit()
	}
	w.delete(3)
	w.commit()
	before := w.table.live
	data, deletes, records := len(before.data), len(before.deletes), int64(0)
	for _, f := range before.data {
		records += f.file.Count()
	}
	done := w.truncate()
	if done.Operation != "delete" || done.Deleted != 9 {
		t.Errorf("committed %+v, want 9 rows gone by a delete", done)
	}
	p := summaryOf(w.table.head).Properties
	for key, want := range map[string]string{
		"deleted-data-files": fmt.Sprint(data), "deleted-records": fmt.Sprint(records), "removed-position-delete-files": fmt.Sprint(deletes),
		"total-data-files": "0", "total-delete-files": "0", "total-records": "0", "total-position-deletes": "0", "total-files-size": "0",
	} {
		if p[key] != want {
			t.Errorf("the summary says %s = %q, want %s", key, p[key], want)
		}
	}
	w.check(cat)
	if again := w.truncate(); again.Operation != string(icetable.OpReplace) {
		t.Errorf("truncating no row is a %s, want a replace", again.Operation)
	}
	w.upsert(3, "back")
	w.commit()
	w.check(cat)
}

// Truncates among random changes, owners that change, compactions in between and replies that are lost.
func TestRandomTruncatesEqualTheTruth(t *testing.T) {
	w, m := newMeddledWriter(t)
	r := rand.New(rand.NewPCG(3, 4))
	for commit := range 60 {
		switch r.IntN(4) {
		case 0:
			m.act = func(do func() (icetable.Metadata, string, error)) (icetable.Metadata, string, error) {
				compact(t, m.Catalog, w.table.ident)
				return do()
			}
		case 1:
			m.act = func(do func() (icetable.Metadata, string, error)) (icetable.Metadata, string, error) {
				_, _, _ = do()
				return nil, "", errLostReply
			}
		}
		if r.IntN(3) == 0 {
			w.truncate()
		} else {
			for range 1 + r.IntN(30) {
				if id := r.Int64N(40); r.IntN(4) == 0 {
					w.delete(id)
				} else {
					w.upsert(id, fmt.Sprint("n", r.IntN(1000)))
				}
			}
			w.commit()
		}
		m.act = nil
		w.check(m)
		if commit%10 == 9 {
			reopened, err := w.table.s.Open(t.Context(), w.table.o)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := reopened.Bookmark().String(), w.table.Bookmark().String(); got != want {
				t.Fatalf("bookmark %s, want %s", got, want)
			}
			w.table = reopened
			w.reset()
			w.check(m)
		}
	}
}
