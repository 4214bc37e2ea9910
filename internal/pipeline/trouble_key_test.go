package pipeline_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// wide are customers whose key has become a bigint: with the schema, the bytes of every record key have changed, and so has the
// partition that a key hashes to.
func wide(topic string) events {
	e := customers(topic)
	e.columns = []column{{"id", connectLong}, {"name", connectString}}
	return e
}

// inOrder gives records the times of their production: those of wide keys came after all others.
func inOrder(records ...*kgo.Record) []*kgo.Record {
	for _, r := range records {
		if r.Timestamp = time.UnixMilli(1_700_000_000_000); bytes.Contains(r.Key, []byte("int64")) {
			r.Timestamp = time.UnixMilli(1_700_000_060_000)
		}
	}
	return records
}

// Where keys have changed their partition with their schema, the new event of a key may be read long before the old one, which waits
// in another partition. The new ones are not applied before the partitions have been read to the ends seen then (I13).
func TestWiderKeyIsABarrier(t *testing.T) {
	narrow := customers("shop")
	// Several MiB in two partitions: before the switch, keys 1 and 2 live in partition 0 and key 3 in partition 1; after it, elsewhere.
	log := func() (zero, one, two []*kgo.Record) {
		zero = append(zero, narrow.upsert("c", "1", `"old"`), narrow.upsert("c", "2", `"old"`))
		zero = append(zero, large(narrow, 1000, 16, 256<<10)...)
		zero = append(zero, narrow.upsert("u", "1", `"older"`), narrow.upsert("u", "2", `"older"`))
		one = append(one, narrow.in(1).upsert("c", "3", `"old"`))
		one = append(one, large(narrow.in(1), 2000, 8, 256<<10)...)
		zero = append(zero, wide("shop").upsert("u", "3", `"new"`))
		one = append(one, wide("shop").in(1).upsert("u", "1", `"new"`), wide("shop").in(1).upsert("c", "5000000000", `"new"`))
		two = append(two, narrow.in(2).upsert("c", "4", `"old"`))          // And nothing after.
		one = append(one, large(wide("shop").in(1), 3000, 12, 256<<10)...) // More than one piece, of which none may be taken early.
		one = append(one, wide("shop").in(1).remove("2", `"older"`)...)
		return zero, one, two
	}
	for _, bounded := range []bool{true, false} {
		t.Run(fmt.Sprintf("bounded=%v", bounded), func(t *testing.T) {
			t.Parallel()
			w := newPartitionedWorld(t, 3, "shop")
			zero, one, two := log()
			w.produce(inOrder(two...)...)
			w.mustRunToEnd(mirror("d.t", "shop"))
			w.produce(inOrder(append(slices.Clone(one), zero...)...)...)
			if bounded {
				w.mustRunToEnd(mirror("d.t", "shop"))
			} else {
				w.start(soon(mirror("d.t", "shop")), nil)
				w.eventually("all records are applied", func() bool {
					return w.next("d.t", "shop", 0) == int64(len(zero)) && w.next("d.t", "shop", 1) == int64(len(one))
				})
			}
			want := fold(t, append(zero[:18:18], slices.Concat(large(narrow, 2000, 8, 256<<10), large(narrow, 3000, 12, 256<<10))...)...)
			maps.Copy(want, map[string]string{"1": "1|new", "3": "3|new", "4": "4|old", "5000000000": "5000000000|new"})
			delete(want, "2")
			w.stands("d.t", "shop", want, int64(len(zero)), int64(len(one)), 1)
			if _, columns := w.columnsOf("d.t"); columns[0] != "id long required" {
				t.Errorf("the key is %s, want a long", columns[0])
			}
		})
	}
}

// A barrier that did not pass is met again after a restart, since the table's key is what it was.
func TestBarrierOutlivesARestart(t *testing.T) {
	t.Parallel()
	w := newPartitionedWorld(t, 2, "shop", bystander)
	narrow := customers("shop")
	log := people(narrow, 1, 2)
	w.produce(inOrder(log...)...)
	w.mustRunToEnd(mirror("d.t", "shop"))
	w.produce(inOrder(wide("shop").in(1).upsert("u", "1", `"new"`), narrow.upsert("u", "1", `"old"`), narrow.upsert("c", "3", `"old"`))...)
	x := w.begin().produce(narrow.upsert("u", "2", `"open"`)) // Behind it nothing is read, nor is it waited for.
	release := w.holdPartition("shop", 0)
	tables := both()
	p := w.start(tables, quickly)
	w.eventually("the partition is held", func() bool { return len(p.log.entries("held partition")) == 1 })
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	w.stands("d.t", "shop", fold(t, log...), 2, 0)
	p = w.start(tables, quickly)
	w.eventually("the partition is held again", func() bool { return len(p.log.entries("held partition")) == 1 })
	w.goesOn()
	release()
	w.eventually("all records are applied", func() bool { return w.next("d.t", "shop", 1) == 1 && w.next("d.t", "shop", 0) == 4 })
	w.stands("d.t", "shop", map[string]string{"1": "1|new", "2": "2|shop2", "3": "3|old"}, 4, 1)
	x.end(kgo.TryAbort)
}

func TestEachWiderKeyHasABarrier(t *testing.T) {
	t.Parallel()
	w := newPartitionedWorld(t, 2, "shop")
	e := func(a, b string) events {
		return events{topic: "shop", key: []string{"a", "b"}, columns: []column{{"a", a}, {"b", b}, {"name", connectString}}, schemas: true}
	}
	w.produce(e(connectInt, connectInt).upsert("c", "1", "1", `"first"`))
	w.produce(e(connectLong, connectInt).upsert("u", "1", "1", `"second"`), e(connectLong, connectLong).upsert("u", "1", "1", `"third"`))
	p := w.mustRunToEnd(mirror("d.t", "shop"))
	if n := len(p.log.entries("read held partitions on")); n != 3 {
		t.Errorf("%d barriers were passed, want 3, the first being that of a table that knows no keys", n)
	}
	w.expect("d.t", []string{"a", "b"}, map[string]string{"1|1": "1|1|third"})
}

// In one partition nothing changes places: the schema changes with the first record that needs it.
func TestWiderKeyInOnePartitionIsNoBarrier(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	w.produce(people(customers("shop"), 1, 2)...)
	w.produce(wide("shop").upsert("u", "1", `"new"`))
	p := w.mustRunToEnd(mirror("d.t", "shop"))
	w.stands("d.t", "shop", map[string]string{"1": "1|new", "2": "2|shop2"}, 3)
	if n := len(p.log.entries("held partition")); n != 0 {
		t.Errorf("%d partitions were held, want none", n)
	}
}

// Another key is no wider one: the table halts at the first record that has it, however often it is started.
func TestOtherKeyColumnsHalt(t *testing.T) {
	named := customers("shop")
	named.key = []string{"id", "name"}
	other := customers("shop")
	other.key = []string{"name"}
	text := customers("shop")
	text.columns = []column{{"id", connectString}, {"name", connectString}}
	for _, test := range []struct {
		name string
		e    events
		id   string
	}{{"a column added", named, "3"}, {"another column", other, "3"}, {"another type", text, `"3"`}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newPartitionedWorld(t, 2, "shop", bystander)
			log := people(customers("shop"), 1, 2)
			w.produce(log...)
			w.produce(test.e.upsert("c", test.id, `"Cid"`))
			w.produce(people(customers("shop"), 4, 1)...)
			for range 2 {
				p := w.start(both(), nil)
				entry := p.halted("d.t", "schema_change")
				if entry["offset"] != 2.0 {
					t.Errorf("halted at offset %v, want 2", entry["offset"])
				}
				w.goesOn()
				w.stands("d.t", "shop", fold(t, log...), 2, 0)
				if err := p.stop(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
