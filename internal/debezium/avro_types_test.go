package debezium

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/avro"

	"github.com/cdcd-project/cdcd/internal/row"
)

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
	nested := func(fields, name string) string {
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
		{
			"geometry", nested(`{"name":"wkb","type":"bytes"},{"name":"srid","type":["null","int"],"default":null}`, "io.debezium.data.geometry.Geometry"),
			avroBody([]byte{1}, 1, 4326), `struct<wkb: binary, srid: int> {"wkb":"hex:01","srid":"4326"}`,
			Options{},
		},
		{
			"a point without its text", nested(`{"name":"x","type":"double"},{"name":"y","type":"double"},{"name":"wkb","type":["null","bytes"]},{"name":"srid","type":["null","int"]}`, "io.debezium.data.geometry.Point"),
			avroBody(1.0, -2.5, 0, 0), `struct<wkb: binary, srid: int> {"wkb":"hex:0101000000000000000000f03f00000000000004c0","srid":null}`,
			Options{},
		},
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
		{
			"StructuredTimestamp", nested(temporal("year", "month", "day", "hour", "minute", "second", "nanos"), "io.debezium.time.StructuredTimestamp"),
			avroBody(1, 2024, 1, 2, 1, 29, 1, 1, 1, 2, 1, 3, 1, 4000), `timestamp "2024-02-29T01:02:03.000004"`,
			Options{},
		},
		{
			"StructuredZonedTimestamp", nested(temporal("year", "month", "day", "hour", "minute", "second", "nanos", "offsetSeconds")+`,{"name":"zoneId","type":["null","string"]}`, "io.debezium.time.StructuredZonedTimestamp"),
			avroBody(1, 2024, 1, 2, 1, 29, 1, 1, 1, 2, 1, 3, 1, 4000, 0, 1, "UTC"), `timestamptz "2024-02-29T01:02:03.000004Z"`,
			Options{},
		},
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
