package pipeline_test

import (
	"testing"
	"time"

	"github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/pipeline"
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

// An operator rolls the table back while its owner has nothing to commit: no record comes that could tell, and yet the rows between are
// to be applied again.
func TestIdleOwnerHearsOfARollback(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	ann, bob := customers("shop").upsert("c", "1", `"Ann"`), customers("shop").upsert("c", "2", `"Bob"`)
	w.produce(ann)
	w.mustRunToEnd(mirror("d.t", "shop"))
	w.produce(bob)
	p := w.start(soon(mirror("d.t", "shop")), func(o *pipeline.Options) { o.QuietInterval = 300 * time.Millisecond })
	both := map[string]string{"1": "1|Ann", "2": "2|Bob"}
	w.reaches("d.t", 2)

	loaded, err := w.catalog.LoadTable(t.Context(), table.Identifier{"d", "t"})
	if err != nil {
		t.Fatal(err)
	}
	tx := loaded.NewTransaction()
	if err := tx.RollbackToSnapshot(*loaded.CurrentSnapshot().ParentSnapshotID); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.reaches("d.t", 2)
	w.expect("d.t", []string{"id"}, both)
	if n := len(p.log.entries("restarted table")); n != 1 {
		t.Errorf("the table was opened again %d times, want once", n)
	}
}
