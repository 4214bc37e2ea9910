package simtest

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/row"
)

// mirror is a source table with its topic, and the oracle: what the rows are after all events.
type mirror struct {
	name, topic string
	key         []string
	types       map[string]row.Type // Declared, for the table whose records carry no schema.
	truth       map[string]string   // By key columns, as readback.Map has it.
	change      func(m *mirror, r *rand.Rand) []*kgo.Record
}

func mirrors() []*mirror {
	return []*mirror{
		{name: "sim.a", topic: "s.sim.a", key: []string{"id"}, truth: map[string]string{}, change: changeA},
		{name: "sim.b", topic: "s.sim.b", key: []string{"k", "n"}, truth: map[string]string{}, change: changeB, types: map[string]row.Type{
			"k": {Kind: row.String}, "n": {Kind: row.Int}, "v": {Kind: row.Long},
		}},
	}
}

// partitions is how many partitions each topic has.
const partitions = 2

// record puts an event where Kafka's producer would: the same key always into the same partition.
func (m *mirror) record(key, value string) *kgo.Record {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	r := &kgo.Record{Topic: m.topic, Partition: int32(h.Sum32() % partitions), Key: []byte(key)}
	if value != "" {
		r.Value = []byte(value)
	}
	return r
}

const source = `"source":{"version":"3.4.3.Final","connector":"mysql","name":"s","ts_ms":1715682030498,"snapshot":"false","db":"sim","table":"t","server_id":1,"file":"b.1","pos":1,"row":0}`

// changeA changes the table with an integer key, whose records carry their schema: an insert or update, a delete with
// its tombstone, or a change of the key.
func changeA(m *mirror, r *rand.Rand) []*kgo.Record {
	id, n := r.IntN(25), r.IntN(1_000_000)
	switch r.IntN(6) {
	case 0:
		return m.deleteA(id)
	case 1:
		return append(m.deleteA(id), m.upsertA(id+100, n))
	}
	return []*kgo.Record{m.upsertA(id, n)}
}

func (m *mirror) upsertA(id, n int) *kgo.Record {
	m.truth[fmt.Sprint(id)] = fmt.Sprintf("%d|name %d", id, n)
	return m.record(keyA(id), withSchemaA(fmt.Sprintf(`{"before":null,"after":{"id":%d,"name":"name %d"},%s,"op":"u","ts_ms":1}`, id, n, source)))
}

func (m *mirror) deleteA(id int) []*kgo.Record {
	delete(m.truth, fmt.Sprint(id))
	return []*kgo.Record{
		m.record(keyA(id), withSchemaA(fmt.Sprintf(`{"before":{"id":%d,"name":"x"},"after":null,%s,"op":"d","ts_ms":1}`, id, source))),
		m.record(keyA(id), ""),
	}
}

func keyA(id int) string {
	return fmt.Sprintf(`{"schema":{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"}],"optional":false,"name":"s.sim.a.Key"},"payload":{"id":%d}}`, id)
}

func withSchemaA(payload string) string {
	image := func(field string) string {
		return `{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"},{"type":"string","optional":true,"field":"name"}],"optional":true,"name":"s.sim.a.Value","field":"` + field + `"}`
	}
	return `{"schema":{"type":"struct","fields":[` + image("before") + `,` + image("after") +
		`,{"type":"struct","fields":[` + strings.Join([]string{
		`{"type":"string","optional":false,"field":"version"}`, `{"type":"string","optional":false,"field":"connector"}`,
		`{"type":"string","optional":false,"field":"name"}`, `{"type":"int64","optional":false,"field":"ts_ms"}`,
		`{"type":"string","optional":true,"field":"snapshot"}`, `{"type":"string","optional":false,"field":"db"}`,
		`{"type":"string","optional":true,"field":"table"}`, `{"type":"int64","optional":false,"field":"server_id"}`,
		`{"type":"string","optional":false,"field":"file"}`, `{"type":"int64","optional":false,"field":"pos"}`,
		`{"type":"int32","optional":false,"field":"row"}`,
	}, ",") + `],"optional":false,"name":"io.debezium.connector.mysql.Source","field":"source"}` +
		`,{"type":"string","optional":false,"field":"op"},{"type":"int64","optional":true,"field":"ts_ms"}],"optional":false,"name":"s.sim.a.Envelope","version":2},"payload":` + payload + `}`
}

// changeB changes the table with a composite key, whose records carry no schema.
func changeB(m *mirror, r *rand.Rand) []*kgo.Record {
	k, n, v := string(rune('a'+r.IntN(5))), r.IntN(6), r.Int64N(1<<60)
	id := fmt.Sprintf("%s|%d", k, n)
	key := fmt.Sprintf(`{"k":"%s","n":%d}`, k, n)
	if r.IntN(5) == 0 {
		delete(m.truth, id)
		return []*kgo.Record{m.record(key, fmt.Sprintf(`{"before":{"k":"%s","n":%d,"v":null},"after":null,%s,"op":"d","ts_ms":1}`, k, n, source)), m.record(key, "")}
	}
	value, text := fmt.Sprint(v), fmt.Sprint(v)
	if r.IntN(4) == 0 {
		value, text = "null", "∅"
	}
	m.truth[id] = fmt.Sprintf("%s|%d|%s", k, n, text)
	return []*kgo.Record{m.record(key, fmt.Sprintf(`{"before":null,"after":{"k":"%s","n":%d,"v":%s},%s,"op":"c","ts_ms":1}`, k, n, value, source))}
}
