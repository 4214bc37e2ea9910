package debezium

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cdcd-project/cdcd/internal/row"
)

func TestUnavailableValuesAreReportedOrRefused(t *testing.T) {
	const text, base64Text = `"__debezium_unavailable_value"`, `"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="`
	const hexText = `"5f5f646562657a69756d5f756e617661696c61626c655f76616c7565"`
	for _, tc := range []struct {
		name    string
		options Options
		column  string
		schema  string
		value   string
		want    []int // Without Options.Partial, and if it is nil, the record is refused, or a plain row.
		refused string
	}{
		{"text", Options{}, "string", "string", text, []int{1}, "schema_mismatch"},
		{"JSON", Options{}, "string", "string io.debezium.data.Json", text, []int{1}, "schema_mismatch"},
		{"bytes", Options{}, "binary", "bytes", base64Text, []int{1}, "schema_mismatch"},
		{"bytes as text", Options{}, "string", "string", base64Text, []int{1}, "schema_mismatch"},
		{"bytes as base64 for URLs", Options{BinaryText: Base64URL}, "binary", "string", base64Text, []int{1}, "schema_mismatch"},
		{"bytes as hexadecimal text", Options{}, "string", "string", hexText, []int{1}, "schema_mismatch"},
		{"bytes as hexadecimal digits", Options{BinaryText: Hex}, "binary", "string", hexText, []int{1}, "schema_mismatch"},
		{"an escaped text", Options{}, "string", "string", `"\u005f_debezium_unavailable_value"`, []int{1}, "schema_mismatch"},
		{"another placeholder", Options{Placeholder: "n/a"}, "string", "string", `"n/a"`, []int{1}, "schema_mismatch"},
		{"another placeholder's bytes", Options{Placeholder: "n/a"}, "binary", "bytes", `"bi9h"`, []int{1}, "schema_mismatch"},
		{"the default one, if there is another", Options{Placeholder: "n/a"}, "string", "string", text, nil, ""},
		{"nearly the text", Options{}, "string", "string", `"__debezium_unavailable_valuE"`, nil, ""},
		{"a number column", Options{}, "int", "int32", text, nil, "type_mismatch"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			value := typed("id int32, v "+tc.schema, record("u", "null", `{"id":1,"v":`+tc.value+`}`))
			for _, partial := range []bool{false, true} {
				o := tc.options
				o.Partial = partial
				d := NewDecoder(o)
				d.Bind(table(t, "id! int, v "+tc.column))
				for range 2 {
					rows := row.NewRows(d.bound)
					var ev Event
					err := d.Decode([]byte(`{"id":1}`), value, rows, &ev)
					got := ""
					if err != nil {
						got, _, _ = strings.Cut(err.Error(), ":")
					}
					switch want := tc.refused; {
					case partial && tc.want != nil:
						if err != nil || !ev.IsUpsert() || !slices.Equal(ev.Unchanged, tc.want) || rowText(rows) != "1|null" {
							t.Fatalf("got %v, unchanged %v, row %s", err, ev.Unchanged, rowText(rows))
						}
					case got != want || ev.Unchanged != nil:
						t.Fatalf("partial %v: got %v, unchanged %v, want %q", partial, err, ev.Unchanged, want)
					}
				}
			}
		})
	}
}

// What one record leaves unchanged does not show in the next one, nor in what is no row image.
func TestUnchangedColumnsAreThoseOfTheirRecord(t *testing.T) {
	d := NewDecoder(Options{Partial: true})
	d.Bind(table(t, "id! string, a string, b binary, n int"))
	const gone, goneBytes = `"__debezium_unavailable_value"`, `"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="`
	for _, tc := range []struct {
		key, value string
		want       string
	}{
		{`{"id":"1"}`, `{"id":"1","a":` + gone + `,"b":` + goneBytes + `,"n":2}`, "[1 2] 1|null|null|2"},
		{`{"id":"1"}`, `{"b":` + goneBytes + `,"id":"1","n":2,"a":"x"}`, "[2] 1|x|null|2"},
		{`{"id":"1"}`, `{"id":"1","a":"x","b":"","n":2}`, "[] 1|x|hex:|2"},
		{`{"id":"1"}`, `{"id":"1","a":` + gone + `,"n":"x"}`, "type_mismatch"},
		{`{"id":"1"}`, `{"id":"1","a":"y","n":2}`, "[] 1|y|null|2"},
		{`{"id":` + gone + `}`, `{"id":` + gone + `,"a":"x"}`, "invalid_key"},
	} {
		rows := row.NewRows(d.bound)
		var ev Event
		before := `{"id":"0","a":` + gone + `,"b":` + goneBytes + `}`
		err := d.Decode([]byte(tc.key), record("u", before, tc.value), rows, &ev)
		got := fmt.Sprint(ev.Unchanged, " ", rowText2(rows))
		if err != nil {
			got, _, _ = strings.Cut(err.Error(), ":")
		}
		if got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.value, got, tc.want)
		}
	}
}

func rowText2(rows *row.Rows) string {
	if rows.Len() == 0 {
		return ""
	}
	return rowText(rows)
}

func TestTablesWithoutAKeyTakeAppendsAlone(t *testing.T) {
	create, read := string(record("c", "null", `{"v":"x"}`)), string(record("r", "null", `{"v":"x"}`))
	for _, tc := range []struct{ name, key, value, want string }{
		{"a create", "", create, "c x at 5"},
		{"a snapshot read", "", read, "r x at 5"},
		{"a null key", "null", create, "c x at 5"},
		{"a null key of an old Connect", `{"schema":null,"payload":null}`, create, "c x at 5"},
		{"an update", "", string(record("u", `{"v":"w"}`, `{"v":"x"}`)), "null_key"},
		{"a delete", "", string(record("d", `{"v":"x"}`, "null")), "null_key"},
		{"a record with a key", `{"v":"x"}`, create, "invalid_key"},
		{"a key of a string converter", `Struct{v=x}`, create, "invalid_key"},
		{"a tombstone", "", "", "ignored: tombstone"},
		{"a flattened create", "", `{"v":"x","__op":"c"}`, "c flattened x"},
		{"a flattened row that does not tell", "", `{"v":"x","__deleted":"false"}`, "null_key"},
		{"a flattened delete", "", `{"v":"x","__deleted":"true"}`, "null_key"},
		{"a truncate", "", string(record("t", "null", "null")), "t at 5"},
		{"an unavailable value", "", string(record("c", "null", `{"v":"__debezium_unavailable_value"}`)), "schema_mismatch"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := NewDecoder(Options{Keyless: true, Partial: true})
			d.Bind(table(t, "v string"))
			for range 2 {
				if got := decodeRecord(d, Record{Key: bytesOrNil(tc.key), Value: bytesOrNil(tc.value)}); got != tc.want {
					t.Errorf("got %s, want %s", got, tc.want)
				}
			}
		})
	}
	d := NewDecoder(Options{Keyless: true})
	rows, ev, err := apply(d, nil, []byte(create))
	if err != nil || !ev.IsAppend() || ev.IsUpsert() || ev.Key != nil || rowText(rows) != "x" || describe(d.bound) != "v string" {
		t.Errorf("the first record: %v, %+v", err, ev)
	}
	d = NewDecoder(Options{})
	if _, _, err := apply(d, nil, []byte(create)); err == nil || !strings.HasPrefix(err.Error(), "null_key") {
		t.Errorf("without Keyless: got %v, want a refusal", err)
	}
}

// A router adds a field to the key that is no column: rows of different tables may agree in all columns.
func TestRoutedRecordsAreIdentifiedByTheirWholeKey(t *testing.T) {
	d := NewDecoder(Options{})
	key := func(shard string) []byte { return []byte(`{"__dbz__physicalTableIdentifier":"` + shard + `","id":7}`) }
	rows, one, err := apply(d, key("a"), record("c", "null", `{"id":7,"v":"x"}`))
	if err != nil || describe(d.bound) != "id! long, v string, __dbz__physicaltableidentifier! string" || rowText(rows) != "7|x|a" {
		t.Fatalf("got %v, %s", err, describe(d.bound))
	}
	first := string(one.Key)
	if rows, two, err := apply(d, key("b"), record("u", `{"id":7,"v":"w"}`, `{"id":7,"v":"y"}`)); err != nil || rowText(rows) != "7|y|b" || string(two.Key) == first {
		t.Errorf("another shard: %v, %x", err, two.Key)
	}
	for _, value := range [][]byte{record("d", `{"id":7,"v":"x"}`, "null"), nil} {
		if _, ev, err := apply(d, key("a"), value); err != nil || !ev.IsDelete() || string(ev.Key) != first {
			t.Errorf("delete: %v, %x, want %x", err, ev.Key, first)
		}
	}
	for _, tc := range []struct{ name, key, row, want string }{
		{"a key without the field", `{"id":7}`, `{"id":7}`, "lossy: id! long, v string, __dbz__physicaltableidentifier! string"},
		{"a key of another row", string(key("a")), `{"id":8}`, "invalid_key"},
		{"a null in the key", `{"__dbz__physicalTableIdentifier":null,"id":7}`, `{"id":7}`, "invalid_key"},
		{"a row without any identifier", string(key("a")), `{"v":"x"}`, "invalid_key"},
		{"a null identifier in the row", string(key("a")), `{"id":null}`, "invalid_key"},
		{"the field in the row as well", string(key("a")), `{"id":7,"__dbz__physicalTableIdentifier":"b"}`, "invalid_key"},
	} {
		if got := decodeOne(d, []byte(tc.key), record("c", "null", tc.row)); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
	}
	typedDecoder := NewDecoder(Options{})
	rows, _, err = apply(typedDecoder, typedKey("__dbz__sourceIdentifier string, id int32", `{"__dbz__sourceIdentifier":"s","id":7}`), typed("id int32, v string", record("c", "null", `{"id":7,"v":"x"}`)))
	if err != nil || rowText(rows) != "7|x|s" {
		t.Errorf("with schemas: %v", err)
	}
	configured := NewDecoder(Options{Key: []string{"shard", "id"}})
	rows, _, err = apply(configured, []byte(`{"shard":1,"id":7,"more":2}`), record("c", "null", `{"id":7}`))
	if err != nil || rowText(rows) != "7|1" || len(configured.bound.Key) != 2 {
		t.Errorf("configured: %v", err)
	}
	if got := decodeOne(configured, []byte(`{"id":7}`), record("c", "null", `{"id":7}`)); got != "invalid_key" {
		t.Errorf("configured, and absent from the key: got %s", got)
	}
}

func TestTruncatesGoByPolicy(t *testing.T) {
	value := record("t", "null", "null")
	for policy, want := range map[TruncatePolicy]string{TruncateHalt: "t at 5", TruncateApply: "t at 5", TruncateIgnore: "ignored: truncate_ignored"} {
		for _, bound := range []bool{false, true} {
			d := NewDecoder(Options{Truncate: policy})
			if bound {
				d.Bind(table(t, "id! int"))
			}
			if got := decodeRecord(d, Record{Value: value}); got != want {
				t.Errorf("policy %d: got %s, want %s", policy, got, want)
			}
		}
	}
}

func TestSideTopicsAreIgnoredByName(t *testing.T) {
	o := Options{SideTopics: map[string]Rule{"shop": RuleSchemaChange, "shop.transaction": RuleTransactionMetadata}}
	for _, tc := range []struct{ topic, value, want string }{
		{"__debezium-heartbeat.shop", `{"ts_ms":1}`, "ignored: heartbeat"},
		{"__debezium-heartbeat.shop", "anything", "ignored: heartbeat"},
		{"__debezium-heartbeat.shop", "", "ignored: heartbeat"},
		{"shop", `{"source":{},"ddl":"x"}`, "ignored: schema_change"},
		{"shop.transaction", `{"status":"END"}`, "ignored: transaction_metadata"},
		{"shop.s.transaction", string(record("c", "null", `{"id":1}`)), "c 1 at 5"}, // A table of that name.
		{"shop.s.t", "anything", "invalid_json"},
	} {
		d := NewDecoder(o)
		d.Bind(table(t, "id! int"))
		if got := decodeRecord(d, Record{Topic: tc.topic, Key: []byte(`{"id":1}`), Value: bytesOrNil(tc.value)}); got != tc.want {
			t.Errorf("%s %s: got %s, want %s", tc.topic, tc.value, got, tc.want)
		}
	}
}
