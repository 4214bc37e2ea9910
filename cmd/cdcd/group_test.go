package main

import (
	"maps"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cdcd-project/cdcd/internal/readback"
)

// fleet is the processes of one consumer group.
type fleet struct {
	w       *world
	config  string     // Of those that are added.
	tables  []string   // What the living members together have to run; nil: all.
	members []*process // Those that live.
	all     []*process
}

func (f *fleet) add() *process {
	p := f.w.run(f.config)
	f.members, f.all = append(f.members, p), append(f.all, p)
	return p
}

func (f *fleet) remove(p *process) {
	f.members = slices.DeleteFunc(f.members, func(q *process) bool { return q == p })
}

// shares waits until the living members together have each table once, and returns who has which: a member has the
// tables for which it says that it resumed, until it says that they stopped.
func (f *fleet) shares() map[*process][]string {
	f.w.t.Helper()
	want := slices.Clone(f.tables)
	if want == nil {
		for _, m := range f.w.mirrors {
			want = append(want, m.name)
		}
	}
	slices.Sort(want)
	var owned map[*process][]string
	eventually(f.w.t, "the members share all tables out", func() bool {
		owned = map[*process][]string{}
		var tables []string
		for _, p := range f.members {
			owned[p] = p.tables()
			tables = append(tables, owned[p]...)
			if len(owned[p]) == 0 {
				return false
			}
		}
		slices.Sort(tables)
		return slices.Equal(tables, want)
	})
	return owned
}

// tables returns the tables that a process runs at this moment, as its log tells.
func (p *process) tables() []string {
	runs := map[string]bool{}
	for _, l := range p.log.find(func(l line) bool { return l.Table != "" }) {
		switch l.Message {
		case "resumed from bookmark":
			runs[l.Table] = true
		case "stopped", "dropped open batch", "stood down", "restarted table":
			delete(runs, l.Table)
		}
	}
	return slices.Sorted(maps.Keys(runs))
}

// watch lets the members work for a while, and checks that each commits exactly its own tables.
func (f *fleet) watch(owned map[*process][]string) {
	f.w.t.Helper()
	from := time.Now()
	committed := func(p *process) map[string]bool {
		tables := map[string]bool{}
		for _, l := range p.log.find(says("committed snapshot", "")) {
			if l.Time.After(from) {
				tables[l.Table] = true
			}
		}
		return tables
	}
	for _, p := range f.members {
		for _, table := range owned[p] {
			p.await(1, func(l line) bool {
				return l.Message == "committed snapshot" && l.Table == table && l.Time.After(from.Add(300*time.Millisecond))
			})
		}
	}
	for _, p := range f.members {
		if diff := cmp.Diff(owned[p], slices.Sorted(maps.Keys(committed(p)))); diff != "" {
			f.w.t.Errorf("%s (-has +commits):\n%s", p.name, diff)
		}
	}
}

// The members of a group share the tables out, and take them over from those that leave or die. No table ever has two
// writers: nobody has to stand down.
func TestMembersOfAGroupShareTablesOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, items("shop.a"), stock("shop.b"), items("shop.c"), stock("shop.d"))
	const session = 4 * time.Second
	f := &fleet{w: w, config: w.deploy("fleet.toml", deployment{group: "fleet", interval: "50ms", session: session.String(), mirrors: w.mirrors})}
	end := w.flow(7)

	first := f.add()
	f.watch(f.shares())
	second := f.add()
	owned := f.shares()
	if len(owned[first]) != 2 || len(owned[second]) != 2 {
		t.Errorf("two members have %v and %v", owned[first], owned[second])
	}
	f.watch(owned)
	third := f.add()
	owned = f.shares()
	f.watch(owned)

	killed := time.Now()
	second.kill()
	f.remove(second)
	taken := f.shares()
	for _, heir := range f.members {
		for _, table := range owned[heir] { // Nobody who lives gives a table away.
			if !slices.Contains(taken[heir], table) {
				t.Errorf("%s had %v, and has %v after another member's death", heir.name, owned[heir], taken[heir])
			}
		}
		for _, l := range heir.log.find(says("resumed from bookmark", "")) {
			if quiet := l.Time.Sub(killed); slices.Contains(owned[second], l.Table) && quiet > 0 && quiet < session/2 {
				t.Errorf("%s was taken over %s after the last owner's death, before its session of %s was over", l.Table, quiet, session)
			}
		}
	}
	f.watch(taken)

	handed := taken[first]
	resumed := map[string]int{}
	for _, table := range handed {
		resumed[table] = len(third.log.find(says("resumed from bookmark", table)))
	}
	first.stop(syscall.SIGTERM)
	f.remove(first)
	f.watch(f.shares())
	end()
	third.stop(syscall.SIGTERM)
	healer := w.backfill(f.config)
	w.compare()
	w.committers(append(f.all, healer)...)

	// The next owner goes on exactly where the last one stopped, its open batch included.
	for _, table := range handed {
		commits := first.log.find(says("committed snapshot", table))
		last := commits[len(commits)-1].SnapshotID
		line := w.lineage(table)
		at := slices.IndexFunc(line, func(s readback.Snapshot) bool { return s.ID == last })
		if at < 0 {
			t.Fatalf("%s: the last commit of %s is not in the table", table, first.name)
		}
		takeovers := third.log.find(says("resumed from bookmark", table))
		if got, want := takeovers[resumed[table]].Bookmark, w.bookmarkOf(table, line[at]).String(); got != want {
			t.Errorf("%s: the next owner resumed from %s, the last one had stopped at %s", table, got, want)
		}
	}
	f.peaceful()
}

// peaceful checks that the members never met at a table.
func (f *fleet) peaceful() {
	f.w.t.Helper()
	for _, p := range f.all {
		for _, message := range []string{"stood down", "restarted table", "halted table", "dropped open batch"} {
			if found := p.log.find(says(message, "")); len(found) > 0 {
				f.w.t.Errorf("%s: %d times %q, first %+v", p.name, len(found), message, found[0])
			}
		}
	}
}
