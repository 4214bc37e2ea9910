package main

import (
	"slices"
	"syscall"
	"testing"
)

// A rolling restart with another configuration, which lacks a table, has one more, and commits at another interval: at
// any time each table that a living member declares is run by one that does, and by nobody else; nothing is lost.
func TestRollingRestartWithAnotherConfiguration(t *testing.T) {
	t.Parallel()
	a, b, c, leaving, coming := items("shop.a"), stock("shop.b"), items("shop.c"), stock("shop.leaving"), items("shop.coming")
	w := newWorld(t, a, b, c, leaving, coming)
	before := deployment{group: "rolling", interval: "30ms", session: "6s", mirrors: []*mirror{a, b, c, leaving}}
	after := deployment{group: "rolling", interval: "70ms", session: "6s", mirrors: []*mirror{coming, a, b, c}}
	was, is := w.deploy("before.toml", before), w.deploy("after.toml", after)
	end := w.flow(47)

	f := &fleet{w: w, config: was, tables: namesOf(before.mirrors)}
	old := []*process{f.add(), f.add(), f.add()}
	f.watch(f.shares())
	f.config, f.tables = is, namesOf(w.mirrors)
	for step, p := range old {
		if step == len(old)-1 {
			f.tables = namesOf(after.mirrors)
		}
		if surge := step == 1; surge { // As a deployment does that starts the next one first.
			f.add().await(1, says("started", ""))
			p.stop(syscall.SIGTERM)
			f.remove(p)
		} else {
			p.stop(syscall.SIGTERM)
			f.remove(p)
			f.add()
		}
		f.watch(f.shares())
	}
	left := w.head(leaving.name).ID
	f.watch(f.shares())
	end()
	for _, p := range f.members {
		p.stop(syscall.SIGTERM)
	}
	if now := w.head(leaving.name).ID; now != left {
		t.Errorf("%s was committed after the last member that declares it had left", leaving.name)
	}
	for _, p := range f.all {
		declared := namesOf(after.mirrors)
		if slices.Contains(old, p) {
			declared = namesOf(before.mirrors)
		}
		for _, l := range p.log.find(says("resumed from bookmark", "")) {
			if !slices.Contains(declared, l.Table) {
				t.Errorf("%s ran %s, and declares %v", p.name, l.Table, declared)
			}
		}
	}
	f.peaceful()
	all := append(f.all, w.backfill(is), w.backfill(was)) // The table that left is put back, and goes on from its bookmark.
	w.compare()
	w.committers(all...)
}

func namesOf(mirrors []*mirror) []string {
	var names []string
	for _, m := range mirrors {
		names = append(names, m.name)
	}
	return names
}
