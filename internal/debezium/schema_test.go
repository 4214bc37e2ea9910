package debezium

import (
	"errors"
	"strings"
	"testing"

	"github.com/cdcd-project/cdcd/internal/row"
)

func TestEmbeddedSchemasMeetTheTable(t *testing.T) {
	const decimalName = "bytes org.apache.kafka.connect.data.Decimal scale=2 connect.decimal.precision="
	for _, tc := range []struct{ name, bound, schema, row, want string }{
		{"a new column in the middle is added at the end", "id! int, b string", "id int32, a? string, b string", `{"id":1,"a":"x","b":"y"}`, "lossless: id! int, b string, a string"},
		{"a missing column is null", "id! int, a string, b string", "id int32, b string", `{"id":1,"b":"y"}`, "1|null|y"},
		{"columns match by name ignoring case", "id! int, firstname string", "ID int32, FirstName string", `{"ID":1,"FirstName":"x"}`, "1|x"},
		{"int to long", "id! int, v int", "id int32, v int64", `{"id":1,"v":1}`, "lossless: id! int, v long"},
		{"an identifier from int to long", "id! int", "id int64", `{"id":1}`, "lossless: id! long"},
		{"float to double", "id! int, v float", "id int32, v double", `{"id":1,"v":1}`, "lossless: id! int, v double"},
		{"more digits", "id! int, v decimal(4,2)", "id int32, v " + decimalName + "6", `{"id":1,"v":1}`, "lossless: id! int, v decimal(6,2)"},
		{"more digits before the point at another scale", "id! int, v decimal(4,1)", "id int32, v " + decimalName + "8", `{"id":1,"v":1}`, "lossless: id! int, v decimal(7,1)"},
		{"more digits than Iceberg has stay per value", "id! int, v decimal(38,20)", "id int32, v " + decimalName + "38", `{"id":1,"v":1}`, "1|1.00000000000000000000"},
		{"an older int", "id! int, v long", "id int32, v int32", `{"id":1,"v":7}`, "1|7"},
		{"an older decimal", "id! int, v decimal(12,2)", "id int32, v " + decimalName + "6", `{"id":1,"v":7}`, "1|7.00"},
		{"an older float", "id! int, v double", "id int32, v float", `{"id":1,"v":0.5}`, "1|0.5"},
		{"string to int", "id! int, v string", "id int32, v int32", `{"id":1,"v":7}`, "lossy: id! int, v int"},
		{"int to string", "id! int, v int", "id int32, v string", `{"id":1,"v":"7"}`, "lossy: id! int, v string"},
		{"long to timestamp", "id! int, v long", "id int32, v int64 io.debezium.time.Timestamp", `{"id":1,"v":7}`, "lossy: id! int, v timestamp"},
		{"timestamp to timestamptz", "id! int, v timestamp", "id int32, v string io.debezium.time.ZonedTimestamp", `{"id":1,"v":"x"}`, "lossy: id! int, v timestamptz"},
		{"date to timestamp", "id! int, v date", "id int32, v int64 io.debezium.time.Timestamp", `{"id":1,"v":7}`, "lossy: id! int, v timestamp"},
		{"decimal to long", "id! int, v long", "id int32, v " + decimalName + "6", `{"id":1,"v":7}`, "lossy: id! int, v decimal(6,2)"},
		{"another name for the same type", "id! int, v timestamp", "id int32, v int64 io.debezium.time.MicroTimestamp", `{"id":1,"v":7}`, "1|1970-01-01T00:00:00.000007"},
		{"all changes at once", "id! int, v int", "id int64, v int64, w? boolean", `{"id":1,"v":7,"w":null}`, "lossless: id! long, v long, w boolean"},
		{"an absent field", "id! int, v int", "id int32, v? int32", `{"id":1}`, "schema_mismatch"},
		{"a member outside of the schema", "id! int", "id int32", `{"id":1,"v":null}`, "schema_mismatch"},
		{"fields that are equal ignoring case", "id! int", "id int32, ID int32", `{"id":1,"ID":1}`, "duplicate_member"},
		{"members in another order", "id! int, v int", "id int32, v int32", `{"v":2,"id":1}`, "1|2"},
		{"a decimal with a scale beyond its precision", "id! int", "id int32, v bytes org.apache.kafka.connect.data.Decimal scale=4 connect.decimal.precision=2", `{"id":1,"v":1}`, "type_mismatch"},
		{"bits without a length", "id! int", "id int32, v bytes io.debezium.data.Bits", `{"id":1,"v":""}`, "type_mismatch"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := NewDecoder(Options{})
			d.Bind(table(t, tc.bound))
			key := []byte(`{"id":1}`)
			if strings.Contains(tc.schema, "ID int32, F") {
				key = []byte(`{"ID":1}`)
			}
			for range 2 { // The second time from the remembered projection.
				if got := decodeOne(d, key, typed(tc.schema, record("c", "null", tc.row))); got != tc.want {
					t.Errorf("got %s, want %s", got, tc.want)
				}
			}
		})
	}
}

// Two partitions run at different speeds: records of an older schema follow those of a newer one. They decode to the
// union, and never change it back.
func TestOlderSchemasDecodeAfterNewerOnes(t *testing.T) {
	d := NewDecoder(Options{})
	key := typedKey("id int32", `{"id":1}`)
	older := typed("id int32, v int32", record("c", "null", `{"id":1,"v":7}`))
	newer := typed("id int32, w? string, v int64", record("c", "null", `{"id":1,"w":"x","v":8}`))
	dropped := typed("id int32, w? string", record("c", "null", `{"id":1,"w":"y"}`))
	rows, _, err := apply(d, key, older)
	if err != nil || rowText(rows) != "1|7" {
		t.Fatal(err, rows)
	}
	for _, tc := range []struct {
		value []byte
		want  string
	}{{newer, "1|8|x"}, {older, "1|7|null"}, {dropped, "1|null|y"}, {newer, "1|8|x"}, {older, "1|7|null"}} {
		rows, _, err := apply(d, key, tc.value)
		if err != nil {
			t.Fatal(err)
		}
		if got := rowText(rows); got != tc.want {
			t.Errorf("got %s, want %s", got, tc.want)
		}
	}
	if got, want := describe(d.bound), "id! int, v long, w string"; got != want {
		t.Errorf("got the schema %s, want %s", got, want)
	}
}

// More schemas than the decoder remembers are in use at once, as for many topics merged into one table.
func TestManyEmbeddedSchemasTakeTurns(t *testing.T) {
	d := NewDecoder(Options{})
	d.Bind(table(t, "id! long, a string, b string, c string, d string, e string, f string"))
	for range 3 {
		for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
			value := typed("id int64, "+name+" string", record("c", "null", `{"id":1,"`+name+`":"x"}`))
			got := decodeOne(d, typedKey("id int64", `{"id":1}`), value)
			if strings.Count(got, "null") != 5 || strings.Count(got, "x") != 1 {
				t.Errorf("column %s: got %s", name, got)
			}
		}
	}
	if len(d.values.entries) > schemaCacheSize {
		t.Errorf("%d schemas are remembered, want at most %d", len(d.values.entries), schemaCacheSize)
	}
}

func TestTablesAreDerivedFromTheirFirstRecord(t *testing.T) {
	declared := map[string]row.Type{"At": {Kind: row.Timestamp}, "note": {Kind: row.String}}
	for _, tc := range []struct {
		name       string
		options    Options
		key, value string
		want       string
	}{
		{"embedded schemas", Options{}, string(typedKey("b int32, a string", `{"b":1,"a":"x"}`)), string(typed("A string, v? int64, B int32", record("c", "null", `{"A":"x","v":null,"B":1}`))), "lossless: a! string, v long, b! int"},
		{"an embedded schema and a plain key", Options{}, `{"id":1}`, string(typed("id int32", record("c", "null", `{"id":1}`))), "lossless: id! int"},
		{"inferred types", Options{}, `{"id":1}`, string(record("c", "null", `{"id":1,"b":true,"f":1.0,"e":1e3,"s":"x","n":null}`)), "lossless: id! long, b boolean, f double, e double, s string"},
		{"declared types", Options{Types: declared}, `{"id":1}`, string(record("c", "null", `{"id":1,"AT":5,"note":null}`)), "lossless: id! long, at timestamp, note string"},
		{"configured identifiers", Options{Key: []string{"B", "a"}}, "", string(record("c", "null", `{"a":1,"b":2,"c":3}`)), "lossless: a! long, b! long, c long"},
		{"a delete", Options{}, `{"id":1}`, string(record("d", `{"id":1,"v":"x"}`, "null")), "lossless: id! long, v string"},
		{"a delete without before", Options{}, `{"id":1}`, string(record("d", "null", "null")), "lossless: id! long"},
		{"a tombstone has nothing to delete", Options{}, `{"id":1}`, "", "ignored: tombstone"},
		{"no key", Options{}, "", string(record("c", "null", `{"id":1}`)), "null_key"},
		{"a null in the key", Options{}, `{"id":1,"k":null}`, string(record("c", "null", `{"id":1,"k":null}`)), "invalid_key"},
		{"a key field that is no column", Options{}, `{"id":1,"shard":2}`, string(record("c", "null", `{"id":1}`)), "lossless: id! long, shard! long"},
		{"a key of which no field is a column", Options{}, `{"shard":2}`, string(record("c", "null", `{"id":1}`)), "invalid_key"},
		{"a configured identifier that is no column", Options{Key: []string{"x"}}, `{"id":1}`, string(record("c", "null", `{"id":1}`)), "invalid_key"},
		{"a floating point key", Options{}, `{"id":1.5}`, string(record("c", "null", `{"id":1.5}`)), "lossy: id! double"},
		{"objects and arrays are JSON text", Options{}, `{"id":1}`, string(record("c", "null", `{"id":1,"o":{},"a":[1]}`)), "lossless: id! long, o string, a string"},
		{"an integer beyond long", Options{}, `{"id":1}`, string(record("c", "null", `{"id":1,"o":18446744073709551615}`)), "out_of_range"},
		{"a number beyond double", Options{}, `{"id":1}`, string(record("c", "null", `{"id":1,"o":1e999}`)), "out_of_range"},
		{"a bad envelope makes no table", Options{}, `{"id":1}`, `{"after":{"id":1},"source":{}}`, "missing_op"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := decodeOne(NewDecoder(tc.options), bytesOrNil(tc.key), bytesOrNil(tc.value)); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func bytesOrNil(text string) []byte {
	if text == "" {
		return nil
	}
	return []byte(text)
}

func TestColumnsWithoutSchemaWaitForAValue(t *testing.T) {
	d := NewDecoder(Options{Types: map[string]row.Type{"d": {Kind: row.Date}}})
	d.Bind(table(t, "id! long"))
	key := []byte(`{"id":1}`)
	for _, tc := range []struct{ row, want string }{
		{`{"id":1,"v":null}`, "1"},
		{`{"id":1,"v":null,"w":"x"}`, "lossless: id! long, w string"},
		{`{"id":1,"v":7}`, "lossless: id! long, v long"},
		{`{"id":1,"D":7}`, "lossless: id! long, d date"},
		{`{"id":1,"v":null}`, "1"},
	} {
		if got := decodeOne(d, key, record("c", "null", tc.row)); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.row, got, tc.want)
		}
	}
}

func TestSchemaChangesSayWhatChanges(t *testing.T) {
	d := NewDecoder(Options{})
	d.Bind(table(t, "id! int, v string"))
	var ev Event
	err := d.Decode([]byte(`{"id":1}`), typed("id int64, v int32, w date", record("c", "null", `{"id":1,"v":1,"w":1}`)), row.NewRows(d.bound), &ev)
	if refused, ok := errors.AsType[*Error](err); !ok || !strings.Contains(refused.Detail, "column w: the type date") {
		t.Errorf("got %v, want the unsupported type named", err)
	}
	err = d.Decode([]byte(`{"id":1}`), typed("id int64, v int32", record("c", "null", `{"id":1,"v":1}`)), row.NewRows(d.bound), &ev)
	if want := "schema change: id int -> long; column v is string in the table, and int in the record"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
