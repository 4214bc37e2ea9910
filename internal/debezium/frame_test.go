package debezium

import (
	"bytes"
	"compress/zlib"
	"errors"
	"math"
	"strings"
	"testing"
)

// glue puts AWS Glue's frame in front of a body.
func glue(body []byte, compressed bool) []byte {
	text := append([]byte{3, 0}, bytes.Repeat([]byte{0xab}, 16)...)
	if !compressed {
		return append(text, body...)
	}
	text[1] = 5
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	if _, err := z.Write(body); err != nil {
		panic(err)
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return append(text, out.Bytes()...)
}

func guid(body []byte) []byte {
	return append(append([]byte{1}, bytes.Repeat([]byte{0xcd}, 16)...), body...)
}

func TestFrames(t *testing.T) {
	body, key := create(1, "x"), avroBody(1)
	schema := avroEnvelopeOf(`{"name":"v","type":["null","string"]}`)
	const row = `string "x"`
	inHeader := func(value []byte) []Header {
		return []Header{{keySchemaHeader, []byte{0, 0, 0, 0, 9}}, {valueSchemaHeader, value}}
	}
	for _, tc := range []struct {
		name   string
		format Format
		r      Record
		want   string
	}{
		{"Confluent with an id", AvroConfluent, Record{Key: confluent(1, key), Value: confluent(math.MaxUint32, body)}, row},
		{"Confluent with a GUID", AvroConfluent, Record{Key: guid(key), Value: guid(body)}, row},
		{"Confluent with an id in a header", AvroConfluent, Record{Key: key, Value: body, Headers: inHeader([]byte{0, 0, 0, 0, 8})}, row},
		{"Confluent with a GUID in a header", AvroConfluent, Record{Key: key, Value: body, Headers: inHeader(guid(nil))}, row},
		{"a header goes before the prefix", AvroConfluent, Record{Key: key, Value: confluent(1, body), Headers: inHeader([]byte{0, 0, 0, 0, 8})}, "unknown_op"},
		{"a short header", AvroConfluent, Record{Key: key, Value: body, Headers: inHeader([]byte{0, 0, 0})}, "short_frame"},
		{"an empty header", AvroConfluent, Record{Key: key, Value: body, Headers: inHeader([]byte{})}, "short_frame"},
		{"a long header", AvroConfluent, Record{Key: key, Value: body, Headers: inHeader([]byte{0, 0, 0, 0, 8, 0})}, "short_frame"},
		{"a header of another magic", AvroConfluent, Record{Key: key, Value: body, Headers: inHeader([]byte{3, 0})}, "unknown_magic"},
		{"Glue", AvroGlue, Record{Key: glue(key, false), Value: glue(body, false)}, row},
		{"Glue with zlib", AvroGlue, Record{Key: glue(key, true), Value: glue(body, true)}, row},
		{"Glue with another compression", AvroGlue, Record{Key: glue(key, true), Value: append([]byte{3, 4}, glue(body, false)[2:]...)}, "unknown_magic"},
		{"Glue with zlib that is cut", AvroGlue, Record{Key: glue(key, true), Value: glue(body, true)[:24]}, "short_body"},
		{"Glue with bytes after the zlib", AvroGlue, Record{Key: glue(key, true), Value: append(glue(body, true), 0)}, "short_body"},
		{"Glue with a wrong checksum", AvroGlue, Record{Key: glue(key, true), Value: func() []byte { b := glue(body, true); b[len(b)-1]++; return b }()}, "short_body"},
		{"Glue with no zlib", AvroGlue, Record{Key: glue(key, true), Value: append([]byte{3, 5}, glue(body, false)[2:]...)}, "short_body"},
		{"a short Glue frame", AvroGlue, Record{Key: glue(key, true), Value: glue(body, false)[:17]}, "short_frame"},
		{"by framing", ByFraming, Record{Key: []byte(`{"id":1}`), Value: glue(body, true)}, row},
		{"by framing, JSON", ByFraming, Record{Key: confluent(1, key), Value: []byte(` {"before":null,"after":{"id":1,"v":"x"},"op":"c"}`)}, row},
		{"by framing, nothing", ByFraming, Record{Key: key, Value: []byte{}}, "short_frame"},
		{"by framing, another magic", ByFraming, Record{Key: key, Value: []byte{2, 0, 0, 0, 1, 0}}, "unknown_magic"},
		{"by framing, other JSON", ByFraming, Record{Key: key, Value: []byte(`[1]`)}, "unknown_magic"},
		{"a short id", AvroConfluent, Record{Key: confluent(1, key), Value: []byte{0, 0, 0, 0}}, "short_frame"},
		{"a short GUID", AvroConfluent, Record{Key: confluent(1, key), Value: guid(nil)[:16]}, "short_frame"},
		{"no body", AvroConfluent, Record{Key: confluent(1, key), Value: confluent(1, nil)}, "short_body"},
		{"a cut body", AvroConfluent, Record{Key: confluent(1, key), Value: confluent(1, body[:len(body)-1])}, "short_body"},
		{"bytes after the body", AvroConfluent, Record{Key: confluent(1, key), Value: confluent(1, append(bytes.Clone(body), 0))}, "short_body"},
		{"Glue where Confluent is configured", AvroConfluent, Record{Key: confluent(1, key), Value: glue(body, false)}, "unknown_magic"},
		{"Confluent where Glue is configured", AvroGlue, Record{Key: glue(key, false), Value: confluent(1, body)}, "unknown_magic"},
		{"JSON where Confluent is configured", AvroConfluent, Record{Key: confluent(1, key), Value: []byte(`{"op":"c"}`)}, "unknown_magic"},
		{"Confluent where JSON is configured", JSON, Record{Key: []byte(`{"id":1}`), Value: confluent(1, body)}, "invalid_json"},
		{"a key that is cut", AvroConfluent, Record{Key: confluent(1, nil), Value: confluent(1, body)}, "invalid_key"},
		{"a key with bytes after it", AvroConfluent, Record{Key: confluent(1, avroBody(1, 0)), Value: confluent(1, body)}, "invalid_key"},
		{"a key without a frame", AvroConfluent, Record{Key: []byte("Struct{id=1}"), Value: confluent(1, body)}, "invalid_key"},
		{"the key of another row", AvroConfluent, Record{Key: confluent(1, avroBody(2)), Value: confluent(1, body)}, "invalid_key"},
		{"no key", AvroConfluent, Record{Value: confluent(1, body)}, "null_key"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := NewDecoder(Options{Format: tc.format})
			rows, ev, err := applyAvro(d, tc.r, WriterSchema{Text: avroKeySchema}, WriterSchema{Text: schema})
			got := ""
			if refused, ok := errors.AsType[*Error](err); ok {
				got = string(refused.Reason)
			} else if err != nil {
				t.Fatal(err)
			} else {
				got = avroOutcome(t, d, rows, &ev)
			}
			if got != tc.want {
				t.Errorf("got %s, want %s (%v)", got, tc.want, err)
			}
		})
	}
}

// A record in another format than the configured one says what it looks like, and what to set.
func TestMisplacedFormatIsNamed(t *testing.T) {
	for _, tc := range []struct {
		format Format
		r      Record
		want   string
	}{
		{JSON, Record{Value: confluent(1, avroBody(1))}, "a Confluent frame with a schema id, where JSON is due: set the table's format"},
		{JSON, Record{Value: glue(avroBody(1), false)}, "an AWS Glue frame, where JSON is due"},
		{JSON, Record{Value: avroBody(1), Headers: []Header{{valueSchemaHeader, []byte{0, 0, 0, 0, 1}}}}, "an Avro body whose schema id is in the record's headers, where JSON is due"},
		{AvroConfluent, Record{Value: []byte(` {"op":"c"}`)}, `set the table's format or key_format to "json"`},
		{AvroConfluent, Record{Value: glue(avroBody(1), false)}, "which is an AWS Glue frame: set the table's format"},
		{AvroGlue, Record{Value: guid(avroBody(1))}, "which is a Confluent frame with a schema GUID: set the table's format"},
		{AvroGlue, Record{Value: []byte{7}}, "which is no registry's frame"},
	} {
		var ev Event
		if err := NewDecoder(Options{Format: tc.format}).DecodeRecord(tc.r, nil, &ev); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %q", err, tc.want)
		}
	}
}

// A compressed body is not inflated beyond the limit (I11).
func TestCompressedBodyIsBounded(t *testing.T) {
	bomb := glue(make([]byte, 64<<20), true)
	d := NewDecoder(Options{Format: AvroGlue, Limits: Limits{RecordBytes: 1 << 20}})
	d.AddSchema(&SchemaNeeded{Ref: SchemaRef{Kind: GlueVersion, UUID: [16]byte(bomb[2:18])}}, WriterSchema{Text: avroKeySchema})
	var ev Event
	err := d.Decode(nil, bomb, nil, &ev)
	if refused, ok := errors.AsType[*Error](err); !ok || refused.Reason != TooLarge {
		t.Errorf("got %v", err)
	}
	if n := cap(d.inflated[0].out); n > 4<<20 {
		t.Errorf("%d bytes were taken for a limit of 1 MiB", n)
	}
}

// Keys have a format of their own.
func TestKeysMayHaveAnotherFormat(t *testing.T) {
	d := NewDecoder(Options{Format: AvroConfluent, KeyFormat: JSON})
	rows, ev, err := applyAvro(d, Record{Key: []byte(`{"id":1}`), Value: confluent(1, create(1, "x"))}, WriterSchema{}, WriterSchema{Text: avroEnvelopeOf(`{"name":"v","type":["null","string"]}`)})
	if err != nil || avroOutcome(t, d, rows, &ev) != `string "x"` {
		t.Errorf("got %+v, %v", ev, err)
	}
	d = NewDecoder(Options{KeyFormat: AvroConfluent})
	rows, ev, err = applyAvro(d, Record{Key: confluent(1, avroBody(1)), Value: []byte(`{"before":null,"after":{"id":1,"v":"x"},"op":"c"}`)}, WriterSchema{Text: avroKeySchema}, WriterSchema{})
	if err != nil || avroOutcome(t, d, rows, &ev) != `string "x"` {
		t.Errorf("got %+v, %v", ev, err)
	}
}
