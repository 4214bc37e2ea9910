package debezium

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/cdcd-project/cdcd/internal/row"
)

// sample is an orders table of ten columns of the common types.
func sample() *row.Schema {
	kinds := []struct {
		name string
		typ  row.Type
	}{
		{"order_id", row.Type{Kind: row.Long}},
		{"cust_id", row.Type{Kind: row.Int}},
		{"status", row.Type{Kind: row.String}},
		{"total", row.Type{Kind: row.Decimal, Precision: 12, Scale: 2}},
		{"created", row.Type{Kind: row.Timestamp}},
		{"updated", row.Type{Kind: row.TimestampTZ}},
		{"due", row.Type{Kind: row.Date}},
		{"note", row.Type{Kind: row.String}},
		{"weight", row.Type{Kind: row.Double}},
		{"gift", row.Type{Kind: row.Boolean}},
	}
	s := &row.Schema{Key: []int{0}}
	for i, c := range kinds {
		s.Columns = append(s.Columns, row.Column{Name: c.name, Type: c.typ, Required: i == 0})
	}
	return s
}

const (
	sampleRow = `{"order_id":%d,"cust_id":8887,"status":"SHIPPED","total":"EtaH","created":1715682030123456,` +
		`"updated":"2024-05-14T10:20:30.5Z","due":19857,"note":"left at the door","weight":1.25,"gift":false}`
	sampleSource = `"source":{"version":"3.4.3.Final","connector":"mysql","name":"shop","ts_ms":17156%08d,"snapshot":"false",` +
		`"db":"salesdb","sequence":null,"ts_us":17156%08d000,"ts_ns":17156%08d000000,"table":"orders",` +
		`"server_id":223344,"gtid":null,"file":"mysql-bin.000003","pos":%d,"row":0,"thread":18,"query":null}`
	sampleTail = `,"transaction":null,"op":"u","ts_ms":17156%08[1]d,"ts_us":17156%08[1]d345,"ts_ns":17156%08[1]d345678}`

	sampleFields = `[{"type":"int64","optional":false,"field":"order_id"},{"type":"int32","optional":true,"field":"cust_id"},` +
		`{"type":"string","optional":true,"name":"io.debezium.data.Enum","version":1,"parameters":{"allowed":"NEW,PAID,SHIPPED"},"field":"status"},` +
		`{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2","connect.decimal.precision":"12"},"field":"total"},` +
		`{"type":"int64","optional":true,"name":"io.debezium.time.MicroTimestamp","version":1,"field":"created"},` +
		`{"type":"string","optional":true,"name":"io.debezium.time.ZonedTimestamp","version":1,"field":"updated"},` +
		`{"type":"int32","optional":true,"name":"io.debezium.time.Date","version":1,"field":"due"},` +
		`{"type":"string","optional":true,"field":"note"},{"type":"double","optional":true,"field":"weight"},{"type":"boolean","optional":true,"field":"gift"}]`
	sampleKeySchema = `{"schema":{"type":"struct","fields":[{"type":"int64","optional":false,"field":"order_id"}],"optional":false,"name":"shop.salesdb.orders.Key"},"payload":`
)

// sampleSchema is the embedded schema of a whole envelope, as Debezium 3.4 prints it.
func sampleSchema() string {
	source := []string{}
	for f := range strings.FieldsSeq("string:version string:connector string:name int64:ts_ms string:snapshot string:db string:sequence " +
		"int64:ts_us int64:ts_ns string:table int64:server_id string:gtid string:file int64:pos int32:row int64:thread string:query") {
		typ, name, _ := strings.Cut(f, ":")
		source = append(source, fmt.Sprintf(`{"type":%q,"optional":true,"field":%q}`, typ, name))
	}
	image := `{"type":"struct","fields":` + sampleFields + `,"optional":true,"name":"shop.salesdb.orders.Value","field":"%s"}`
	return `{"type":"struct","fields":[` + fmt.Sprintf(image, "before") + `,` + fmt.Sprintf(image, "after") +
		`,{"type":"struct","fields":[` + strings.Join(source, ",") + `],"optional":false,"name":"io.debezium.connector.mysql.Source","version":1,"field":"source"},` +
		`{"type":"struct","fields":[{"type":"string","optional":false,"field":"id"},{"type":"int64","optional":false,"field":"total_order"},` +
		`{"type":"int64","optional":false,"field":"data_collection_order"}],"optional":true,"name":"event.block","version":1,"field":"transaction"},` +
		`{"type":"string","optional":false,"field":"op"},{"type":"int64","optional":true,"field":"ts_ms"},{"type":"int64","optional":true,"field":"ts_us"},` +
		`{"type":"int64","optional":true,"field":"ts_ns"}],"optional":false,"name":"shop.salesdb.orders.Envelope","version":2}`
}

// sampleRecords returns n updates of different rows.
func sampleRecords(n int, embedded bool) (keys, values [][]byte) {
	schema := sampleSchema()
	for i := range n {
		id := 1_000_000 + i
		image := fmt.Sprintf(sampleRow, id)
		key := fmt.Sprintf(`{"order_id":%d}`, id)
		value := `{"before":null,"after":` + image + `,` + fmt.Sprintf(sampleSource, i*777, i*777, i*777, 1000+200*i) + fmt.Sprintf(sampleTail, i*777+512)
		if embedded {
			key = sampleKeySchema + key + `}`
			value = `{"schema":` + schema + `,"payload":` + value + `}`
		}
		keys, values = append(keys, []byte(key)), append(values, []byte(value))
	}
	return keys, values
}

// withBefore gives each record the row image before, as an update has it.
func withBefore(values [][]byte) [][]byte {
	for i, v := range values {
		_, after, _ := bytes.Cut(v, []byte(`"after":`))
		image, _, _ := bytes.Cut(after, []byte(`,"source"`))
		values[i] = bytes.Replace(v, []byte(`"before":null`), append([]byte(`"before":`), image...), 1)
	}
	return values
}

// flattenedRecords returns n updates as ExtractNewRecordState leaves them.
func flattenedRecords(n int) (keys, values [][]byte) {
	for i := range n {
		id := 1_000_000 + i
		keys = append(keys, fmt.Appendf(nil, `{"order_id":%d}`, id))
		image := strings.TrimSuffix(fmt.Sprintf(sampleRow, id), "}")
		values = append(values, fmt.Appendf(nil, `%s,"__op":"u","__source_ts_ms":17156%08d,"__deleted":"false"}`, image, i*777))
	}
	return keys, values
}

// decoderOf returns a decoder of the rows of sampleRecords.
func decoderOf(o Options) *Decoder {
	d := NewDecoder(o)
	d.Bind(sample())
	return d
}

// benchmarkDecode decodes a thousand records over and over.
func benchmarkDecode(b *testing.B, d *Decoder, keys, values [][]byte) {
	rows := row.NewRows(d.bound)
	var ev Event
	b.SetBytes(int64(len(values[0])))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%1000 == 0 {
			rows.Reset()
		}
		if err := d.Decode(keys[i%1000], values[i%1000], rows, &ev); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodePlain(b *testing.B) {
	keys, values := sampleRecords(1000, false)
	benchmarkDecode(b, decoderOf(Options{}), keys, values)
}

func BenchmarkDecodeEmbeddedSchema(b *testing.B) {
	keys, values := sampleRecords(1000, true)
	benchmarkDecode(b, decoderOf(Options{}), keys, values)
}

func BenchmarkDecodePlainUpdate(b *testing.B) {
	keys, values := sampleRecords(1000, false)
	benchmarkDecode(b, decoderOf(Options{}), keys, withBefore(values))
}

func BenchmarkDecodeFlattened(b *testing.B) {
	keys, values := flattenedRecords(1000)
	benchmarkDecode(b, decoderOf(Options{Shape: Flattened}), keys, values)
}

func BenchmarkDecodeFlattenedUntold(b *testing.B) {
	keys, values := flattenedRecords(1000)
	benchmarkDecode(b, decoderOf(Options{}), keys, values)
}

func TestDecodeAllocatesNothingInTheSteadyState(t *testing.T) {
	keys, values := flattenedRecords(16)
	for _, o := range []Options{{}, {Shape: Flattened}} {
		d := NewDecoder(o)
		d.Bind(sample())
		rows := row.NewRows(d.bound)
		var ev Event
		if got := testing.AllocsPerRun(100, func() {
			rows.Reset()
			for i := range values {
				if err := d.Decode(keys[i], values[i], rows, &ev); err != nil || !ev.IsUpsert() {
					t.Fatal(err)
				}
			}
		}); got != 0 {
			t.Errorf("flattened: got %v allocations for %d records, want none", got, len(values))
		}
	}
	for _, tc := range []struct {
		name     string
		embedded bool
	}{{"without an embedded schema", false}, {"with an embedded schema", true}} {
		t.Run(tc.name, func(t *testing.T) {
			keys, values := sampleRecords(16, tc.embedded)
			withBefore(values[:8])
			deleted := []byte(strings.Replace(strings.Replace(string(values[15]), `"before":null,"after":`, `"after":null,"before":`, 1), `"op":"u"`, `"op":"d"`, 1))
			d := NewDecoder(Options{})
			d.Bind(sample())
			rows := row.NewRows(d.bound)
			var ev Event
			round := func() {
				rows.Reset()
				for i := range values {
					if err := d.Decode(keys[i], values[i], rows, &ev); err != nil {
						t.Fatal(err)
					}
				}
				if err := d.Decode(keys[15], deleted, rows, &ev); err != nil || !ev.IsDelete() {
					t.Fatal(err, ev)
				}
				if err := d.Decode(keys[0], nil, rows, &ev); err != nil || !ev.IsDelete() {
					t.Fatal(err, ev)
				}
			}
			if got := testing.AllocsPerRun(100, round); got != 0 {
				t.Errorf("got %v allocations for %d records, want none", got, len(values)+2)
			}
		})
	}
}
