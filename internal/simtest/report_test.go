package simtest

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// report prints what was run, and fails if the run had not everything in it that it claims to have.
func report(t *testing.T, s stats, failures int, took time.Duration, o options) {
	var b strings.Builder
	fmt.Fprintf(&b, "%d seeds, %d commits, %d kills, %d rows compared, %d failures\n", s.seeds, s.commits, s.kills, s.rows, failures)
	fmt.Fprintf(&b, "%d processes, %d times one was frozen, %d commits by other engines, %d indexes rebuilt after them, %d records skipped by an operator, %d files swept, %d records folded, %d snapshots walked, %d orphans explained and %d tables without any, %d records in quarantine, %d group offsets, %.1f seeds/s\n",
		s.starts, s.freezes, s.foreign, s.rebuilt, s.skipped, s.swept, s.records, s.snapshots, s.orphans, s.spotless, s.quarantined, s.advised, float64(s.seeds)/took.Seconds())
	fmt.Fprintf(&b, "%d truncates, %d kept values, %d Avro records, %d calls of the registry, %d of them while it was away\n", s.truncates, s.kept, s.avro, s.asked, s.turned)
	fmt.Fprintf(&b, "%-32s", "faults by call site")
	for f := refuse; f < faults; f++ {
		fmt.Fprintf(&b, "%14s", f)
	}
	var missing []string
	for _, site := range sites() {
		fmt.Fprintf(&b, "\n%-32s", site)
		for f := refuse; f < faults; f++ {
			n := s.injected[cell(site, f)]
			fmt.Fprintf(&b, "%14d", n)
			if n == 0 {
				missing = append(missing, cell(site, f))
			}
		}
	}
	_, _ = fmt.Fprintln(os.Stdout, b.String()) // Not to the test's log: it is what a run is for.
	for pair := range s.injected {
		if site, _, _ := strings.Cut(pair, " "); !strings.Contains(b.String(), site+" ") {
			t.Errorf("call site %s is not listed", site)
		}
	}
	if s.seeds < len(pairs(sites())) || len(o.kinds)+len(o.actors)+len(o.tables) > 0 || o.lone {
		return // Too few seeds, or not all of everything.
	}
	if len(missing) > 0 {
		t.Errorf("never injected: %s", strings.Join(missing, ", "))
	}
	if min(s.commits, s.advised, s.foreign, s.rebuilt, s.freezes, s.kills, s.skipped, s.swept, s.spotless, s.quarantined, s.truncates, s.kept, s.avro, s.asked, s.turned) == 0 {
		t.Error("something never happened")
	}
}
