package debezium

import (
	"errors"
	"testing"
)

// A delete is logged with its row image before, in each wire format; what Avro's order cannot tell is refused.
func TestChangelogLogsWhatADeleteDeleted(t *testing.T) {
	avro := avroEnvelopeOf(`{"name":"v","type":["null","string"]}`)
	other := `{"type":"record","name":"Envelope","namespace":"s.t","fields":[{"name":"before","type":["null",{"type":"record","name":"Old","fields":[{"name":"v","type":"string"}]}]},` +
		`{"name":"after","type":["null",{"type":"record","name":"Value","fields":[{"name":"id","type":"int"},{"name":"v","type":"string"}]}]},{"name":"op","type":"string"}]}`
	framed := func(values ...any) Record { return Record{Value: confluent(2, avroBody(values...))} }
	for _, tc := range []struct {
		name   string
		format Format
		schema string
		record Record
		want   string
	}{
		{"JSON", JSON, "", Record{Value: record("d", `{"id":1,"v":"x"}`, "null")}, "1|x|null|null|null|null|null"},
		{"JSON with a schema", JSON, "", Record{Value: typed("id int32, v string", record("d", `{"id":1,"v":"x"}`, "null"))}, "1|x|null|null|null|null|null"},
		{"Avro", AvroConfluent, avro, framed(1, 1, 1, "x", 0, "d"), "1|x|null|null|null|null|null"},
		{"Avro, an update", AvroConfluent, avro, framed(1, 1, 1, "x", 1, 1, 1, "y", "u"), "1|y|null|null|null|null|null"},
		{"Avro, images of two schemas", AvroConfluent, other, framed(1, "x", 0, "d"), "schema_mismatch"},
		{"Avro, no image", AvroConfluent, avro, framed(0, 0, "d"), "missing_after"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := NewDecoder(Options{Changelog: true, Format: tc.format})
			for range 2 {
				rows, ev, err := applyAvro(d, tc.record, WriterSchema{}, WriterSchema{Text: tc.schema})
				got := ""
				if refused, ok := errors.AsType[*Error](err); ok {
					got = string(refused.Reason)
				} else if err == nil && ev.IsAppend() && !ev.IsDelete() {
					got = rowText(rows)
				}
				if got != tc.want {
					t.Errorf("got %s, %v, want %s", got, err, tc.want)
				}
			}
		})
	}
}
