package sink

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestFirstCommitCreatesTheHead(t *testing.T) {
	s, cat := newSink(t)
	w := newWriter(t, s, customerOptions())
	w.upsert(1, "a")
	w.upsert(2, "b")
	done := w.commit()
	if done.Inserted != 2 || done.Operation != "append" {
		t.Errorf("committed %+v, want 2 inserted by an append", done)
	}
	w.check(cat)
}

func TestRandomChangesEqualTheTruth(t *testing.T) {
	s, cat := newSink(t)
	o := customerOptions()
	w := newWriter(t, s, o)
	r := rand.New(rand.NewPCG(1, 2))
	for commit := range 120 {
		for range 1 + r.IntN(60) {
			id := r.Int64N(200)
			if r.IntN(4) == 0 {
				w.delete(id)
			} else {
				w.upsert(id, fmt.Sprint("n", r.IntN(1000)))
			}
			if r.IntN(20) == 0 {
				w.chunk()
			}
		}
		w.commit()
		if commit%10 == 0 {
			w.check(cat)
		}
		if commit%25 == 24 { // A change of owner reads everything back from storage.
			reopened, err := s.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := reopened.Bookmark().String(), w.table.Bookmark().String(); got != want {
				t.Fatalf("bookmark %s, want %s", got, want)
			}
			w.table = reopened
			w.reset()
		}
		if n := len(w.table.live.deletes); n > maxDeleteFiles {
			t.Fatalf("%d delete files are live, want at most %d (I10)", n, maxDeleteFiles)
		}
	}
	w.check(cat)
}
