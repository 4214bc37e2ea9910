package simtest

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/row"
)

// The tables of the simulation.
const (
	tableShop = "sim.shop" // An integer key; records carry their schema, which grows.
	tableCopy = "sim.copy" // Fed by the same topic as sim.shop.
	tableCart = "sim.cart" // A composite key; records carry no schema.
	tableTags = "sim.tags" // A string key; fed by two topics.
	tableSour = "sim.sour" // Meets a record that cannot be applied, and halts there.
	tableWide = "sim.wide" // One partition; updates keep unavailable values, keys change in pairs, and a TRUNCATE empties it.
	tableAvro = "sim.avro" // Records are Avro behind the ids of a registry; updates keep unavailable values.
)

// mirror is a table with its topics.
type mirror struct {
	name    string
	topics  []string
	types   map[string]row.Type // Declared, for records that carry no schema.
	decoder debezium.Options    // What else the decoder is told.
}

// decoding returns what the decoder is told.
func (m mirror) decoding() debezium.Options {
	o := m.decoder
	o.Types, o.Limits = m.types, debezium.DefaultLimits()
	return o
}

func mirrors() []mirror {
	return []mirror{
		{name: tableShop, topics: []string{"s.shop"}},
		{name: tableCopy, topics: []string{"s.shop"}},
		{name: tableCart, topics: []string{"s.cart"}, types: map[string]row.Type{
			"k": {Kind: row.String}, "n": {Kind: row.Int}, "v": {Kind: row.Long},
		}},
		{name: tableTags, topics: []string{"s.tags1", "s.tags2"}, types: map[string]row.Type{
			"tag": {Kind: row.String}, "text": {Kind: row.String}, "on": {Kind: row.Boolean},
		}},
		{name: tableSour, topics: []string{"s.sour"}, types: map[string]row.Type{"id": {Kind: row.Long}, "v": {Kind: row.Int}}},
		{name: tableWide, topics: []string{topicWide}, types: map[string]row.Type{
			"id": {Kind: row.Long}, "name": {Kind: row.String}, "doc": {Kind: row.String},
		}, decoder: debezium.Options{Truncate: debezium.TruncateApply}},
		{name: tableAvro, topics: []string{topicAvro}, decoder: debezium.Options{Format: debezium.AvroConfluent}},
	}
}

// partitionsOf is how many partitions a topic has. A TRUNCATE has an order only in one.
func partitionsOf(topic string) int32 {
	if topic == topicWide {
		return 1
	}
	return 2
}

// compacted says whether the brokers may compact a topic. The fold of what stands before a bookmark can only be told from all of a
// log, and so can the values that updates keep.
func compacted(topic string) bool {
	return topic != "s.sour" && topic != topicWide && topic != topicAvro
}

// event is one change event as Debezium writes it: a record's topic, key, value and headers; an empty value is a tombstone, and an empty
// key is none.
type event struct {
	topic, key, value string
	headers           []kgo.RecordHeader
}

// record puts an event where Kafka's producer would: the same key always into the same partition.
func (e event) record() *kgo.Record {
	r := &kgo.Record{Topic: e.topic, Headers: e.headers}
	if e.key != "" {
		h := fnv.New32a()
		_, _ = h.Write([]byte(e.key))
		r.Key, r.Partition = []byte(e.key), int32(h.Sum32()%uint32(partitionsOf(e.topic)))
	}
	if e.value != "" {
		r.Value = []byte(e.value)
	}
	return r
}

const source = `"source":{"version":"3.4.3.Final","connector":"mysql","name":"s","ts_ms":1715682030498,"snapshot":"false","db":"sim","table":"t","server_id":1,"file":"b.1","pos":1,"row":0}`

// database is the source: what it changes is drawn from its seed, with some keys far more often than others.
type database struct {
	rng     *rand.Rand
	zipf    *rand.Zipf
	version int    // Of the schema of s.shop.
	sour    int    // Changes of s.sour so far.
	fillers int    // Keys of fillers so far.
	soured  bool   // The record that cannot be applied was sent.
	long    string // A text that fills pages.

	wide, avro map[int]sourceRow // The rows of s.wide and s.avro.
	writer     int               // The version of the schema of s.avro.
}

func newDatabase(seed uint64) *database {
	rng := rand.New(rand.NewPCG(seed, 11))
	return &database{rng: rng, zipf: rand.NewZipf(rng, 1.2, 2, 60), long: strings.Repeat("page ", 400), wide: map[int]sourceRow{}, avro: map[int]sourceRow{}}
}

// change makes one change in a table, which may be several events.
func (d *database) change(name string) []event {
	switch name {
	case tableShop, tableCopy:
		return d.changeShop()
	case tableCart:
		return d.changeCart()
	case tableTags:
		return d.changeTags()
	case tableWide:
		return d.changeWide()
	case tableAvro:
		return d.changeAvro()
	}
	return d.changeSour()
}

// filler is a change in each partition of a topic at least, of keys that nothing else changes. Two things need it. kfake moves the
// start of a log when it compacts the first record away, which Kafka does not. And it knows nothing of a leader epoch once another
// has begun, until something was written in that one.
func (d *database) filler(topic string) []event {
	var events []event
	for hit := map[int32]bool{}; len(hit) < int(partitionsOf(topic)); hit[events[len(events)-1].record().Partition] = true {
		d.fillers++
		id := 5_000_000 + d.fillers
		switch topic {
		case "s.shop":
			events = append(events, d.upsertShop(id))
		case "s.cart":
			events = append(events, d.upsert(topic, fmt.Sprintf(`{"k":"filler","n":%d}`, id), fmt.Sprintf(`{"k":"filler","n":%d,"v":1}`, id)))
		case "s.sour":
			events = append(events, d.upsert(topic, fmt.Sprintf(`{"id":%d}`, id), fmt.Sprintf(`{"id":%d,"v":1}`, id)))
		case topicWide:
			events = append(events, d.putWide(id, sourceRow{name: filler, doc: "d"}, false))
		case topicAvro:
			events = append(events, d.putAvro(id, sourceRow{name: filler, doc: "d"}, false))
		default:
			events = append(events, d.upsert(topic, fmt.Sprintf(`{"tag":"%s %d"}`, topic, id), fmt.Sprintf(`{"tag":"%s %d","text":null,"on":true}`, topic, id)))
		}
	}
	return events
}

// op is c, u or r: they are applied alike.
func (d *database) op() string { return [...]string{"c", "u", "u", "r"}[d.rng.IntN(4)] }

// remove is a delete with its tombstone.
func remove(topic, key, before string) []event {
	return []event{
		{topic: topic, key: key, value: fmt.Sprintf(`{"before":%s,"after":null,%s,"op":"d","ts_ms":1}`, before, source)},
		{topic: topic, key: key},
	}
}

func (d *database) upsert(topic, key, after string) event {
	return event{topic: topic, key: key, value: fmt.Sprintf(`{"before":null,"after":%s,%s,"op":"%s","ts_ms":1}`, after, source, d.op())}
}

// changeCart: an insert, update or delete by a key of two columns.
func (d *database) changeCart() []event {
	k, n, v := string(rune('a'+d.zipf.Uint64()%7)), d.rng.IntN(6), fmt.Sprint(d.rng.Int64N(1<<60))
	key := fmt.Sprintf(`{"k":"%s","n":%d}`, k, n)
	if d.rng.IntN(5) == 0 {
		return remove("s.cart", key, fmt.Sprintf(`{"k":"%s","n":%d,"v":null}`, k, n))
	}
	if d.rng.IntN(4) == 0 {
		v = "null"
	}
	return []event{d.upsert("s.cart", key, fmt.Sprintf(`{"k":"%s","n":%d,"v":%s}`, k, n, v))}
}

// changeTags: two topics with disjoint keys, and a change of the key now and then: the delete of one and the insert of another.
func (d *database) changeTags() []event {
	shard := 1 + d.rng.IntN(2)
	topic := fmt.Sprintf("s.tags%d", shard)
	tag := func() (key, tag string) {
		tag = fmt.Sprintf("%d-ключ-%d", shard, d.zipf.Uint64())
		return fmt.Sprintf(`{"tag":%q}`, tag), tag
	}
	after := func(tag string) string {
		text := fmt.Sprintf("\"text \\\"%d\\\"\"", d.rng.IntN(1000))
		switch d.rng.IntN(12) {
		case 0:
			text = "null"
		case 1:
			text = `"` + d.long + `"`
		}
		return fmt.Sprintf(`{"tag":%q,"text":%s,"on":%v}`, tag, text, d.rng.IntN(2) == 0)
	}
	key, name := tag()
	switch d.rng.IntN(6) {
	case 0:
		return remove(topic, key, fmt.Sprintf(`{"tag":%q,"text":null,"on":null}`, name))
	case 1:
		other, otherName := tag()
		return append(remove(topic, key, after(name)), d.upsert(topic, other, after(otherName)))
	}
	return []event{d.upsert(topic, key, after(name))}
}

// changeSour: after a while one record says text where the table has a number.
func (d *database) changeSour() []event {
	id := d.zipf.Uint64()
	key := fmt.Sprintf(`{"id":%d}`, id)
	d.sour++
	switch {
	case !d.soured && d.sour > 8 && d.rng.IntN(6) == 0:
		d.soured = true
		return []event{d.upsert("s.sour", `{"id":777}`, `{"id":777,"v":"sour"}`)}
	case d.rng.IntN(5) == 0:
		return remove("s.sour", key, fmt.Sprintf(`{"id":%d,"v":1}`, id))
	}
	return []event{d.upsert("s.sour", key, fmt.Sprintf(`{"id":%d,"v":%d}`, id, d.rng.IntN(1000)))}
}
