package simtest

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
)

var (
	firstSeed = flag.Uint64("seed", 1, "first seed of the simulation")
	seeds     = flag.Int("seeds", 200, "how many seeds the simulation runs")
)

// The tables equal the oracle after any sequence of faults, for every seed. A failing seed prints the command that
// replays it; scheduling is the machine's, so a replay may need several runs (-count).
func TestTablesEqualTheOracleUnderFaults(t *testing.T) {
	var mu sync.Mutex
	injected, commits, advised := map[string]int{}, 0, 0
	t.Run("seeds", func(t *testing.T) {
		for i := range *seeds {
			seed := *firstSeed + uint64(i)
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, seed)
				w.live(300)
				if err := w.heal(); err != nil {
					t.Fatalf("seed %d: %v\nreplay: go test ./internal/simtest -run TestTables -seed %d -seeds 1 -count 20 -v", seed, err, seed)
				}
				mu.Lock()
				defer mu.Unlock()
				commits += w.commits
				advised += w.advised
				for k, n := range w.injected {
					injected[k] += n
				}
			})
		}
	})
	t.Logf("%d seeds, %d commits landed, %d group offsets committed", *seeds, commits, advised)
	if commits == 0 || advised == 0 {
		t.Error("the simulation committed nothing")
	}
	for _, k := range slices.Sorted(maps.Keys(injected)) {
		t.Logf("%6d %s", injected[k], k)
	}
}
