package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// partitions is how many partitions each topic has.
const partitions = 3

// mirror is a source table with its topic, and the oracle: what the rows are after all events.
type mirror struct {
	name, topic string
	key         []string
	settings    string            // More lines of the table's configuration.
	truth       map[string]string // By key columns, as readback.Map has it.
	change      func(m *mirror, r *rand.Rand) []*kgo.Record
}

// items is a table with an integer key, whose records carry their schema.
func items(name string) *mirror {
	return &mirror{name: name, topic: "t." + name, key: []string{"id"}, truth: map[string]string{}, change: changeItem}
}

// stock is a table with a composite key, whose records carry no schema.
func stock(name string) *mirror {
	return &mirror{
		name: name, topic: "t." + name, key: []string{"place", "n"}, truth: map[string]string{}, change: changeStock,
		settings: `types = { place = "string", n = "int", v = "long" }`,
	}
}

// record puts an event where a producer does that hashes keys: the same key always into the same partition.
func (m *mirror) record(key, value string) *kgo.Record {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	r := &kgo.Record{Topic: m.topic, Partition: int32(h.Sum32() % partitions), Key: []byte(key)}
	if value != "" {
		r.Value = []byte(value)
	}
	return r
}

const source = `"source":{"version":"3.4.3.Final","connector":"mysql","name":"t","ts_ms":1715682030498,"snapshot":"false","db":"shop","table":"t","server_id":1,"file":"b.1","pos":1,"row":0}`

// changeItem is an insert or update, a delete with its tombstone, or a change of the primary key, which Debezium tells as
// a delete and an insert.
func changeItem(m *mirror, r *rand.Rand) []*kgo.Record {
	id := r.IntN(60)
	switch r.IntN(7) {
	case 0:
		return m.deleteItem(id)
	case 1:
		return append(m.deleteItem(id), m.putItem(id+1000, r))
	}
	return []*kgo.Record{m.putItem(id, r)}
}

func (m *mirror) putItem(id int, r *rand.Rand) *kgo.Record {
	name, nameRow := fmt.Sprintf(`"name %d"`, id), fmt.Sprintf("name %d", id)
	if r.IntN(5) == 0 {
		name, nameRow = "null", "∅"
	}
	cents, micros := r.Int64N(1_000_000)-500_000, int64(1_715_682_030_000_000)+r.Int64N(1e12)
	price := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(cents)))
	sign := ""
	if cents < 0 {
		sign = "-"
	}
	m.truth[fmt.Sprint(id)] = fmt.Sprintf("%d|%s|%s%d.%02d|%s", id, nameRow, sign, abs(cents)/100, abs(cents)%100,
		time.UnixMicro(micros).UTC().Format("2006-01-02T15:04:05.000000"))
	return m.record(itemKey(id), itemValue(fmt.Sprintf(`{"before":null,"after":{"id":%d,"name":%s,"price":"%s","at":%d},%s,"op":"u","ts_ms":1}`, id, name, price, micros, source)))
}

func abs(n int64) int64 { return max(n, -n) }

func (m *mirror) deleteItem(id int) []*kgo.Record {
	delete(m.truth, fmt.Sprint(id))
	return []*kgo.Record{
		m.record(itemKey(id), itemValue(fmt.Sprintf(`{"before":{"id":%d,"name":null,"price":"AA==","at":null},"after":null,%s,"op":"d","ts_ms":1}`, id, source))),
		m.record(itemKey(id), ""),
	}
}

func itemKey(id int) string {
	return fmt.Sprintf(`{"schema":{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"}],"optional":false,"name":"t.shop.item.Key"},"payload":{"id":%d}}`, id)
}

// itemValue wraps an envelope as JsonConverter does with schemas.enable = true.
func itemValue(payload string) string {
	image := func(field string) string {
		return `{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"},{"type":"string","optional":true,"field":"name"},` +
			`{"type":"bytes","optional":false,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2","connect.decimal.precision":"12"},"field":"price"},` +
			`{"type":"int64","optional":true,"name":"io.debezium.time.MicroTimestamp","version":1,"field":"at"}],"optional":true,"name":"t.shop.item.Value","field":"` + field + `"}`
	}
	fields := func(kind string, optional bool, names ...string) string {
		for i, name := range names {
			names[i] = fmt.Sprintf(`{"type":%q,"optional":%t,"field":%q}`, kind, optional, name)
		}
		return strings.Join(names, ",")
	}
	return `{"schema":{"type":"struct","fields":[` + image("before") + `,` + image("after") + `,{"type":"struct","fields":[` +
		fields("string", false, "version", "connector", "name") + `,` + fields("int64", false, "ts_ms") + `,` + fields("string", true, "snapshot") + `,` +
		fields("string", false, "db") + `,` + fields("string", true, "table") + `,` + fields("int64", false, "server_id") + `,` + fields("string", false, "file") + `,` +
		fields("int64", false, "pos") + `,` + fields("int32", false, "row") + `],"optional":false,"name":"io.debezium.connector.mysql.Source","field":"source"},` +
		fields("string", false, "op") + `,` + fields("int64", true, "ts_ms") + `],"optional":false,"name":"t.shop.item.Envelope","version":2},"payload":` + payload + `}`
}

func changeStock(m *mirror, r *rand.Rand) []*kgo.Record {
	place, n := string(rune('a'+r.IntN(6))), r.IntN(10)
	switch r.IntN(7) {
	case 0:
		return m.deleteStock(place, n)
	case 1:
		return append(m.deleteStock(place, n), m.putStock(place+"'", n, r))
	}
	return []*kgo.Record{m.putStock(place, n, r)}
}

func (m *mirror) putStock(place string, n int, r *rand.Rand) *kgo.Record {
	value, text := "null", "∅"
	if r.IntN(4) > 0 {
		value = fmt.Sprint(r.Int64N(1 << 62))
		text = value
	}
	m.truth[fmt.Sprintf("%s|%d", place, n)] = fmt.Sprintf("%s|%d|%s", place, n, text)
	return m.record(stockKey(place, n), fmt.Sprintf(`{"before":null,"after":{"place":%q,"n":%d,"v":%s},%s,"op":"c","ts_ms":1}`, place, n, value, source))
}

func (m *mirror) deleteStock(place string, n int) []*kgo.Record {
	delete(m.truth, fmt.Sprintf("%s|%d", place, n))
	return []*kgo.Record{
		m.record(stockKey(place, n), fmt.Sprintf(`{"before":{"place":%q,"n":%d,"v":null},"after":null,%s,"op":"d","ts_ms":1}`, place, n, source)),
		m.record(stockKey(place, n), ""),
	}
}

func stockKey(place string, n int) string { return fmt.Sprintf(`{"place":%q,"n":%d}`, place, n) }

// produce lets each source table change n times, and returns the number of records.
func (w *world) produce(seed uint64, n int) int {
	w.t.Helper()
	rng, records := rand.New(rand.NewPCG(seed, 1)), []*kgo.Record(nil)
	for range n {
		for _, m := range w.mirrors {
			records = append(records, m.change(m, rng)...)
		}
	}
	w.send(records...)
	return len(records)
}

// flow lets the source tables change all the time, with a few milliseconds in between, until the returned function is
// called: that returns the number of records.
func (w *world) flow(seed uint64) (end func() int) {
	enough, sent := make(chan struct{}), make(chan int, 1)
	go func() {
		rng, n := rand.New(rand.NewPCG(seed, 2)), 0
		defer func() { sent <- n }()
		for {
			select {
			case <-enough:
				return
			default:
			}
			m := w.mirrors[rng.IntN(len(w.mirrors))]
			records := m.change(m, rng)
			if err := w.producer.ProduceSync(w.t.Context(), records...).FirstErr(); err != nil {
				if w.t.Context().Err() == nil { // Otherwise the test has given up before the end.
					w.t.Error(err)
				}
				return
			}
			n += len(records)
			time.Sleep(time.Duration(rng.IntN(6)) * time.Millisecond)
		}
	}()
	var once sync.Once
	total := 0
	end = func() int {
		once.Do(func() { close(enough); total = <-sent })
		return total
	}
	w.t.Cleanup(func() { end() })
	return end
}
