package debezium

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cdcd-project/cdcd/internal/row"
)

// decodeRecord returns what decoding a record to the schema gives, as decodeOne does, with a note of what was told beside it.
func decodeRecord(d *Decoder, r Record) string {
	var rows *row.Rows
	if d.bound != nil {
		rows = row.NewRows(d.bound)
	}
	var ev Event
	err := d.DecodeRecord(r, rows, &ev)
	if change, ok := errors.AsType[*SchemaChange](err); ok {
		return "want: " + describe(change.Want)
	}
	if refused, ok := errors.AsType[*Error](err); ok {
		if refused.Undecided {
			return string(refused.Reason) + ", undecided"
		}
		return string(refused.Reason)
	}
	text := ev.Op.String()
	if ev.Flattened {
		text += " flattened"
	}
	switch {
	case err != nil:
		return err.Error()
	case ev.Ignored != "":
		return "ignored: " + string(ev.Ignored)
	case ev.IsDelete():
		text += fmt.Sprintf(" %x", ev.Key[7:])
	case ev.IsUpsert(), ev.IsAppend():
		text += " " + rowText(rows)
	}
	if ev.SourceMs != 0 {
		text += fmt.Sprint(" at ", ev.SourceMs)
	}
	if ev.Snapshot != Streaming {
		text += " snapshot " + ev.Snapshot.String()
	}
	return text
}

func headers(pairs ...string) (out []Header) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, Header{pairs[i], []byte(pairs[i+1])})
	}
	return out
}

// flat writes a flattened record with an embedded schema.
func flat(name, schema, payload string) string {
	return `{"schema":` + namedStruct(name, schema) + `},"payload":` + payload + `}`
}

func TestShapesAreToldBySchemaMembersAndHeaders(t *testing.T) {
	const value, columns = "shop.s.t.Value", "id int32, v? string"
	envelope := string(record("c", "null", `{"id":1,"v":"x"}`))
	for _, tc := range []struct {
		name, value string
		headers     []Header
		want        string
	}{
		// By the embedded schema.
		{"an envelope's schema", string(typed(columns, []byte(envelope))), nil, "c 1|x at 5"},
		{"an envelope's schema under another name", strings.Replace(string(typed(columns, []byte(envelope))), "x.Envelope", "x.Renamed", 1), nil, "c 1|x at 5"},
		{"a row's schema", flat(value, columns, `{"id":1,"v":"x"}`), nil, "upsert flattened 1|x"},
		{"a row's schema with the op", flat(value, columns+", __op? string", `{"id":1,"v":"x","__op":"c"}`), nil, "c flattened 1|x"},
		{"a row's schema of a deleted row", flat(value, columns+", __deleted? string", `{"id":1,"v":"x","__deleted":"true"}`), nil, "d flattened 01"},
		{"a renamed schema with the op", flat("other", columns+", __op? string", `{"id":1,"v":"x","__op":"r"}`), nil, "r flattened 1|x"},
		{"a renamed schema without a mark", flat("other", columns, `{"id":1,"v":"x"}`), nil, "missing_op, undecided"},
		{"a row's schema of an absent row", flat(value, columns, "null"), nil, "d flattened 01"},
		{"an envelope's schema of nothing", string(typed(columns, []byte("null"))), nil, "not_an_object"},
		{"a row with columns of an envelope's names", flat(value, columns+", op string, source string, after? string, before? string", `{"id":1,"v":"x","op":"c","source":"web","after":null,"before":"y"}`), nil, "want: id! int, v string, op string, source string, after string, before string"},

		// By the members.
		{"an envelope", envelope, nil, "c 1|x at 5"},
		{"an envelope without a source", `{"op":"c","after":{"id":1,"v":"x"}}`, nil, "c 1|x"},
		{"a marked row", `{"id":1,"v":"x","__op":"u","__source_ts_ms":7}`, nil, "u flattened 1|x at 7"},
		{"a marked row, the mark first", `{"__deleted":"false","id":1,"v":"x"}`, nil, "upsert flattened 1|x"},
		{"a deleted row", `{"__deleted":"true","id":1,"v":"x"}`, nil, "d flattened 01"},
		{"a deleted row with its op", `{"id":1,"v":"x","__op":"d","__deleted":"true","__table":"t","__db":"d","__source_pos":5}`, nil, "d flattened 01"},
		{"an absent row", "null", nil, "d flattened 01"},
		{"an absent row between spaces", " null\n", nil, "d flattened 01"},
		{"a payload that is absent", `{"schema":null,"payload":null}`, nil, "d flattened 01"},
		{"a plain row", `{"id":1,"v":"x"}`, nil, "missing_op, undecided"},
		{"a plain row with a column op", `{"id":1,"v":"x","op":"c"}`, nil, "missing_after, undecided"},
		{"a plain row with columns op and source", `{"id":1,"v":"x","op":"buy","source":"web"}`, nil, "unknown_op, undecided"},
		{"a plain row with text in columns before and after", `{"id":1,"v":"x","op":"c","before":"y","after":"z"}`, nil, "type_mismatch, undecided"},
		{"a marked row with a column op", `{"id":1,"v":"x","op":null,"__op":"c"}`, nil, "c flattened 1|x"},
		{"an envelope without op", `{"after":{"id":1},"source":{"connector":"mysql"}}`, nil, "missing_op"},
		{"an envelope with an unknown op", `{"op":"x","after":{"id":1},"source":{"connector":"mysql"}}`, nil, "unknown_op"},
		{"nothing", "{}", nil, "missing_op, undecided"},
		{"no JSON", `{"id":1`, nil, "invalid_json"},
		{"a wide plain row", `{"id":1` + strings.Repeat(" ", 9) + wideMembers(100) + `}`, nil, "missing_op, undecided"},

		// By the headers.
		{"a header with the op", `{"id":1,"v":"x"}`, headers("__op", "u", "__source_ts_ms", "1715682060000"), "u flattened 1|x at 1715682060000"},
		{"a header of JsonConverter", `{"id":1,"v":"x"}`, headers("__op", `"c"`), "c flattened 1|x"},
		{"a header of JsonConverter with its schema", `{"id":1,"v":"x"}`, headers("__op", `{"schema":{"type":"string","optional":false},"payload":"r"}`, "__source_ts_ms", `{"schema":{"type":"int64"},"payload":9}`), "r flattened 1|x at 9"},
		{"a header that is repeated", `{"id":1,"v":"x"}`, headers("__op", "x", "__op", "c"), "c flattened 1|x"},
		{"a header of nonsense", `{"id":1,"v":"x"}`, headers("__op", "truncated"), "unknown_op"},
		{"a header of no JSON", `{"id":1,"v":"x"}`, headers("__op", `{"payload`), "unknown_op"},
		{"a header of nonsense for a time", `{"id":1,"v":"x"}`, headers("__op", "c", "__source_ts_ms", "-"), "c flattened 1|x"},
		{"a header that contradicts nothing", `{"id":1,"v":"x","__op":"c"}`, headers("__op", "u"), "c flattened 1|x"},
		{"other headers", envelope, headers("__debezium.context.taskId", "0", "__debezium.newkey", `{"id":2}`), "c 1|x at 5"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := NewDecoder(Options{})
			d.Bind(table(t, "id! int, v string"))
			r := Record{Key: []byte(`{"id":1}`), Value: []byte(tc.value), Headers: tc.headers}
			for range 3 { // Whatever was remembered of the first.
				if got := decodeRecord(d, r); got != tc.want {
					t.Fatalf("got %s, want %s", got, tc.want)
				}
			}
		})
	}
}

func wideMembers(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, `,"c%d":null`, i)
	}
	return text.String()
}

func TestConfiguredShapesAreHeldTo(t *testing.T) {
	envelope := string(record("c", "null", `{"id":1,"v":"x"}`))
	for _, tc := range []struct {
		name  string
		shape Shape
		value string
		want  string
	}{
		{"a plain row", Flattened, `{"id":1,"v":"x"}`, "upsert flattened 1|x"},
		{"a plain row with columns of an envelope's names", Flattened, `{"id":1,"v":"x","op":null,"after":null,"before":null,"source":null}`, "upsert flattened 1|x"},
		{"a heartbeat's members", Flattened, `{"id":1,"ts_ms":5}`, "want: id! int, v string, ts_ms long"},
		{"an envelope, flattened", Flattened, envelope, "schema_mismatch"},
		{"an envelope with a schema, flattened", Flattened, string(typed("id int32, v? string", []byte(envelope))), "schema_mismatch"},
		{"an array", Flattened, `[1]`, "not_an_object"},
		{"a bad array", Flattened, `[1`, "invalid_json"},
		{"a marked row, enveloped", Enveloped, `{"id":1,"v":"x","__op":"c"}`, "missing_op"},
		{"a row's schema, enveloped", Enveloped, flat("x.Value", "id int32, v? string", `{"id":1,"v":"x"}`), "missing_op"},
		{"null, enveloped", Enveloped, "null", "not_an_object"},
		{"a null payload, enveloped", Enveloped, `{"schema":null,"payload":null}`, "not_an_object"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := NewDecoder(Options{Shape: tc.shape})
			d.Bind(table(t, "id! int, v string"))
			for range 2 {
				if got := decodeRecord(d, Record{Key: []byte(`{"id":1}`), Value: []byte(tc.value)}); got != tc.want {
					t.Errorf("got %s, want %s", got, tc.want)
				}
			}
		})
	}
}

// Envelopes and flattened records of one topic, as while the transformation is taken in or out.
func TestShapesMayTakeTurns(t *testing.T) {
	d := NewDecoder(Options{})
	d.Bind(table(t, "id! int, v string"))
	key := []byte(`{"id":1}`)
	for range 3 {
		for value, want := range map[string]string{
			string(record("u", "null", `{"id":1,"v":"x"}`)):        "u 1|x at 5",
			`{"id":1,"v":"y","__op":"u"}`:                          "u flattened 1|y",
			`{"v":"z","id":1,"__deleted":"true"}`:                  "d flattened 01",
			flat("x.Value", "id int32", `{"id":1}`):                "upsert flattened 1|null",
			string(typed("id int32", record("d", "null", "null"))): "d 01 at 5",
		} {
			if got := decodeRecord(d, Record{Key: key, Value: []byte(value)}); got != want {
				t.Errorf("%s: got %s, want %s", value, got, want)
			}
		}
	}
}

// Each mode of delete.tombstone.handling.mode, and the older delete.handling.mode: what an insert, an update and a delete of
// a row become, and what the table is after them.
func TestEveryDeleteAndTombstoneModeFoldsToTheSameTable(t *testing.T) {
	const plain, kept, deleted = `{"id":1,"v":"x"}`, `{"id":1,"v":"x","__deleted":"false"}`, `{"id":1,"v":"x","__deleted":"true"}`
	for _, tc := range []struct {
		mode   string
		values []string // Empty: Kafka's null.
		gone   bool
	}{
		{"drop", []string{plain, plain}, false},
		{"tombstone", []string{plain, plain, "null"}, true},
		{"tombstone, with schemas", []string{flat("a.Value", "id int32, v? string", plain), flat("a.Value", "id int32, v? string", "null")}, true},
		{"rewrite", []string{kept, kept, deleted}, true},
		{"rewrite, and an insert after it", []string{kept, deleted, kept}, false},
		{"rewrite-with-tombstone", []string{kept, kept, deleted, ""}, true},
		{"delete-to-tombstone", []string{plain, plain, ""}, true},
		{"none", []string{plain, "null", ""}, true},
	} {
		t.Run(tc.mode, func(t *testing.T) {
			d := NewDecoder(Options{Shape: Flattened})
			rows := map[string]bool{}
			for _, value := range tc.values {
				_, ev, err := apply(d, []byte(`{"id":1}`), bytesOrNil(value))
				if err != nil {
					t.Fatalf("%s: %v", value, err)
				}
				if ev.IsUpsert() {
					rows[string(ev.Key)] = true
				} else if ev.IsDelete() {
					delete(rows, string(ev.Key))
				}
			}
			if gone := len(rows) == 0; gone != tc.gone {
				t.Errorf("the row is gone: %v, want %v", gone, tc.gone)
			}
		})
	}
}

func TestAddedFieldsAreNoColumnsUnlessTheyAreKept(t *testing.T) {
	const marked = `{"id":1,"__op":"c","__table":"t","__source_ts_ms":7,"__source_snapshot":"last","__ts_ms":9,"__transaction_id":null,"__deleted":"false","__other":"y"}`
	fields := "id int32, __op? string, __table? string, __source_ts_ms? int64, __source_snapshot? string, __ts_ms? int64, __transaction_id? string, __deleted? string, __other? string"
	for _, tc := range []struct {
		name    string
		options Options
		value   string
		want    string
	}{
		{"dropped", Options{}, marked, "c flattened 1|y at 7 snapshot last / id! long, __other string"},
		{"dropped, with a schema", Options{}, flat("x.Value", fields, marked), "c flattened 1|y at 7 snapshot last / id! int, __other string"},
		{"kept", Options{KeepAdded: true}, marked, "c flattened 1|c|t|7|last|9|false|y at 7 snapshot last / id! long, __op string, __table string, __source_ts_ms long, __source_snapshot string, __ts_ms long, __deleted string, __other string"},
		{"kept, with a schema", Options{KeepAdded: true}, flat("x.Value", fields, marked), "c flattened 1|c|t|7|last|9|null|false|y at 7 snapshot last / id! int, __op string, __table string, __source_ts_ms long, __source_snapshot string, __ts_ms long, __transaction_id string, __deleted string, __other string"},
		{"another prefix", Options{AddedPrefix: "dbz."}, `{"id":1,"dbz.op":"u","dbz.source_ts_ms":3,"__deleted":"false","__op":"y"}`, "u flattened 1|y at 3 / id! long, __op string"},
		{"another prefix, with a schema", Options{AddedPrefix: "dbz."}, flat("other", "id int32, dbz.op? string", `{"id":1,"dbz.op":"d"}`), "d flattened 01 / id! int"},
		{"booleans", Options{}, `{"id":1,"__deleted":true}`, "d flattened 01 / id! long"},
		{"nulls", Options{}, `{"id":1,"__deleted":null,"__op":null,"__source_ts_ms":null}`, "upsert flattened 1 / id! long"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := NewDecoder(tc.options)
			key := []byte(`{"id":1}`)
			if strings.HasPrefix(tc.value, `{"schema"`) {
				key = typedKey("id int32", `{"id":1}`)
			}
			if _, _, err := apply(d, key, []byte(tc.value)); err != nil {
				t.Fatal(err)
			}
			if got := decodeRecord(d, Record{Key: key, Value: []byte(tc.value)}) + " / " + describe(d.bound); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestFlattenedRecordsThatContradictThemselves(t *testing.T) {
	for _, tc := range []struct{ name, value, want string }{
		{"deleted, and created", `{"id":1,"__deleted":"true","__op":"c"}`, "schema_mismatch"},
		{"kept, and deleted", `{"id":1,"__deleted":"false","__op":"d"}`, "schema_mismatch"},
		{"neither deleted nor kept", `{"id":1,"__deleted":"perhaps"}`, "type_mismatch"},
		{"a number for deleted", `{"id":1,"__deleted":1}`, "type_mismatch"},
		{"an unknown op", `{"id":1,"__op":"x"}`, "unknown_op"},
		{"a number for the op", `{"id":1,"__op":1}`, "unknown_op"},
		{"text for the time", `{"id":1,"__op":"c","__source_ts_ms":"7"}`, "type_mismatch"},
		{"an op twice", `{"id":1,"__op":"c","__op":"c"}`, "duplicate_member"},
		{"a bad row that is deleted all the same", `{"id":1,"v":5,"__deleted":"true"}`, "d flattened 01"},
		{"a deleted row with a column that the table has not", `{"id":1,"w":5,"__deleted":"true"}`, "d flattened 01"},
		{"a bad row", `{"id":1,"v":5,"__op":"u"}`, "type_mismatch"},
		{"a row of another key", `{"id":2,"__op":"u"}`, "invalid_key"},
		{"a message", `{"id":1,"__op":"m"}`, "ignored: op_m"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := NewDecoder(Options{})
			d.Bind(table(t, "id! int, v string"))
			for range 2 {
				if got := decodeRecord(d, Record{Key: []byte(`{"id":1}`), Value: []byte(tc.value)}); got != tc.want {
					t.Errorf("got %s, want %s", got, tc.want)
				}
			}
		})
	}
}

func TestFlattenedRecordsWithAConfiguredKey(t *testing.T) {
	for _, tc := range []struct{ name, key, value, want string }{
		{"a create", `{"b":7}`, `{"a":1,"b":7,"__op":"c"}`, "c flattened 1|7"},
		{"a delete", `{"b":7}`, `{"a":1,"b":7,"__op":"d","__deleted":"true"}`, "d flattened 01"},
		{"a delete without a row", `{"b":7}`, `null`, "null_key"},
		{"a delete of a bad row", `{"b":7}`, `{"a":"x","b":7,"__deleted":"true"}`, "type_mismatch"},
		{"an update, of which nothing tells the old key", `{"b":7}`, `{"a":1,"b":7,"__op":"u"}`, "invalid_key"},
		{"an upsert, of which nothing tells the old key", `{"b":7}`, `{"a":1,"b":7,"__deleted":"false"}`, "invalid_key"},
		{"an update whose record key tells", `{"a":1}`, `{"a":1,"b":7,"__op":"u"}`, "u flattened 1|7"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := NewDecoder(Options{Key: []string{"a"}})
			d.Bind(table(t, "a! int, b int"))
			if got := decodeRecord(d, Record{Key: []byte(tc.key), Value: []byte(tc.value)}); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}
