package main

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/apache/iceberg-go/catalog"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/readback"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// walk is one table whose daemon halts, and goes on by an operator's command without a restart.
type walk struct {
	*world

	m      *mirror
	p      *process
	config string
	rng    *rand.Rand
	halts  int
}

// newWalk starts a daemon and waits until its table equals the oracle.
func newWalk(t *testing.T, m *mirror) *walk {
	t.Helper()
	k := &walk{world: newWorld(t, m), m: m, rng: rand.New(rand.NewPCG(uint64(len(t.Name())), 7))}
	k.config = k.configure("walk", "20ms")
	k.change(20)
	k.p = k.run(k.config)
	k.equal()
	return k
}

// change sends changes of the source table.
func (k *walk) change(n int) {
	k.t.Helper()
	var records []*kgo.Record
	for range n {
		records = append(records, k.m.source.Change(k.rng)...)
	}
	k.send(records...)
}

// lose sends changes that never count: they are to be lost.
func (k *walk) lose(n int) {
	k.t.Helper()
	var records []*kgo.Record
	for range n {
		records = append(records, k.m.source.Phantom(k.rng)...)
	}
	k.send(records...)
}

// halted waits until the daemon halts once more, and returns what it says.
func (k *walk) halted(reason string) line {
	k.t.Helper()
	l := k.p.await(k.halts+1, says("halted table", k.m.name))
	k.halts++
	if l.Reason != reason || l.Hint == "" {
		k.t.Fatalf("halted for %q with hint %q, want %q: %s", l.Reason, l.Hint, reason, l.Err)
	}
	return l
}

// rows returns the table as a reader sees it.
func (k *walk) rows() map[string]string {
	k.t.Helper()
	var got map[string]string
	k.inCatalog(func(cat catalog.Catalog) (err error) {
		if exists, err := cat.CheckTableExists(k.t.Context(), strings.Split(k.m.name, ".")); !exists {
			return err
		}
		got, err = readback.Map(k.t.Context(), cat, k.m.name, k.m.key...)
		return err
	})
	return got
}

// equal waits until the table equals the oracle.
func (k *walk) equal() {
	k.t.Helper()
	for deadline := time.Now().Add(patience); !cmp.Equal(k.m.truth, k.rows()); time.Sleep(50 * time.Millisecond) {
		if k.p.ended() || time.Now().After(deadline) {
			k.t.Fatalf("(-oracle +table):\n%s", cmp.Diff(k.m.truth, k.rows()))
		}
	}
}

// goesOn checks that the daemon, which has not been restarted, applies what comes.
func (k *walk) goesOn() {
	k.t.Helper()
	k.change(20)
	k.equal()
}

// snapshot returns a snapshot by its id, and the head by 0.
func (k *walk) snapshot(id int64) readback.Snapshot {
	k.t.Helper()
	var all []readback.Snapshot
	k.inCatalog(func(cat catalog.Catalog) (err error) {
		all, err = readback.Snapshots(k.t.Context(), cat, k.m.name)
		return err
	})
	for _, s := range all {
		if s.ID == id || id == 0 {
			return s
		}
	}
	k.t.Fatalf("snapshot %d is not there", id)
	return readback.Snapshot{}
}

// decide runs one of the operators' commands: first dry, which must change nothing, and then in earnest, which must be recorded. It
// returns what was printed, and all of it.
func (k *walk) decide(name string, args ...string) (operated, string) {
	k.t.Helper()
	args = append([]string{"table", name, k.m.name, "-config", k.config, "-json", "-by", "tester"}, args...)
	before, files := k.snapshot(0), k.objects(k.m.name, "*/*")
	dry, _ := k.operated(append(args, "-dry-run")...)
	if frozen := k.p == nil || name != "rewind"; frozen && k.snapshot(0).ID != before.ID {
		k.t.Errorf("the dry run of %s has committed", name)
	} else if diff := cmp.Diff(files, k.objects(k.m.name, "*/*")); frozen && diff != "" {
		k.t.Errorf("objects around the dry run of %s (-before +after):\n%s", name, diff)
	}
	done, out := k.operated(args...)
	if !dry.DryRun || dry.Snapshot != 0 || done.DryRun || done.Snapshot == 0 {
		k.t.Errorf("dry: %+v, in earnest: %+v", dry, done)
	}
	if diff := cmp.Diff(dry.Detail, done.Detail); frozenDiff(name, diff) != "" {
		k.t.Errorf("the dry run said something else (-dry +done):\n%s", diff)
	}
	s := k.snapshot(done.Snapshot)
	var detail sink.Detail
	if err := json.Unmarshal([]byte(s.Summary["cdcd.operation.detail"]), &detail); err != nil {
		k.t.Fatal(err)
	}
	if diff := cmp.Diff(done.Detail, detail); s.Summary["cdcd.operation"] != name || diff != "" || detail.By != "tester" {
		k.t.Errorf("recorded as %q (-printed +recorded):\n%s", s.Summary["cdcd.operation"], diff)
	}
	if s.Summary["cdcd.bookmark"] != string(done.After) || s.Parent == nil || *s.Parent != done.Parent {
		k.t.Errorf("snapshot %+v does not carry the bookmark %s on top of %d", s, done.After, done.Parent)
	}
	return done, out
}

// frozenDiff is the difference if it counts: a table that is rewound while its owner commits moves between the two runs.
func frozenDiff(name, diff string) string {
	if name == "rewind" {
		return ""
	}
	return diff
}

// operated runs a command that must succeed, and returns the last object that it prints, and everything.
func (k *walk) operated(args ...string) (operated, string) {
	k.t.Helper()
	code, out, log := command(k.t, args...)
	if code != exitDone {
		k.t.Fatalf("%v: exit code %d\n%s", args, code, log.text())
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return objectsOf[operated](k.t, lines[len(lines)-1:])[0], out
}

// refused runs a command that must fail, and expects words of what it says.
func (k *walk) refused(want string, args ...string) {
	k.t.Helper()
	before := k.snapshot(0).ID
	code, _, log := command(k.t, append(args, "-config", k.config)...)
	if code != exitFailed || !strings.Contains(log.text(), want) {
		k.t.Errorf("%v: exit code %d, %q; want %d and %q", args, code, log.text(), exitFailed, want)
	}
	if k.snapshot(0).ID != before {
		k.t.Errorf("%v has committed", args)
	}
}
