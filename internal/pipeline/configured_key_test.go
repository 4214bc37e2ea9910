package pipeline_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/pipeline"
)

// lines are rows (order_id, line, sku), whose record key has some of these columns.
func lines(topic string, key ...string) events {
	return events{topic: topic, key: key, columns: []column{{"order_id", connectInt}, {"line", connectInt}, {"sku", connectString}}, schemas: true}
}

// keyed returns t with a configured key.
func keyed(t pipeline.Table, key ...string) pipeline.Table {
	t.Decoder.Key, t.Sink.Key = key, key
	return t
}

// update returns the record of an update, with its old row image.
func (e events) update(before, after []string) *kgo.Record {
	return e.record(after, `{"before":`+e.image(before)+`,"after":`+e.image(after)+`,`+sourceBlock+`,"op":"u","ts_ms":1}`)
}

// Events of one configured key keep their order in several partitions if the key has every field of the record key; otherwise the table
// needs to be fed by one (I13).
func TestConfiguredKeyDecidesThePartitionOrHalts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name       string
		record     []string // The fields of the record key.
		configured []string
		partitions int32
		halts      bool
	}{
		{"the same key", []string{"order_id"}, []string{"order_id"}, 2, false},
		{"more than the record key", []string{"order_id"}, []string{"order_id", "line"}, 2, false},
		{"less than the record key", []string{"order_id", "line"}, []string{"order_id"}, 2, true},
		{"another key", []string{"order_id"}, []string{"line"}, 2, true},
		{"no record key", nil, []string{"order_id"}, 2, true},
		{"less, in one partition", []string{"order_id", "line"}, []string{"order_id"}, 1, false},
		{"another key in one partition", []string{"order_id"}, []string{"line"}, 1, false},
		{"no record key in one partition", nil, []string{"order_id"}, 1, false},
	} {
		for _, schemas := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, schemas=%v", test.name, schemas), func(t *testing.T) {
				t.Parallel()
				w := newPartitionedWorld(t, test.partitions, "shop")
				e := lines("shop", test.record...)
				first := e.upsert("c", "9", "9", `"first"`)
				first.Key = lines("shop", test.configured...).record([]string{"9", "9", `"first"`}, "null").Key // Makes the table whatever follows.
				w.produce(first)
				w.mustRunToEnd(keyed(mirror("d.t", "shop"), test.configured...))
				e.schemas = schemas
				records := []*kgo.Record{
					e.upsert("c", "1", "2", `"old"`), e.update([]string{"1", "2", `"old"`}, []string{"1", "2", `"new"`}), e.upsert("c", "3", "4", `"gone"`),
					e.remove("3", "4", `"gone"`)[0],
				}
				for _, r := range records {
					if len(test.record) == 0 {
						r.Key = nil
					}
				}
				w.produce(records...)
				p := w.start(soon(keyed(mirror("d.t", "shop"), test.configured...)), nil)
				want := map[string]string{"9|9": "9|9|first"}
				if test.halts {
					if entry := p.halted("d.t", "key_unordered"); entry["offset"] != 1.0 {
						t.Errorf("halted at offset %v, want 1", entry["offset"])
					}
				} else {
					want["1|2"] = "1|2|new"
					w.eventually("all is applied", func() bool { return w.next("d.t", "shop", 0) == 5 })
				}
				w.expect("d.t", []string{"order_id", "line"}, want)
			})
		}
	}
}

// An update may change a configured key that the record key does not have: the row of the old key, which before tells, goes.
func TestUpdateMovesARowToAnotherConfiguredKey(t *testing.T) {
	t.Parallel()
	for _, schemas := range []bool{true, false} {
		t.Run(fmt.Sprintf("schemas=%v", schemas), func(t *testing.T) {
			t.Parallel()
			w := newPartitionedWorld(t, 2, "shop")
			e := lines("shop", "order_id")
			w.produce(e.upsert("c", "1", "1", `"a"`), e.upsert("c", "1", "2", `"b"`))
			table := keyed(mirror("d.t", "shop"), "order_id", "line")
			w.mustRunToEnd(table)
			e.schemas = schemas
			move := func(from, to, sku string) *kgo.Record {
				return e.update([]string{"1", from, sku}, []string{"1", to, sku})
			}
			w.produce(move("1", "3", `"a"`), move("2", "1", `"b"`), move("3", "4", `"a"`))
			p := w.mustRunToEnd(table)
			w.expect("d.t", []string{"order_id", "line"}, map[string]string{"1|1": "1|1|b", "1|4": "1|4|a"})
			if n := p.metric("cdcd_change_events_total", "op=u"); n != 3 {
				t.Errorf("counted %v updates, want 3", n)
			}
		})
	}
}

// The row that moves may keep values that the event does not have.
func TestMovedRowKeepsUnavailableValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := lines("shop", "order_id")
	w.produce(e.upsert("c", "1", "1", `"a"`))
	table := keyed(mirror("d.t", "shop"), "line")
	w.mustRunToEnd(table)
	w.produce(e.update([]string{"1", "1", `"` + unavailable + `"`}, []string{"1", "2", `"` + unavailable + `"`}))
	w.produce(e.update([]string{"1", "2", `"` + unavailable + `"`}, []string{"1", "3", `"` + unavailable + `"`}))
	w.mustRunToEnd(table)
	w.expect("d.t", []string{"line"}, map[string]string{"3": "1|3|a"})
	// A source that repeats itself tells of the move again, when the old key may have another row.
	again := e.update([]string{"1", "2", `"` + unavailable + `"`}, []string{"1", "3", `"` + unavailable + `"`})
	w.produce(e.upsert("c", "1", "2", `"b"`), again)
	w.mustRunToEnd(table)
	w.expect("d.t", []string{"line"}, map[string]string{"3": "1|3|a"})
}

// A source table without a key is refused with the ways out.
func TestTableWithoutAKeyIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := lines("shop")
	r := e.upsert("c", "1", "1", `"a"`)
	r.Key = nil
	w.produce(r)
	p := w.start(soon(mirror("d.t", "shop")), nil)
	hint := fmt.Sprint(p.halted("d.t", "bad_record")["err"])
	for _, way := range []string{"null_key", "message.key.columns", "primary key", "one partition"} {
		if !strings.Contains(hint, way) {
			t.Errorf("%s does not say %s", hint, way)
		}
	}
}
