package pipeline_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// step is what one source transaction does to a table of customers.
type step func(e events) []*kgo.Record

func put(id int, name string) step {
	return func(e events) []*kgo.Record {
		return []*kgo.Record{e.upsert("u", fmt.Sprint(id), fmt.Sprintf("%q", name))}
	}
}

func drop(id int) step {
	return func(e events) []*kgo.Record { return e.remove(fmt.Sprint(id), `"x"`) }
}

// move changes the primary key: Debezium sends a delete with its tombstone, and a create.
func move(from, to int, name string) step {
	return func(e events) []*kgo.Record {
		return append(e.remove(fmt.Sprint(from), `"x"`), e.upsert("c", fmt.Sprint(to), fmt.Sprintf("%q", name)))
	}
}

// filler is more rows than one chunk holds, of keys that no other step uses.
func filler(from int) step {
	return func(e events) []*kgo.Record {
		var out []*kgo.Record
		text := `"` + noise(1, 512<<10) + `"`
		for i := range 20 {
			out = append(out, e.upsert("c", fmt.Sprint(from+i), text))
		}
		return out
	}
}

// noise is text that does not compress to nothing.
func noise(seed uint64, length int) string {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, 0, length+8)
	for len(b) < length {
		b = binary.LittleEndian.AppendUint64(b, r.Uint64()&0x0f0f0f0f0f0f0f0f|0x6060606060606060)
	}
	return string(b[:length])
}

// The same events give the same table, whether they come in one batch, in one batch each, or with chunks written between.
func TestFoldDoesNotDependOnWhereBatchesEnd(t *testing.T) {
	for _, test := range []struct {
		name  string
		steps []step
		want  map[string]string
	}{
		{"insert", []step{put(1, "a")}, map[string]string{"1": "1|a"}},
		{"insert, then delete", []step{put(1, "a"), drop(1)}, map[string]string{}},
		{"delete, then insert", []step{put(1, "a"), drop(1), put(1, "b")}, map[string]string{"1": "1|b"}},
		{"insert, delete, insert, delete", []step{put(1, "a"), drop(1), put(1, "b"), drop(1)}, map[string]string{}},
		{"delete of an unknown key", []step{drop(1), put(2, "b")}, map[string]string{"2": "2|b"}},
		{"updates", []step{put(1, "a"), put(1, "b"), put(2, "c"), put(1, "d")}, map[string]string{"1": "1|d", "2": "2|c"}},
		{"key moves", []step{put(1, "a"), move(1, 2, "a")}, map[string]string{"2": "2|a"}},
		{"key moves onto a freed one", []step{put(1, "a"), put(2, "b"), drop(2), move(1, 2, "a")}, map[string]string{"2": "2|a"}},
		{"key moves away and back", []step{put(1, "a"), move(1, 2, "a"), move(2, 1, "z")}, map[string]string{"1": "1|z"}},
		{"keys swap", []step{put(1, "a"), put(2, "b"), move(1, 3, "a"), move(2, 1, "b"), move(3, 2, "a")}, map[string]string{"1": "1|b", "2": "2|a"}},
	} {
		for _, schemas := range []bool{true, false} {
			for way, produce := range ways {
				if way == "chunks between" && schemas {
					continue // They are the same chunks, and many bytes.
				}
				t.Run(fmt.Sprintf("%s/%s/schemas=%v", test.name, way, schemas), func(t *testing.T) {
					t.Parallel()
					w := newWorld(t, "shop")
					e := customers("shop")
					e.schemas = schemas
					produce(w, e, test.steps)
					got := w.rows("d.t", "id")
					for id := range got {
						if len(id) >= 4 { // A filler row.
							delete(got, id)
						}
					}
					if fmt.Sprint(got) != fmt.Sprint(test.want) {
						t.Errorf("rows are %v, want %v", got, test.want)
					}
				})
			}
		}
	}
}

var ways = map[string]func(w *world, e events, steps []step){
	"one batch": func(w *world, e events, steps []step) {
		for _, s := range steps {
			w.produce(s(e)...)
		}
		w.mustRunToEnd(mirror("d.t", "shop"))
		if n := len(w.snapshots("d.t")); n != 1 {
			w.t.Errorf("%d commits, want 1", n)
		}
	},
	"a batch each": func(w *world, e events, steps []step) {
		for _, s := range steps {
			w.produce(s(e)...)
			w.mustRunToEnd(mirror("d.t", "shop"))
		}
	},
	"a record a batch": func(w *world, e events, steps []step) {
		for _, s := range steps {
			for _, r := range s(e) {
				w.produce(r)
				w.mustRunToEnd(mirror("d.t", "shop"))
			}
		}
	},
	"chunks between": func(w *world, e events, steps []step) {
		for i, s := range steps {
			w.produce(s(e)...)
			if i < len(steps)-1 {
				w.produce(filler(1000 * (i + 1))(e)...)
			}
		}
		w.mustRunToEnd(mirror("d.t", "shop"))
		if n := len(w.snapshots("d.t")); n != 1 {
			w.t.Errorf("%d commits, want 1", n)
		}
	},
}

func TestCompositeKeysTellRowsApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := events{
		topic: "shop", key: []string{"a", "b"}, schemas: true,
		columns: []column{{"a", connectString}, {"v", connectInt}, {"b", connectString}},
	}
	w.produce(
		e.upsert("c", `"x"`, "1", `"yz"`), e.upsert("c", `"xy"`, "2", `"z"`), e.upsert("c", `""`, "3", `"xyz"`),
		e.upsert("c", `"x\u0000"`, "4", `"z"`), e.upsert("c", `"x"`, "5", `"\u0000z"`),
	)
	w.mustRunToEnd(mirror("d.t", "shop"))
	w.produce(e.remove(`"xy"`, "2", `"z"`)...)
	w.produce(e.upsert("u", `"x"`, "10", `"yz"`))
	w.mustRunToEnd(mirror("d.t", "shop"))
	w.expect("d.t", []string{"a", "b"}, map[string]string{
		"x|yz": "x|10|yz", "|xyz": "|3|xyz", "x\x00|z": "x\x00|4|z", "x|\x00z": "x|5|\x00z",
	})
}

// Random traffic over several partitions, cut into runs at random, against a map.
func TestRandomTrafficEqualsTheTruth(t *testing.T) {
	t.Parallel()
	const partitions = 3
	w := newPartitionedWorld(t, partitions, "shop")
	r := rand.New(rand.NewPCG(7, 7))
	truth := map[string]string{}
	for range 12 {
		var records []*kgo.Record
		for range 300 {
			id := r.IntN(150)
			e, key := customers("shop").in(int32(id%partitions)), fmt.Sprint(id)
			if r.IntN(4) == 0 {
				delete(truth, key)
				records = append(records, e.remove(key, `"x"`)...)
				continue
			}
			name := strings.Repeat("n", r.IntN(5)) + fmt.Sprint(r.IntN(1000))
			truth[key] = key + "|" + name
			records = append(records, e.upsert("u", key, fmt.Sprintf("%q", name)))
		}
		for piece := range slices.Chunk(records, 1+r.IntN(100)) {
			w.produce(piece...)
		}
		p := w.mustRunToEnd(mirror("d.t", "shop"))
		if n := p.metric("cdcd_records_consumed_total"); int(n) != len(records) {
			t.Fatalf("consumed %v records, want %d: each exactly once", n, len(records))
		}
		w.expect("d.t", []string{"id"}, truth)
	}
}
