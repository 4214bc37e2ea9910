package pipeline_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/pipeline"
)

const unavailable = "__debezium_unavailable_value"

// documents are rows (id, name, doc, photo), of which doc and photo may be unavailable.
func documents(topic string) events {
	return events{topic: topic, key: []string{"id"}, schemas: true, columns: []column{
		{"id", connectInt}, {"name", connectString}, {"doc", connectString}, {"photo", `"type":"bytes"`},
	}}
}

// document is a row of documents.
type document struct{ id, name, doc, photo string }

func (d document) values() []string {
	encode := func(text string) string { return fmt.Sprintf("%q", base64.StdEncoding.EncodeToString([]byte(text))) }
	return []string{d.id, fmt.Sprintf("%q", d.name), fmt.Sprintf("%q", d.doc), encode(d.photo)}
}

// text is the row as readback prints it.
func (d document) text() string {
	return strings.Join([]string{d.id, d.name, d.doc, "hex:" + fmt.Sprintf("%x", d.photo)}, "|")
}

// put is an event after which the row is d; what is unavailable in it stays as it was.
func (e events) put(op string, d document) *kgo.Record { return e.upsert(op, d.values()...) }

// rename returns the pair of events of a changed key, and the tombstone between.
func (e events) rename(from string, d document) []*kgo.Record {
	key := func(id string) []byte { return []byte(`{"id":` + id + `}`) }
	if e.schemas {
		key = func(id string) []byte { return e.record([]string{id}, "null").Key }
	}
	pair := append(e.remove(document{id: from, name: "x", doc: unavailable, photo: unavailable}.values()...), e.put("c", d))
	for _, r := range pair[:2] {
		r.Headers = []kgo.RecordHeader{{Key: "__debezium.newkey", Value: key(d.id)}}
	}
	pair[2].Headers = []kgo.RecordHeader{{Key: "__debezium.oldkey", Value: key(from)}}
	return pair
}

// truth folds documents.
type truth map[string]document

func (m truth) put(d document) {
	old := m[d.id]
	if d.doc == unavailable {
		d.doc = old.doc
	}
	if d.photo == unavailable {
		d.photo = old.photo
	}
	m[d.id] = d
}

func (m truth) rename(from string, d document) {
	old := m[from]
	delete(m, from)
	m[d.id] = old
	m.put(d)
}

func (m truth) rows() map[string]string {
	rows := map[string]string{}
	for id, d := range m {
		rows[id] = d.text()
	}
	return rows
}

// Each case is a sequence of events; it is applied in one batch, and with a commit after each event but within pairs.
func TestUnavailableValuesAreThoseOfTheOldRow(t *testing.T) {
	t.Parallel()
	full := document{"1", "a", "doc", "photo"}
	for _, test := range []struct {
		name  string
		steps func(e events) [][]*kgo.Record
		want  map[string]string
	}{
		{"an update", func(e events) [][]*kgo.Record {
			return [][]*kgo.Record{{e.put("c", full)}, {e.put("u", document{"1", "b", unavailable, unavailable})}}
		}, map[string]string{"1": document{"1", "b", "doc", "photo"}.text()}},
		{"a chain", func(e events) [][]*kgo.Record {
			return [][]*kgo.Record{
				{e.put("c", full)},
				{e.put("u", document{"1", "b", unavailable, unavailable})},
				{e.put("u", document{"1", "c", "new", unavailable})},
				{e.put("u", document{"1", "d", unavailable, unavailable})},
				{e.put("u", document{"1", "e", unavailable, "newer"})},
				{e.put("u", document{"1", "f", unavailable, unavailable})},
			}
		}, map[string]string{"1": document{"1", "f", "new", "newer"}.text()}},
		{"a row that was deleted and made again", func(e events) [][]*kgo.Record {
			return [][]*kgo.Record{
				{e.put("c", full)}, e.remove(full.values()...), {e.put("c", document{"1", "b", "again", "p"})}, {e.put("u", document{"1", "c", unavailable, unavailable})},
			}
		}, map[string]string{"1": document{"1", "c", "again", "p"}.text()}},
		{"another key", func(e events) [][]*kgo.Record {
			return [][]*kgo.Record{{e.put("c", full)}, e.rename("1", document{"2", "b", unavailable, unavailable}), {e.put("u", document{"2", "c", unavailable, "p"})}}
		}, map[string]string{"2": document{"2", "c", "doc", "p"}.text()}},
		{"another key after an update", func(e events) [][]*kgo.Record {
			return [][]*kgo.Record{
				{e.put("c", full)},
				{e.put("u", document{"1", "b", "new", unavailable})},
				e.rename("1", document{"2", "c", unavailable, unavailable}),
				{e.put("c", document{"1", "other", "other", "other"})},
			}
		}, map[string]string{"1": document{"1", "other", "other", "other"}.text(), "2": document{"2", "c", "new", "photo"}.text()}},
		{"keys that change places", func(e events) [][]*kgo.Record {
			return [][]*kgo.Record{
				{e.put("c", full)},
				{e.put("c", document{"2", "b", "doc2", "photo2"})},
				e.rename("1", document{"3", "a", unavailable, unavailable}),
				e.rename("2", document{"1", "b", unavailable, unavailable}), e.rename("3", document{"2", "a", unavailable, unavailable}),
			}
		}, map[string]string{"2": document{"2", "a", "doc", "photo"}.text(), "1": document{"1", "b", "doc2", "photo2"}.text()}},
		{"the repetition of a pair", func(e events) [][]*kgo.Record {
			pair := e.rename("1", document{"2", "b", unavailable, unavailable})
			return [][]*kgo.Record{{e.put("c", full)}, pair, {e.put("u", document{"2", "c", unavailable, "p"})}, pair, {e.put("u", document{"2", "c", unavailable, "p"})}}
		}, map[string]string{"2": document{"2", "c", "doc", "p"}.text()}},
		{"the repetition of a pair whose old key has another row by now", func(e events) [][]*kgo.Record {
			pair, other := e.rename("1", document{"2", "b", unavailable, unavailable}), e.put("c", document{"1", "other", "other", "other"})
			return [][]*kgo.Record{{e.put("c", full)}, pair, {other}, pair, {other}}
		}, map[string]string{"1": document{"1", "other", "other", "other"}.text(), "2": document{"2", "b", "doc", "photo"}.text()}},
	} {
		for _, schemas := range []bool{true, false} {
			for _, apart := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s, schemas=%v, apart=%v", test.name, schemas, apart), func(t *testing.T) {
					t.Parallel()
					w := newWorld(t, "shop")
					e := documents("shop")
					w.produce(e.put("c", document{"9", "first", "first", "first"})) // Tells the types.
					w.mustRunToEnd(mirror("d.t", "shop"))
					e.schemas = schemas
					for _, step := range test.steps(e) {
						w.produce(clones(step)...)
						if apart {
							w.mustRunToEnd(mirror("d.t", "shop"))
						}
					}
					w.mustRunToEnd(mirror("d.t", "shop"))
					want := maps.Clone(test.want)
					want["9"] = document{"9", "first", "first", "first"}.text()
					w.expect("d.t", []string{"id"}, want)
				})
			}
		}
	}
}

// clones returns records that can be produced although others like them were.
func clones(records []*kgo.Record) []*kgo.Record {
	var out []*kgo.Record
	for _, r := range records {
		out = append(out, &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers})
	}
	return out
}

// Where nothing has the old value, the record is refused, and what came before it is there.
func TestUnavailableValueWithoutAnOldRowIsRefused(t *testing.T) {
	t.Parallel()
	gone := document{"1", "b", unavailable, unavailable}
	for _, test := range []struct {
		name       string
		partitions int32
		steps      func(e events) []*kgo.Record
	}{
		{"an unknown key", 1, func(events) []*kgo.Record { return nil }},
		{"a deleted row", 1, func(e events) []*kgo.Record {
			return append([]*kgo.Record{e.put("c", document{"1", "a", "doc", "photo"})}, e.remove(gone.values()...)...)
		}},
		{"the old key of a pair in several partitions", 2, func(e events) []*kgo.Record {
			return append([]*kgo.Record{e.put("c", document{"7", "a", "doc", "photo"})}, e.rename("7", gone)[:2]...)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newPartitionedWorld(t, test.partitions, "shop")
			e := documents("shop")
			first := document{"9", "first", "first", "first"}
			before := append([]*kgo.Record{e.put("c", first)}, test.steps(e)...)
			w.produce(before...)
			w.produce(e.rename("7", gone)[2], e.put("c", document{"8", "x", "x", "x"}))
			p := w.start(soon(mirror("d.t", "shop")), nil)
			entry := p.halted("d.t", "bad_record")
			if entry["offset"] != float64(len(before)) || !strings.Contains(fmt.Sprint(entry["err"]), "schema_mismatch: the record has Debezium's placeholder") ||
				!strings.Contains(fmt.Sprint(entry["err"]), "doc, photo") {
				t.Errorf("halted with %v", entry)
			}
			w.expect("d.t", []string{"id"}, map[string]string{"9": first.text()})
		})
	}
}

// A column that a file does not have is null in its rows, and so it stays.
func TestUnavailableValueOfAnOlderFileIsNull(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := documents("shop")
	short := e
	short.columns = e.columns[:3]
	w.produce(short.upsert("c", "1", `"a"`, `"doc"`), short.upsert("c", "2", `"a"`, `"doc2"`))
	w.mustRunToEnd(mirror("d.t", "shop"))
	w.produce(e.put("u", document{"1", "b", unavailable, unavailable}), e.put("u", document{"2", "b", unavailable, "p"}))
	w.mustRunToEnd(mirror("d.t", "shop"))
	w.expect("d.t", []string{"id"}, map[string]string{"1": "1|b|doc|∅", "2": document{"2", "b", "doc2", "p"}.text()})
}

// Random events, with values large enough that batches have several chunks and files, kills right after commits, and owners that change:
// the table is the fold of the log.
func TestRandomUnavailableValuesEqualTheTruth(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "shop")
			e := documents("shop")
			table := mirror("d.t", "shop")
			table.CommitBytes, table.Sink.TargetFileBytes = 16<<20, 2<<20<<(5*(seed&1)) // Small files are read in one request, large ones in parts.
			r := rand.New(rand.NewPCG(seed, 8))
			m := truth{}
			for range 6 {
				for range 1 + r.IntN(120<<(2*(seed&1))) {
					w.produce(randomDocument(r, e, m)...)
				}
				w.dieAfterACommit(table)
				w.mustRunToEnd(table)
				w.expect("d.t", []string{"id"}, m.rows())
			}
		})
	}
}

// randomDocument returns the records of a random change, and folds it into m.
func randomDocument(r *rand.Rand, e events, m truth) []*kgo.Record {
	id := fmt.Sprint(r.IntN(30))
	d := document{id: id, name: fmt.Sprint("n", r.IntN(1000)), doc: large1(r), photo: large1(r)}
	_, known := m[id]
	if known && r.IntN(4) > 0 {
		d.doc = unavailable
	}
	if known && r.IntN(2) > 0 {
		d.photo = unavailable
	}
	switch ids := slices.Sorted(maps.Keys(m)); {
	case known && r.IntN(6) == 0:
		delete(m, id)
		return e.remove(document{id, "x", unavailable, unavailable}.values()...)
	case !known && len(ids) > 0 && r.IntN(2) == 0:
		from := ids[r.IntN(len(ids))]
		d.doc, d.photo = unavailable, unavailable
		m.rename(from, d)
		return e.rename(from, d)
	}
	m.put(d)
	return []*kgo.Record{e.put("u", d)}
}

// large1 returns a value that is large now and then.
func large1(r *rand.Rand) string {
	if r.IntN(4) == 0 {
		return noise(r.Uint64(), 256<<10)
	}
	return fmt.Sprint("v", r.IntN(1000))
}

// dieAfterACommit runs a table to its end, unless it dies before, right after its first commit, whose reply it does not see.
func (w *world) dieAfterACommit(table pipeline.Table) {
	w.t.Helper()
	c := &wire{Catalog: w.catalog}
	ctx, kill := context.WithCancel(w.t.Context())
	defer kill()
	die := func(context.Context) { kill() }
	c.committed.Store(&die)
	p := w.start([]pipeline.Table{table}, func(o *pipeline.Options) {
		o.Bounded, o.GracePeriod = true, 1 // Nothing is finished after the kill.
		w.through(c)(o)
	})
	select {
	case <-ctx.Done():
		_ = p.stop()
	case err := <-p.done:
		if p.ended = true; err != nil {
			w.t.Fatal(err)
		}
	}
}
