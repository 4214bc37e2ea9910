package debezium

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cdcd-project/cdcd/internal/row"
)

// fixture is a line of testdata/*.jsonl: a record, and what becomes of it.
type fixture struct {
	Name          string  `json:"name"`
	Key           *string `json:"key"`
	Value         *string `json:"value"`
	KeyEncoding   string  `json:"key_encoding"`
	ValueEncoding string  `json:"value_encoding"`
	Expect        struct {
		Action   string            `json:"action"`
		Reason   string            `json:"reason"`
		Op       string            `json:"op"`
		Snapshot string            `json:"snapshot"`
		Key      map[string]any    `json:"key"`
		Row      map[string]any    `json:"row"` // Text, or null.
		Types    map[string]string `json:"types"`
	} `json:"expect"`
}

// outOfScope lists the records that are not decoded yet, with what is missing. It may only become shorter.
var outOfScope = map[string]string{
	"routed_key_extra_field":  "key fields that are no column",
	"unavailable_value":       "keeping a column's old value",
	"temporal_structured_v37": "struct columns",
	"geometry":                "struct columns",
}

func readFixtures(t *testing.T, name string) []fixture {
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

func fixtureBytes(t *testing.T, text *string, encoding string) []byte {
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
	for {
		var rows *row.Rows
		if d.bound != nil {
			rows = row.NewRows(d.bound)
		}
		var ev Event
		err := d.Decode(key, value, rows, &ev)
		if change, ok := errors.AsType[*SchemaChange](err); ok && change.Lossless {
			d.Bind(change.Want)
			continue
		}
		return rows, ev, err
	}
}

func TestFixturesDecodeAsExpected(t *testing.T) {
	skipped := map[string]bool{}
	for _, name := range []string{"envelope.jsonl", "types.jsonl", "malformed.jsonl"} {
		for _, f := range readFixtures(t, name) {
			if _, ok := outOfScope[f.Name]; ok {
				skipped[f.Name] = true
				checkRefused(t, &f)
				continue
			}
			t.Run(f.Name, func(t *testing.T) { checkFixture(t, &f) })
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(outOfScope)), slices.Sorted(maps.Keys(skipped))); diff != "" {
		t.Errorf("outOfScope names records that do not exist:\n%s", diff)
	}
}

// checkRefused checks that a record that is out of scope is an error, and not a wrong row.
func checkRefused(t *testing.T, f *fixture) {
	t.Helper()
	_, _, err := apply(NewDecoder(Options{}), fixtureBytes(t, f.Key, f.KeyEncoding), fixtureBytes(t, f.Value, f.ValueEncoding))
	if _, ok := errors.AsType[*Error](err); !ok {
		t.Errorf("%s: got %v, want a refusal", f.Name, err)
	}
}

func checkFixture(t *testing.T, f *fixture) {
	d := NewDecoder(Options{})
	if f.Value == nil { // A tombstone has a meaning only where there is a table.
		d.Bind(&row.Schema{Columns: []row.Column{{Name: "id", Type: row.Type{Kind: row.Int}, Required: true}}, Key: []int{0}})
	}
	rows, ev, err := apply(d, fixtureBytes(t, f.Key, f.KeyEncoding), fixtureBytes(t, f.Value, f.ValueEncoding))
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
	case want.Action == "upsert" && ev.IsUpsert():
		compareRow(t, rows, want.Row, want.Types)
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

// compareKey checks the canonical key against that of the expected values. All keys of the fixtures are integers.
func compareKey(t *testing.T, d *Decoder, got []byte, want map[string]any) {
	t.Helper()
	var key []byte
	for _, name := range d.identifiers() {
		text, _ := want[name].(string)
		x, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		key = row.AppendKeyInt(key, x)
	}
	if !bytes.Equal(got, key) {
		t.Errorf("got key %x, want %x", got, key)
	}
}

func compareRow(t *testing.T, rows *row.Rows, want map[string]any, types map[string]string) {
	t.Helper()
	if rows.Len() != 1 {
		t.Fatalf("got %d rows, want 1", rows.Len())
	}
	if got := len(rows.Schema.Columns); got != len(want) {
		t.Errorf("got %d columns, want %d", got, len(want))
	}
	for name, w := range want {
		text, _ := w.(string)
		i := rows.Schema.Index(strings.ToLower(name))
		if i < 0 {
			t.Errorf("column %s is missing", name)
			continue
		}
		v := &rows.Vectors[i]
		if typ, ok := types[name]; ok && v.Type.String() != strings.ReplaceAll(typ, " ", "") {
			t.Errorf("column %s: got type %s, want %s", name, v.Type, typ)
		}
		got := string(v.AppendText(nil, 0))
		if v.IsNull(0) != (w == nil) || w != nil && got != text && !sameNumber(v.Type.Kind, got, text) {
			t.Errorf("column %s: got %q, want %v", name, got, w)
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
