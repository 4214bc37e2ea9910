package main

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

var (
	soakFor  = flag.Duration("soak", time.Second, "how long TestSoak begins rounds with random seeds")
	soakSeed = flag.Uint64("soak-seed", 0, "the only seed that TestSoak runs; 0: random ones")
)

// tally is what rounds of the soak have done.
type tally struct {
	seeds, processes, commits, kills, freezes, rows, mismatches int
}

func (y *tally) add(z tally) {
	y.seeds += z.seeds
	y.processes += z.processes
	y.commits += z.commits
	y.kills += z.kills
	y.freezes += z.freezes
	y.rows += z.rows
	y.mismatches += z.mismatches
}

// soakWorlds is how many seeds the soak runs at once: they wait more than they work.
const soakWorlds = 3

// Processes that are killed, frozen, stopped, started and reconfigured at random, with several tables and groups, leave
// tables that equal the oracle. "make soak T=10m" runs this for so long; otherwise it is one short round.
func TestSoak(t *testing.T) {
	t.Parallel()
	worlds := soakWorlds
	if *soakFor <= time.Second || *soakSeed != 0 {
		worlds = 1
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	total, failed, end := tally{}, 0, time.Now().Add(*soakFor)
	for range worlds {
		wg.Go(func() {
			for first := true; first || *soakSeed == 0 && time.Now().Before(end); first = false {
				seed := cmp.Or(*soakSeed, 1+rand.Uint64N(1<<40))
				y := tally{}
				passed := t.Run(fmt.Sprint(seed), func(t *testing.T) { y = round(t, seed) })
				mu.Lock()
				total.add(y)
				if total.seeds++; !passed {
					failed++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	_, _ = fmt.Fprintf(t.Output(), "soak: %d seeds, %d commits, %d kills, %d freezes, %d rows compared, %d mismatches\n",
		total.seeds, total.commits, total.kills, total.freezes, total.rows, total.mismatches)
	if failed > 0 {
		t.Errorf("%d of %d seeds failed", failed, total.seeds)
	}
}

// round is one seed: a storm over processes, then healing, then the comparison.
func round(t *testing.T, seed uint64) (y tally) {
	t.Helper()
	dir, err := os.MkdirTemp("", fmt.Sprintf("cdcd-soak-%d-", seed)) //nolint:usetesting // A seed that fails keeps its files.
	if err != nil {
		t.Fatal(err)
	}
	s := newStorm(t, dir, seed)
	t.Cleanup(func() { s.keep(seed) })
	end := s.flow(seed)
	if *soakFor <= time.Second && *soakSeed == 0 {
		s.length = 4 * time.Second
	}
	for until := time.Now().Add(s.length); time.Now().Before(until); {
		s.thaw(time.Now())
		s.act()
		sleepUpTo(s.rng, 1200*time.Millisecond)
	}
	end()
	s.heal()
	s.rows, s.mismatches = s.compare()
	_, unsaid := s.claims(s.all...)
	for _, m := range s.mirrors {
		line := s.lineage(m.name)
		s.commits += len(line)
		if n := len(unsaid[m.name]); n == len(line) {
			t.Errorf("%s: nobody says anything of %d commits", m.name, n)
		}
	}
	s.processes = len(s.all)
	_, _ = fmt.Fprintf(t.Output(), "seed %d (%s): %d tables, %d processes, %d commits, %d kills, %d freezes, %d rows, %d mismatches\n",
		seed, s.kind(), len(s.mirrors), s.processes, s.commits, s.kills, s.freezes, s.rows, s.mismatches)
	return s.tally
}

// keep keeps the logs and files of a seed that failed, and says how to run it again.
func (s *storm) keep(seed uint64) {
	if !s.t.Failed() {
		if err := os.RemoveAll(s.dir); err != nil {
			s.t.Error(err)
		}
		return
	}
	for _, p := range s.all {
		if err := os.WriteFile(filepath.Join(s.dir, p.name+".log"), []byte(p.log.text()), 0o600); err != nil {
			s.t.Error(err)
		}
	}
	s.t.Logf("seed %d failed; its logs and files are in %s\nreplay: go test ./cmd/cdcd -run '^TestSoak$' -soak-seed %d -count 1 -timeout 0 -v", seed, s.dir, seed)
}
