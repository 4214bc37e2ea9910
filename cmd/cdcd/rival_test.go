package main

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// Two deployments that write the same tables harm nothing, even if one of them comes back with an open batch after it
// was frozen for a while: one of them finds out and stands down, each time (I2).
func TestRivalGroupsKeepTheTablesRight(t *testing.T) {
	t.Parallel()
	w := newWorld(t, items("shop.item"), stock("shop.stock"))
	first, second := w.configure("first", "20ms"), w.configure("second", "20ms")
	end := w.flow(5)
	rivals := []*process{w.run(first), w.run(second)}
	stoodDown := func(p *process) []line { return p.log.find(says("stood down", "")) }
	var zombie, rival *process
	eventually(t, "one of the two stands down", func() bool {
		for i, p := range rivals {
			if len(stoodDown(p)) > 0 {
				zombie, rival = rivals[1-i], p
			}
		}
		return rival != nil
	})
	zombie.freezeUntilCommitOf(rival)
	before := len(stoodDown(zombie))
	eventually(t, "the frozen process stands down", func() bool { return len(stoodDown(zombie)) > before })
	time.Sleep(2 * time.Second) // Both go on, and meet again.
	end()
	for _, p := range rivals {
		p.stop(syscall.SIGTERM)
	}
	healer := w.backfill(first)
	w.compare()

	for _, l := range append(stoodDown(rivals[0]), stoodDown(rivals[1])...) {
		if (l.Table != "shop.item" && l.Table != "shop.stock") || l.Hint == "" || l.SnapshotID == 0 {
			t.Errorf("stood down without table, snapshot or hint: %+v", l)
		}
	}
	commits := w.committers(append(rivals, healer)...)
	for _, p := range rivals {
		t.Logf("%s: %d commits, stood down %d times", p.name, commits[p.name], len(stoodDown(p)))
		if commits[p.name] == 0 {
			t.Errorf("%s has committed nothing: they were no rivals", p.name)
		}
	}
}

// freezeUntilCommitOf freezes p until another process has committed. If p holds the catalog's lock at that moment, it gets
// another chance.
func (p *process) freezeUntilCommitOf(other *process) {
	p.t.Helper()
	commits := func() int { return len(other.log.find(says("committed snapshot", ""))) }
	eventually(p.t, other.name+" commits while "+p.name+" is frozen", func() bool {
		before := commits()
		p.signal(syscall.SIGSTOP)
		for deadline := time.Now().Add(3 * time.Second); commits() == before && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond)
		}
		p.signal(syscall.SIGCONT)
		return commits() > before
	})
}

// Two deployments on the same tables harm nothing either if one of them starts again and again, and mostly dies.
func TestRivalThatAlwaysStartsAgainKeepsTheTablesRight(t *testing.T) {
	t.Parallel()
	w := newWorld(t, items("shop.item"), stock("shop.stock"))
	steady, restless := w.configure("steady", "100ms"), w.configure("restless", "20ms") // The one that starts late is the quicker one.
	end := w.flow(6)
	processes := []*process{w.run(steady)}
	processes[0].await(1, says("committed snapshot", ""))
	rng := rand.New(rand.NewPCG(6, 6))
	for life := range 9 {
		p := w.run(restless)
		processes = append(processes, p)
		if life == 0 {
			processes[0].freezeUntilCommitOf(p) // On a busy machine the steady one would win each time.
		}
		p.await(1+life%4, func(l line) bool { return l.Message == "committed snapshot" || l.Message == "stood down" })
		sleepUpTo(rng, 60*time.Millisecond)
		if life%3 == 0 {
			p.stop(syscall.SIGTERM)
			continue
		}
		p.kill()
		w.expel("restless")
	}
	end()
	processes[0].stop(syscall.SIGTERM)
	processes = append(processes, w.backfill(steady))
	w.compare()
	commits, rivals := w.committers(processes...), 0
	for _, p := range processes[1 : len(processes)-1] {
		rivals += commits[p.name]
	}
	t.Logf("%d commits of the steady process, %d of its rivals, stood down %d times", commits[processes[0].name], rivals,
		len(processes[0].log.find(says("stood down", ""))))
	if rivals == 0 || commits[processes[0].name] == 0 {
		t.Error("one of the two has committed nothing: they were no rivals")
	}
}

// committers checks that each snapshot of each table was logged as committed by exactly one of the processes, and that
// no other snapshot was; it returns the number of commits by process. One that was killed may not have come to log the last
// commit of each table.
func (w *world) committers(processes ...*process) map[string]int {
	w.t.Helper()
	killed := 0
	for _, p := range processes {
		if p.killed {
			killed++
		}
	}
	commits, unsaid := w.claims(processes...)
	for table, ids := range unsaid {
		if len(ids) > killed {
			w.t.Errorf("%s: nobody says to have committed %v, and %d processes were killed", table, ids, killed)
		}
	}
	return commits
}

// claims checks that no snapshot was logged as committed by two processes, and that those logged are in the tables. It returns
// the number of commits by process, and the snapshots of each table of which nobody said anything.
func (w *world) claims(processes ...*process) (commits map[string]int, unsaid map[string][]int64) {
	w.t.Helper()
	type snapshot struct {
		table string
		id    int64
	}
	commits, unsaid = map[string]int{}, map[string][]int64{}
	by := map[snapshot]string{}
	for _, p := range processes {
		for _, l := range p.log.find(says("committed snapshot", "")) {
			s := snapshot{l.Table, l.SnapshotID}
			if by[s] != "" {
				w.t.Errorf("%s: snapshot %d was committed by %s and by %s", s.table, s.id, by[s], p.name)
			}
			by[s] = p.name
			commits[p.name]++
		}
	}
	for _, m := range w.mirrors {
		for _, s := range w.lineage(m.name) {
			key := snapshot{m.name, s.ID}
			if by[key] == "" {
				unsaid[m.name] = append(unsaid[m.name], s.ID)
			}
			delete(by, key)
		}
	}
	for s, name := range by {
		w.t.Errorf("%s says to have committed snapshot %d of %s, which is not in the table", name, s.id, s.table)
	}
	return commits, unsaid
}
