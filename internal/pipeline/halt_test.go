package pipeline_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/pipeline"
)

// badRecords are records that no table of customers takes, with the reason that is counted.
func badRecords(e events) []struct {
	name, reason string
	record       *kgo.Record
} {
	with := func(payload string) *kgo.Record { return e.schemaless().record([]string{"7", `"x"`}, payload) }
	noKey := e.upsert("c", "7", `"x"`)
	noKey.Key = nil
	otherKey := e.upsert("c", "7", `"x"`)
	otherKey.Key = e.upsert("c", "8", `"x"`).Key
	return []struct {
		name, reason string
		record       *kgo.Record
	}{
		{"invalid JSON", "invalid_json", with(`{"before":null,"after":{"id":7,`)},
		{"empty value", "invalid_json", &kgo.Record{Topic: e.topic, Key: noKey.Value, Value: []byte{}}},
		{"no object", "not_an_object", with(`[1,2]`)},
		{"type mismatch", "type_mismatch", with(`{"before":null,"after":{"id":7,"name":5},` + sourceBlock + `,"op":"c"}`)},
		{"out of range", "out_of_range", e.upsert("c", "3000000000", `"x"`)},
		{"null in the key", "invalid_key", with(`{"before":null,"after":{"id":null,"name":"x"},` + sourceBlock + `,"op":"c"}`)},
		{"null key", "null_key", noKey},
		{"key of another row", "invalid_key", otherKey},
		{"unknown op", "unknown_op", with(`{"before":null,"after":{"id":7,"name":"x"},` + sourceBlock + `,"op":"z"}`)},
		{"missing op", "missing_op", with(`{"id":7,"name":"x"}`)},
		{"missing after", "missing_after", with(`{"before":null,"after":null,` + sourceBlock + `,"op":"u"}`)},
	}
}

// A record that cannot be applied halts its table exactly there (I6), and only that table (I9).
func TestBadRecordHaltsItsTableAtItsOffset(t *testing.T) {
	for _, bad := range badRecords(customers("bad")) {
		t.Run(bad.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "bad", "good")
			e, other := customers("bad"), customers("good")
			w.produce(e.upsert("c", "1", `"Ann"`), e.upsert("c", "2", `"Bob"`), bad.record, e.upsert("c", "3", `"after"`))
			w.produce(other.upsert("c", "1", `"Zoe"`))
			tables := soon(mirror("d.bad", "bad"), mirror("d.good", "good"))
			p := w.start(tables, nil)
			entry := p.halted("d.bad", "bad_record")
			if got := fmt.Sprint(entry["topic"], "/", entry["partition"], "@", entry["offset"]); got != "bad/0@2" {
				t.Errorf("the log names %s, want bad/0@2", got)
			}
			if text := fmt.Sprint(entry["err"]); !strings.Contains(text, bad.reason) || !strings.Contains(text, "bad/0 offset 2") {
				t.Errorf("the log says %q, want the reason %s and the place bad/0 offset 2", text, bad.reason)
			}
			if n := p.metric("cdcd_decode_errors_total", "table=d.bad", "reason="+bad.reason); n != 1 {
				t.Errorf("counted %v records refused as %s, want 1", n, bad.reason)
			}
			before := map[string]string{"1": "1|Ann", "2": "2|Bob"}
			w.expect("d.bad", []string{"id"}, before)
			if next := w.next("d.bad", "bad", 0); next != 2 {
				t.Errorf("the bookmark stands at %d, want 2", next)
			}

			w.produce(e.upsert("c", "4", `"never"`))
			w.produce(other.upsert("c", "2", `"Yan"`))
			w.reaches("d.good", 2)
			if err := p.stop(); err != nil {
				t.Fatal(err)
			}

			snapshots := len(w.snapshots("d.bad"))
			p = w.start(tables, nil)
			if entry := p.halted("d.bad", "bad_record"); entry["offset"] != 2.0 {
				t.Errorf("halted again at offset %v, want 2", entry["offset"])
			}
			w.expect("d.bad", []string{"id"}, before)
			if n := len(w.snapshots("d.bad")); n != snapshots {
				t.Errorf("the restart committed %d snapshots, want none", n-snapshots)
			}
		})
	}
}

func TestFirstRecordThatIsBadMakesNoTable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "bad")
	w.produce(badRecords(customers("bad"))[0].record)
	p := w.start(soon(mirror("d.bad", "bad")), nil)
	p.halted("d.bad", "bad_record")
	if n := len(w.snapshots("d.bad")); n != 0 {
		t.Errorf("%d snapshots, want no table", n)
	}
}

// The epoch of a bookmark is that of the last record before it (docs/format.md), not that of the record that is refused.
func TestBookmarkBeforeARefusedFirstRecordHasNoEpoch(t *testing.T) {
	t.Parallel()
	w := newPartitionedWorld(t, 2, "shop")
	e := customers("shop")
	w.produce(e.upsert("c", "1", `"Ann"`))
	p := w.start([]pipeline.Table{mirror("d.t", "shop")}, nil)
	w.eventually("the record is read", func() bool { return p.metric("cdcd_records_consumed_total") == 1 })
	bad := badRecords(e)[0].record
	bad.Partition = 1
	w.produce(bad)
	p.halted("d.t", "bad_record")
	if text, want := w.snapshots("d.t")[0].Summary["cdcd.bookmark"], `[{"p":0,"next":1,"epoch":0},{"p":1,"next":0,"epoch":-1}]`; !strings.Contains(text, want) {
		t.Errorf("the bookmark is %s, want %s in it", text, want)
	}
}

func TestTruncateIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	truncate := e.schemaless().record(nil, `{"before":null,"after":null,`+sourceBlock+`,"op":"t","ts_ms":1}`)
	truncate.Key = nil
	w.produce(e.upsert("c", "1", `"Ann"`), truncate, e.upsert("c", "2", `"Bob"`))
	p := w.start(soon(mirror("d.shop", "shop")), nil)
	if entry := p.halted("d.shop", "truncate_refused"); entry["offset"] != 1.0 {
		t.Errorf("halted at offset %v, want 1", entry["offset"])
	}
	if n := p.metric("cdcd_decode_errors_total", "reason=truncate_refused"); n != 1 {
		t.Errorf("counted %v refused truncates, want 1", n)
	}
	w.expect("d.shop", []string{"id"}, map[string]string{"1": "1|Ann"})
}

// The topic is read once for both; what one of them cannot take does not hold the other (I9).
func TestOneOfTwoTablesOfATopicHalts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	w.produce(e.upsert("c", "1", `"Ann"`), e.upsert("c", "2", `null`), e.upsert("c", "3", `"Cid"`))
	strict, lenient := mirror("d.strict", "shop"), mirror("d.lenient", "shop")
	strict.Decoder.Key, strict.Sink.Key = []string{"id", "name"}, []string{"id", "name"}
	p := w.start(soon(strict, lenient), nil)
	p.halted("d.strict", "bad_record")
	w.produce(e.upsert("c", "4", `"Dan"`))
	w.reaches("d.lenient", 4)
	w.expect("d.strict", []string{"id"}, map[string]string{"1": "1|Ann"})
	if next := w.next("d.strict", "shop", 0); next != 1 {
		t.Errorf("the halted table's bookmark stands at %d, want 1", next)
	}
}

// A halted table that the group takes away and gives back halts again; and only its owner tells of it.
func TestHaltedTableThatComesBackHaltsAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a", "b")
	tables := soon(mirror("d.a", "a"), mirror("d.b", "b"))
	for _, topic := range []string{"a", "b"} {
		w.produce(customers(topic).upsert("c", "1", `"Ann"`), badRecords(customers(topic))[0].record)
	}
	first := w.start(tables, nil)
	first.halted("d.a", "bad_record")
	first.halted("d.b", "bad_record")
	second := w.start(tables, nil) // The group rebalances: one table goes to each.
	w.eventually("both tables have halted again, and each process tells of its own", func() bool {
		return len(first.log.entries("halted table")) >= 3 && len(second.log.entries("halted table")) >= 1 &&
			first.metric("cdcd_table_halted") == 1 && second.metric("cdcd_table_halted") == 1
	})
	if err := second.stop(); err != nil {
		t.Fatal(err)
	}
	w.eventually("the first process tells of both again", func() bool { return first.metric("cdcd_table_halted") == 2 })
	for _, table := range []string{"a", "b"} {
		if next := w.next("d."+table, table, 0); next != 1 {
			t.Errorf("the bookmark of %s stands at %d, want 1", table, next)
		}
		if n := len(w.snapshots("d." + table)); n != 1 {
			t.Errorf("%s has %d commits, want 1", table, n)
		}
	}
}

func TestBoundedRunReportsHaltedTablesAndFinishesTheOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "bad", "good")
	e, other := customers("bad"), customers("good")
	w.produce(e.upsert("c", "1", `"Ann"`), badRecords(e)[0].record)
	w.produce(other.upsert("c", "1", `"Zoe"`))
	_, err := w.runToEnd([]pipeline.Table{mirror("d.bad", "bad"), mirror("d.good", "good"), mirror("d.none", "missing")}, nil)
	for _, want := range []string{pipeline.ErrHalted.Error(), "table d.bad: bad_record", "table d.none: topic_missing"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %q", err, want)
		}
	}
	w.expect("d.bad", []string{"id"}, map[string]string{"1": "1|Ann"})
	w.expect("d.good", []string{"id"}, map[string]string{"1": "1|Zoe"})
}
