package simtest

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// options are what the command line says.
type options struct {
	kinds   []string // The kinds of fault; none: all.
	actors  []string // What happens beside faults; none: by chance.
	tables  []string // Only these; none: by chance.
	lone    bool
	verbose bool
}

func (o options) actorNames() []string {
	if len(o.actors) > 0 {
		return o.actors
	}
	return []string{
		actRival, actFreeze, actNap, actRestart, actKill, actRoll, actCompact, actExpire, actRollback, actReplay, actAbort, actClean, actLeader, actAway,
	}
}

var (
	firstSeed  = flag.Uint64("seed", 0, "first seed of the simulation; 0: from the clock")
	seeds      = flag.Int("seeds", 0, "how many seeds the simulation runs; 0: as many as a short run takes")
	kindsFlag  = flag.String("faults", "", "only these kinds of fault, such as lose,late")
	actorsFlag = flag.String("actors", "", "only these actors, in every seed, such as kill,rival")
	tablesFlag = flag.String("tables", "", "only these tables, in every seed, such as sim.wide")
	loneFlag   = flag.Bool("lone", false, "only seeds with one process")
)

// TestMain gives memory for speed: a bubble lives for a moment, and leaves all its objects behind at once.
func TestMain(m *testing.M) {
	debug.SetGCPercent(1000)
	debug.SetMemoryLimit(2 << 30)
	m.Run()
}

// fixedSeeds are run always, freshSeeds beside them if nothing else is asked for.
const (
	fixedSeeds = 20
	freshSeeds = 150
	raceSeeds  = 8 // Of the fixed ones, under the race detector.
)

// The tables equal the oracle after any sequence of faults, for every seed. A failing seed prints the command that
// replays it; what runs at the same moment is still ordered by the machine, so a replay may need several runs (-count).
func TestTablesEqualTheOracleUnderFaults(t *testing.T) {
	if !inBubbles() {
		runInBubbles(t)
		return
	}
	o := options{kinds: split(*kindsFlag), actors: split(*actorsFlag), tables: split(*tablesFlag), lone: *loneFlag, verbose: testing.Verbose() && *seeds == 1}
	var mu sync.Mutex
	total, failures := stats{injected: map[string]int{}}, 0
	began := time.Now()
	t.Run("seeds", func(t *testing.T) {
		for _, seed := range chosen() {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				if enough(&mu, &failures) {
					t.Skip("another seed has failed")
				}
				s, err := simulate(t, seed, o)
				mu.Lock()
				defer mu.Unlock()
				total.add(s)
				if err != nil {
					failures++
					t.Errorf("seed %d: %v\nreplay: go test ./internal/simtest -run TestTables -seed %d -seeds 1 -count 10 -v%s", seed, err, seed, replayFlags())
				}
			})
		}
	})
	report(t, total, failures, time.Since(began), o)
}

// enough reports whether the run was told to stop at the first failure, and has met it: the testing package itself still runs what
// waits for its turn.
func enough(mu *sync.Mutex, failures *int) bool {
	mu.Lock()
	defer mu.Unlock()
	return *failures > 0 && flag.Lookup("test.failfast").Value.String() == "true"
}

// chosen returns the seeds to run.
func chosen() []uint64 {
	var out []uint64
	first, n := *firstSeed, *seeds
	if first == 0 && n == 0 {
		for i := range uint64(fixedSeeds) {
			out = append(out, 1+i)
		}
	}
	if first == 0 {
		first = uint64(time.Now().UnixMilli()) % 1_000_000_000
	}
	if n == 0 {
		n = freshSeeds
	}
	_, _ = fmt.Fprintf(os.Stdout, "-seed %d -seeds %d\n", first, n)
	for i := range n {
		out = append(out, first+uint64(i))
	}
	return out
}

// simulate runs one seed in a bubble of its own.
func simulate(t *testing.T, seed uint64, o options) (s stats, err error) {
	hangs := time.AfterFunc(10*time.Minute, func() {
		stacks := make([]byte, 4<<20)
		panic(fmt.Sprintf("seed %d hangs:\n%s", seed, stacks[:runtime.Stack(stacks, true)]))
	})
	defer hangs.Stop()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed, o)
		t.Logf("plan: %s", &w.plan)
		err = w.heal(w.live())
		time.Sleep(5 * time.Minute) // What a process left behind on its way ends before the bubble does.
		s = w.stats
		s.starts = len(w.lives)
	})
	return s, err
}

func split(list string) []string {
	return slices.DeleteFunc(strings.Split(list, ","), func(s string) bool { return s == "" })
}

func replayFlags() string {
	out := ""
	for name, value := range map[string]string{"faults": *kindsFlag, "actors": *actorsFlag, "tables": *tablesFlag} {
		if value != "" {
			out += " -" + name + " " + value
		}
	}
	if *loneFlag {
		out += " -lone"
	}
	return out
}
