package pipeline_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/pipeline"
)

// changelog returns t as a table to which every change event is added.
func changelog(t pipeline.Table) pipeline.Table {
	t.Decoder.Changelog, t.Sink.Changelog = true, true
	return t
}

// logged are the rows of a changelog by topic, partition and offset.
func (w *world) logged(table string, want map[string]string) {
	w.t.Helper()
	w.expect(table, []string{"_topic", "_partition", "_offset"}, want)
}

const committedAt = "2024-05-14T10:20:30.498000Z" // Of sourceBlock.

// logRow is a row of a changelog of customers.
func logRow(id, name, op string, partition, offset int) (place, text string) {
	return fmt.Sprintf("shop|%d|%d", partition, offset), fmt.Sprintf("%s|%s|%s|%s|shop|%d|%d", id, name, op, committedAt, partition, offset)
}

// Every change event is a row: keyed or not, in any order, deletes with the image that they deleted; a tombstone is none.
func TestChangelogHasEveryChangeEvent(t *testing.T) {
	t.Parallel()
	for _, schemas := range []bool{true, false} {
		for _, keyed := range []bool{true, false} {
			t.Run(fmt.Sprintf("schemas=%v, keyed=%v", schemas, keyed), func(t *testing.T) {
				t.Parallel()
				w := newPartitionedWorld(t, 2, "shop")
				e := customers("shop")
				e.schemas = schemas
				records := []*kgo.Record{
					e.remove("1", `"a"`)[0], e.upsert("c", "1", `"a"`), e.upsert("c", "1", `"a"`), e.upsert("u", "1", "null"), e.remove("1", `"b"`)[0],
					e.in(1).upsert("r", "1", `"c"`),
				}
				for _, r := range records {
					if !keyed {
						r.Key = nil
					}
				}
				w.produce(records[:3]...)
				table := changelog(mirror("d.t", "shop"))
				w.mustRunToEnd(table)
				w.produce(records[3:]...)
				w.produce(&kgo.Record{Topic: "shop", Key: records[0].Key})
				p := w.mustRunToEnd(table)
				want := map[string]string{}
				for offset, r := range [][3]string{{"1", "a", "d"}, {"1", "a", "c"}, {"1", "a", "c"}, {"1", "∅", "u"}, {"1", "b", "d"}} {
					place, text := logRow(r[0], r[1], r[2], 0, offset)
					want[place] = text
				}
				place, text := logRow("1", "c", "r", 1, 0)
				want[place] = text
				w.logged("d.t", want)
				if n := p.metric("cdcd_records_ignored_total", "rule=tombstone"); n != 1 {
					t.Errorf("counted %v tombstones, want 1", n)
				}
				for _, s := range w.snapshots("d.t") {
					if s.Operation != "append" {
						t.Errorf("a snapshot is a %s, want an append", s.Operation)
					}
				}
			})
		}
	}
}

// Kills right after commits, and owners that change: each event is there once.
func TestChangelogHasEachEventOnceWhateverDies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	table := changelog(mirror("d.t", "shop"))
	table.CommitBytes = 4 << 10
	r := rand.New(rand.NewPCG(7, 8))
	want, offset := map[string]string{}, 0
	for range 6 {
		for range 1 + r.IntN(200) {
			id, name := fmt.Sprint(r.IntN(5)), fmt.Sprint("n", r.IntN(1000))
			record, op := e.upsert("u", id, fmt.Sprintf("%q", name)), "u"
			if r.IntN(3) == 0 {
				record, op = e.remove(id, fmt.Sprintf("%q", name))[0], "d"
			}
			w.produce(record)
			place, text := logRow(id, name, op, 0, offset)
			want[place], offset = text, offset+1
		}
		w.dieAfterACommit(table)
		w.mustRunToEnd(table)
		w.logged("d.t", maps.Clone(want))
	}
}

// A wider row makes the changelog wider; what a changelog cannot have is refused.
func TestChangelogEvolvesAndRefuses(t *testing.T) {
	t.Parallel()
	e := customers("shop")
	wider := e
	wider.columns = append(wider.columns[:2:2], column{"points", `"type":"double"`})
	own := e
	own.columns = append(own.columns[:2:2], column{"_op", connectString})
	own.schemas = false
	lost := e.record([]string{"1", `"x"`}, `{"before":null,"after":null,`+sourceBlock+`,"op":"d","ts_ms":1}`)
	for _, test := range []struct {
		name   string
		record *kgo.Record
		reason string
	}{
		{"a column of its own", own.upsert("c", "1", `"a"`, `"mine"`), "duplicate_member"},
		{"an unavailable value", e.upsert("u", "1", `"`+unavailable+`"`), "a changelog has no old row"},
		{"a delete without an image", lost, "missing_after"},
		{"an instant that no table holds", e.schemaless().record([]string{"1", `"x"`}, `{"after":{"id":1,"name":"x"},"source":{"ts_ms":9223372036854775807},"op":"c"}`), "out_of_range"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "shop")
			w.produce(e.upsert("c", "1", `"a"`), wider.upsert("c", "2", `"b"`, "1.5"), clones([]*kgo.Record{test.record})[0])
			p := w.start(soon(changelog(mirror("d.t", "shop"))), nil)
			entry := p.halted("d.t", "bad_record")
			if text := fmt.Sprint(entry["err"]); entry["offset"] != 2.0 || !strings.Contains(text, test.reason) {
				t.Errorf("halted with %v, want %s", entry, test.reason)
			}
			w.logged("d.t", map[string]string{
				"shop|0|0": "1|a|c|" + committedAt + "|shop|0|0|∅", "shop|0|1": "2|b|c|" + committedAt + "|shop|0|1|1.5",
			})
		})
	}
}

// A table that has a key is no changelog, nor the other way round.
func TestChangelogIsNoMirror(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	w.produce(people(customers("shop"), 1, 2)...)
	w.mustRunToEnd(mirror("d.t", "shop"))
	w.mustRunToEnd(changelog(mirror("d.log", "shop")))
	for _, table := range []pipeline.Table{changelog(mirror("d.t", "shop")), mirror("d.log", "shop")} {
		p := w.start(soon(table), nil)
		p.halted(table.Sink.Name, "invalid_table")
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
	}
}
