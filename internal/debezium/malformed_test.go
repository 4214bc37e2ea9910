package debezium

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cdcd-project/cdcd/internal/row"
)

func TestMalformedRecordsHaveTheirReason(t *testing.T) {
	deep := strings.Repeat("[", 70) + strings.Repeat("]", 70)
	wide := strings.Repeat(`"a":1,`, 3)
	for _, tc := range []struct{ name, value, want string }{
		{"empty value", "", "invalid_json"},
		{"white space only", " \n", "invalid_json"},
		{"trailing bytes", string(record("c", "null", `{"id":1}`)) + "x", "invalid_json"},
		{"trailing white space", string(record("c", "null", `{"id":1}`)) + " \r\n\t", "1|null"},
		{"null literal", "null", "d 0000000000000001"}, // A flattened delete.
		{"null literal and more", "null null", "invalid_json"},
		{"nearly a null literal", "nil", "invalid_json"},
		{"number", "1", "not_an_object"},
		{"null payload", `{"schema":null,"payload":null}`, "d 0000000000000001"}, // A flattened delete.
		{"two payloads", `{"schema":null,"payload":{"op":"c","after":{"id":1}},"payload":1}`, "duplicate_member"},
		{"two schemas", `{"schema":null,"schema":null,"payload":{}}`, "duplicate_member"},
		{"nested too deeply", string(record("c", deep, `{"id":1}`)), "invalid_json"},
		{"a duplicate column", string(record("c", "null", `{"id":1,"id":1}`)), "duplicate_member"},
		{"a duplicate column in other case", string(record("c", "null", `{"id":1,"ID":1}`)), "duplicate_member"},
		{"an escaped duplicate column", string(record("c", "null", `{"id":1,"\u0069d":1}`)), "duplicate_member"},
		{"a duplicate null of an unknown column", string(record("c", "null", `{"id":1,"x":null,"x":null}`)), "duplicate_member"},
		{"a duplicate unknown member", `{"op":"c","x":1,"x":1,"after":{"id":1}}`, "duplicate_member"},
		{"a duplicate escaped member", `{"op":"c","\u006fp":"d","after":{"id":1}}`, "duplicate_member"},
		{"a duplicate source.ts_ms", `{"op":"c","source":{"ts_ms":1,"ts_ms":2},"after":{"id":1}}`, "duplicate_member"},
		{"op before after", `{"op":"c","after":{"v":"x","id":1}}`, "1|x"},
		{"white space everywhere", " {\n\"op\" : \"u\" , \"after\" : { \"id\" : 1 , \"v\" : \"x\" } } ", "1|x"},
		{"an escaped column name", `{"op":"u","after":{"\u0069d":1}}`, "1|null"},
		{"unknown op", string(record("x", "null", `{"id":1}`)), "unknown_op"},
		{"two letters of op", string(record("cc", "null", `{"id":1}`)), "unknown_op"},
		{"op number", `{"op":1,"after":{"id":1}}`, "unknown_op"},
		{"op null", `{"op":null,"after":{"id":1}}`, "missing_op"},
		{"after is a number", `{"op":"c","after":1}`, "type_mismatch"},
		{"flattened", `{"id":1,"v":"x"}`, "missing_op"},
		{"update without after", string(record("u", "null", "null")), "missing_after"},
		{"delete with after", string(record("d", "null", `{"id":1}`)), "schema_mismatch"},
		{"a bad row is behind a bad envelope", `{"after":{"id":"x"},"op":"c"`, "invalid_json"},
		{"a row of another type", string(record("c", "null", `{"id":"x"}`)), "type_mismatch"},
		{"a null identifier", string(record("c", "null", `{"id":null}`)), "invalid_key"},
		{"a member without a name", `{"op":"c",:1}`, "invalid_json"},
		{"third member beside schema and payload", `{"schema":null,"payload":{"op":"c","after":{"id":1}},"x":1}`, "missing_op"},
		{"payload before schema", `{"payload":{"op":"c","after":{"id":1}},"schema":null}`, "1|null"},
		{"repeated members in the row skip", `{"op":"c","after":{` + wide + `"id":1}}`, "duplicate_member"},
		{"a column without a name", string(record("c", "null", `{"id":1,"":2}`)), "schema_mismatch"},
		{"a column name with a control character", string(record("c", "null", `{"id":1,"a\u0007":2}`)), "schema_mismatch"},
		{"a long column name", string(record("c", "null", `{"id":1,"`+strings.Repeat("x", 256)+`":2}`)), "too_large"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := NewDecoder(Options{})
			d.Bind(table(t, "id! int, v string"))
			if got := decodeOne(d, []byte(`{"id":1}`), []byte(tc.value)); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestSideTopicsAreIgnoredByRule(t *testing.T) {
	for _, tc := range []struct{ name, key, value, want string }{
		{"heartbeat", `{"serverName":"shop"}`, `{"ts_ms":1}`, "ignored: heartbeat"},
		{"heartbeat, spelled with escapes", `{"payload":{"server\u004eame":"shop"},"schema":null}`, `{"ts_\u006ds":1}`, "ignored: heartbeat"},
		{"a flattened row that a heartbeat's name identifies", `{"id":"serverName"}`, `{"ts_ms":1}`, "missing_op"},
		{"a flattened row whose key has more", `{"serverName":"shop","id":1}`, `{"ts_ms":1}`, "missing_op"},
		{"a flattened row whose key is damaged", `{"serverName":"shop"`, `{"ts_ms":1}`, "missing_op"},
		{"a flattened row of one column", `{"ts_ms":1}`, `{"ts_ms":1}`, "missing_op"},
		{"transaction begin", `{"id":"t"}`, `{"status":"BEGIN","id":"t","event_count":null,"data_collections":null,"ts_ms":1}`, "ignored: transaction_metadata"},
		{"schema change", `{"databaseName":"d"}`, `{"source":{},"ts_ms":1,"databaseName":"d","schemaName":null,"ddl":"x","tableChanges":[]}`, "ignored: schema_change"},
		{"signal", `shop`, `{"type":"execute-snapshot","data":{"data-collections":["a.b"]}}`, "ignored: signal"},
		{"a flattened row with columns type and data", `{"id":1}`, `{"id":1,"type":"x","data":"y"}`, "missing_op"},
		{"message", `{"prefix":"p"}`, `{"op":"m","ts_ms":1,"source":{},"message":{"prefix":"p","content":""}}`, "ignored: op_m"},
		{"truncate", ``, string(record("t", "null", "null")), "t"},
		{"truncate, spelled with escapes", ``, strings.Replace(string(record("t", "null", "null")), `"t"`, `"\u0074"`, 1), "t"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, bound := range []bool{false, true} {
				d := NewDecoder(Options{})
				if bound {
					d.Bind(table(t, "id! int"))
				}
				key := []byte(tc.key)
				if tc.key == "" {
					key = nil
				}
				if got := decodeOne(d, key, []byte(tc.value)); got != tc.want {
					t.Errorf("bound %v: got %s, want %s", bound, got, tc.want)
				}
			}
		})
	}
}

func TestLimitsAreTooLarge(t *testing.T) {
	key, value := []byte(`{"id":1}`), record("c", "null", `{"id":1,"v":"12345"}`)
	schema := "id int32, v string"
	for _, tc := range []struct {
		name   string
		limits Limits
		value  []byte
	}{
		{"record", Limits{RecordBytes: len(value)}, value},
		{"string", Limits{StringBytes: 4}, value},
		{"columns", Limits{Columns: 1}, value},
		{"columns of a schema", Limits{Columns: 1}, typed(schema, value)},
		{"schema", Limits{SchemaBytes: 100}, typed(schema, value)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := NewDecoder(Options{Limits: tc.limits})
			d.Bind(table(t, "id! int, v string"))
			if got := decodeOne(d, key, tc.value); got != "too_large" {
				t.Errorf("got %s, want too_large", got)
			}
		})
	}
}

func TestManyUnknownNamesDoNotUseUpADecoder(t *testing.T) {
	d := NewDecoder(Options{Limits: Limits{Columns: 8}})
	d.Bind(table(t, "id! int"))
	for i := range 100 {
		value := record("c", "null", fmt.Sprintf(`{"id":1,"x%d":null}`, i))
		if got := decodeOne(d, []byte(`{"id":1}`), value); got != "1" {
			t.Fatalf("record %d: got %s, want a row", i, got)
		}
	}
}

func TestSourceBlocksAreReadWhateverCameBefore(t *testing.T) {
	type provenance struct {
		Ms       int64
		Snapshot string
	}
	d := NewDecoder(Options{})
	d.Bind(table(t, "id! int"))
	rows := row.NewRows(d.bound)
	for _, tc := range []struct {
		source string
		want   provenance
	}{
		{`{"name":"a","ts_ms":1,"snapshot":"first","pos":10}`, provenance{1, "first"}},
		{`{"name":"a","ts_ms":1,"snapshot":"first","pos":10}`, provenance{1, "first"}},
		{`{"name":"a","ts_ms":1,"snapshot":"first","pos":11}`, provenance{1, "first"}},
		{`{"name":"a","ts_ms":12,"snapshot":"last","pos":10}`, provenance{12, "last"}},
		{`{"name":"a","ts_ms":null,"snapshot":null,"pos":10}`, provenance{0, "false"}},
		{`{"name":"a","ts_ms":3,"snapshot":true,"pos":10}`, provenance{3, "true"}},
		{`{"name":"a","ts_ms":1,"snapshot":"new marker","pos":10}`, provenance{1, "other"}},
		{`{"name":"a","ts_ms":1}`, provenance{1, "false"}},
		{`{"name":"a","ts_ms":1,"more":{"ts_ms":7}}`, provenance{1, "false"}},
		{`{"snapshot":"incremental","ts_ms":-4 , "x":[1]}`, provenance{-4, "incremental"}},
		{`{}`, provenance{0, "false"}},
		{`null`, provenance{0, "false"}},
	} {
		var ev Event
		value := fmt.Appendf(nil, `{"after":{"id":1},"source":%s,"op":"c"}`, tc.source)
		if err := d.Decode([]byte(`{"id":1}`), value, rows, &ev); err != nil {
			t.Fatalf("%s: %v", tc.source, err)
		}
		if diff := cmp.Diff(tc.want, provenance{ev.SourceMs, ev.Snapshot.String()}); diff != "" {
			t.Errorf("%s:\n%s", tc.source, diff)
		}
	}
}

func TestErrorsNeverRepeatValues(t *testing.T) {
	const secret = "hunter2"
	d := NewDecoder(Options{})
	d.Bind(table(t, "id! int, v int"))
	var ev Event
	err := d.Decode([]byte(`{"id":1}`), record("c", "null", `{"id":1,"v":"`+secret+`"}`), row.NewRows(d.bound), &ev)
	if err == nil || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "column v") {
		t.Errorf("got %v, want an error that names the column and not the value", err)
	}
}

func TestReasonsAndRulesAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Reasons() {
		seen[string(r)] = true
	}
	for _, r := range Rules() {
		seen[string(r)] = true
	}
	if got, want := len(seen), len(Reasons())+len(Rules()); got != want {
		t.Errorf("got %d names, want %d", got, want)
	}
}
