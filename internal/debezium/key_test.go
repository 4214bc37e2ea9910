package debezium

import (
	"bytes"
	"strings"
	"testing"

	"github.com/cdcd-project/cdcd/internal/row"
)

func TestKeysOfTheRecordAndTheRowMustAgree(t *testing.T) {
	const one = "0000000000000001" // The canonical key of the integer 1.
	for _, tc := range []struct {
		name       string
		bound      string
		configured []string
		key, value string
		want       string
	}{
		{"upsert", "id! int", nil, `{"id":1}`, `c {"id":1}`, "1"},
		{"upsert with another key", "id! int", nil, `{"id":2}`, `c {"id":1}`, "invalid_key"},
		{"key text is compared after conversion", "ts! timestamptz", nil, `{"ts":"2024-01-01T00:00:00.1Z"}`, `c {"ts":"2024-01-01T01:00:00.100+01:00"}`, "2024-01-01T00:00:00.100000Z"},
		{"composite key in another order", "a! int, b! string", nil, `{"b":"x","a":1}`, `c {"a":1,"b":"x"}`, "1|x"},
		{"delete by the record key", "id! int, v string", nil, `{"id":1}`, `d null`, "d " + one},
		{"delete does not look at before", "id! int, v string", nil, `{"id":1}`, `d {"id":"nonsense"}`, "d " + one},
		{"tombstone", "id! int", nil, `{"id":1}`, "", "tombstone " + one},
		{"tombstone with an embedded key schema", "id! int", nil, string(typedKey("id int32", `{"id":1}`)), "", "tombstone " + one},
		{"tombstone with a wider key", "id! int", nil, string(typedKey("id int64", `{"id":1}`)), "", "lossless: id! long"},
		{"no key", "id! int", nil, "", `c {"id":1}`, "null_key"},
		{"null key", "id! int", nil, "null", `c {"id":1}`, "null_key"},
		{"null key of an old Connect", "id! int", nil, `{"schema":null,"payload":null}`, `c {"id":1}`, "null_key"},
		{"tombstone without a key", "id! int", nil, "", "", "null_key"},
		{"null in the key", "id! int", nil, `{"id":null}`, `d null`, "invalid_key"},
		{"key of a string converter", "id! int", nil, `Struct{id=1}`, `c {"id":1}`, "invalid_key"},
		{"key with trailing bytes", "id! int", nil, `{"id":1}}`, `c {"id":1}`, "invalid_key"},
		{"key of another type", "id! int", nil, `{"id":"1"}`, `c {"id":1}`, "invalid_key"},
		{"primitive key", "id! int", nil, `{"schema":{"type":"int32","optional":false},"payload":1}`, `c {"id":1}`, "invalid_key"},
		{"key field that is no column", "id! int", nil, `{"id":1,"__dbz__physicalTableIdentifier":"x"}`, `c {"id":1}`, "invalid_key"},
		{"key field that is no column, embedded", "id! int", nil, string(typedKey("id int32, shard int32", `{"id":1,"shard":1}`)), `c {"id":1}`, "invalid_key"},
		{"key lacks an identifier", "a! int, b! int", nil, `{"a":1}`, `c {"a":1,"b":2}`, "lossy: a! int, b! int"},
		{"key lacks an identifier, embedded", "a! int, b! int", nil, string(typedKey("a int32", `{"a":1}`)), `c {"a":1,"b":2}`, "lossy: a! int, b! int"},
		{"key has a column that is no identifier, embedded", "a! int, b int", nil, string(typedKey("a int32, b int32", `{"a":1,"b":2}`)), `c {"a":1,"b":2}`, "lossy: a! int, b int"},
		{"key named like a wrapper", "schema! string, payload! int", nil, `{"schema":"x","payload":1}`, `c {"schema":"x","payload":1}`, "x|1"},
		{"floating point identifier", "id! double", nil, `{"id":1}`, `c {"id":1}`, "invalid_key"},
		{"table without identifiers", "id int", nil, `{"id":1}`, `c {"id":1}`, "invalid_key"},

		{"configured, no record key", "id! int", []string{"ID"}, "", `c {"id":1}`, "1"},
		{"configured, key of a string converter", "id! int", []string{"id"}, `Struct{id=1}`, `c {"id":1}`, "1"},
		{"configured, malformed key", "id! int", []string{"id"}, `{"id":`, `c {"id":1}`, "invalid_key"},
		{"configured, other record key", "a! int, b int", []string{"a"}, `{"b":7}`, `r {"a":1,"b":7}`, "1|7"},
		{"configured, wider record key", "a! int, b int", []string{"a"}, `{"b":7,"a":1}`, `c {"a":1,"b":7}`, "1|7"},
		{"configured, wider record key of another row", "a! int, b int", []string{"a"}, `{"b":7,"a":2}`, `c {"a":1,"b":7}`, "invalid_key"},
		{"configured, delete by the record key", "a! int, b int", []string{"a"}, `{"b":7,"a":1}`, `d null`, "d " + one},
		{"configured, delete by before", "a! int, b int", []string{"a"}, `{"b":7}`, `d {"b":7,"a":1,"gone":{}}`, "d " + one},
		{"configured, delete without before", "a! int, b int", []string{"a"}, `{"b":7}`, `d null`, "null_key"},
		{"configured, before lacks an identifier", "a! int, b int", []string{"a"}, `{"b":7}`, `d {"b":7}`, "invalid_key"},
		{"configured, tombstone of another key", "a! int, b int", []string{"a"}, `{"b":7}`, "", "ignored: tombstone"},
		{"configured, tombstone", "a! int, b int", []string{"a"}, `{"a":1}`, "", "tombstone " + one},
		{"configured, update in place", "a! int, b int", []string{"a"}, `{"b":7}`, `u {"a":1,"b":7} {"a":1,"b":7}`, "1|7"},
		{"configured, update moves the row", "a! int, b int", []string{"a"}, `{"b":7}`, `u {"a":2,"b":7} {"a":1,"b":7}`, "2|7 moved from " + one},
		{"configured, update without before", "a! int, b int", []string{"a"}, `{"b":7}`, `u {"a":1,"b":7}`, "null_key"},
		{"configured otherwise than the table", "a! int, b int", []string{"b"}, `{"b":7}`, `c {"a":1,"b":7}`, "lossy: a! int, b int"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var value []byte
			if op, images, ok := strings.Cut(tc.value, " "); ok {
				after, before, _ := strings.Cut(images, " ")
				if op == "d" {
					after, before = "null", after
				}
				if before == "" {
					before = "null"
				}
				value = record(op, before, after)
			}
			d := NewDecoder(Options{Key: tc.configured})
			d.Bind(table(t, tc.bound))
			for range 2 {
				if got := decodeOne(d, bytesOrNil(tc.key), value); got != tc.want {
					t.Errorf("got %s, want %s", got, tc.want)
				}
			}
		})
	}
}

func TestDeletesByBeforeReadEmbeddedSchemas(t *testing.T) {
	d := NewDecoder(Options{Key: []string{"a"}})
	d.Bind(table(t, "b int, a! long"))
	value := typed("B int32, A int32, shape? struct", record("d", `{"B":7,"A":1,"shape":{"x":[1]}}`, "null"))
	for range 2 {
		if got, want := decodeOne(d, typedKey("B int32", `{"B":7}`), value), "d 0000000000000001"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// The event's key is the canonical key of its row, and of the delete that follows.
func TestUpsertsAndDeletesOfARowHaveOneKey(t *testing.T) {
	d := NewDecoder(Options{})
	d.Bind(table(t, "a! string, d! decimal(6,2), v string"))
	rows := row.NewRows(d.bound)
	key := []byte(`{"a":"é","d":"gA=="}`)
	var ev Event
	if err := d.Decode(key, record("c", "null", `{"a":"\u00e9","d":-1.280,"v":"x"}`), rows, &ev); err != nil {
		t.Fatal(err)
	}
	upsert := bytes.Clone(ev.Key)
	want, err := rows.AppendKey(nil, 0)
	if err != nil || !bytes.Equal(upsert, want) {
		t.Errorf("got %x, want %x, %v", upsert, want, err)
	}
	if err := d.Decode(key, record("d", "null", "null"), rows, &ev); err != nil || !bytes.Equal(ev.Key, upsert) {
		t.Errorf("delete: got %x, %v, want %x", ev.Key, err, upsert)
	}
	if err := d.Decode(key, nil, rows, &ev); err != nil || !bytes.Equal(ev.Key, upsert) {
		t.Errorf("tombstone: got %x, %v, want %x", ev.Key, err, upsert)
	}
	if rows.Len() != 1 {
		t.Errorf("got %d rows, want 1", rows.Len())
	}
}
