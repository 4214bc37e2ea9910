package sink

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cdcd-project/cdcd/internal/awstest"
	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// hurry takes the waits out of the SDK's retries of S3 calls; how often it tries stays.
func (w *world) hurry() {
	w.cat.(*Catalog).aws.Retryer = w.aws.Config().Retryer
}

// onObjects is a hook: the first requests of an operation for a kind of object meet the verdicts.
func onObjects(operation, kind string, verdicts ...wiretest.Verdict) func(*wiretest.Request) wiretest.Verdict {
	meet := wiretest.Meet(operation, verdicts...)
	return func(r *wiretest.Request) wiretest.Verdict {
		if r.Operation != operation || kindOf("/"+r.Key) != kind {
			return wiretest.Do()
		}
		return meet(r)
	}
}

// commitOrReadAgain commits the batch as the pipeline does: if it cannot be written, the table is opened again and the batch is read again.
func (w *world) commitOrReadAgain(batch func()) (again int) {
	w.t.Helper()
	w.settled = maps.Clone(w.truth)
	for ; again < 5; again++ {
		batch()
		err := w.tryChunk()
		if err == nil {
			_, err = w.table.Commit(w.ctx, w.change())
		}
		if err == nil {
			w.reset()
			return again
		}
		if errors.Is(err, ErrStandDown) || endOf(err) != "failed" {
			w.t.Fatal(err)
		}
		w.draft.Discard()
		w.truth = maps.Clone(w.settled)
		w.reopen()
	}
	w.t.Fatal("the commit never lands")
	return again
}

// tryChunk writes the open chunk to the draft.
func (w *world) tryChunk() error {
	rows := w.batch.Chunk()
	if rows == nil {
		return nil
	}
	file, first, err := w.draft.Write(w.ctx, rows)
	if err == nil {
		w.batch.Placed(file, first)
	}
	return err
}

// Whatever becomes of a write, the commit lands in the end, and nothing is left. A small object is written again by itself; the rows of a
// data file are gone with it once the SDK has given up, and the batch is read again.
func TestFailingWrites(t *testing.T) {
	slow, broken := wiretest.Refuse(http.StatusServiceUnavailable, awstest.SlowDown), wiretest.Refuse(http.StatusInternalServerError, awstest.InternalError)
	for name, verdicts := range map[string][]wiretest.Verdict{
		"once":                 {slow},
		"the reply is lost":    {wiretest.DoThenDrop()},
		"the request is lost":  {wiretest.Drop()},
		"done, then failed":    {wiretest.DoThenRefuse(http.StatusInternalServerError, awstest.InternalError)},
		"beyond the SDK's end": {slow, broken, slow, wiretest.Drop(), broken, slow, slow},
	} {
		for _, kind := range []string{"data file", "delete file", "manifest", "manifest list", "metadata.json"} {
			t.Run(name+" "+kind, func(t *testing.T) {
				w := newDamageableWorld(t, "glue")
				w.hurry()
				w.forget()
				w.onCatalog(onObjects("PutObject", kind, verdicts...))
				again := w.commitOrReadAgain(w.change1)
				if want := kind == "data file" && len(verdicts) > 3; (again > 0) != want {
					t.Errorf("the batch was read again %d times", again)
				}
				if n := wiretest.Count(w.requests(), "PutObject"); n > 25 {
					t.Errorf("%d objects were put", n)
				}
				w.heal()
				w.check(w.cat)
				if orphans := w.checkFiles(); len(orphans) > 0 {
					t.Errorf("left behind: %v", orphans)
				}
			})
		}
	}
}

// S3 tells everybody to slow down for a while: cdcd asks less and less often, says so, and loses nothing.
func TestStormOfSlowDown(t *testing.T) {
	w := newDamageableWorld(t, "glue")
	w.hurry()
	var warned atomic.Int64
	w.table.log = slog.New(counting{slog.DiscardHandler, &warned})
	w.forget()
	end := time.Now().Add(700 * time.Millisecond)
	w.onCatalog(func(r *wiretest.Request) wiretest.Verdict {
		if r.Service == awstest.S3 && r.Operation != "PutObject" || kindOf("/"+r.Key) == "data file" || time.Now().After(end) {
			return wiretest.Do()
		}
		if r.Service == awstest.S3 {
			return wiretest.Refuse(http.StatusServiceUnavailable, awstest.SlowDown)
		}
		return wiretest.Do()
	})
	w.change1()
	w.commit()
	refused := 0
	for _, r := range w.requests() {
		if r.Code == awstest.SlowDown {
			refused++
		}
	}
	if refused < 9 || refused > 60 { // Three by the SDK each time, and waits from 1 ms that double.
		t.Errorf("%d requests were refused", refused)
	}
	if warned.Load() == 0 {
		t.Error("the log says nothing")
	}
	w.heal()
	w.check(w.cat)
}

// counting counts warnings.
type counting struct {
	slog.Handler
	n *atomic.Int64
}

func (c counting) Enabled(context.Context, slog.Level) bool { return true }

func (c counting) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		c.n.Add(1)
	}
	return nil
}

// A write that takes longer than everything around it is waited for.
func TestSlowWriteIsWaitedFor(t *testing.T) {
	w := newDamageableWorld(t, "glue")
	w.forget()
	w.onCatalog(func(r *wiretest.Request) wiretest.Verdict {
		if r.Operation == "PutObject" && kindOf("/"+r.Key) == "data file" {
			time.Sleep(300 * time.Millisecond)
		}
		return wiretest.Do()
	})
	w.change1()
	w.commit()
	w.heal()
	for _, r := range w.requests() {
		if r.Status != http.StatusOK && r.Status != http.StatusNoContent {
			t.Errorf("%s was answered with %d", r, r.Status)
		}
	}
	w.check(w.cat)
}

// bigRows are rows of which each takes a megabyte that does not compress.
func (w *world) bigRows() {
	source := rand.NewChaCha8([32]byte{1})
	for id := range int64(22) {
		text := make([]byte, 1<<20)
		_, _ = source.Read(text) // Never fails.
		for i := range text {
			text[i] = ' ' + text[i]%90
		}
		w.upsert(1000+id, string(text))
	}
}

// A data file that is uploaded in parts is there as a whole, or not at all. Parts of an upload that was neither finished nor aborted are no
// object, so that nothing can refer to them; a lifecycle rule of the bucket has to remove them.
func TestUploadsInParts(t *testing.T) {
	refuse := wiretest.Refuse(http.StatusServiceUnavailable, awstest.SlowDown)
	for name, test := range map[string]struct {
		hook  func(*wiretest.Request) wiretest.Verdict
		again bool // The batch is read again.
		parts bool // Parts are left.
	}{
		"a part fails once":               {wiretest.Meet("UploadPart", refuse), false, false},
		"the end fails":                   {failing("CompleteMultipartUpload"), true, false},
		"the reply to the end is lost":    {wiretest.Meet("CompleteMultipartUpload", wiretest.DoThenDrop()), true, false},
		"a part fails, and so does abort": {failing("UploadPart", "AbortMultipartUpload"), true, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newDamageableWorld(t, "glue")
			w.table.o.TargetFileBytes = 64 << 20
			w.hurry()
			w.onCatalog(test.hook)
			again := w.commitOrReadAgain(w.bigRows)
			if (again > 0) != test.again {
				t.Errorf("the batch was read again %d times", again)
			}
			w.heal()
			w.check(w.cat)
			if orphans := w.checkFiles(); len(orphans) > 0 {
				t.Errorf("left behind: %v", orphans)
			}
			if wiretest.Count(w.requests(), "UploadPart") == 0 {
				t.Error("nothing was uploaded in parts")
			}
			if left := w.aws.Uploads("lake"); (len(left) > 0) != test.parts {
				t.Errorf("unfinished uploads: %v", left)
			}
		})
	}
}

// failing lets the first requests of each operation fail, until the SDK has given up whatever it does at once.
func failing(operations ...string) func(*wiretest.Request) wiretest.Verdict {
	var mu sync.Mutex
	n := map[string]int{}
	return func(r *wiretest.Request) wiretest.Verdict {
		mu.Lock()
		defer mu.Unlock()
		if n[r.Operation]++; slices.Contains(operations, r.Operation) && n[r.Operation] <= 9 {
			return wiretest.Refuse(http.StatusServiceUnavailable, awstest.SlowDown)
		}
		return wiretest.Do()
	}
}
