package debezium

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestAvroSchemas(t *testing.T) {
	deep := func(n int) string {
		return strings.Repeat(`{"type":"array","items":`, n) + `"int"` + strings.Repeat("}", n)
	}
	chain := func(n int) string { // Types that refer to one another, each once.
		fields := `{"name":"t0","type":["null",{"type":"record","name":"T0","fields":[{"name":"a","type":"int"}]}]}`
		for i := 1; i < n; i++ {
			fields += fmt.Sprintf(`,{"name":"t%d","type":["null",{"type":"record","name":"T%d","fields":[{"name":"a","type":"T%d"}]}]}`, i, i, i-1)
		}
		return fields
	}
	doubling := `{"name":"t0","type":["null",{"type":"record","name":"T0","fields":[{"name":"a","type":"int"}]}]}`
	for i := 1; i < 40; i++ {
		doubling += fmt.Sprintf(`,{"name":"t%d","type":["null",{"type":"record","name":"T%d","fields":[{"name":"a","type":"T%d"},{"name":"b","type":"T%d"}]}]}`, i, i, i-1, i-1)
	}
	many := ""
	for i := range 2100 {
		many += fmt.Sprintf(`,{"name":"c%d","type":"int"}`, i)
	}
	field := func(typ string) string { return avroEnvelopeOf(`{"name":"v","type":` + typ + `}`) }
	for _, tc := range []struct{ name, schema, want string }{
		{"no JSON", `{`, "schema_mismatch"},
		{"bytes after it", avroKeySchema + `x`, "schema_mismatch"},
		{"not UTF-8", "\"\xff\"", "schema_mismatch"},
		{"a number", `5`, "schema_mismatch"},
		{"no type", `{"name":"x"}`, "schema_mismatch"},
		{"an unknown type", field(`"Unknown"`), "schema_mismatch"},
		{"a type that contains itself", field(`["null","Value"]`), "schema_mismatch"},
		{"a type that is defined twice", field(`{"type":"record","name":"Value","fields":[]}`), "schema_mismatch"},
		{"two fields of one name", avroEnvelopeOf(`{"name":"id","type":"int"}`), "schema_mismatch"},
		{"two fields that differ in case", avroEnvelopeOf(`{"name":"ID","type":"int"}`), "duplicate_member"},
		{"a record without fields", field(`{"type":"record","name":"R"}`), "schema_mismatch"},
		{"a record of no fields", field(`{"type":"record","name":"R","fields":[]}`), "schema_mismatch"},
		{"a field of null", field(`"null"`), "schema_mismatch"},
		{"a union of nothing", field(`[]`), "schema_mismatch"},
		{"a union in a union", field(`["null",["int"]]`), "schema_mismatch"},
		{"two nulls", field(`["null","null"]`), "schema_mismatch"},
		{"fixed of no size", field(`{"type":"fixed","name":"F","size":0}`), "schema_mismatch"},
		{"fixed of a negative size", field(`{"type":"fixed","name":"F","size":-1}`), "schema_mismatch"},
		{"an enum without symbols", field(`{"type":"enum","name":"F"}`), "schema_mismatch"},
		{"an array without items", field(`{"type":"array"}`), "schema_mismatch"},
		{"nested too deeply", field(deep(64)), "schema_mismatch"},
		{"references nested too deeply", avroEnvelopeOf(chain(70)), "too_large"},
		{"references that double", avroEnvelopeOf(doubling), "too_large"},
		{"too many fields", avroEnvelopeOf(many[1:]), "too_large"},
		{"too many bytes", `"` + strings.Repeat("x", 1<<20) + `"`, "too_large"},
		{"no connect attributes", strings.ReplaceAll(strings.ReplaceAll(avroKeySchema, "connect.", "x."), "Key", "Value"), "schema_mismatch"},
		{"a map that is no column", avroEnvelopeOf(`{"name":"v","type":["null",{"type":"map","values":["int","string"]}]}`), "type_mismatch"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := decodeAvro(t, Options{Limits: Limits{SchemaBytes: 1 << 20}}, tc.schema, create(0)); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
	if got := decodeAvro(t, Options{}, `{"type":"record","name":"V","fields":[]}`, nil); got != "schema_mismatch" {
		t.Errorf("a schema without connect attributes: %s", got)
	}
	d := NewDecoder(Options{Format: AvroConfluent})
	d.AddSchema(&SchemaNeeded{Ref: SchemaRef{Kind: ConfluentID, ID: 1}}, WriterSchema{Type: "PROTOBUF", Text: "syntax"})
	var ev Event
	if err := d.Decode(nil, confluent(1, nil), nil, &ev); err == nil || !strings.Contains(err.Error(), "only Avro is supported") {
		t.Errorf("Protobuf: %v", err)
	}
}

// Names are resolved in the namespace of what they stand in, wherever the attributes of an object stand.
func TestAvroNamesAreResolved(t *testing.T) {
	schema := `{"fields":[{"name":"after","type":["null",{"fields":[{"type":"int","name":"id"},{"type":{"symbols":["A","B"],"name":"E","type":"enum"},"name":"a"},` +
		`{"name":"b","type":"E"},{"name":"c","type":"x.y.E"},{"name":"d","type":{"type":"record","name":"other.R","fields":[{"name":"e","type":{"type":"fixed","name":"F","size":1}}]}},` +
		`{"name":"f","type":["null","other.F"]},{"name":"g","type":{"type":{"type":"int","connect.type":"int16"}}}],"name":"Value","type":"record"}]},` +
		`{"name":"op","type":"string"}],"namespace":"x.y","name":"Envelope","type":"record","connect.name":"x.y.Envelope"}`
	got := decodeAvro(t, Options{}, schema, avroBody(1, 1, 0, 1, 0, raw{7}, 1, raw{8}, -3, "c"))
	if want := `string "A"; string "B"; string "A"; struct<e: binary> {"e":"hex:07"}; binary "hex:08"; int "-3"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The types of referenced schemas are there for those that refer to them.
func TestAvroSchemaReferences(t *testing.T) {
	d := NewDecoder(Options{Format: AvroConfluent})
	w := WriterSchema{
		Type: "AVRO", Text: avroEnvelopeOf(`{"name":"v","type":"common.Money"}`),
		References: []string{`{"type":"enum","name":"common.Currency","symbols":["EUR"]}`, `{"type":"record","name":"Money","namespace":"common","fields":[{"name":"c","type":"Currency"}]}`},
	}
	rows, ev, err := applyAvro(d, Record{Key: confluent(1, avroBody(1)), Value: confluent(2, create(0))}, WriterSchema{Text: avroKeySchema}, w)
	if err != nil || avroOutcome(t, d, rows, &ev) != `struct<c: string> {"c":"EUR"}` {
		t.Errorf("got %+v, %v", ev, err)
	}
}

// A schema that is unknown is asked for again by the next record.
func TestUnknownSchemaIsAskedForAgain(t *testing.T) {
	d := NewDecoder(Options{Format: AvroConfluent})
	var ev Event
	for range 2 {
		err := d.Decode(confluent(1, avroBody(1)), confluent(2, create()), nil, &ev)
		needed, ok := errors.AsType[*SchemaNeeded](err)
		if !ok || needed.ForKey || needed.Ref.ID != 2 {
			t.Fatalf("got %v", err)
		}
		d.RefuseSchema(needed, UnknownSchema, "not there")
		err = d.Decode(confluent(1, avroBody(1)), confluent(2, create()), nil, &ev)
		if refused, ok := errors.AsType[*Error](err); !ok || refused.Reason != UnknownSchema {
			t.Fatalf("got %v", err)
		}
	}
}
