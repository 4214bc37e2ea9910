package main

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/iceberg-go/catalog"

	"github.com/cdcd-project/cdcd/internal/readback"
)

// moments are the moments at which a process is killed, in turn.
var moments = []struct {
	name string
	wait func(w *world, p *process, r *rand.Rand)
}{
	{"between its commits", func(_ *world, p *process, r *rand.Rand) {
		p.await(1+r.IntN(25), says("committed snapshot", ""))
		sleepUpTo(r, 40*time.Millisecond)
	}},
	{"after a new data or delete file", func(w *world, p *process, r *rand.Rand) {
		w.awaitObject(p, r, "data/*.parquet")
		sleepUpTo(r, 2*time.Millisecond)
	}},
	{"after a new manifest list", func(w *world, p *process, r *rand.Rand) { w.awaitObject(p, r, "metadata/snap-*.avro") }},
	{"after new metadata", func(w *world, p *process, r *rand.Rand) { w.awaitObject(p, r, "metadata/*.metadata.json") }},
	{"while it starts", func(_ *world, _ *process, r *rand.Rand) { sleepUpTo(r, 150*time.Millisecond) }},
}

func sleepUpTo(r *rand.Rand, most time.Duration) { time.Sleep(time.Duration(r.Int64N(int64(most)))) }

// A process that is killed at any moment, over and over, leaves tables that equal the oracle (I1 to I5, I8).
func TestTablesEqualTheOracleAfterTwentyKills(t *testing.T) {
	t.Parallel()
	lives := 20
	if testing.Short() {
		lives = 10
	}
	w := newWorld(t, items("shop.item"), stock("shop.stock"))
	config := w.configure("killed", "20ms")
	end := w.flow(3)
	rng := rand.New(rand.NewPCG(3, 3))
	underWay, drafted, left := 0, 0, leftovers{}
	heads := map[string][]int64{}
	for life := range lives {
		p := w.run(config)
		moment := moments[life%len(moments)]
		moment.wait(w, p, rng)
		p.kill()
		w.expel("killed")
		now := w.leftovers(heads)
		if now.lists > left.lists {
			underWay++
		}
		if now.files > left.files {
			drafted++
		}
		t.Logf("life %d, killed %s: %d data and delete files and %d manifest lists of no snapshot", life, moment.name, now.files-left.files, now.lists-left.lists)
		left = now
	}
	records := end()
	w.backfill(config)
	w.compare()

	commits := 0
	for _, m := range w.mirrors {
		line := w.lineage(m.name)
		commits += len(line)
		for _, head := range heads[m.name] { // What was once the head stays an ancestor: nothing is taken back (I3).
			if !slices.ContainsFunc(line, func(s readback.Snapshot) bool { return s.ID == head }) {
				t.Errorf("%s: snapshot %d was the head after a kill, and is gone", m.name, head)
			}
		}
	}
	t.Logf("%d records, %d commits, %d kills with a batch written and not committed, %d of them with a commit under way", records, commits, drafted, underWay)
	if commits < 5*lives {
		t.Errorf("only %d commits landed: the kills met too few of them", commits)
	}
	if drafted < lives/5 || underWay < lives/10 {
		t.Errorf("%d kills fell between the first file of a batch and its commit, %d of them after the manifest list; want at least %d and %d",
			drafted, underWay, lives/5, lives/10)
	}
}

// awaitObject waits for some commits of the process, and then until a file that matches the pattern appears in the folder of
// any table.
func (w *world) awaitObject(p *process, r *rand.Rand, pattern string) {
	w.t.Helper()
	p.await(1+r.IntN(25), says("committed snapshot", ""))
	count := func() int {
		n := 0
		for _, m := range w.mirrors {
			n += len(w.objects(m.name, pattern))
		}
		return n
	}
	before := count()
	eventually(w.t, pattern, func() bool { return count() > before })
}

// leftovers are the objects that no snapshot refers to. As no snapshot expires in these tests, they are what batches
// and commits left that never landed.
type leftovers struct {
	files int // Data and delete files.
	lists int // Manifest lists: the last thing that is written before the catalog is asked.
}

// leftovers counts them over all tables, and notes the heads.
func (w *world) leftovers(heads map[string][]int64) (l leftovers) {
	w.t.Helper()
	w.inCatalog(func(cat catalog.Catalog) error {
		for _, m := range w.mirrors {
			t, err := cat.LoadTable(w.t.Context(), strings.Split(m.name, "."))
			if err != nil {
				continue // A process was killed before it had created the table.
			}
			known := map[string]bool{}
			snapshots, err := readback.Snapshots(w.t.Context(), cat, m.name)
			if err != nil {
				return err
			}
			committed := 0
			for _, s := range snapshots {
				committed += count(s.Summary["added-data-files"]) + count(s.Summary["added-delete-files"])
			}
			for _, s := range t.Metadata().Snapshots() {
				known[filepath.Base(s.ManifestList)] = true
			}
			for _, list := range w.objects(m.name, "metadata/snap-*.avro") {
				if !known[filepath.Base(list)] {
					l.lists++
				}
			}
			l.files += len(w.objects(m.name, "data/*.parquet")) - committed
			if head := t.CurrentSnapshot(); head != nil {
				heads[m.name] = append(heads[m.name], head.SnapshotID)
			}
		}
		return nil
	})
	return l
}
