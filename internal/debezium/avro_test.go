package debezium

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/avro"

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

// Every type comes out as from JSON, at its bounds.
func TestAvroTypes(t *testing.T) {
	named := func(typ, name, more string) string {
		return `{"name":"v","type":{"type":"` + typ + `","connect.version":1,"connect.name":"` + name + `"` + more + `}}`
	}
	plain := func(typ string) string { return `{"name":"v","type":` + typ + `}` }
	parameters := func(json string) string { return `,"connect.parameters":` + json }
	decimal := func(precision, scale int) string {
		return named("bytes", connectDecimal, fmt.Sprintf(`,"scale":%d,"precision":%d,"logicalType":"decimal","connect.parameters":{"scale":"%d","connect.decimal.precision":"%d"}`, scale, precision, scale, precision))
	}
	big65, _ := new(big.Int).SetString("-12345678901234567890123456789012345678901234567890123456789012345", 10)
	twos := new(big.Int).Add(big65, new(big.Int).Lsh(big.NewInt(1), 8*28)).Bytes()
	nested := func(fields string, name string) string {
		return `{"name":"v","type":{"type":"record","name":"R","fields":[` + fields + `],"connect.name":"` + name + `"}}`
	}
	temporal := func(names ...string) string {
		var fields []string
		for _, n := range names {
			fields = append(fields, `{"name":"`+n+`","type":["null","int"]}`)
		}
		return strings.Join(fields, ",")
	}
	for _, tc := range []struct {
		name, field string
		value       []byte
		want        string
		o           Options
	}{
		{"boolean", plain(`"boolean"`), avroBody(true), `boolean "true"`, Options{}},
		{"a boolean that is none", plain(`"boolean"`), avroBody(raw{2}), "short_body", Options{}},
		{"int8", plain(`{"type":"int","connect.type":"int8"}`), avroBody(-128), `int "-128"`, Options{}},
		{"beyond int8", plain(`{"type":"int","connect.type":"int8"}`), avroBody(128), "out_of_range", Options{}},
		{"int16", plain(`{"type":"int","connect.type":"int16"}`), avroBody(32767), `int "32767"`, Options{}},
		{"beyond int16", plain(`{"type":"int","connect.type":"int16"}`), avroBody(-32769), "out_of_range", Options{}},
		{"int", plain(`"int"`), avroBody(math.MinInt32), `int "-2147483648"`, Options{}},
		{"beyond int", plain(`"int"`), avroBody(math.MaxInt32 + 1), "out_of_range", Options{}},
		{"long", plain(`"long"`), avroBody(math.MaxInt64), `long "9223372036854775807"`, Options{}},
		{"a long of eleven bytes", plain(`"long"`), avroBody(raw(bytes.Repeat([]byte{0x80}, 10)), raw{0}), "short_body", Options{}},
		{"a long of 65 bits", plain(`"long"`), avroBody(raw(bytes.Repeat([]byte{0xff}, 9)), raw{2}), "short_body", Options{}},
		{"an unsigned long", plain(`{"type":"long","connect.parameters":{"__debezium.source.column.type":"BIGINT UNSIGNED"}}`), avroBody(-1), `decimal(20,0) "18446744073709551615"`, Options{}},
		{"a declared unsigned long", plain(`"long"`), avroBody(-1), `decimal(20,0) "18446744073709551615"`, Options{Unsigned: []string{"v"}}},
		{"float", plain(`"float"`), avroBody(float32(0.1)), `float "0.1"`, Options{}},
		{"double", plain(`"double"`), avroBody(-1e-5), `double "-1e-05"`, Options{}},
		{"NaN", plain(`"double"`), avroBody(math.NaN()), "out_of_range", Options{}},
		{"infinity", plain(`"float"`), avroBody(float32(math.Inf(-1))), "out_of_range", Options{}},
		{"string", plain(`"string"`), avroBody("a\x00ü"), `string "a\u0000ü"`, Options{}},
		{"text that is not UTF-8", plain(`"string"`), avroBody("\xff"), "invalid_utf8", Options{}},
		{"a string above the limit", plain(`"string"`), avroBody("12345"), "too_large", Options{Limits: Limits{StringBytes: 4}}},
		{"bytes", plain(`"bytes"`), avroBody([]byte{0, 255}), `binary "hex:00ff"`, Options{}},
		{"bytes above the limit", plain(`"bytes"`), avroBody([]byte("12345")), "too_large", Options{Limits: Limits{StringBytes: 4}}},
		{"bytes as base64 text", plain(`{"type":"string","connect.parameters":{"__debezium.source.column.type":"BLOB"}}`), avroBody("AP8="), `binary "hex:00ff"`, Options{BinaryText: Base64}},
		{"bytes as hexadecimal text", plain(`{"type":"string","connect.parameters":{"__debezium.source.column.type":"BLOB"}}`), avroBody("00fF"), `binary "hex:00ff"`, Options{BinaryText: Hex}},
		{"fixed", plain(`{"type":"fixed","name":"F","size":3}`), avroBody(raw{1, 2, 3}), `binary "hex:010203"`, Options{}},
		{"enum", plain(`{"type":"enum","name":"E","symbols":["A","B"]}`), avroBody(1), `string "B"`, Options{}},
		{"a symbol that is none", plain(`{"type":"enum","name":"E","symbols":["A","B"]}`), avroBody(2), "short_body", Options{}},
		{"Debezium's enum", named("string", "io.debezium.data.Enum", parameters(`{"allowed":"a,x\\,y"}`)), avroBody(`x\,y`), `string "x,y"`, Options{}},
		{"a set", named("string", "io.debezium.data.EnumSet", parameters(`{"allowed":"a,b"}`)), avroBody("a,b"), `string "a,b"`, Options{}},
		{"a document", named("string", "io.debezium.data.Json", ""), avroBody(`{"a": 1}`), `string "{\"a\": 1}"`, Options{}},
		{"uuid", plain(`{"type":"string","logicalType":"uuid"}`), avroBody("8e1b"), `string "8e1b"`, Options{}},
		{"decimal", decimal(9, 2), avroBody([]byte{0x12, 0xd6, 0x87}), `decimal(9,2) "12345.67"`, Options{}},
		{"a negative decimal", decimal(9, 2), avroBody([]byte{0x80}), `decimal(9,2) "-1.28"`, Options{}},
		{"a decimal beyond its precision", decimal(4, 2), avroBody([]byte{0x12, 0xd6, 0x87}), "out_of_range", Options{}},
		{"a decimal of no bytes", decimal(4, 2), avroBody(""), "type_mismatch", Options{}},
		{"a decimal of Avro alone", plain(`{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}`), avroBody([]byte{0x80}), `decimal(9,2) "-1.28"`, Options{}},
		{"a fixed decimal", plain(`{"type":"fixed","name":"D","size":4,"logicalType":"decimal","precision":9,"scale":2}`), avroBody(raw{255, 255, 255, 128}), `decimal(9,2) "-1.28"`, Options{}},
		{"a decimal without precision", plain(`{"type":"bytes","logicalType":"decimal","precision":64,"scale":2,"connect.name":"` + connectDecimal + `","connect.parameters":{"scale":"2"}}`), avroBody([]byte{0x80}), `decimal(38,2) "-1.28"`, Options{}},
		{"a decimal of 65 digits", decimal(65, 0), avroBody(twos), `string "` + big65.String() + `"`, Options{}},
		{"bits", named("bytes", "io.debezium.data.Bits", parameters(`{"length":"12"}`)), avroBody([]byte{1, 2}), `long "513"`, Options{}},
		{"bits beyond their length", named("bytes", "io.debezium.data.Bits", parameters(`{"length":"9"}`)), avroBody([]byte{1, 2}), "out_of_range", Options{}},
		{"Date", named("int", "io.debezium.time.Date", ""), avroBody(17702), `date "2018-06-20"`, Options{}},
		{"Connect's Date", named("int", connectDate, `,"logicalType":"date"`), avroBody(-1), `date "1969-12-31"`, Options{}},
		{"Avro's date", plain(`{"type":"int","logicalType":"date"}`), avroBody(17702), `date "2018-06-20"`, Options{}},
		{"IsoDate", named("string", "io.debezium.time.IsoDate", ""), avroBody("2017-09-15Z"), `date "2017-09-15"`, Options{}},
		{"Time", named("int", "io.debezium.time.Time", ""), avroBody(-1), `long "-1000"`, Options{}},
		{"MicroTime", named("long", "io.debezium.time.MicroTime", ""), avroBody(-3020399000000), `long "-3020399000000"`, Options{}},
		{"MicroTime as text", named("long", "io.debezium.time.MicroTime", ""), avroBody(-3020399000000), `string "-838:59:59.000000"`, Options{Time: TimeAsString}},
		{"NanoTime", named("long", "io.debezium.time.NanoTime", ""), avroBody(1500), "out_of_range", Options{}},
		{"Connect's Time", named("int", connectTime, `,"logicalType":"time-millis"`), avroBody(1), `long "1000"`, Options{}},
		{"Avro's time-millis", plain(`{"type":"int","logicalType":"time-millis"}`), avroBody(1), `long "1000"`, Options{}},
		{"Avro's time-micros", plain(`{"type":"long","logicalType":"time-micros"}`), avroBody(1), `long "1"`, Options{}},
		{"IsoTime", named("string", "io.debezium.time.IsoTime", ""), avroBody("04:05:11.789Z"), `long "14711789000"`, Options{}},
		{"Timestamp", named("long", "io.debezium.time.Timestamp", ""), avroBody(1529476623000), `timestamp "2018-06-20T06:37:03.000000"`, Options{}},
		{"a Timestamp beyond microseconds", named("long", "io.debezium.time.Timestamp", ""), avroBody(math.MaxInt64), "out_of_range", Options{}},
		{"MicroTimestamp", named("long", "io.debezium.time.MicroTimestamp", ""), avroBody(-1), `timestamp "1969-12-31T23:59:59.999999"`, Options{}},
		{"NanoTimestamp", named("long", "io.debezium.time.NanoTimestamp", ""), avroBody(-1000), `timestamp "1969-12-31T23:59:59.999999"`, Options{}},
		{"Connect's Timestamp", named("long", connectTimestamp, `,"logicalType":"timestamp-millis"`), avroBody(1), `timestamp "1970-01-01T00:00:00.001000"`, Options{}},
		{"timestamp-millis", plain(`{"type":"long","logicalType":"timestamp-millis"}`), avroBody(1), `timestamp "1970-01-01T00:00:00.001000"`, Options{}},
		{"timestamp-micros", plain(`{"type":"long","logicalType":"timestamp-micros"}`), avroBody(1), `timestamp "1970-01-01T00:00:00.000001"`, Options{}},
		{"timestamp-nanos", plain(`{"type":"long","logicalType":"timestamp-nanos"}`), avroBody(1), "out_of_range", Options{}},
		{"local-timestamp-millis", plain(`{"type":"long","logicalType":"local-timestamp-millis"}`), avroBody(1), `timestamp "1970-01-01T00:00:00.001000"`, Options{}},
		{"local-timestamp-micros", plain(`{"type":"long","logicalType":"local-timestamp-micros"}`), avroBody(1), `timestamp "1970-01-01T00:00:00.000001"`, Options{}},
		{"local-timestamp-nanos", plain(`{"type":"long","logicalType":"local-timestamp-nanos"}`), avroBody(1000), `timestamp "1970-01-01T00:00:00.000001"`, Options{}},
		{"a name goes before a logical type", named("long", "io.debezium.time.MicroTimestamp", `,"logicalType":"timestamp-millis"`), avroBody(1), `timestamp "1970-01-01T00:00:00.000001"`, Options{}},
		{"a logical type of another type means nothing", plain(`{"type":"string","logicalType":"date"}`), avroBody("x"), `string "x"`, Options{}},
		{"ZonedTimestamp", named("string", "io.debezium.time.ZonedTimestamp", ""), avroBody("2018-06-20T13:37:03.12+02:00"), `timestamptz "2018-06-20T11:37:03.120000Z"`, Options{}},
		{"a ZonedTimestamp that is none", named("string", "io.debezium.time.ZonedTimestamp", ""), avroBody("yesterday"), "type_mismatch", Options{}},
		{"IsoTimestamp", named("string", "io.debezium.time.IsoTimestamp", ""), avroBody("2018-06-20T13:37:03Z"), `timestamp "2018-06-20T13:37:03.000000"`, Options{}},
		{"Year", named("int", "io.debezium.time.Year", ""), avroBody(2024), `int "2024"`, Options{}},
		{"an unknown name", named("int", "com.example.Odd", ""), avroBody(5), `int "5"`, Options{}},
		{"geometry", nested(`{"name":"wkb","type":"bytes"},{"name":"srid","type":["null","int"],"default":null}`, "io.debezium.data.geometry.Geometry"),
			avroBody([]byte{1}, 1, 4326), `struct<wkb: binary, srid: int> {"wkb":"hex:01","srid":"4326"}`, Options{}},
		{"a point without its text", nested(`{"name":"x","type":"double"},{"name":"y","type":"double"},{"name":"wkb","type":["null","bytes"]},{"name":"srid","type":["null","int"]}`, "io.debezium.data.geometry.Point"),
			avroBody(1.0, -2.5, 0, 0), `struct<wkb: binary, srid: int> {"wkb":"hex:0101000000000000000000f03f00000000000004c0","srid":null}`, Options{}},
		{"a record", nested(`{"name":"a","type":"int"},{"name":"b","type":["string","null"]}`, "s.R"), avroBody(1, 0, "x"), `struct<a: int, b: string> {"a":"1","b":"x"}`, Options{}},
		{"a vector", `{"name":"v","type":{"type":"array","items":"float","connect.name":"io.debezium.data.FloatVector"}}`, avroBody(1, float32(1.5), 1, float32(-0.25), 0), `list<float> ["1.5","-0.25"]`, Options{}},
		{"a vector in blocks with sizes", `{"name":"v","type":{"type":"array","items":"float","connect.name":"io.debezium.data.FloatVector"}}`, avroBody(-2, 8, float32(1.5), float32(-0.25), 0), `list<float> ["1.5","-0.25"]`, Options{}},
		{"more items than bytes", `{"name":"v","type":{"type":"array","items":"int"}}`, avroBody(1<<40, 0), "short_body", Options{}},
		{"the lowest number of items", `{"name":"v","type":{"type":"array","items":"int"}}`, avroBody(math.MinInt64, 0, 0), "short_body", Options{}},
		{"a list with nulls", `{"name":"v","type":{"type":"array","items":["null","int"]}}`, avroBody(2, 0, 1, 7, 0), `list<int> [null,"7"]`, Options{}},
		{"a map", `{"name":"v","type":{"type":"map","values":"int"}}`, avroBody(0), "type_mismatch", Options{}},
		{"a union of two types", plain(`["int","string"]`), avroBody(0, 1), "type_mismatch", Options{}},
		{"null alone", plain(`["null"]`), avroBody(0), "type_mismatch", Options{}},
		{"StructuredDate", nested(temporal("year", "month", "day", "specialValue"), "io.debezium.time.StructuredDate"), avroBody(1, 2024, 1, 2, 1, 29, 0), `date "2024-02-29"`, Options{}},
		{"a zero StructuredDate", nested(temporal("year", "month", "day", "specialValue"), "io.debezium.time.StructuredDate"), avroBody(1, 0, 1, 0, 1, 0, 0), `date null`, Options{}},
		{"StructuredTimestamp", nested(temporal("year", "month", "day", "hour", "minute", "second", "nanos"), "io.debezium.time.StructuredTimestamp"),
			avroBody(1, 2024, 1, 2, 1, 29, 1, 1, 1, 2, 1, 3, 1, 4000), `timestamp "2024-02-29T01:02:03.000004"`, Options{}},
		{"StructuredZonedTimestamp", nested(temporal("year", "month", "day", "hour", "minute", "second", "nanos", "offsetSeconds")+`,{"name":"zoneId","type":["null","string"]}`, "io.debezium.time.StructuredZonedTimestamp"),
			avroBody(1, 2024, 1, 2, 1, 29, 1, 1, 1, 2, 1, 3, 1, 4000, 0, 1, "UTC"), `timestamptz "2024-02-29T01:02:03.000004Z"`, Options{}},
		{"StructuredDuration", nested(temporal("hours", "minutes")+`,{"name":"seconds","type":["null","long"]},`+temporal("nanos"), "io.debezium.time.StructuredDuration"), avroBody(1, -838, 0, 1, -59, 0), `long "-3016859000000"`, Options{}},
		{"a field that no StructuredDate has", nested(temporal("year", "month", "day", "era"), "io.debezium.time.StructuredDate"), avroBody(1, 2024, 1, 2, 1, 29, 1, 1), "schema_mismatch", Options{}},
		{"null first", plain(`["null","int"]`), avroBody(1, 5), `int "5"`, Options{}},
		{"null last", plain(`["int","null"]`), avroBody(0, 5), `int "5"`, Options{}},
		{"null last, and it is null", plain(`["int","null"]`), avroBody(1), `int null`, Options{}},
		{"a union of one", plain(`["int"]`), avroBody(0, 5), `int "5"`, Options{}},
		{"a branch that is none", plain(`["null","int"]`), avroBody(2, 5), "short_body", Options{}},
		{"a negative branch", plain(`["null","int"]`), avroBody(-1, 5), "short_body", Options{}},
		{"a placeholder", plain(`"string"`), avroBody("__debezium_unavailable_value"), "schema_mismatch", Options{}},
		{"a kept placeholder", plain(`["null","bytes"]`), avroBody(1, "__debezium_unavailable_value"), "binary null", Options{Partial: true}},
		{"a negative length", plain(`"string"`), avroBody(-1), "short_body", Options{}},
		{"a restored name", `{"name":"a_b","type":{"type":"int","connect.parameters":{"__debezium.source.column.name":"a-b"}}}`, avroBody(5), `int "5"`, Options{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := decodeAvro(t, tc.o, avroEnvelopeOf(tc.field), create(raw(tc.value))); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// What another implementation of Avro writes is read, column by column.
func TestAvroOfAnotherImplementationIsRead(t *testing.T) {
	schema, err := avro.Parse(sampleAvroSchema())
	if err != nil {
		t.Fatal(err)
	}
	image := map[string]any{
		"order_id": int64(5), "cust_id": int32(-7), "status": "NEW", "total": big.NewRat(-128, 100), "created": int64(1), "updated": "2024-05-14T10:20:30.5Z", "due": int32(-1),
		"note": nil, "weight": 0.5, "gift": true,
	}
	source := map[string]any{
		"version": "3", "connector": "mysql", "name": "shop", "ts_ms": int64(1715600000000), "snapshot": "first", "db": "d", "sequence": nil, "ts_us": nil, "ts_ns": nil, "table": "t",
		"server_id": int64(1), "gtid": nil, "file": "f", "pos": int64(4), "row": int32(0), "thread": nil, "query": nil,
	}
	body, err := schema.Encode(map[string]any{"before": nil, "after": image, "source": source, "transaction": nil, "op": "r", "ts_ms": int64(9), "ts_us": nil, "ts_ns": nil})
	if err != nil {
		t.Fatal(err)
	}
	d := avroDecoderOf(Options{})
	rows := row.NewRows(d.bound)
	var ev Event
	if err := d.Decode(confluent(7, avroBody(5)), confluent(8, body), rows, &ev); err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range rows.Vectors {
		got = append(got, string(rows.Vectors[i].AppendText(nil, 0)))
	}
	want := []string{"5", "-7", "NEW", "-1.28", "1970-01-01T00:00:00.000001", "2024-05-14T10:20:30.500000Z", "1969-12-31", "", "0.5", "true"}
	if diff := cmp.Diff(want, got, cmp.Transformer("null", func(s string) string { return strings.TrimPrefix(s, "null") })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if ev.Op != Read || ev.SourceMs != 1715600000000 || ev.Snapshot != SnapshotFirst {
		t.Errorf("got %+v", ev)
	}
}

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
		{"transaction metadata", value("io.debezium.connector.common.TransactionMetadataValue", `{"name":"status","type":"string"},{"name":"id","type":"string"},{"name":"event_count","type":["null","long"]},`+
			`{"name":"data_collections","type":["null",{"type":"array","items":{"type":"record","name":"C","fields":[{"name":"data_collection","type":"string"},{"name":"event_count","type":"long"}]}}]},{"name":"ts_ms","type":"long"}`),
			Options{}, avroBody("END", "x", 1, 1, 1, 1, "a", 1, 0, 5), "op(0)transaction_metadata"},
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
