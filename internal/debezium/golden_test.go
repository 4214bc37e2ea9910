package debezium

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cdcd-project/cdcd/internal/row"
)

// fixture is a line of testdata/*.jsonl: a record, and what becomes of it.
type fixture struct {
	Name          string            `json:"name"`
	Topic         string            `json:"topic"`
	Key           *string           `json:"key"`
	Value         *string           `json:"value"`
	KeyEncoding   string            `json:"key_encoding"`
	ValueEncoding string            `json:"value_encoding"`
	Headers       map[string]string `json:"headers"`

	HeadersEncoding string          `json:"headers_encoding"`
	AvroValueSchema json.RawMessage `json:"avro_value_schema"`
	AvroKeySchema   json.RawMessage `json:"avro_key_schema"`

	Expect struct {
		Action    string            `json:"action"`
		Reason    string            `json:"reason"`
		Op        string            `json:"op"`
		Snapshot  string            `json:"snapshot"`
		Key       map[string]any    `json:"key"`
		Row       map[string]any    `json:"row"` // Text, null, or an object of such.
		Types     map[string]string `json:"types"`
		Unchanged []string          `json:"unchanged"`
	} `json:"expect"`
}

func readFixtures(t testing.TB, name string) []fixture {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var all []fixture
	for line := range bytes.SplitSeq(bytes.TrimSuffix(text, []byte("\n")), []byte("\n")) {
		var f fixture
		if err := json.Unmarshal(line, &f); err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	return all
}

func fixtureBytes(t testing.TB, text *string, encoding string) []byte {
	t.Helper()
	if text == nil {
		return nil
	}
	if encoding == "base64" {
		b, err := base64.StdEncoding.DecodeString(*text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	return []byte(*text)
}

// apply decodes a record, binding every lossless schema that it wants first, as the pipeline does.
func apply(d *Decoder, key, value []byte) (*row.Rows, Event, error) {
	return applyRecord(d, Record{Key: key, Value: value})
}

func applyRecord(d *Decoder, r Record) (*row.Rows, Event, error) {
	for {
		var rows *row.Rows
		if d.bound != nil {
			rows = row.NewRows(d.bound)
		}
		var ev Event
		err := d.DecodeRecord(r, rows, &ev)
		if change, ok := errors.AsType[*SchemaChange](err); ok && change.Lossless {
			d.Bind(change.Want)
			continue
		}
		return rows, ev, err
	}
}

func TestFixturesDecodeAsExpected(t *testing.T) {
	for _, name := range []string{"envelope.jsonl", "flattened.jsonl", "types.jsonl", "malformed.jsonl"} {
		for _, f := range readFixtures(t, name) {
			t.Run(f.Name, func(t *testing.T) { checkFixture(t, &f, name == "flattened.jsonl") })
		}
	}
}

func checkFixture(t *testing.T, f *fixture, flattened bool) {
	o := Options{Partial: f.Expect.Action == "upsert_partial"}
	if flattened {
		o.Shape = Flattened
	}
	d := NewDecoder(o)
	if f.Value == nil { // A tombstone has a meaning only where there is a table.
		d.Bind(&row.Schema{Columns: []row.Column{{Name: "id", Type: row.Type{Kind: row.Int}, Required: true}}, Key: []int{0}})
	}
	r := Record{Topic: f.Topic, Key: fixtureBytes(t, f.Key, f.KeyEncoding), Value: fixtureBytes(t, f.Value, f.ValueEncoding)}
	for name, text := range f.Headers {
		r.Headers = append(r.Headers, Header{Key: name, Value: []byte(text)})
	}
	rows, ev, err := applyRecord(d, r)
	want := f.Expect
	if want.Action == "error" {
		refused, ok := errors.AsType[*Error](err)
		if !ok || string(refused.Reason) != want.Reason {
			t.Fatalf("got %v, want the reason %s", err, want.Reason)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case want.Action == "upsert" && ev.IsUpsert() && ev.Unchanged == nil, want.Action == "upsert_partial" && ev.IsUpsert():
		compareRow(t, d, rows, &ev, f)
	case want.Action == "delete" && ev.IsDelete(), want.Action == "truncate" && ev.Op == Truncate:
	case want.Action == "ignore" && ev.Op == Tombstone && want.Reason == "tombstone": // A delete that is idempotent.
	case want.Action == "ignore" && string(ev.Ignored) == want.Reason:
	default:
		t.Fatalf("got op %s ignored %q, want %s", ev.Op, ev.Ignored, want.Action)
	}
	if want.Op != "" && ev.Op.String() != want.Op {
		t.Errorf("got op %s, want %s", ev.Op, want.Op)
	}
	if want.Snapshot != "" && ev.Snapshot.String() != want.Snapshot {
		t.Errorf("got snapshot %s, want %s", ev.Snapshot, want.Snapshot)
	}
	if want.Key != nil {
		compareKey(t, d, ev.Key, want.Key)
	}
}

func compareKey(t *testing.T, d *Decoder, key []byte, want map[string]any) {
	t.Helper()
	values, err := d.ReadKey(key)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]any{}
	for k := range values.Vectors {
		got[d.KeyName(k)] = string(values.Vectors[k].AppendText(nil, 0))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("key (-want +got):\n%s", diff)
	}
}

func compareRow(t *testing.T, d *Decoder, rows *row.Rows, ev *Event, f *fixture) {
	t.Helper()
	if rows.Len() != 1 {
		t.Fatalf("got %d rows, want 1", rows.Len())
	}
	got, types, unchanged := map[string]any{}, map[string]string{}, []string(nil)
	d.Image(func(name string, column int) {
		if column < 0 {
			got[name] = nil
			return
		}
		v := &rows.Vectors[column]
		if slices.Contains(ev.Unchanged, column) {
			unchanged = append(unchanged, name)
			return
		}
		var value any
		if err := json.Unmarshal(v.AppendJSON(nil, 0), &value); err != nil {
			t.Fatal(err)
		}
		if text, ok := f.Expect.Row[name].(string); ok && value != nil && sameNumber(v.Type.Kind, string(v.AppendText(nil, 0)), text) {
			value = text
		}
		got[name], types[name] = value, v.Type.String()
	})
	if diff := cmp.Diff(f.Expect.Row, got); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(f.Expect.Unchanged, unchanged); diff != "" {
		t.Errorf("unchanged columns (-want +got):\n%s", diff)
	}
	for name, want := range f.Expect.Types {
		parsed, err := row.ParseType(want)
		if err != nil || types[name] != parsed.String() {
			t.Errorf("column %s: got type %s, want %s (%v)", name, types[name], want, err)
		}
	}
}

func sameNumber(k row.Kind, a, b string) bool {
	bits := 64
	if k == row.Float {
		bits = 32
	} else if k != row.Double {
		return false
	}
	x, errX := strconv.ParseFloat(a, bits)
	y, errY := strconv.ParseFloat(b, bits)
	return errX == nil && errY == nil && x == y
}
