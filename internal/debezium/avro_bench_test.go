package debezium

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/cdcd-project/cdcd/internal/row"
)

// sampleAvroFields are the columns of sample, as the Avro converter writes their schema.
const sampleAvroFields = `[{"name":"order_id","type":"long"},{"name":"cust_id","type":["null","int"],"default":null},` +
	`{"name":"status","type":["null",{"type":"string","connect.version":1,"connect.parameters":{"allowed":"NEW,PAID,SHIPPED"},"connect.name":"io.debezium.data.Enum"}],"default":null},` +
	`{"name":"total","type":["null",{"type":"bytes","scale":2,"precision":12,"connect.version":1,"connect.parameters":{"scale":"2","connect.decimal.precision":"12"},"connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}],"default":null},` +
	`{"name":"created","type":["null",{"type":"long","connect.version":1,"connect.name":"io.debezium.time.MicroTimestamp"}],"default":null},` +
	`{"name":"updated","type":["null",{"type":"string","connect.version":1,"connect.name":"io.debezium.time.ZonedTimestamp"}],"default":null},` +
	`{"name":"due","type":["null",{"type":"int","connect.version":1,"connect.name":"io.debezium.time.Date"}],"default":null},` +
	`{"name":"note","type":["null","string"],"default":null},{"name":"weight","type":["null","double"],"default":null},{"name":"gift","type":["null","boolean"],"default":null}]`

const sampleAvroKey = `{"type":"record","name":"Key","namespace":"shop.salesdb.orders","fields":[{"name":"order_id","type":"long"}],"connect.name":"shop.salesdb.orders.Key"}`

// sampleAvroSchema is the schema of an envelope, as Debezium 3.4 and AvroConverter register it.
func sampleAvroSchema() string {
	var fields []string
	for f := range strings.FieldsSeq("string:version string:connector string:name long:ts_ms") {
		typ, name, _ := strings.Cut(f, ":")
		fields = append(fields, fmt.Sprintf(`{"name":%q,"type":%q}`, name, typ))
	}
	fields = append(fields, `{"name":"snapshot","type":[{"type":"string","connect.version":1,"connect.default":"false","connect.name":"io.debezium.data.Enum"},"null"],"default":"false"}`)
	for f := range strings.FieldsSeq("string:db string?:sequence long?:ts_us long?:ts_ns string?:table long:server_id string?:gtid string:file long:pos int:row long?:thread string?:query") {
		typ, name, _ := strings.Cut(f, ":")
		if typ, optional := strings.CutSuffix(typ, "?"); optional {
			fields = append(fields, fmt.Sprintf(`{"name":%q,"type":["null",%q],"default":null}`, name, typ))
			continue
		}
		fields = append(fields, fmt.Sprintf(`{"name":%q,"type":%q}`, name, typ))
	}
	return `{"type":"record","name":"Envelope","namespace":"shop.salesdb.orders","fields":[` +
		`{"name":"before","type":["null",{"type":"record","name":"Value","fields":` + sampleAvroFields + `,"connect.name":"shop.salesdb.orders.Value"}],"default":null},` +
		`{"name":"after","type":["null","Value"],"default":null},{"name":"source","type":{"type":"record","name":"Source","namespace":"io.debezium.connector.mysql","fields":[` +
		strings.Join(fields, ",") + `],"connect.version":1,"connect.name":"io.debezium.connector.mysql.Source"}},` +
		`{"name":"transaction","type":["null",{"type":"record","name":"block","namespace":"event","fields":[{"name":"id","type":"string"},{"name":"total_order","type":"long"},` +
		`{"name":"data_collection_order","type":"long"}],"connect.version":1,"connect.name":"event.block"}],"default":null},{"name":"op","type":"string"},` +
		`{"name":"ts_ms","type":["null","long"],"default":null},{"name":"ts_us","type":["null","long"],"default":null},{"name":"ts_ns","type":["null","long"],"default":null}],` +
		`"connect.version":2,"connect.name":"shop.salesdb.orders.Envelope"}`
}

// avroBody writes values as Avro does: integers, text, bytes, floats and booleans. A union's branch is an integer before its value.
func avroBody(values ...any) []byte {
	var b []byte
	for _, v := range values {
		switch v := v.(type) {
		case int:
			b = binary.AppendVarint(b, int64(v))
		case int64:
			b = binary.AppendVarint(b, v)
		case string:
			b = append(binary.AppendVarint(b, int64(len(v))), v...)
		case []byte:
			b = append(binary.AppendVarint(b, int64(len(v))), v...)
		case float32:
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		case float64:
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		case bool:
			b = append(b, map[bool]byte{true: 1}[v])
		case raw:
			b = append(b, v...)
		default:
			panic(fmt.Sprintf("%T", v))
		}
	}
	return b
}

// raw is written as it is.
type raw []byte

// confluent puts the frame of a schema id in front of a body.
func confluent(id uint32, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, id), body...)
}

func sampleAvroRow(id int) []byte {
	return avroBody(id, 1, 8887, 1, "SHIPPED", 1, []byte{0x12, 0xd6, 0x87}, 1, 1715682030123456, 1, "2024-05-14T10:20:30.5Z", 1, 19857,
		1, "left at the door", 1, 1.25, 1, false)
}

// sampleAvroRecords returns n updates, with a row image before if wanted.
func sampleAvroRecords(n int, before bool) (keys, values [][]byte) {
	for i := range n {
		image := sampleAvroRow(1_000_000 + i)
		source := avroBody("3.4.3.Final", "mysql", "shop", 1715600000000+i*777, 0, "false", "salesdb", 0, 1, (1715600000000+i*777)*1000, 1, (1715600000000+i*777)*1000000,
			1, "orders", 223344, 0, "mysql-bin.000003", 1000+200*i, 0, 1, 18, 0)
		old := avroBody(0)
		if before {
			old = avroBody(1, raw(image))
		}
		keys = append(keys, confluent(7, avroBody(1_000_000+i)))
		values = append(values, confluent(8, avroBody(raw(old), 1, raw(image), raw(source), 0, "u", 1, 1715682030512, 1, 1715682030512345, 1, 1715682030512345678)))
	}
	return keys, values
}

// avroDecoderOf returns a decoder that knows the schemas of sampleAvroRecords.
func avroDecoderOf(o Options) *Decoder {
	o.Format = AvroConfluent
	d := NewDecoder(o)
	d.AddSchema(&SchemaNeeded{Ref: SchemaRef{Kind: ConfluentID, ID: 7}, ForKey: true}, WriterSchema{Text: sampleAvroKey})
	d.AddSchema(&SchemaNeeded{Ref: SchemaRef{Kind: ConfluentID, ID: 8}}, WriterSchema{Text: sampleAvroSchema()})
	d.Bind(sample())
	return d
}

func benchmarkAvro(b *testing.B, before bool) {
	keys, values := sampleAvroRecords(1000, before)
	benchmarkDecode(b, avroDecoderOf(Options{}), keys, values)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkDecodeAvro(b *testing.B) { benchmarkAvro(b, false) }

func BenchmarkDecodeAvroUpdate(b *testing.B) { benchmarkAvro(b, true) }

func TestDecodeAvroAllocatesNothingInTheSteadyState(t *testing.T) {
	keys, values := sampleAvroRecords(16, true)
	d := avroDecoderOf(Options{})
	rows := row.NewRows(d.bound)
	var ev Event
	if got := testing.AllocsPerRun(100, func() {
		rows.Reset()
		for i := range values {
			if err := d.Decode(keys[i], values[i], rows, &ev); err != nil || !ev.IsUpsert() {
				t.Fatal(err)
			}
		}
		if err := d.Decode(keys[0], nil, rows, &ev); err != nil || !ev.IsDelete() {
			t.Fatal(err, ev)
		}
	}); got != 0 {
		t.Errorf("got %v allocations for %d records, want none", got, len(values)+1)
	}
}

// The same rows come of Avro and of JSON.
func TestAvroAndJSONGiveTheSameRows(t *testing.T) {
	plain, embedded := NewDecoder(Options{}), avroDecoderOf(Options{})
	plain.Bind(sample())
	want, got := row.NewRows(plain.bound), row.NewRows(embedded.bound)
	jsonKeys, jsonValues := sampleRecords(20, true)
	keys, values := sampleAvroRecords(20, true)
	for i := range keys {
		var a, b Event
		if err := plain.Decode(jsonKeys[i], jsonValues[i], want, &a); err != nil {
			t.Fatal(err)
		}
		if err := embedded.Decode(keys[i], values[i], got, &b); err != nil {
			t.Fatal(err)
		}
		if string(a.Key) != string(b.Key) || a.Op != b.Op || b.SourceMs != int64(1715600000000+i*777) {
			t.Errorf("record %d: got %+v, want %+v", i, b, a)
		}
		for c := range want.Vectors {
			if g, w := got.Vectors[c].AppendText(nil, i), want.Vectors[c].AppendText(nil, i); string(g) != string(w) {
				t.Errorf("record %d, column %s: got %s, want %s", i, want.Schema.Columns[c].Name, g, w)
			}
		}
	}
}
