package sink

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/halt"
)

// expireOthers drops every snapshot that no ref names, as an expiry of another tool does, and returns their number.
func expireOthers(t *testing.T, cat catalog.Catalog, ident table.Identifier) int {
	t.Helper()
	loaded, err := cat.LoadTable(t.Context(), ident)
	if err != nil {
		t.Fatal(err)
	}
	meta := loaded.Metadata()
	named := map[int64]bool{}
	for _, ref := range meta.Refs() {
		named[ref.SnapshotID] = true
	}
	var ids []int64
	for _, s := range meta.Snapshots() {
		if !named[s.SnapshotID] {
			ids = append(ids, s.SnapshotID)
		}
	}
	if len(ids) == 0 {
		return 0
	}
	if _, _, err := cat.CommitTable(t.Context(), ident, nil, []table.Update{table.NewRemoveSnapshotsUpdate(ids, false)}); err != nil {
		t.Fatal(err)
	}
	return len(ids)
}

// maintainTwice lets two tools in turn compact the table and expire what no ref names, so that the parent of the head
// expires although the tag still holds cdcd's own snapshot.
func maintainTwice(t *testing.T, cat catalog.Catalog, ident table.Identifier) {
	t.Helper()
	compact(t, cat, ident)
	expireOthers(t, cat, ident)
	compact(t, cat, ident)
	if expireOthers(t, cat, ident) == 0 {
		t.Fatal("the first compaction's snapshot did not expire")
	}
}

func TestBookmarkIsFoundThroughExpiredSnapshots(t *testing.T) {
	w, m := newMeddledWriter(t)
	mark := w.table.Bookmark()
	maintainTwice(t, m.Catalog, w.table.ident)
	reopened, err := w.table.s.Open(t.Context(), w.table.o)
	if err != nil {
		t.Fatal(err)
	}
	if got := reopened.Bookmark(); !got.Equal(mark) {
		t.Errorf("bookmark %s, want %s (I3)", got, mark)
	}
	w.table = reopened
	w.reset()
	w.upsert(1, "after")
	w.commit()
	w.check(m)
}

func TestCommitIsRestagedOnAHeadWhoseParentHasExpired(t *testing.T) {
	w, m := newMeddledWriter(t)
	m.act = func(do func() (table.Metadata, string, error)) (table.Metadata, string, error) {
		maintainTwice(t, m.Catalog, w.table.ident)
		return do()
	}
	w.upsert(2, "y")
	if done := w.commit(); done.Attempts != 2 {
		t.Errorf("%d attempts, want 2", done.Attempts)
	}
	w.check(m)
}

// An expiry must not hide that somebody changed rows: their snapshot has expired, and a compaction is on top of it.
func TestForeignRowsAreSeenThroughAnExpiry(t *testing.T) {
	w, m := newMeddledWriter(t)
	appendCustomer(t, m.Catalog, w.table.ident, 77)
	compact(t, m.Catalog, w.table.ident)
	expireOthers(t, m.Catalog, w.table.ident)
	_, err := w.table.s.Open(t.Context(), w.table.o)
	if h, ok := errors.AsType[*halt.Error](err); !ok || h.Reason != halt.ForeignRows {
		t.Fatalf("opening ended with %v, want foreign_rows", err)
	}
}

func TestBookmarkOfWhichNothingTellsAnyMoreHaltsAndNamesTheTag(t *testing.T) {
	w, m := newMeddledWriter(t)
	mark := w.table.Bookmark()
	maintainTwice(t, m.Catalog, w.table.ident)
	loaded, err := m.LoadTable(t.Context(), w.table.ident)
	if err != nil {
		t.Fatal(err)
	}
	for e := range loaded.Metadata().PreviousFiles() {
		if err := os.Remove(strings.TrimPrefix(e.MetadataFile, "file://")); err != nil {
			t.Fatal(err)
		}
	}
	_, err = w.table.s.Open(t.Context(), w.table.o)
	h, ok := errors.AsType[*halt.Error](err)
	if !ok || h.Reason != halt.BookmarkLost {
		t.Fatalf("opening ended with %v, want bookmark_lost (I9)", err)
	}
	if want := fmt.Sprint(mark); !contains(h.Hint, want) {
		t.Errorf("hint %q does not name the tag's bookmark %s", h.Hint, want)
	}
}

// Another tool's expiry reads the objects of the snapshots that it has dropped: they must not vanish under its hands.
func TestNothingIsRemovedWhileAnotherToolExpires(t *testing.T) {
	w, m := newMeddledWriter(t)
	w.table.o.RetainSnapshots = 2
	for range 3 {
		w.upsert(1, "x")
		w.commit()
	}
	if expireOthers(t, m.Catalog, w.table.ident) == 0 {
		t.Fatal("nothing expired")
	}
	before := objects(t, w.table)
	for range 4 {
		w.upsert(1, "y")
		w.commit()
	}
	after := objects(t, w.table)
	for path := range before {
		if !after[path] && !strings.HasSuffix(path, ".metadata.json") {
			t.Errorf("%s was removed", path)
		}
	}
	w.table.othersExpired = time.Now().Add(-expiryGrace)
	w.upsert(1, "z")
	w.commit()
	if left := len(objects(t, w.table)); left >= len(after) {
		t.Errorf("%d objects are left of %d: what had waited was not removed", left, len(after))
	}
	w.check(m)
}

// objects returns the objects of a table in a folder.
func objects(t *testing.T, tbl *Table) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	err := filepath.WalkDir(strings.TrimPrefix(tbl.meta.Location(), "file://"), func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			found[path] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
