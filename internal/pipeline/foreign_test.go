package pipeline_test

import (
	"testing"

	"github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/readback"
)

// Another tool's compaction leaves a head without bookmark, and its next expiry could take ours: the owner commits the
// bookmark alone on top.
func TestBookmarkIsBroughtBackToAForeignHead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	w.produce(large(customers("shop").schemaless(), 0, 4, 1<<10)...)
	w.mustRunToEnd(mirror("d.t", "shop"))
	head := func() readback.Snapshot {
		all := w.snapshots("d.t") // Oldest first.
		return all[len(all)-1]
	}
	before := head().Summary["cdcd.bookmark"]

	loaded, err := w.catalog.LoadTable(t.Context(), table.Identifier{"d", "t"})
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := loaded.Scan().PlanFiles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tx := loaded.NewTransaction()
	if _, err := tx.RewriteDataFiles(t.Context(), []table.CompactionTaskGroup{{Tasks: tasks}}, table.RewriteDataFilesOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if mark, ok := head().Summary["cdcd.bookmark"]; ok {
		t.Fatalf("the compacted head carries the bookmark %s", mark)
	}

	w.mustRunToEnd(mirror("d.t", "shop"))
	if h := head(); h.Summary["cdcd.bookmark"] != before || h.Operation != "replace" {
		t.Errorf("the head is a %s with bookmark %q, want a replace with %q", h.Operation, h.Summary["cdcd.bookmark"], before)
	}
	if n := len(w.rows("d.t", "id")); n != 4 {
		t.Errorf("%d rows, want 4", n)
	}
	n := len(w.snapshots("d.t"))
	w.mustRunToEnd(mirror("d.t", "shop"))
	if got := len(w.snapshots("d.t")); got != n {
		t.Errorf("a head of our own got %d more commits", got-n)
	}
}
