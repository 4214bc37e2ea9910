package pipeline_test

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/pipeline"
)

// A keying writes the key of a row, and so decides its partition.
type keying func(id int) []byte

// avroKeys are Avro keys of the schema with an id; all these schemas are the same.
func avroKeys(id uint32) keying {
	return func(row int) []byte { return framed(id, binary.AppendVarint(nil, int64(row))) }
}

// namedKeys carry their schema, whose name is given.
func namedKeys(name string) keying {
	return func(row int) []byte {
		return fmt.Appendf(nil, `{"schema":{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"}],"optional":false,"name":%q},"payload":{"id":%d}}`, name, row)
	}
}

func bareKeys(row int) []byte { return fmt.Appendf(nil, `{"id":%d}`, row) }

// source is a source table of rows (id, name), and a producer that hashes keys.
type source struct {
	rng        *rand.Rand
	partitions int
	avro       bool
	at         int64 // The record time, in Unix milliseconds.
	events     int
	log        []happened // In the order of production.
	sent       int        // How much of it.
}

// happened is a record, and what it makes of a row; an empty name is none.
type happened struct {
	*kgo.Record

	id, name string
}

func newSource(partitions int, avro bool) *source {
	return &source{rng: rand.New(rand.NewPCG(3, uint64(partitions))), partitions: partitions, avro: avro, at: 1_700_000_000_000}
}

// home returns the partition of a key.
func (s *source) home(key []byte) int32 {
	h := fnv.New32a()
	_, _ = h.Write(key)
	return int32(h.Sum32() % uint32(s.partitions))
}

func (s *source) add(r *kgo.Record, id int, name string) {
	s.at += 100
	r.Topic, r.Partition, r.Timestamp = "shop", s.home(r.Key), time.UnixMilli(s.at)
	s.log = append(s.log, happened{r, fmt.Sprint(id), name})
}

// put sets a row.
func (s *source) put(keys keying, id int) {
	s.events++
	name := fmt.Sprint("name", s.events)
	r := customers("shop").upsert("u", fmt.Sprint(id), `"`+name+`"`)
	if s.avro {
		r = avroUpsert("shop", valueID, int64(id), name)
	}
	r.Key = keys(id)
	s.add(r, id, name)
}

// remove deletes a row. In Avro a tombstone alone tells, as in a compacted topic.
func (s *source) remove(keys keying, id int) {
	if !s.avro {
		r := customers("shop").remove(fmt.Sprint(id), `"gone"`)[0]
		r.Key = keys(id)
		s.add(r, id, "")
	}
	s.add(&kgo.Record{Key: keys(id)}, id, "")
}

// change makes n changes of few rows.
func (s *source) change(keys keying, n int) *source {
	for range n {
		if id := 1 + s.rng.IntN(40); s.rng.IntN(4) == 0 {
			s.remove(keys, id)
		} else {
			s.put(keys, id)
		}
	}
	return s
}

// mover returns a row that one change of keys moves from a partition to another.
func (s *source) mover(from, to keying, before, after int32) int {
	for id := 100; ; id++ {
		if s.home(from(id)) == before && s.home(to(id)) == after {
			return id
		}
	}
}

// rows is the oracle: the fold in the order of production.
func (s *source) rows() map[string]string {
	rows := map[string]string{}
	for _, r := range s.log {
		if delete(rows, r.id); r.name != "" {
			rows[r.id] = r.id + "|" + r.name
		}
	}
	return rows
}

// send produces what has happened, partition by partition, in an order of them.
func (s *source) send(w *world, order ...int32) {
	w.t.Helper()
	for _, p := range order {
		var records []*kgo.Record
		for _, r := range s.log[s.sent:] {
			if r.Partition == p {
				records = append(records, r.Record)
			}
		}
		w.produce(records...)
	}
	s.sent = len(s.log)
}

// keyWorld is a world with a topic of three partitions, and the same Avro schema under three ids.
type keyWorld struct {
	*world

	s      *source
	p      *process // The last that was started.
	tables []pipeline.Table
	change func(*pipeline.Options)
}

func newKeyWorld(t *testing.T, avro bool) *keyWorld {
	t.Helper()
	k := &keyWorld{world: newPartitionedWorld(t, 3, "shop"), s: newSource(3, avro), tables: soon(mirror("d.t", "shop"))}
	if !avro {
		return k
	}
	schemas := newSchemas(t)
	for i, id := range []int{71, 72, 73} {
		schemas.SeedSchema(fmt.Sprint("again-", i), 1, id, sr.Schema{Schema: `{"type":"record","name":"Key","namespace":"t","fields":[{"name":"id","type":"int"}],"connect.name":"t.Key"}`})
	}
	k.tables[0].Decoder.Format = debezium.AvroConfluent
	k.change = schemas.options(t)
	return k
}

// equals waits until the table equals the oracle, and has read everything.
func (k *keyWorld) equals() {
	k.t.Helper()
	k.eventually("all records are applied", func() bool { return k.readTo(0, 1, 2) })
	k.expect("d.t", []string{"id"}, k.s.rows())
}

// readTo reports whether the bookmark stands at the ends of partitions.
func (k *keyWorld) readTo(partitions ...int32) bool {
	at, _ := k.mark("d.t").Topic("shop")
	return len(at.Partitions) > 0 && !slices.ContainsFunc(partitions, func(p int32) bool {
		return at.Partitions[p].Next != k.cluster.PartitionInfo("shop", p).HighWatermark
	})
}

func (k *keyWorld) run() *process {
	k.t.Helper()
	k.p = k.start(k.tables, k.change)
	return k.p
}

// form returns what the table's bookmark tells of the keys of its topic.
func (k *keyWorld) form() string {
	k.t.Helper()
	at, _ := k.mark("d.t").Topic("shop")
	if at.Key == nil {
		return ""
	}
	return at.Key.Form
}

// eras are ways in which the form of a topic's keys changes. All keep what the keys are.
func eras() map[string][]keying {
	return map[string][]keying{
		"an Avro schema registered anew":       {avroKeys(71), avroKeys(72)},
		"an embedded schema renamed":           {namedKeys("one"), namedKeys("two")},
		"schemas enabled":                      {bareKeys, namedKeys("one")},
		"schemas disabled":                     {namedKeys("one"), bareKeys},
		"three Avro schemas":                   {avroKeys(71), avroKeys(72), avroKeys(73)},
		"three forms, and back to the first":   {namedKeys("one"), bareKeys, namedKeys("two"), namedKeys("one")},
		"no change at all":                     {bareKeys, bareKeys},
		"an Avro schema registered, and again": {avroKeys(71), avroKeys(72), avroKeys(71)},
	}
}

// Where the bytes of keys change, and not what they are, keys move to other partitions, and their new events are not applied before their
// old ones, whichever partition is read last (I13).
func TestKeysKeepTheirOrderWhereTheirFormChanges(t *testing.T) {
	for name, forms := range eras() {
		for _, last := range []int32{0, 2} {
			t.Run(fmt.Sprintf("%s, partition %d last", name, last), func(t *testing.T) {
				t.Parallel()
				k := newKeyWorld(t, strings.Contains(name, "Avro"))
				k.s.change(forms[0], 60).send(k.world, 0, 1, 2)
				p := k.run()
				k.equals()
				for i, keys := range forms[1:] {
					held := len(p.log.entries("held partition"))
					k.s.change(forms[i], 60).change(keys, 60)
					release := k.sendHolding(last)
					k.eventually("the others are read", func() bool {
						return len(p.log.entries("held partition")) >= held+2 || name == "no change at all" && k.readTo(2-last, 1)
					})
					release()
					k.equals()
				}
			})
		}
	}
}

// All forms of a log may be under way at once. A table that begins on such a log looks at the first event of each partition; one
// partition may have events of the last form only.
func TestSeveralFormsAreUnderWayAtOnce(t *testing.T) {
	for name, forms := range eras() {
		for _, first := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, first start %v", name, first), func(t *testing.T) {
				t.Parallel()
				k := newKeyWorld(t, strings.Contains(name, "Avro"))
				if !first {
					k.s.change(forms[0], 20).send(k.world, 0, 1, 2)
					k.mustEnd()
				}
				back := strings.Contains(name, "first") || strings.Contains(name, "and again") // What is read ahead then halts: TestFormThatComesBack.
				for i, keys := range forms {
					from := len(k.s.log)
					if k.s.change(keys, 80); i < len(forms)-1 && !back {
						k.s.log = slices.DeleteFunc(k.s.log, func(r happened) bool { return r.Partition == 2 && slices.Index(k.s.log[:from], r) < 0 })
					}
				}
				k.s.send(k.world, 2, 1, 0)
				k.mustEnd()
				k.equals()
			})
		}
	}
}

// sendHolding produces what has happened, and lets only one partition wait until it is released. Nothing is read before all of it is
// in the log.
func (k *keyWorld) sendHolding(last int32) (release func()) {
	k.t.Helper()
	var releases []func()
	for p := range int32(k.s.partitions) {
		releases = append(releases, k.holdPartition("shop", p))
	}
	k.s.send(k.world, 0, 1, 2)
	for p, release := range releases {
		if int32(p) != last {
			release()
		}
	}
	return releases[last]
}

// mustEnd runs the table to the end of its topic.
func (k *keyWorld) mustEnd() {
	k.t.Helper()
	if _, err := k.runToEnd(k.tables, k.change); err != nil {
		k.t.Fatal(err)
	}
}
