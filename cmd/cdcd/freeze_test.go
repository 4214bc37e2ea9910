package main

import (
	"strings"
	"syscall"
	"testing"

	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// session is the session timeout of groups in tests: long enough that a busy machine does not expel members that live.
const session = "2s"

// staging matches the last object that is written before the catalog is asked to commit.
func staging(table string) func(r *wiretest.Request) bool {
	folder := "/" + strings.Replace(table, ".", ".db/", 1) + "/metadata/"
	return func(r *wiretest.Request) bool {
		return r.Operation == "PutObject" && strings.Contains("/"+r.Key, folder) && strings.HasSuffix(r.Key, ".metadata.json")
	}
}

// committing matches the request that commits.
func committing(table string) func(r *wiretest.Request) bool {
	return func(r *wiretest.Request) bool {
		return r.Operation == "UpdateTable" && r.Namespace+"."+r.Table == table
	}
}

// freezing is two members of a group, one of which is frozen in the middle of a commit of a table that the other then takes
// over.
type freezing struct {
	*fleet

	zombie, heir *process
	table        string
	end          func() int
	gate         *gate          // Holds the zombie's commit.
	before       map[string]int // How often the heir had said what of the table before the freeze.
	resumed      int            // How often the zombie had resumed a table before it.
}

// freeze lets two members share two tables, and freezes one as soon as a request of its commit waits at the cloud.
func freeze(t *testing.T, at func(table string) func(*wiretest.Request) bool) *freezing {
	t.Helper()
	w := newCloudWorld(t, items("shop.item"), stock("shop.stock"))
	config := w.deploy("frozen.toml", deployment{group: "frozen", interval: "30ms", session: session, mirrors: w.mirrors})
	f := &freezing{fleet: &fleet{w: w, config: config}, end: w.flow(41)}
	f.zombie, f.heir = f.add(), f.add()
	owned := f.shares()
	f.watch(owned)
	f.table = owned[f.zombie][0]
	f.gate = w.cloud.hold(f.zombie, at(f.table))
	f.gate.await(t)
	f.before, f.resumed = map[string]int{}, len(f.zombie.log.find(says("resumed from bookmark", "")))
	for _, message := range []string{"resumed from bookmark", "committed snapshot", "stood down"} {
		f.before[message] = len(f.heir.log.find(says(message, f.table)))
	}
	f.zombie.signal(syscall.SIGSTOP)
	return f
}

// takenOver waits until the other member has the table, and has committed it a number of times.
func (f *freezing) takenOver(commits int) {
	f.w.t.Helper()
	f.awaitHeir(1, "resumed from bookmark")
	if commits > 0 {
		f.awaitHeir(commits, "committed snapshot")
	}
}

// awaitHeir waits until the other member has said something of the table so many times since the freeze.
func (f *freezing) awaitHeir(times int, message string) {
	f.w.t.Helper()
	f.heir.await(f.before[message]+times, says(message, f.table))
}

// attempt waits until the commit that was held is settled, and returns whether it landed.
func (f *freezing) attempt() (landed bool) {
	f.w.t.Helper()
	eventually(f.w.t, "the commit that was held is settled", func() bool {
		var held *wiretest.Request
		for _, r := range f.w.cloud.Requests() {
			if r.AccessKeyID == f.zombie.name && committing(f.table)(&r) && !r.Applied {
				held = &r
				break
			}
		}
		if held == nil {
			landed = true // There is none that was not done.
			return true
		}
		return held.Status != 0
	})
	return landed
}

// settle waits until the process that was frozen is in the group again, lets both go on for a while, stops them, and checks
// everything.
func (f *freezing) settle() {
	f.w.t.Helper()
	f.zombie.await(f.resumed+1, says("resumed from bookmark", ""))
	f.watch(f.shares())
	f.end()
	for _, p := range f.members {
		p.stop(syscall.SIGTERM)
	}
	healer := f.w.backfill(f.config)
	f.w.compare()
	f.w.committers(append(f.all, healer)...)
}

// A process that is frozen in the middle of a commit, and wakes after another member has taken the table over and has
// committed, finds that its commit is refused: it stands down, and nothing of its attempt is ever in the table (I2).
func TestFrozenCommitDoesNotLandAfterATakeover(t *testing.T) {
	for _, c := range []struct {
		name    string
		at      func(table string) func(*wiretest.Request) bool
		commits int // Of the other member.
	}{{"staged, woken after the next commit", staging, 1}, {"on its way, woken after many", committing, 20}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := freeze(t, c.at)
			f.takenOver(c.commits)
			before := len(f.zombie.log.find(says("committed snapshot", f.table)))
			f.gate.open()
			f.zombie.signal(syscall.SIGCONT)
			f.zombie.await(1, says("stood down", f.table))
			if f.attempt() {
				t.Error("the commit that was frozen has landed (I2)")
			}
			if after := len(f.zombie.log.find(says("committed snapshot", f.table))); after != before {
				t.Errorf("%s says to have committed %s", f.zombie.name, f.table)
			}
			f.settle()
		})
	}
}

// A commit of a frozen process that arrives when another member has the table, but has not committed yet, lands as if it had
// come in time; the other member's first commit is refused, and it goes on from what has landed (I2, I5).
func TestFrozenCommitMayLandBeforeTheFirstOfTheHeir(t *testing.T) {
	t.Parallel()
	f := freeze(t, committing)
	first := f.w.cloud.hold(f.heir, staging(f.table))
	f.takenOver(0)
	first.await(t)
	f.gate.open()
	if !f.attempt() {
		t.Error("the commit that was on its way has not landed, although nothing came before it")
	}
	first.open()
	f.awaitHeir(1, "stood down")
	f.awaitHeir(2, "resumed from bookmark")
	f.zombie.signal(syscall.SIGCONT)
	f.settle()
}
