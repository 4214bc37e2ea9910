package debezium

import (
	"errors"
	"fmt"
	"testing"

	"github.com/twmb/avro"

	"github.com/cdcd-project/cdcd/internal/row"
)

// FuzzAvro checks that no schema, frame or body can make the decoder panic, loop or leave half a row, that a used decoder and a fresh one
// agree, and that what another implementation of Avro reads whole is read whole here.
func FuzzAvro(f *testing.F) {
	keys, values := sampleAvroRecords(1, true)
	f.Add(sampleAvroSchema(), sampleAvroKey, keys[0], values[0])
	key := confluent(1, avroBody(1))
	for _, seed := range []struct {
		columns string
		body    []byte
	}{
		{`{"name":"v","type":["string","null"]}`, create(0, "x")},
		{`{"name":"v","type":{"type":"array","items":["null","int"]}}`, create(-2, 3, 1, 5, 0, 0)},
		{`{"name":"v","type":{"type":"map","values":{"type":"fixed","name":"F","size":2}}}`, create(1, "k", raw{1, 2}, 0)},
		{`{"name":"v","type":{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"enum","name":"E","symbols":["A"]}},{"name":"b","type":["null","E"]}]}}`, create(0, 1, 0)},
		{`{"name":"v","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}}`, create([]byte{0x12, 0xd6})},
		{`{"name":"v","type":["int","string","null"]},{"name":"__deleted","type":"boolean"}`, create(1, "x", true)},
	} {
		f.Add(avroEnvelopeOf(seed.columns), avroKeySchema, key, confluent(2, seed.body))
		f.Add(avroEnvelopeOf(seed.columns), avroKeySchema, glue(avroBody(1), false), glue(seed.body, true))
	}
	f.Add(`["null",{"type":"record","name":"s.t.Value","fields":[{"name":"id","type":"int"},{"name":"__op","type":"string"}],"connect.name":"s.t.Value"}]`, avroKeySchema, guid(avroBody(1)), guid(avroBody(1, 1, "u")))
	f.Add(`{"type":"record","name":"Heartbeat","fields":[{"name":"ts_ms","type":"long"}]}`, avroKeySchema, key, confluent(2, avroBody(5)))
	f.Fuzz(func(t *testing.T, valueSchema, keySchema string, key, value []byte) {
		o := Options{Format: ByFraming, PlainAvro: true, Partial: true, Keyless: true, Limits: Limits{RecordBytes: 1 << 16, SchemaBytes: 1 << 16}}
		used := NewDecoder(o)
		first := fuzzAvroOutcome(t, used, keySchema, valueSchema, key, value)
		if again := fuzzAvroOutcome(t, used, keySchema, valueSchema, key, value); first != again && used.bound != nil {
			fresh := NewDecoder(o)
			fresh.Bind(used.bound)
			if other := fuzzAvroOutcome(t, fresh, keySchema, valueSchema, key, value); other != again {
				t.Fatalf("used: %s\nfresh: %s", again, other)
			}
		}
		compareWholeBody(t, o, valueSchema, value)
	})
}

// fuzzAvroOutcome decodes a record, with every schema that it asks for, and says what became of it.
func fuzzAvroOutcome(t *testing.T, d *Decoder, keySchema, valueSchema string, key, value []byte) string {
	t.Helper()
	for range 8 {
		var rows *row.Rows
		if d.bound != nil {
			rows = row.NewRows(d.bound)
		}
		var ev Event
		err := d.DecodeRecord(Record{Key: key, Value: value}, rows, &ev)
		if needed, ok := errors.AsType[*SchemaNeeded](err); ok {
			text := valueSchema
			if needed.ForKey {
				text = keySchema
			}
			d.AddSchema(needed, WriterSchema{Text: text})
			continue
		}
		if change, ok := errors.AsType[*SchemaChange](err); ok && change.Lossless {
			d.Bind(change.Want)
			continue
		}
		if d.bound != nil {
			return fmt.Sprint(tell(t, d, Record{Key: key, Value: value}))
		}
		if err != nil {
			return err.Error()
		}
		return ev.Op.String() + string(ev.Ignored)
	}
	return "a schema without an end"
}

// compareWholeBody reads over a body, which must come to the end that another implementation comes to.
func compareWholeBody(t *testing.T, o Options, schema string, value []byte) {
	t.Helper()
	d := NewDecoder(o)
	d.record = Record{Value: value}
	frame, refused := d.framed(value, false)
	writer, invalid := d.parseWriter(WriterSchema{Text: schema})
	if refused != nil || invalid != nil || frame.json || frame.zlib {
		return
	}
	other, err := avro.Parse(schema)
	if err != nil {
		return
	}
	var read any
	rest, err := other.Decode(frame.body, &read)
	if err != nil {
		return
	}
	s := &d.scan
	s.reset(frame.body)
	if !s.skipAvro(&writer.root.wire) || s.pos != len(frame.body)-len(rest) {
		t.Fatalf("read to %d of %d (%v); another implementation reads to %d: %v", s.pos, len(frame.body), s.err, len(frame.body)-len(rest), read)
	}
}
