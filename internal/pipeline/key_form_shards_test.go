package pipeline_test

import (
	"strings"
	"testing"
)

// shards is a topic into which two source tables with keys of their own are routed: their key schemas have names of their own.
func shards(t *testing.T) *keyWorld {
	k := newKeyWorld(t, false)
	for n := range 100 {
		k.s.put(namedKeys("one"), 1+n%7)
		k.s.put(namedKeys("two"), 101+n%7)
	}
	k.s.send(k.world, 0, 1, 2)
	return k
}

// Where the forms of keys take turns all the time a barrier for each would take for ever: the table halts, and says what it may be, however
// slowly they come.
func TestKeysOfSeveralSourcesHaltTheTable(t *testing.T) {
	t.Parallel()
	for name, produce := range map[string]func(k *keyWorld){
		"in a backlog": func(*keyWorld) {},
		"one by one": func(k *keyWorld) {
			for n := range 30 {
				k.s.put(namedKeys([]string{"one", "two"}[n%2]), n)
				k.s.send(k.world, 0, 1, 2)
				if len(k.p.log.entries("halted table")) > 0 {
					return
				}
				k.eventually("it is applied", func() bool { return k.readTo(0, 1, 2) || len(k.p.log.entries("halted table")) > 0 })
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKeyWorld(t, false)
			if name == "in a backlog" {
				k = shards(t)
			}
			k.run()
			produce(k)
			entry := k.p.halted("d.t", "key_unordered")
			if hint, _ := entry["hint"].(string); !strings.Contains(hint, "disjoint_keys") {
				t.Errorf("hint %q", hint)
			}
		})
	}
}

// Keys that are said to be disjoint need no order among the sources.
func TestDisjointKeysOfSeveralSources(t *testing.T) {
	t.Parallel()
	k := shards(t)
	k.tables[0].DisjointKeys = true
	p := k.run()
	k.equals()
	if held := p.log.entries("held partition"); len(held) > 0 {
		t.Errorf("held %v", held)
	}
	if form := k.form(); form != "" {
		t.Errorf("the bookmark has the form %q", form)
	}
}
