package pipeline_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// forget is cdcd table resume -accept-disorder: the form of the keys is learned anew.
func forget() sink.Operation {
	return sink.Operation{Name: sink.OperationResume, Decide: func(_ context.Context, at sink.Standing) (sink.Decision, error) {
		to := at.Bookmark.Clone()
		to.SetKey("shop", nil)
		return sink.Decision{Bookmark: to}, nil
	}}
}

func rewindTo(id int64) sink.Operation {
	return sink.Operation{Name: sink.OperationRewind, Decide: func(context.Context, sink.Standing) (sink.Decision, error) {
		return sink.Decision{Snapshot: id}, nil
	}}
}

// head returns the id of the newest snapshot.
func (k *keyWorld) head() int64 {
	all := k.snapshots("d.t")
	return all[len(all)-1].ID
}

// overtaken makes a table apply an event of key one whose earlier events arrive only then: a row that the change of keys moves from partition
// 0 to 1. It returns the snapshot from before the change, and the process, which halts.
func overtaken(k *keyWorld, from, to keying) (before int64, p *process) {
	k.t.Helper()
	id := k.s.mover(from, to, 0, 1)
	k.s.change(from, 40).put(from, id)
	k.s.send(k.world, 0, 1, 2)
	p = k.run()
	k.equals()
	before = k.head()
	k.s.put(from, id)
	late := k.s.log[k.s.sent].Record
	k.s.put(to, id)
	k.produce(k.s.log[k.s.sent+1].Record)
	k.eventually("the later event is applied", func() bool { return k.readTo(1) })
	k.produce(late)
	k.s.sent += 2
	entry := p.halted("d.t", "key_unordered")
	for _, word := range []string{"shop/0 offset", "later event", instantOf(late), "has the form", "events of the form"} {
		if !strings.Contains(fmt.Sprint(entry["err"]), word) {
			k.t.Errorf("the error does not say %q: %s", word, entry["err"])
		}
	}
	hinted(k.t, entry, "cdcd table rewind", "-to-snapshot")
	return before, p
}

func instantOf(r *kgo.Record) string { return r.Timestamp.UTC().Format("2006-01-02T15:04:05.000Z") }

// What a producer delivers after later events of its key were applied halts the table, and each way out that the runbook names works: the
// first gives the fold in the order of production, the others what they say.
func TestEventThatArrivesLateHalts(t *testing.T) {
	for name, forms := range eras() {
		if len(forms) != 2 || name == "no change at all" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKeyWorld(t, strings.Contains(name, "Avro"))
			before, p := overtaken(k, forms[0], forms[1])
			if err := p.stop(); err != nil {
				t.Fatal(err)
			}
			k.run().halted("d.t", "key_unordered") // However often it is started.
			k.decide(k.tables[0], rewindTo(before))
			k.equals()
			k.s.change(forms[1], 20).send(k.world, 0, 1, 2)
			k.equals()
		})
	}
}

func TestLateEventIsSkippedOrAccepted(t *testing.T) {
	for _, skip := range []bool{true, false} {
		t.Run(fmt.Sprintf("skip=%v", skip), func(t *testing.T) {
			t.Parallel()
			k := newKeyWorld(t, false)
			_, p := overtaken(k, bareKeys, namedKeys("one"))
			n := len(k.s.log)
			if skip {
				k.decide(k.tables[0], sink.Operation{Name: sink.OperationSkip, Decide: func(_ context.Context, at sink.Standing) (sink.Decision, error) {
					to := at.Bookmark.Clone()
					place, _ := to.Partition("shop", 0)
					place.Next++
					to.Set("shop", "", place)
					return sink.Decision{Bookmark: to}, nil
				}})
			} else {
				k.decide(k.tables[0], forget())
				k.s.log[n-2], k.s.log[n-1] = k.s.log[n-1], k.s.log[n-2] // It is applied over the later one.
			}
			k.equals()
			k.eventually("the table goes on", func() bool { return p.metric("cdcd_table_halted") == 0 })
			k.s.change(namedKeys("one"), 40).send(k.world, 0, 1, 2)
			k.equals()
		})
	}
}

// A form that came back was not looked for where its partition had been read on: if what is in between is met later, the table halts. As it
// happens, each form is met in its turn.
func TestFormThatComesBack(t *testing.T) {
	t.Parallel()
	k := newKeyWorld(t, false)
	from, between := bareKeys, namedKeys("one")
	id := k.s.mover(from, between, 0, 1)
	k.s.put(from, id)
	k.s.at += 5000
	k.s.put(between, id)
	k.s.at += 5000
	k.s.put(from, id)
	release := k.sendHolding(1)
	p := k.run()
	k.eventually("partition 0 is held", func() bool { return len(p.log.entries("held partition")) == 1 })
	release()
	k.eventually("partition 1 is held", func() bool { return len(p.log.entries("held partition")) == 3 })
	entry := p.halted("d.t", "key_unordered")
	if !strings.Contains(fmt.Sprint(entry["err"]), "shop/1 offset 0") {
		t.Errorf("halted at %v", entry["err"])
	}
	k.stands("d.t", "shop", map[string]string{fmt.Sprint(id): fmt.Sprintf("%d|name3", id)}, 2, 0, 0)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	k.run().halted("d.t", "key_unordered") // The bookmark tells it as well.
}

// Where neither offsets nor record times tell which of two forms came first, nothing is guessed.
func TestFormsOfOneMomentHalt(t *testing.T) {
	t.Parallel()
	k := newKeyWorld(t, false)
	id := k.s.mover(bareKeys, namedKeys("one"), 0, 1)
	k.s.put(bareKeys, id)
	k.s.at -= 100
	k.s.put(namedKeys("one"), id)
	k.s.send(k.world, 0, 1)
	p := k.run()
	if entry := p.halted("d.t", "key_unordered"); !strings.Contains(fmt.Sprint(entry["err"]), "both were written at") {
		t.Errorf("halted with %v", entry["err"])
	}
	if k.exists("d.t") {
		t.Error("something was applied")
	}
}

// Within one partition offsets tell the order, whatever the record times are.
func TestFormsOfOneMomentInOnePartition(t *testing.T) {
	t.Parallel()
	k := newKeyWorld(t, false)
	forms := []keying{bareKeys, namedKeys("one"), namedKeys("two"), bareKeys}
	for _, keys := range forms {
		for id := 1; ; id++ {
			if k.s.home(keys(id)) == 2 {
				k.s.at -= 100
				k.s.put(keys, id)
				break
			}
		}
	}
	k.s.send(k.world, 2)
	k.mustEnd()
	k.equals()
}

// A barrier that has not passed is met again, and one that has passed without a commit as well: the form moves with the rows.
func TestKeyFormOutlivesACrash(t *testing.T) {
	for _, passed := range []bool{false, true} {
		t.Run(fmt.Sprintf("passed=%v", passed), func(t *testing.T) {
			t.Parallel()
			k := newKeyWorld(t, true)
			from, to := avroKeys(71), avroKeys(72)
			k.s.change(from, 40).send(k.world, 0, 1, 2)
			k.mustEnd()
			form, stood := k.form(), k.next("d.t", "shop", 0)
			k.s.change(from, 40).change(to, 40)
			release := k.sendHolding(1)
			c := &wire{Catalog: k.catalog}
			crash := func(o *pipeline.Options) {
				k.change(o)
				k.through(c)(o)
				o.GracePeriod = time.Millisecond
			}
			tables := []pipeline.Table{k.tables[0]}
			if passed {
				tables[0].CommitInterval = time.Hour
			}
			p := k.start(tables, crash)
			k.eventually("partitions are held", func() bool { return len(p.log.entries("held partition")) == 2 })
			if passed {
				release()
				k.eventually("the barrier is passed", func() bool { return len(p.log.entries("read held partitions on")) == 1 })
			} else {
				k.eventually("what came before is committed", func() bool { return k.next("d.t", "shop", 0) > stood })
			}
			c.down.Store(true) // What is not committed is lost.
			if err := p.stop(); err != nil {
				t.Fatal(err)
			}
			if k.form() != form || form != "confluent:71" {
				t.Errorf("the bookmark tells %q, and told %q", k.form(), form)
			}
			p = k.run()
			k.eventually("partitions are held again", func() bool { return len(p.log.entries("held partition")) >= 2 })
			release()
			k.equals()
			if k.form() != "confluent:72" {
				t.Errorf("the bookmark tells %q", k.form())
			}
		})
	}
}

// A table that goes back to before the change goes forward through it again.
func TestRewindBehindAChangeOfKeys(t *testing.T) {
	t.Parallel()
	k := newKeyWorld(t, false)
	k.change = quickly
	forms := []keying{namedKeys("one"), bareKeys, namedKeys("two")}
	k.s.change(forms[0], 40).send(k.world, 0, 1, 2)
	k.run()
	k.equals()
	was, first, start := k.form(), k.head(), k.mark("d.t")
	for _, keys := range forms[1:] {
		k.s.change(forms[0], 0).change(keys, 60)
		k.sendHolding(0)()
		k.equals()
	}
	if k.form() == was {
		t.Fatal("the form has not changed")
	}
	k.decide(k.tables[0], rewindTo(first))
	k.equals()

	// By offsets the rows stay, and so the form has to be forgotten.
	for partition := range int32(3) {
		if p, _ := start.Partition("shop", partition); p.Next == 0 {
			t.Fatal("a partition was not read")
		}
	}
	k.decide(k.tables[0], sink.Operation{Name: sink.OperationRewind, Decide: func(context.Context, sink.Standing) (sink.Decision, error) {
		to := start.Clone()
		to.SetKey("shop", nil)
		return sink.Decision{Bookmark: to}, nil
	}})
	k.eventually("the records are read again", func() bool { return k.head() != first && k.readTo(0, 1, 2) })
	k.equals()
}

// Bad records and side records, whatever their keys look like, are not waited for.
func TestOnlyEventsHoldAPartition(t *testing.T) {
	t.Parallel()
	k := newKeyWorld(t, false)
	k.tables[0].BadRecords = pipeline.BadRecords{Quarantine: true, Max: 100}
	k.s.change(bareKeys, 40).send(k.world, 0, 1, 2)
	p := k.run()
	k.equals()
	held := len(p.log.entries("held partition"))
	for partition := range int32(3) {
		k.produce(&kgo.Record{Topic: "shop", Partition: partition, Key: []byte(`{"other":1}`), Value: []byte(`{`)},
			&kgo.Record{Topic: "shop", Partition: partition, Key: []byte(`{"x":{"y":1}}`), Value: []byte(`{"op":"m","source":{"ts_ms":1},"message":{}}`)},
			&kgo.Record{Topic: "shop", Partition: partition, Key: []byte(`null`), Value: []byte(`{}`)})
	}
	k.s.change(bareKeys, 40).send(k.world, 0, 1, 2)
	k.equals()
	if n := len(p.log.entries("held partition")); n != held {
		t.Errorf("%d partitions were held", n-held)
	}
}

// A record that was set aside is not replayed behind a change of keys, unless an operator knows better.
func TestReplayRefusesBehindAChangeOfKeys(t *testing.T) {
	t.Parallel()
	k := newKeyWorld(t, false)
	k.tables[0].BadRecords, k.tables[0].Decoder.Limits.StringBytes = pipeline.BadRecords{Quarantine: true, Max: 100}, 1000
	long := func() {
		k.s.at += 100
		r := customers("shop").upsert("u", "1", `"`+strings.Repeat("x", 1001)+`"`)
		r.Key = namedKeys("one")(1)
		r.Timestamp, r.Partition = time.UnixMilli(k.s.at), k.s.home(r.Key)
		k.produce(r)
	}
	k.s.put(namedKeys("one"), 2)
	k.s.send(k.world, 0, 1, 2)
	long() // The first one of its partition.
	k.run()
	k.equalsBeside()
	refused := func(want string) {
		t.Helper()
		got := k.replay(mended(k.tables[0]), func(o *pipeline.ReplayOptions) { o.DryRun = true })
		for _, outcome := range got {
			if outcome != want {
				t.Errorf("got %v, want %s", got, want)
			}
		}
		if len(got) != 1 {
			t.Errorf("replayed %v", got)
		}
	}
	refused("applied")
	for _, keys := range []keying{bareKeys, namedKeys("one")} {
		k.s.change(keys, 20).send(k.world, 0, 1, 2)
		k.equalsBeside()
		refused("refused")
	}
	got := k.replay(mended(k.tables[0]), func(o *pipeline.ReplayOptions) { o.AcceptDisorder, o.DryRun = true, true })
	for _, outcome := range got {
		if outcome == "refused" {
			t.Errorf("got %v", got)
		}
	}
}

// equalsBeside waits until the table has read everything. One row is not looked at.
func (k *keyWorld) equalsBeside() {
	k.t.Helper()
	k.eventually("all records are read", func() bool { return k.readTo(0, 1, 2) })
	got, want := k.rows("d.t", "id"), k.s.rows()
	delete(got, "1")
	delete(want, "1")
	if diff := cmp.Diff(want, got); diff != "" {
		k.t.Fatalf("rows (-want +got):\n%s", diff)
	}
}
