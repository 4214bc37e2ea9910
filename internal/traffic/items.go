package traffic

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Items returns a table with an integer key, whose records carry their schema.
func Items(topic string, partitions int32) *Source {
	return &Source{Topic: topic, Key: []string{"id"}, Partitions: partitions, Rows: map[string]string{}, change: changeItem}
}

func changeItem(s *Source, r *rand.Rand) []*kgo.Record {
	id := r.IntN(60)
	switch r.IntN(7) {
	case 0:
		return s.deleteItem(id)
	case 1:
		return append(s.deleteItem(id), s.PutItem(id+1000, r))
	}
	return []*kgo.Record{s.PutItem(id, r)}
}

// PutItem inserts or updates one item of a table that Items has made.
func (s *Source) PutItem(id int, r *rand.Rand) *kgo.Record {
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
	s.Rows[fmt.Sprint(id)] = fmt.Sprintf("%d|%s|%s%d.%02d|%s", id, nameRow, sign, abs(cents)/100, abs(cents)%100,
		time.UnixMicro(micros).UTC().Format("2006-01-02T15:04:05.000000"))
	return s.record(ItemKey(id), ItemValue(fmt.Sprintf(`{"before":null,"after":{"id":%d,"name":%s,"price":"%s","at":%d},%s,"op":"u","ts_ms":1}`, id, name, price, micros, Origin)))
}

func abs(n int64) int64 { return max(n, -n) }

func (s *Source) deleteItem(id int) []*kgo.Record {
	delete(s.Rows, fmt.Sprint(id))
	return []*kgo.Record{
		s.record(ItemKey(id), ItemValue(fmt.Sprintf(`{"before":{"id":%d,"name":null,"price":"AA==","at":null},"after":null,%s,"op":"d","ts_ms":1}`, id, Origin))),
		s.record(ItemKey(id), ""),
	}
}

// ItemKey returns the key of an item's records.
func ItemKey(id int) string {
	return fmt.Sprintf(`{"schema":{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"}],"optional":false,"name":"t.shop.item.Key"},"payload":{"id":%d}}`, id)
}

// ItemValue wraps an envelope, which is that of an item, as JsonConverter does with schemas.enable = true.
func ItemValue(payload string) string {
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
