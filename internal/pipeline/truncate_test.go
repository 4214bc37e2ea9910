package pipeline_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/pipeline"
)

// truncated returns a truncate event, which has no key and whose schema, if it has one, is that of its table.
func (e events) truncated() *kgo.Record {
	r := e.record(nil, `{"before":null,"after":null,`+sourceBlock+`,"op":"t","ts_ms":1}`)
	r.Key = nil
	return r
}

// truncating returns t with a policy for truncates.
func truncating(t pipeline.Table, policy debezium.TruncatePolicy) pipeline.Table {
	t.Decoder.Truncate = policy
	return t
}

func TestTruncateIsAppliedInOrder(t *testing.T) {
	t.Parallel()
	for _, schemaless := range []bool{false, true} {
		t.Run(fmt.Sprintf("schemaless=%v", schemaless), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "shop")
			e := customers("shop")
			table := truncating(mirror("d.t", "shop"), debezium.TruncateApply)
			w.produce(e.truncated()) // Before the table: nothing is there to go.
			if schemaless {
				w.produce(e.upsert("c", "1", `"Ann"`))
				e = e.schemaless()
			} else {
				w.produce(e.upsert("c", "1", `"Ann"`))
			}
			w.mustRunToEnd(table)
			w.produce(e.upsert("c", "2", `"Bob"`), e.upsert("u", "1", `"Ann2"`), e.truncated(), e.truncated(), e.upsert("c", "2", `"Cid"`), e.upsert("c", "3", `"Dan"`))
			w.produce(e.remove("3", `"Dan"`)...)
			p := w.mustRunToEnd(table)
			w.stands("d.t", "shop", map[string]string{"2": "2|Cid"}, 10)
			if n := p.metric("cdcd_change_events_total", "op=t"); n != 2 {
				t.Errorf("counted %v truncates, want 2", n)
			}
			if consumed, applied := p.metric("cdcd_records_consumed_total"), p.metric("cdcd_change_events_total"); consumed != 8 || applied != 8 {
				t.Errorf("consumed %v and applied %v records, want 8 (I6)", consumed, applied)
			}
			operations := ""
			for _, s := range w.snapshots("d.t") {
				operations += s.Operation + " "
			}
			if want := "append overwrite delete replace append "; operations != want {
				t.Errorf("the snapshots are %s, want %s", operations, want)
			}
		})
	}
}

// A TRUNCATE has no order against the events of other partitions (I13).
func TestTruncateOfATableWithSeveralPartitionsHalts(t *testing.T) {
	t.Parallel()
	w := newPartitionedWorld(t, 2, "shop")
	e := customers("shop")
	w.produce(e.upsert("c", "1", `"Ann"`), e.truncated(), e.upsert("c", "2", `"Bob"`))
	p := w.start(soon(truncating(mirror("d.t", "shop"), debezium.TruncateApply)), nil)
	if entry := p.halted("d.t", "truncate_refused"); entry["offset"] != 1.0 {
		t.Errorf("halted at offset %v, want 1", entry["offset"])
	}
	w.stands("d.t", "shop", map[string]string{"1": "1|Ann"}, 1, 0)
}

func TestIgnoredTruncateIsCounted(t *testing.T) {
	t.Parallel()
	w := newPartitionedWorld(t, 2, "shop")
	e := customers("shop")
	w.produce(e.upsert("c", "1", `"Ann"`), e.truncated(), e.upsert("c", "2", `"Bob"`))
	p := w.mustRunToEnd(truncating(mirror("d.t", "shop"), debezium.TruncateIgnore))
	if n := p.metric("cdcd_records_ignored_total", "rule=truncate_ignored"); n != 1 {
		t.Errorf("counted %v ignored truncates, want 1", n)
	}
	w.stands("d.t", "shop", map[string]string{"1": "1|Ann", "2": "2|Bob"}, 3, 0)
}

// Replies that are lost, and processes that die right after a commit, change nothing: each truncate is applied at its place.
func TestTruncatesAmongRandomTrafficAndKills(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	table := truncating(mirror("d.t", "shop"), debezium.TruncateApply)
	r := rand.New(rand.NewPCG(5, 6))
	truth := map[string]string{}
	for range 12 {
		for range 1 + r.IntN(60) {
			id := fmt.Sprint(r.IntN(20))
			switch r.IntN(12) {
			case 0:
				w.produce(e.truncated())
				clear(truth)
			case 1, 2:
				w.produce(e.remove(id, `"x"`)...)
				delete(truth, id)
			default:
				name := fmt.Sprint("n", r.IntN(1000))
				w.produce(e.upsert("u", id, fmt.Sprintf("%q", name)))
				truth[id] = id + "|" + name
			}
		}
		w.dieAfterACommit(table)
		w.mustRunToEnd(table)
		w.expect("d.t", []string{"id"}, maps.Clone(truth))
	}
}
