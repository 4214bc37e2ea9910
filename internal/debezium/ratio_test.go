package debezium

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/valyala/fastjson"

	"github.com/cdcd-project/cdcd/internal/row"
)

// BenchmarkRatio decodes the same records by turns, so that all ways meet the same machine: with this package; with fastjson,
// doing the same work, except for duplicate members and UTF-8: each value converted and appended to the same vectors, and the canonical
// key of the record key; with fastjson, parsing and reading every value as JSON gives it, without converting or keeping one; and with
// encoding/json, into static structs.
func BenchmarkRatio(b *testing.B) {
	const n = 1000
	for _, form := range []struct {
		name      string
		options   Options
		records   func() (keys, values [][]byte)
		flattened bool
	}{
		{"plain", Options{}, func() (keys, values [][]byte) { return sampleRecords(n, false) }, false},
		{"plain_update", Options{}, func() (keys, values [][]byte) {
			keys, values = sampleRecords(n, false)
			return keys, withBefore(values)
		}, false},
		{"schema", Options{}, func() (keys, values [][]byte) { return sampleRecords(n, true) }, false},
		{"flattened", Options{Shape: Flattened}, func() (keys, values [][]byte) { return flattenedRecords(n) }, true},
		{"flattened_untold", Options{}, func() (keys, values [][]byte) { return flattenedRecords(n) }, true},
	} {
		b.Run(form.name, func(b *testing.B) {
			keys, values := form.records()
			decode := oursOf(b, form.options, keys)
			fast := newFastReader(form.flattened)
			var took [4][]time.Duration
			decode(values) // Learns the schema, and grows the vectors.
			allocs := testing.AllocsPerRun(10, func() { decode(values) })
			for b.Loop() {
				took[0] = append(took[0], timed(func() { decode(values) }))
				took[1] = append(took[1], timed(func() { fast.decode(b, keys, values) }))
				took[2] = append(took[2], timed(func() { fast.readOnly(b, values) }))
				took[3] = append(took[3], timed(func() { readStandard(b, values, form.flattened) }))
			}
			size := 0
			for _, v := range values {
				size += len(v)
			}
			b.ReportMetric(float64(size)/n, "B/event")
			b.ReportMetric(allocs/n, "cdcd-allocs/event")
			ours := median(took[0])
			for i, name := range []string{"cdcd", "fastjson", "fastjson-read-only", "encoding/json"} {
				seconds := median(took[i])
				b.ReportMetric(n/seconds, name+"-events/s")
				b.ReportMetric(float64(size)/1e6/seconds, name+"-MB/s")
				if i > 0 {
					b.ReportMetric(seconds/ours, "x-"+name)
				}
			}
			b.ReportMetric(0, "ns/op") // Of all three together: it tells nothing.
		})
	}
}

func timed(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}

// median returns the median in seconds: other programs disturb many rounds.
func median(took []time.Duration) float64 {
	slices.Sort(took)
	return took[len(took)/2].Seconds()
}

func oursOf(b *testing.B, o Options, keys [][]byte) func(values [][]byte) {
	d := NewDecoder(o)
	d.Bind(sample())
	rows := row.NewRows(d.bound)
	var ev Event
	return func(values [][]byte) {
		rows.Reset()
		for i := range values {
			if err := d.Decode(keys[i], values[i], rows, &ev); err != nil || !ev.IsUpsert() {
				b.Fatal(err)
			}
		}
	}
}

// fastReader is what a consumer does with fastjson.
type fastReader struct {
	values, keys fastjson.Parser
	flattened    bool
	rows         *row.Rows
	key          []byte
}

func newFastReader(flattened bool) *fastReader {
	return &fastReader{flattened: flattened, rows: row.NewRows(sample())}
}

// image parses a record's value and walks to the row.
func (r *fastReader) image(b *testing.B, value []byte) (image *fastjson.Value, op []byte, ms int64) {
	v, err := r.values.ParseBytes(value)
	if err != nil {
		b.Fatal(err)
	}
	if payload := v.Get("payload"); payload != nil {
		v = payload
	}
	if r.flattened {
		return v, v.GetStringBytes("__op"), v.GetInt64("__source_ts_ms")
	}
	return v.Get("after"), v.GetStringBytes("op"), v.GetInt64("source", "ts_ms")
}

func (r *fastReader) decode(b *testing.B, keys, values [][]byte) {
	r.rows.Reset()
	vectors := r.rows.Vectors
	for i, value := range values {
		image, op, ms := r.image(b, value)
		id := image.GetInt64("order_id")
		vectors[0].AppendInt64(id)
		vectors[1].AppendInt32(int32(image.GetInt("cust_id")))
		vectors[2].AppendBytes(image.GetStringBytes("status"))
		var unscaled [16]byte
		n, err := base64.StdEncoding.Decode(unscaled[:], image.GetStringBytes("total"))
		total := int64(int8(unscaled[0]))
		for _, c := range unscaled[1:n] {
			total = total<<8 | int64(c)
		}
		vectors[3].AppendDecimal(row.Decimal128{Hi: total >> 63, Lo: uint64(total)})
		vectors[4].AppendInt64(image.GetInt64("created"))
		updated, err2 := time.Parse(time.RFC3339Nano, string(image.GetStringBytes("updated")))
		vectors[5].AppendInt64(updated.UnixMicro())
		vectors[6].AppendInt32(int32(image.GetInt("due")))
		vectors[7].AppendBytes(image.GetStringBytes("note"))
		vectors[8].AppendFloat64(image.GetFloat64("weight"))
		vectors[9].AppendBool(image.GetBool("gift"))
		r.rows.End()
		key, err3 := r.keys.ParseBytes(keys[i])
		if payload := key.Get("payload"); payload != nil {
			key = payload
		}
		r.key = row.AppendKeyInt(r.key[:0], key.GetInt64("order_id"))
		if err != nil || err2 != nil || err3 != nil || key.GetInt64("order_id") != id || len(op) != 1 || ms == 0 {
			b.Fatal(string(value))
		}
	}
}

func (r *fastReader) readOnly(b *testing.B, values [][]byte) {
	for _, value := range values {
		image, op, ms := r.image(b, value)
		read := int64(len(image.GetStringBytes("status"))+len(image.GetStringBytes("total"))+len(image.GetStringBytes("updated"))+len(image.GetStringBytes("note"))) +
			image.GetInt64("order_id") + image.GetInt64("cust_id") + image.GetInt64("created") + image.GetInt64("due") + ms
		if len(op) != 1 || read == 0 || image.GetFloat64("weight") == 0 || image.GetBool("gift") {
			b.Fatal(string(value))
		}
	}
}

// benchOrder is a row of sample for encoding/json.
type benchOrder struct {
	OrderID int64   `json:"order_id"`
	CustID  int32   `json:"cust_id"`
	Status  string  `json:"status"`
	Total   []byte  `json:"total"`
	Created int64   `json:"created"`
	Updated string  `json:"updated"`
	Due     int32   `json:"due"`
	Note    string  `json:"note"`
	Weight  float64 `json:"weight"`
	Gift    bool    `json:"gift"`
}

type benchEnvelope struct {
	After  benchOrder `json:"after"`
	Op     string     `json:"op"`
	Source struct {
		TsMs int64 `json:"ts_ms"`
	} `json:"source"`
}

func readStandard(b *testing.B, values [][]byte, flattened bool) {
	for _, value := range values {
		var enveloped struct {
			benchEnvelope
			Payload *benchEnvelope `json:"payload"`
		}
		var flat struct {
			benchOrder
			Op   string `json:"__op"`
			TsMs int64  `json:"__source_ts_ms"`
		}
		var into any = &enveloped
		if flattened {
			into = &flat
		}
		if err := json.Unmarshal(value, into); err != nil {
			b.Fatal(err)
		}
		e := &enveloped.benchEnvelope
		if enveloped.Payload != nil {
			e = enveloped.Payload
		}
		if e.After.OrderID == 0 && flat.OrderID == 0 {
			b.Fatal(string(value))
		}
	}
}
