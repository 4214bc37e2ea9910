package debezium

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cdcd-project/cdcd/internal/row"
)

// avroTable is a table that one Avro schema describes: its columns, as JSON of Avro fields, behind the key id.
func avroEnvelopeOf(columns string) string {
	if columns != "" {
		columns = "," + columns
	}
	return `{"type":"record","name":"Envelope","namespace":"s.t","fields":[{"name":"before","type":["null",{"type":"record","name":"Value","fields":[{"name":"id","type":"int"}` +
		columns + `],"connect.name":"s.t.Value"}],"default":null},{"name":"after","type":["null","Value"],"default":null},{"name":"op","type":"string"}],"connect.name":"s.t.Envelope"}`
}

const avroKeySchema = `{"type":"record","name":"Key","namespace":"s.t","fields":[{"name":"id","type":"int"}],"connect.name":"s.t.Key"}`

// create is the body of a create of the row with id 1 and what follows it.
func create(values ...any) []byte {
	return avroBody(append(append([]any{0, 1, 1}, values...), "c")...)
}

// applyAvro decodes a record as apply does, with a registry that knows these schemas whatever their ids are.
func applyAvro(d *Decoder, r Record, keySchema, valueSchema WriterSchema) (*row.Rows, Event, error) {
	for {
		rows, ev, err := applyRecord(d, r)
		needed, ok := errors.AsType[*SchemaNeeded](err)
		switch {
		case !ok:
			return rows, ev, err
		case needed.ForKey:
			d.AddSchema(needed, keySchema)
		default:
			d.AddSchema(needed, valueSchema)
		}
	}
}

// decodeAvro decodes a record with the key 1 and writes its row as JSON, or the reason for which it is refused.
func decodeAvro(t *testing.T, o Options, schema string, value []byte) string {
	t.Helper()
	o.Format = AvroConfluent
	d := NewDecoder(o)
	rows, ev, err := applyAvro(d, Record{Key: confluent(1, avroBody(1)), Value: confluent(2, value)}, WriterSchema{Text: avroKeySchema}, WriterSchema{Text: schema})
	if refused, ok := errors.AsType[*Error](err); ok {
		return string(refused.Reason)
	}
	if err != nil {
		return err.Error()
	}
	return avroOutcome(t, d, rows, &ev)
}

// avroOutcome writes what became of a record: its op, and its row but for the key.
func avroOutcome(t *testing.T, d *Decoder, rows *row.Rows, ev *Event) string {
	t.Helper()
	if !ev.IsUpsert() {
		return ev.Op.String() + string(ev.Ignored)
	}
	var parts []string
	d.Image(func(name string, column int) {
		if name != "id" {
			v := &rows.Vectors[column]
			parts = append(parts, fmt.Sprintf("%s %s", v.Type, v.AppendJSON(nil, 0)))
		}
	})
	return strings.Join(parts, "; ")
}

// The golden messages, by a registry that knows what each line says.
func TestWireFixturesDecodeAsExpected(t *testing.T) {
	for _, f := range readFixtures(t, "wire.jsonl") {
		t.Run(f.Name, func(t *testing.T) { checkWireFixture(t, &f) })
	}
}

func checkWireFixture(t *testing.T, f *fixture) {
	d := NewDecoder(Options{Format: ByFraming})
	r := Record{Topic: f.Topic, Key: fixtureBytes(t, f.Key, f.KeyEncoding), Value: fixtureBytes(t, f.Value, f.ValueEncoding)}
	for name, text := range f.Headers {
		r.Headers = append(r.Headers, Header{Key: name, Value: fixtureBytes(t, &text, f.HeadersEncoding)})
	}
	rows, ev, err := applyAvro(d, r, WriterSchema{Text: string(f.AvroKeySchema)}, WriterSchema{Text: string(f.AvroValueSchema)})
	if f.Expect.Action == "error" {
		if refused, ok := errors.AsType[*Error](err); !ok || string(refused.Reason) != f.Expect.Reason {
			t.Fatalf("got %v, want %s", err, f.Expect.Reason)
		}
		return
	}
	if err != nil || !ev.IsUpsert() || f.Expect.Action != "upsert" {
		t.Fatalf("got %+v, %v", ev, err)
	}
	compareRow(t, d, rows, &ev, f)
	compareKey(t, d, ev.Key, f.Expect.Key)
}
