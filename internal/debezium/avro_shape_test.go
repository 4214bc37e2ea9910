package debezium

import (
	"errors"
	"strings"
	"testing"
)

// The schemas of envelopes, flattened rows and side topics, and what their records do.
func TestAvroRecordsByShape(t *testing.T) {
	value := func(name, fields string) string {
		return `{"type":"record","name":"` + name + `","fields":[` + fields + `],"connect.name":"` + name + `"}`
	}
	const id = `{"name":"id","type":"int"}`
	flat := value("s.t.Value", id+`,{"name":"v","type":["null","string"]},{"name":"__deleted","type":["null","string"]},{"name":"__op","type":["null","string"]},{"name":"__source_ts_ms","type":["null","long"]}`)
	envelope := avroEnvelopeOf(`{"name":"v","type":["null","string"]}`)
	optional := `["null",` + flat + `]`
	for _, tc := range []struct {
		name, schema string
		o            Options
		value        []byte
		want         string
	}{
		{"flattened", flat, Options{}, avroBody(1, 1, "x", 1, "false", 1, "u", 1, 77), `string "x"`},
		{"flattened, with what was added in front", value("s.t.Value", `{"name":"__op","type":["null","string"]},`+id+`,{"name":"__deleted","type":["null","string"]},{"name":"v","type":["null","string"]}`), Options{}, avroBody(1, "u", 1, 1, "false", 1, "x"), `string "x"`},
		{"flattened and kept", flat, Options{KeepAdded: true}, avroBody(1, 1, "x", 1, "false", 1, "u", 1, 77), `string "x"; string "false"; string "u"; long "77"`},
		{"flattened and deleted", flat, Options{}, avroBody(1, 0, 1, "true", 0, 0), "d"},
		{"flattened, and contradictory", flat, Options{}, avroBody(1, 0, 1, "true", 1, "u", 0), "schema_mismatch"},
		{"flattened, with an unknown op", flat, Options{}, avroBody(1, 0, 0, 1, "z", 0), "unknown_op"},
		{"a null row", optional, Options{}, avroBody(0), "d"},
		{"a row that may be null", optional, Options{}, avroBody(1, 1, 1, "x", 0, 0, 0), `string "x"`},
		{"a null with bytes after it", optional, Options{}, avroBody(0, 0), "short_body"},
		{"a null for envelopes", optional, Options{Shape: Enveloped}, avroBody(0), "not_an_object"},
		{"a schema of null", `{"type":"null","connect.version":1}`, Options{}, nil, "d"},
		{"a string", `{"type":"string","connect.version":1}`, Options{}, avroBody("x"), "not_an_object"},
		{"an update", envelope, Options{}, avroBody(1, 1, 1, "o", 1, 1, 1, "x", "u"), `string "x"`},
		{"a read", envelope, Options{}, avroBody(0, 1, 1, 1, "x", "r"), `string "x"`},
		{"a delete", envelope, Options{}, avroBody(1, 1, 1, "o", 0, "d"), "d"},
		{"a delete without a row", envelope, Options{}, avroBody(0, 0, "d"), "d"},
		{"a delete with a row", envelope, Options{}, avroBody(0, 1, 1, 1, "x", "d"), "schema_mismatch"},
		{"a create without a row", envelope, Options{}, avroBody(0, 0, "c"), "missing_after"},
		{"a truncate", envelope, Options{}, avroBody(0, 0, "t"), "t"},
		{"a message", envelope, Options{}, avroBody(0, 0, "m"), "mop_m"},
		{"an unknown op", envelope, Options{}, avroBody(0, 0, "z"), "unknown_op"},
		{"an envelope, for flattened rows", envelope, Options{Shape: Flattened}, avroBody(0, 1, 1, 1, "x", "c"), "schema_mismatch"},
		{"a row, for envelopes", flat, Options{Shape: Enveloped}, avroBody(1, 1, "x", 0, 0, 0), "missing_op"},
		{"nothing that tells", value("s.t.Row", id), Options{}, avroBody(1), "missing_op"},
		{"nothing that tells, but configured", value("s.t.Row", id+`,{"name":"v","type":"string"}`), Options{Shape: Flattened}, avroBody(1, "x"), `string "x"`},
		{"an op that is a number", strings.ReplaceAll(envelope, `"name":"op","type":"string"`, `"name":"op","type":"int"`), Options{}, avroBody(0, 0, 5), "unknown_op"},
		{"a configured key", envelope, Options{Key: []string{"id"}}, avroBody(1, 1, 1, "o", 1, 1, 1, "x", "u"), `string "x"`},
		{
			"transaction metadata", value("io.debezium.connector.common.TransactionMetadataValue", `{"name":"status","type":"string"},{"name":"id","type":"string"},{"name":"event_count","type":["null","long"]},`+
				`{"name":"data_collections","type":["null",{"type":"array","items":{"type":"record","name":"C","fields":[{"name":"data_collection","type":"string"},{"name":"event_count","type":"long"}]}}]},{"name":"ts_ms","type":"long"}`),
			Options{},
			avroBody("END", "x", 1, 1, 1, 1, "a", 1, 0, 5), "op(0)transaction_metadata",
		},
		{"a schema change", value("io.debezium.connector.mysql.SchemaChangeValue", `{"name":"source","type":{"type":"record","name":"S","fields":[{"name":"db","type":"string"}]}},{"name":"ts_ms","type":"long"},`+
			`{"name":"databaseName","type":["null","string"]},{"name":"ddl","type":["null","string"]},{"name":"tableChanges","type":{"type":"map","values":"int"}}`), Options{}, avroBody("d", 1, 1, "d", 1, "x", 1, "k", 1, 0), "op(0)schema_change"},
		{"a signal", value("Signal", `{"name":"id","type":"string"},{"name":"type","type":"string"},{"name":"data","type":`+value("D", id)+`}`), Options{}, avroBody("1", "x", 1), "op(0)signal"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := decodeAvro(t, tc.o, tc.schema, tc.value); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
	heartbeat := value("io.debezium.connector.common.Heartbeat", `{"name":"ts_ms","type":"long"}`)
	for _, tc := range []struct{ name, key, want string }{
		{"a heartbeat", value("io.debezium.connector.common.ServerNameKey", `{"name":"serverName","type":"string"}`), "heartbeat"},
		{"a row that looks like one", value("s.t.Key", `{"name":"other","type":"string"}`), "missing_op"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, ev, err := applyAvro(NewDecoder(Options{Format: AvroConfluent}), Record{Key: confluent(1, avroBody("s")), Value: confluent(2, avroBody(5))}, WriterSchema{Text: tc.key}, WriterSchema{Text: heartbeat})
			got := string(ev.Ignored)
			if refused, ok := errors.AsType[*Error](err); ok {
				got = string(refused.Reason)
			}
			if got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// A tombstone is a delete of its key; without a table there is nothing to delete.
func TestAvroTombstone(t *testing.T) {
	d := NewDecoder(Options{Format: AvroGlue})
	r := Record{Key: glue(avroBody(1), true)}
	if _, ev, err := applyAvro(d, r, WriterSchema{Text: avroKeySchema}, WriterSchema{}); err != nil || ev.Ignored != RuleTombstone {
		t.Errorf("without a table: %+v, %v", ev, err)
	}
	d.AddSchema(&SchemaNeeded{Ref: SchemaRef{Kind: GlueVersion, UUID: [16]byte(r.Key[2:18])}, ForKey: true}, WriterSchema{Text: avroKeySchema})
	table, err := d.KeyTable(r)
	if err != nil {
		t.Fatal(err)
	}
	d.Bind(table)
	_, ev, err := applyAvro(d, r, WriterSchema{Text: avroKeySchema}, WriterSchema{})
	if err != nil || !ev.IsDelete() {
		t.Errorf("got %+v, %v", ev, err)
	}
}

// Without a sufficient record key, an update is known by its row image before.
func TestAvroKeyFromBefore(t *testing.T) {
	schema := avroEnvelopeOf(`{"name":"v","type":["null","string"]}`)
	apply := func(value []byte) (Event, error) {
		d := NewDecoder(Options{Format: AvroConfluent, Key: []string{"id"}})
		_, ev, err := applyAvro(d, Record{Value: confluent(2, value)}, WriterSchema{}, WriterSchema{Text: schema})
		return ev, err
	}
	if ev, err := apply(avroBody(1, 1, 0, 1, 1, 0, "u")); err != nil || !ev.IsUpsert() {
		t.Errorf("an update: %+v, %v", ev, err)
	}
	if ev, err := apply(avroBody(1, 1, 0, 0, "d")); err != nil || !ev.IsDelete() {
		t.Errorf("a delete: %+v, %v", ev, err)
	}
	if ev, err := apply(avroBody(1, 1, 0, 1, 2, 0, "u")); err != nil || !ev.IsUpsert() || ev.OldKey == nil {
		t.Errorf("an update that moves the row: %+v, %v", ev, err)
	}
}
