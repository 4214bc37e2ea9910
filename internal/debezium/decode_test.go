package debezium

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cdcd-project/cdcd/internal/row"
)

// table returns a schema from "id! long, name string": an exclamation mark makes a column an identifier.
func table(t *testing.T, text string) *row.Schema {
	t.Helper()
	s := &row.Schema{}
	for i, column := range strings.Split(text, ", ") {
		name, typ, _ := strings.Cut(column, " ")
		parsed, err := row.ParseType(typ)
		if err != nil {
			t.Fatal(err)
		}
		name, key := strings.CutSuffix(name, "!")
		if key {
			s.Key = append(s.Key, i)
		}
		s.Columns = append(s.Columns, row.Column{Name: name, Type: parsed, Required: key})
	}
	return s
}

// describe writes a schema as table reads it.
func describe(s *row.Schema) string {
	columns := make([]string, len(s.Columns))
	for i, c := range s.Columns {
		mark := ""
		if c.Required {
			mark = "!"
		}
		columns[i] = c.Name + mark + " " + c.Type.String()
	}
	return strings.Join(columns, ", ")
}

// record writes an envelope without a schema.
func record(op, before, after string) []byte {
	return fmt.Appendf(nil, `{"before":%s,"after":%s,"source":{"connector":"mysql","ts_ms":5,"snapshot":"false"},"op":%q,"ts_ms":6}`, before, after, op)
}

// structSchema writes a struct schema from "id int32, at? int64 io.debezium.time.Timestamp": a question mark makes a
// field optional, and name=value after the type's name is a parameter.
func structSchema(text string) string {
	var fields []string
	for f := range strings.SplitSeq(text, ", ") {
		words := strings.Fields(f)
		name, optional := strings.CutSuffix(words[0], "?")
		schema := fmt.Sprintf(`{"type":%q,"optional":%v,"field":%q`, words[1], optional, name)
		var parameters []string
		for _, w := range words[2:] {
			if key, value, ok := strings.Cut(w, "="); ok {
				parameters = append(parameters, fmt.Sprintf("%q:%q", key, strings.ReplaceAll(value, "_", " ")))
			} else {
				schema += fmt.Sprintf(`,"name":%q,"version":1`, w)
			}
		}
		if parameters != nil {
			schema += `,"parameters":{` + strings.Join(parameters, ",") + `}`
		}
		fields = append(fields, schema+"}")
	}
	return `{"type":"struct","fields":[` + strings.Join(fields, ",") + `],"optional":true`
}

// typed writes an envelope with an embedded schema.
func typed(schema string, payload []byte) []byte {
	image := structSchema(schema)
	return fmt.Appendf(nil, `{"schema":{"type":"struct","fields":[%s,"field":"before"},%s,"field":"after"}],"optional":false,"name":"x.Envelope"},"payload":%s}`, image, image, payload)
}

func typedKey(schema, payload string) []byte {
	return fmt.Appendf(nil, `{"schema":%s},"payload":%s}`, structSchema(schema), payload)
}

// rowText writes the only row of rows in canonical text.
func rowText(rows *row.Rows) string {
	var values []string
	for i := range rows.Vectors {
		values = append(values, string(rows.Vectors[i].AppendText(nil, 0)))
	}
	return strings.Join(values, "|")
}

// decodeOne returns what decoding a record to the schema gives, in one line: a row, a reason, or a wanted schema.
func decodeOne(d *Decoder, key, value []byte) string {
	var rows *row.Rows
	if d.bound != nil {
		rows = row.NewRows(d.bound)
	}
	var ev Event
	err := d.Decode(key, value, rows, &ev)
	if change, ok := errors.AsType[*SchemaChange](err); ok {
		kind := "lossless"
		if !change.Lossless {
			kind = "lossy"
		}
		return kind + ": " + describe(change.Want)
	}
	if refused, ok := errors.AsType[*Error](err); ok {
		return string(refused.Reason)
	}
	switch {
	case err != nil:
		return err.Error()
	case ev.Ignored != "":
		return "ignored: " + string(ev.Ignored)
	case ev.IsDelete():
		return fmt.Sprintf("%s %x", ev.Op, ev.Key)
	case ev.OldKey != nil:
		return fmt.Sprintf("%s moved from %x", rowText(rows), ev.OldKey)
	case ev.IsUpsert():
		return rowText(rows)
	}
	return ev.Op.String()
}

func TestValuesWithSchemaAreExactOrRefused(t *testing.T) {
	const decimalName = "bytes org.apache.kafka.connect.data.Decimal scale=2 connect.decimal.precision=6"
	for _, tc := range []struct{ schema, column, value, want string }{
		{"int8", "int", "127", "127"},
		{"int8", "int", "128", "out_of_range"},
		{"int16", "int", "-32769", "out_of_range"},
		{"int32", "int", "2147483648", "out_of_range"},
		{"int32", "int", "1.0", "type_mismatch"},
		{"int32", "int", "1e2", "type_mismatch"},
		{"int32", "int", "1e99", "out_of_range"},
		{"int32", "int", `"1"`, "type_mismatch"},
		{"int32", "int", "true", "type_mismatch"},
		{"int32", "int", "null", "null_in_required"},
		{"int32", "long", "-5", "-5"},
		{"int64", "long", "-9223372036854775808", "-9223372036854775808"},
		{"int64", "long", "-9223372036854775809", "out_of_range"},
		{"int64", "long", "9223372036854775808", "out_of_range"},
		{"int64", "long", "-0", "0"},
		{"int64", "long", "01", "invalid_json"},
		{"int64", "decimal(20,0)", "7", "7"},
		{"int64", "decimal(20,0)", "-7", "out_of_range"}, // A BIGINT UNSIGNED may have wrapped.
		{"int64", "decimal(19,0)", "-7", "-7"},
		{"int64 __debezium.source.column.type=BIGINT", "decimal(20,0)", "-7", "-7"},
		{"int64", "decimal(4,2)", "-7", "-7.00"},
		{"int64", "decimal(4,2)", "100", "out_of_range"},
		{"boolean", "boolean", "true", "true"},
		{"boolean", "boolean", "1", "true"},
		{"boolean", "boolean", "2", "out_of_range"},
		{"boolean", "int", "true", "1"},
		{"int16", "boolean", "0", "false"},
		{"int16", "boolean", "2", "out_of_range"},
		{"float", "float", "3.4028235E38", "3.4028235e+38"},
		{"float", "float", "3.5E38", "out_of_range"},
		{"float", "double", "0.1", "0.10000000149011612"},
		{"double", "double", "1E-5", "1e-05"},
		{"double", "double", "1E400", "out_of_range"},
		{"double", "double", `"NaN"`, "type_mismatch"},
		{decimalName, "decimal(6,2)", `"gA=="`, "-1.28"},
		{decimalName, "decimal(6,2)", `"AIA="`, "1.28"},
		{decimalName, "decimal(6,2)", `"AA=="`, "0.00"},
		{decimalName, "decimal(6,2)", `"D0JA"`, "out_of_range"}, // 1000000: seven digits.
		{decimalName, "decimal(6,2)", `"D0I/"`, "9999.99"},
		{decimalName, "decimal(6,2)", `""`, "invalid_base64"},
		{decimalName, "decimal(6,2)", `"AA="`, "invalid_base64"},
		{decimalName, "decimal(6,2)", `"AB=="`, "invalid_base64"}, // Bits after the last byte.
		{decimalName, "decimal(6,2)", `"AA\n=="`, "invalid_base64"},
		{decimalName, "decimal(6,2)", `"\u0041A=="`, "0.00"},
		{decimalName, "decimal(6,2)", `"//////////////////////////////////////8="`, "-0.01"}, // Redundant sign bytes.
		{decimalName, "decimal(6,2)", `"AQAAAAAAAAAAAAAAAAAAAAAA"`, "out_of_range"},
		{decimalName, "decimal(6,2)", "-12.3", "-12.30"},
		{decimalName, "decimal(6,2)", "1.2E+1", "12.00"},
		{decimalName, "decimal(6,2)", "1.234", "out_of_range"},
		{decimalName, "decimal(6,2)", "1E-999999999999999999999", "out_of_range"},
		{decimalName, "decimal(6,2)", "0E999999999", "0.00"},
		{decimalName, "decimal(8,4)", `"gA=="`, "-1.2800"},
		{decimalName, "decimal(8,1)", "12.30", "12.3"},
		{decimalName, "decimal(8,1)", "12.34", "out_of_range"},
		{"bytes org.apache.kafka.connect.data.Decimal scale=0", "decimal(38,0)", `"AP//////////"`, "18446744073709551615"},
		{"bytes org.apache.kafka.connect.data.Decimal scale=2 connect.decimal.precision=65", "string", `"gA=="`, "-1.28"},
		{"bytes org.apache.kafka.connect.data.Decimal scale=2 connect.decimal.precision=65", "string", "-1.5E3", "-1500.00"},
		{"bytes org.apache.kafka.connect.data.Decimal scale=2 connect.decimal.precision=65", "string", "1E99999", "out_of_range"},
		{"bytes org.apache.kafka.connect.data.Decimal scale=2 connect.decimal.precision=65", "string", "0.005", "out_of_range"},
		{"string", "decimal(5,2)", `"-0.10"`, "-0.10"},
		{"string", "decimal(5,2)", `"x"`, "type_mismatch"},
		{"string", "decimal(5,2)", `"1."`, "type_mismatch"},
		{"string", "decimal(5,2)", `""`, "type_mismatch"},
		{"string", "decimal(5,2)", `"1000"`, "out_of_range"},
		{"string __debezium.source.column.type=DECIMAL __debezium.source.column.length=5 __debezium.source.column.scale=2", "string", `"1.50"`, "1.50"},
		{"int64 __debezium.source.column.type=BIGINT_UNSIGNED", "decimal(20,0)", "-1", "18446744073709551615"},
		{"bytes io.debezium.data.Bits length=12", "long", `"vAo="`, "2748"},
		{"bytes io.debezium.data.Bits length=12", "long", `"vBo="`, "out_of_range"},
		{"bytes io.debezium.data.Bits length=64", "decimal(20,0)", `"//////////8="`, "18446744073709551615"},
		{"int32 io.debezium.time.Date", "date", "-354285", "1000-01-01"},
		{"int64 io.debezium.time.Timestamp", "timestamp", "-1", "1969-12-31T23:59:59.999000"},
		{"int64 io.debezium.time.Timestamp", "timestamp", "9223372036854775", "294247-01-10T04:00:54.775000"},
		{"int64 io.debezium.time.Timestamp", "timestamp", "9223372036854776", "out_of_range"},
		{"int64 io.debezium.time.MicroTimestamp", "timestamp", "-1", "1969-12-31T23:59:59.999999"},
		{"int64 io.debezium.time.NanoTimestamp", "timestamp", "1001", "out_of_range"},
		{"int64 io.debezium.time.NanoTime", "long", "-2000", "-2"},
		{"int64 io.debezium.time.MicroTime", "long", "-3020399000000", "-3020399000000"},
		{"int32 io.debezium.time.Year", "int", "2155", "2155"},
		{"string io.debezium.time.ZonedTimestamp", "timestamptz", `"2024-02-29T23:59:59.123456000-07:30"`, "2024-03-01T07:29:59.123456Z"},
		{"string io.debezium.time.ZonedTimestamp", "timestamptz", `"0000-01-01T00:00:00Z"`, "0000-01-01T00:00:00.000000Z"},
		{"string io.debezium.time.ZonedTimestamp", "timestamptz", `"2023-02-29T00:00:00Z"`, "type_mismatch"},
		{"string io.debezium.time.ZonedTimestamp", "timestamptz", `"2024-01-01T00:00:00"`, "type_mismatch"},
		{"string io.debezium.time.ZonedTimestamp", "timestamptz", `"2024-01-01T24:00:00Z"`, "type_mismatch"},
		{"string io.debezium.time.ZonedTimestamp", "timestamptz", `"2024-01-01T00:00:00.Z"`, "type_mismatch"},
		{"string io.debezium.time.ZonedTimestamp", "timestamptz", `"2024-01-01T00:00:00.0000001Z"`, "out_of_range"},
		{"string io.debezium.time.ZonedTimestamp", "timestamptz", `"2024-01-01T00:00:00.0000000000Z"`, "type_mismatch"},
		{"string", "string", `"a\u0000\ud83d\ude00\/"`, "a\x00😀/"},
		{"string", "string", `"\ud83d"`, "invalid_utf8"},
		{"string", "string", "\"\xff\"", "invalid_utf8"},
		{"string", "string", `"__debezium_unavailable_value"`, "schema_mismatch"},
		{"string io.debezium.data.Enum", "string", `"a\\,b\\,c"`, "a,b,c"},
		{"string io.debezium.data.EnumSet", "string", `"a\\,b"`, `a\,b`},
		{"string com.example.Unknown", "string", `"kept"`, "kept"},
		{"bytes", "binary", `"3q2+7/8="`, "hex:deadbeefff"},
		{"bytes", "binary", `""`, "hex:"},
		{"bytes", "binary", `"3q2-"`, "invalid_base64"},
		{"bytes", "binary", `"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="`, "schema_mismatch"},
		{"bytes", "binary", "7", "type_mismatch"},
		{"array", "string", "[]", "type_mismatch"},
		{"map", "string", "{}", "type_mismatch"},
	} {
		t.Run(tc.schema+" "+tc.value+" to "+tc.column, func(t *testing.T) {
			d := NewDecoder(Options{})
			d.Bind(table(t, "id! int, v "+tc.column))
			got := decodeOne(d, []byte(`{"id":1}`), typed("id int32, v "+tc.schema, record("c", "null", `{"id":1,"v":`+tc.value+`}`)))
			if got != tc.want && got != "1|"+tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestValuesWithoutSchemaTakeTheTablesTypes(t *testing.T) {
	for _, tc := range []struct{ column, value, want string }{
		{"int", "5", "5"},
		{"int", "true", "1"},
		{"int", "3000000000", "out_of_range"},
		{"boolean", "1", "true"},
		{"long", "1.5", "type_mismatch"},
		{"double", "1", "1"},
		{"float", "0.1", "0.1"},
		{"date", "17702", "2018-06-20"},
		{"timestamptz", `"2018-06-20T13:37:03Z"`, "2018-06-20T13:37:03.000000Z"},
		{"timestamp", "1529476623123456", "2018-06-20T06:37:03.123456"},
		{"timestamp", "1529476623123", "type_mismatch"},
		{"timestamp", "1529476623123456789", "out_of_range"},
		{"decimal(10,2)", "12.5", "12.50"},
		{"decimal(10,2)", `"12.50"`, "12.50"},
		{"decimal(10,2)", `"EtaH"`, "12345.67"},
		{"decimal(10,2)", `"1234"`, "-26588.24"}, // Base64: text would have a decimal point.
		{"decimal(20,0)", `"1234"`, "type_mismatch"},
		{"decimal(20,0)", `"12345"`, "12345"},
		{"string", "5", "type_mismatch"},
		{"string", "null", "null"},
		{"binary", `"AQI="`, "hex:0102"},
		{"string", `{"a": [1,{"b":"\u00e9"}]}`, `{"a": [1,{"b":"\u00e9"}]}`}, // JSON text, as it is.
		{"string", `{"a":1,"a":2}`, "duplicate_member"},
		{"timestamp", "0", "1970-01-01T00:00:00.000000"},
		{"timestamp", `"2018-06-20T06:37:03.123456Z"`, "2018-06-20T06:37:03.123456"},
		{"date", `"2018-06-20Z"`, "2018-06-20"},
		{"time", `"06:37:03.5Z"`, "06:37:03.500000"},
		{"time", "23823123000", "06:37:03.123000"},
		{"time", "23823123", "type_mismatch"}, // Milliseconds, or microseconds.
		{"time", "-1000000000", "out_of_range"},
		{"time", "86400000000", "out_of_range"},
		{"decimal(20,0)", "-1", "out_of_range"}, // A BIGINT UNSIGNED that has wrapped, or a DECIMAL.
		{"decimal(19,0)", "-1", "-1"},
		{"list<float>", "[1.5,null,-0.25]", `["1.5",null,"-0.25"]`},
		{"list<float>", "[]", "[]"},
		{"list<float>", "{}", "type_mismatch"},
		{"list<float>", `["x"]`, "type_mismatch"},
		{"struct<wkb: binary,srid: int>", `{"x":1.0,"y":2.0,"wkb":"AQI=","srid":null}`, `{"wkb":"hex:0102","srid":null}`},
		{"struct<wkb: binary,srid: int>", `{"wkb":"AQI=","other":1}`, "schema_mismatch"},
		{"struct<wkb: binary,srid: int>", `{"wkb":"AQI=","wkb":"AQI="}`, "duplicate_member"},
		{"struct<a: struct<b: list<long>>>", `{"a":{"b":[1,2]}}`, `{"a":{"b":["1","2"]}}`},
	} {
		t.Run(tc.column+" "+tc.value, func(t *testing.T) {
			d := NewDecoder(Options{})
			d.Bind(table(t, "id! int, v "+tc.column))
			got := decodeOne(d, []byte(`{"id":1}`), record("c", "null", `{"id":1,"v":`+tc.value+`}`))
			if got != tc.want && got != "1|"+tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}
