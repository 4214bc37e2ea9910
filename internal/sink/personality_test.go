package sink

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/readback"
	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// How a commit ends, beside the reasons of halts.
const (
	landed    = "landed"     // Exactly once.
	stoodDown = "stood down" // Another writer moved the bookmark.
)

// trouble is something that happens to a commit, and what has to come of it.
type trouble struct {
	name string
	only string // The one kind of world that has it; empty: all.

	meets  []wiretest.Verdict                                      // What the first commit requests meet.
	hook   func(w *world) func(*wiretest.Request) wiretest.Verdict // In place of meets.
	before func(w *world)                                          // Happens before the first commit request is done.

	ends     string         // landed, stoodDown or a halt.Reason.
	commits  int            // How many commit requests there are.
	outcomes map[string]int // cdcd_commits_total, by outcome.
	leaves   []string       // The kinds of the objects that nothing refers to afterwards.
}

// Whatever a catalog does, a commit lands exactly once, or the writer stands down, or the table halts and says why. What readers see is
// right, no file is missing, and nothing is left behind without need.
func TestCatalogPersonalities(t *testing.T) {
	for _, kind := range worldKinds() {
		t.Run(kind, func(t *testing.T) {
			for _, c := range slices.Concat(commonTroubles(), sqlTroubles(), glueTroubles(), restTroubles()) {
				if c.only == "" || c.only == kind {
					t.Run(c.name, func(t *testing.T) { c.run(t, kind) })
				}
			}
		})
	}
}

func (c trouble) run(t *testing.T, kind string) {
	w := newWorld(t, kind)
	for id, name := range []string{"a", "b", "c"} {
		w.upsert(int64(id), name)
	}
	w.commit()
	w.upsert(1, "x")
	w.commit()
	w.settled = maps.Clone(w.truth)
	start, counted := w.table.head, w.outcomes()
	w.forget()

	w.change1()
	w.onCatalog(c.fate(w))
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	_, err := w.table.Commit(ctx, w.change())
	w.heal()
	for _, land := range w.late {
		w.wantApplied(land(), false)
	}
	if got := endOf(err); got != c.ends {
		t.Fatalf("the commit %s (%v), want %s", got, err, c.ends)
	}
	if h, ok := errors.AsType[*halt.Error](err); ok && h.Hint == "" {
		t.Errorf("no hint beside %v", h)
	}
	if got := wiretest.Count(w.requests(), w.commitOp) - w.others; got != c.commits {
		t.Errorf("%d commit requests, want %d: %v", got, c.commits, w.requests())
	}
	for outcome, n := range w.outcomes() {
		if n -= counted[outcome]; n != c.outcomes[outcome] {
			t.Errorf("%d requests are counted as %s, want %d", n, outcome, c.outcomes[outcome])
		}
	}
	if c.ends == string(halt.TableDropped) {
		return
	}
	if c.ends == landed {
		w.settled = w.truth
	} else {
		w.draft.Discard()
	}
	w.checkSettled()
	if diff := cmp.Diff(c.leaves, w.checkFiles()); diff != "" {
		t.Errorf("left behind (-want +got):\n%s", diff)
	}
	if c.ends == string(halt.ForeignRows) {
		if _, err := w.table.s.Open(w.ctx, w.table.o); endOf(err) != c.ends {
			t.Errorf("opening ended with %v, want %s", err, c.ends)
		}
		return
	}
	if n := w.ours(start.SnapshotID); c.ends == landed && n != 1 {
		t.Errorf("%d snapshots of ours stand above the one before, want 1 (I5)", n)
	}
	w.goOn(c.ends == landed)
}

// A table without a snapshot has no sequence number that a rival could use up: only the pin keeps a second first commit out (I2).
func TestSecondFirstCommitStandsDown(t *testing.T) {
	for _, kind := range worldKinds() {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t, kind)
			w.settled = maps.Clone(w.truth)
			w.change1()
			w.onCatalog(trouble{before: rivalCommits}.fate(w))
			if _, err := w.table.Commit(w.ctx, w.change()); !errors.Is(err, ErrStandDown) {
				t.Errorf("the second first commit ended with %v", err)
			}
			w.heal()
			w.draft.Discard()
			w.checkSettled()
			w.goOn(false)
		})
	}
}

// change1 is the change that meets the trouble: it updates, deletes and inserts.
func (w *world) change1() {
	w.upsert(1, "y")
	w.delete(0)
	w.upsert(5, "new")
}

func (c trouble) fate(w *world) func(*wiretest.Request) wiretest.Verdict {
	switch {
	case c.hook != nil:
		return c.hook(w)
	case c.before != nil:
		meet := wiretest.Meet(w.commitOp, c.meets...)
		happen := wiretest.Before(w.commitOp, func() { w.aside(func() { c.before(w) }) })
		return func(r *wiretest.Request) wiretest.Verdict {
			if w.away {
				return wiretest.Do()
			}
			happen(r)
			return meet(r)
		}
	}
	return wiretest.Meet(w.commitOp, c.meets...)
}

// aside lets somebody else use the catalog: what they ask for is done, and not counted.
func (w *world) aside(act func()) {
	w.away = true
	n := wiretest.Count(w.requests(), w.commitOp)
	act()
	w.others += wiretest.Count(w.requests(), w.commitOp) - n
	w.away = false
}

// endOf says how a commit ended.
func endOf(err error) string {
	h, halted := errors.AsType[*halt.Error](err)
	switch {
	case err == nil:
		return landed
	case errors.Is(err, ErrStandDown):
		return stoodDown
	case halted:
		return string(h.Reason)
	}
	return "failed"
}

// checkSettled compares what readers see with what they have to see.
func (w *world) checkSettled() {
	w.t.Helper()
	got, err := readback.Map(w.ctx, w.cat, w.table.o.Name, "cust_id")
	if err != nil {
		w.t.Fatal(err)
	}
	if diff := cmp.Diff(w.settled, got); diff != "" {
		w.t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// ours counts the snapshots of the head's line above the one with an id that carry a bookmark.
func (w *world) ours(id int64) int {
	meta := w.load().Metadata()
	n := 0
	for s := meta.SnapshotByName("main"); s != nil && s.SnapshotID != id; s = parentOf(meta, s) {
		if summaryOf(s).Properties[keyBookmark] != "" {
			n++
		}
	}
	return n
}

// goOn makes more changes, as the same owner if its commit landed, and as the next one.
func (w *world) goOn(same bool) {
	w.t.Helper()
	if same {
		w.reset()
		w.upsert(2, "once more")
		w.commit()
	}
	next := w.next
	w.reopen()
	if same && w.next != next {
		w.t.Errorf("the next owner reads from %d on, want %d (I1)", w.next, next)
	}
	if !same {
		w.truth = w.settled
		w.change1() // The batch is read again.
	}
	w.delete(2)
	w.commit()
	w.check(w.cat)
}

func commonTroubles() []trouble {
	once, twice := map[string]int{outcomeCommitted: 1}, map[string]int{outcomeCommitted: 1, outcomeUnknown: 1}
	restaged := map[string]int{outcomeCommitted: 1, outcomeConflict: 1}
	return []trouble{
		{name: "nothing", ends: landed, commits: 1, outcomes: once},
		{name: "the request is lost", meets: []wiretest.Verdict{wiretest.Drop()}, ends: landed, commits: 2, outcomes: twice},
		{name: "the reply is lost", meets: []wiretest.Verdict{wiretest.DoThenDrop()}, ends: landed, commits: 1, outcomes: once},
		{name: "the request is late, and lands before the table is read", hook: lateBeforeLoad, ends: landed, commits: 1, outcomes: once},
		{name: "the request is late, and lands while it is sent again", hook: lateBeforeRetry, ends: landed, commits: 2, outcomes: twice},
		{name: "the request is late, and lands after it was sent again", hook: lateAfterRetry, ends: landed, commits: 2, outcomes: twice},
		{
			name: "rows moved to other files", before: func(w *world) { compact(w.t, w.cat, w.table.ident) },
			ends: landed, commits: 2, outcomes: restaged,
		},
		{
			name: "another branch took the sequence number", before: func(w *world) { commitToBranch(w.t, w.cat, w.table, "audit") },
			ends: landed, commits: 2, outcomes: restaged,
		},
		{name: "another owner moved the bookmark", before: rivalCommits, ends: stoodDown, commits: 1, outcomes: restaged},
		{name: "the reply is lost, and another owner goes on", hook: rivalGoesOn, ends: stoodDown, commits: 1, outcomes: map[string]int{outcomeCommitted: 2}},
		{name: "the reply is lost, and rows move to other files", hook: compactionGoesOn, ends: landed, commits: 1, outcomes: once},
		{name: "another tool adds rows", before: foreignRow, ends: string(halt.ForeignRows), commits: 1, outcomes: map[string]int{outcomeConflict: 1}},
		{name: "the table is dropped", before: dropTable, ends: string(halt.TableDropped), commits: 1},
		{name: "the table is dropped and made again", before: recreateTable, ends: string(halt.TableDropped), commits: 1},
	}
}

func lateBeforeLoad(w *world) func(*wiretest.Request) wiretest.Verdict {
	late, land := wiretest.Late()
	sent := false
	return func(r *wiretest.Request) wiretest.Verdict {
		switch {
		case r.Operation == w.commitOp && !sent:
			sent = true
			return late
		case r.Operation == w.loadOp && sent:
			w.desks[0].OnRequest(nil)
			w.wantApplied(land(), true)
		}
		return wiretest.Do()
	}
}

func lateBeforeRetry(w *world) func(*wiretest.Request) wiretest.Verdict {
	late, land := wiretest.Late()
	n := 0
	return func(r *wiretest.Request) wiretest.Verdict {
		if r.Operation != w.commitOp {
			return wiretest.Do()
		}
		if n++; n == 1 {
			return late
		}
		w.wantApplied(land(), true)
		return wiretest.Do()
	}
}

func lateAfterRetry(w *world) func(*wiretest.Request) wiretest.Verdict {
	late, land := wiretest.Late()
	w.late = append(w.late, land)
	return wiretest.Meet(w.commitOp, late)
}

func (w *world) wantApplied(o wiretest.Outcome, want bool) {
	w.t.Helper()
	if o.Applied != want {
		w.t.Errorf("the late request came to %+v, want applied: %t", o, want)
	}
}

func rivalCommits(w *world) {
	rival := w.rival()
	rival.upsert(9, "rival")
	rival.commit()
}

func rivalGoesOn(w *world) func(*wiretest.Request) wiretest.Verdict {
	return w.afterLostReply(func() {
		w.settled = maps.Clone(w.truth)
		rivalCommits(w)
	})
}

func compactionGoesOn(w *world) func(*wiretest.Request) wiretest.Verdict {
	return w.afterLostReply(func() { compact(w.t, w.cat, w.table.ident) })
}

// afterLostReply lets something happen when the reply was lost and the table has not been read yet.
func (w *world) afterLostReply(act func()) func(*wiretest.Request) wiretest.Verdict {
	sent := false
	return func(r *wiretest.Request) wiretest.Verdict {
		switch {
		case r.Operation == w.commitOp && !sent:
			sent = true
			return wiretest.DoThenDrop()
		case r.Operation == w.loadOp && sent:
			w.desks[0].OnRequest(nil)
			w.aside(act)
		}
		return wiretest.Do()
	}
}

func foreignRow(w *world) {
	appendCustomer(w.t, w.cat, w.table.ident, 77)
	w.settled["77"] = "77|foreign"
}

func dropTable(w *world) {
	if err := w.cat.DropTable(w.ctx, w.table.ident); err != nil {
		w.t.Error(err)
	}
}

func recreateTable(w *world) {
	dropTable(w)
	if _, err := w.cat.CreateTable(w.ctx, w.table.ident, w.table.meta.CurrentSchema()); err != nil {
		w.t.Error(err)
	}
}

// elsewhere is a server that nobody of ours should ask anything.
func elsewhere(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("another host was asked for %s %s, with Authorization %q", r.Method, r.URL, r.Header.Get("Authorization"))
	}))
	t.Cleanup(s.Close)
	return s
}
