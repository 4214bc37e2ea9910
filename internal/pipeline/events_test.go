package pipeline_test

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// events builds the records of one source table.
type events struct {
	topic     string
	partition int32
	key       []string // The columns of the record key.
	columns   []column
	schemas   bool // Whether records carry their schema.
}

// column is a column of a source table, and the type that its embedded schema gives it.
type column struct{ name, connect string }

const (
	connectInt    = `"type":"int32"`
	connectLong   = `"type":"int64"`
	connectString = `"type":"string"`
)

// customers are rows (id, name).
func customers(topic string) events {
	return events{topic: topic, key: []string{"id"}, columns: []column{{"id", connectInt}, {"name", connectString}}, schemas: true}
}

// schemaless returns e without schemas in its records.
func (e events) schemaless() events {
	e.schemas = false
	return e
}

func (e events) in(partition int32) events {
	e.partition = partition
	return e
}

// upsert returns the record after which the row has the values given, which are JSON.
func (e events) upsert(op string, values ...string) *kgo.Record {
	return e.record(values, `{"before":null,"after":`+e.image(values)+`,`+sourceBlock+`,"op":"`+op+`","ts_ms":1}`)
}

// remove returns the records of a delete: its event, and the tombstone.
func (e events) remove(values ...string) []*kgo.Record {
	deletion := e.record(values, `{"before":`+e.image(values)+`,"after":null,`+sourceBlock+`,"op":"d","ts_ms":1}`)
	return []*kgo.Record{deletion, {Topic: e.topic, Partition: e.partition, Key: deletion.Key}}
}

func (e events) image(values []string) string {
	var members []string
	for i, v := range values {
		members = append(members, fmt.Sprintf("%q:%s", e.columns[i].name, v))
	}
	return "{" + strings.Join(members, ",") + "}"
}

// record returns a record with the key of a row and this payload.
func (e events) record(values []string, payload string) *kgo.Record {
	var members, fields []string
	for i, v := range values {
		for _, k := range e.key {
			if k == e.columns[i].name {
				members = append(members, fmt.Sprintf("%q:%s", k, v))
				fields = append(fields, fmt.Sprintf(`{%s,"optional":false,"field":%q}`, e.columns[i].connect, k))
			}
		}
	}
	key := "{" + strings.Join(members, ",") + "}"
	if e.schemas {
		key = `{"schema":{"type":"struct","fields":[` + strings.Join(fields, ",") + `],"optional":false,"name":"Key"},"payload":` + key + `}`
		payload = `{"schema":` + e.envelopeSchema() + `,"payload":` + payload + `}`
	}
	return &kgo.Record{Topic: e.topic, Partition: e.partition, Key: []byte(key), Value: []byte(payload)}
}

const sourceBlock = `"source":{"version":"3.4.3.Final","connector":"mysql","name":"s","ts_ms":1715682030498,"snapshot":"false","db":"d"}`

func (e events) envelopeSchema() string {
	var fields []string
	for _, c := range e.columns {
		optional := true
		for _, k := range e.key {
			optional = optional && k != c.name
		}
		fields = append(fields, fmt.Sprintf(`{%s,"optional":%v,"field":%q}`, c.connect, optional, c.name))
	}
	image := func(field string) string {
		return `{"type":"struct","fields":[` + strings.Join(fields, ",") + `],"optional":true,"name":"Value","field":"` + field + `"}`
	}
	return `{"type":"struct","fields":[` + image("before") + `,` + image("after") +
		`,{"type":"struct","fields":[{"type":"string","optional":false,"field":"version"},{"type":"string","optional":false,"field":"connector"},` +
		`{"type":"string","optional":false,"field":"name"},{"type":"int64","optional":false,"field":"ts_ms"},{"type":"string","optional":true,"field":"snapshot"},` +
		`{"type":"string","optional":false,"field":"db"}],"optional":false,"name":"Source","field":"source"},` +
		`{"type":"string","optional":false,"field":"op"},{"type":"int64","optional":true,"field":"ts_ms"}],"optional":false,"name":"Envelope"}`
}
