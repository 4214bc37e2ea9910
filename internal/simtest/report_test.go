package simtest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// report prints what was run, and fails if the run had not everything in it that it claims to have.
func report(t *testing.T, s stats, failures int, took time.Duration, o options) {
	t.Logf("%d seeds, %d commits, %d kills, %d rows compared, %d failures", s.seeds, s.commits, s.kills, s.rows, failures)
	t.Logf("%d processes, %d frozen, %d commits by other engines, %d indexes rebuilt after them, %d records folded, %d snapshots walked, %d orphans explained, %d group offsets, %.1f seeds/s",
		s.starts, s.freezes, s.foreign, s.rebuilt, s.records, s.snapshots, s.orphans, s.advised, float64(s.seeds)/took.Seconds())
	var b strings.Builder
	fmt.Fprintf(&b, "%-32s", "call site")
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
	t.Logf("faults injected, by call site:\n%s", b.String())
	for pair := range s.injected {
		if site, _, _ := strings.Cut(pair, " "); !strings.Contains(b.String(), site+" ") {
			t.Errorf("call site %s is not listed", site)
		}
	}
	if s.seeds < len(pairs(sites())) || len(o.kinds)+len(o.actors) > 0 || o.lone {
		return // Too few seeds, or not all of everything.
	}
	if len(missing) > 0 {
		t.Errorf("never injected: %s", strings.Join(missing, ", "))
	}
	if s.commits == 0 || s.advised == 0 || s.foreign == 0 || s.rebuilt == 0 || s.freezes == 0 || s.kills == 0 {
		t.Error("something never happened")
	}
}
