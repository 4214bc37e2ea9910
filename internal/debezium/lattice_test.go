package debezium

import (
	"strings"
	"testing"

	"github.com/cdcd-project/cdcd/internal/row"
)

// decodeValue decodes a value of a schema, in the words of structSchema, into a column of a table.
func decodeValue(t *testing.T, o Options, column, schema, value string) string {
	t.Helper()
	d := NewDecoder(o)
	d.Bind(table(t, "id! int, v "+column))
	got := decodeOne(d, []byte(`{"id":1}`), typed("id int32, v "+schema, record("c", "null", `{"id":1,"v":`+value+`}`)))
	if text, ok := strings.CutPrefix(got, "1|"); ok {
		return text
	}
	return strings.TrimPrefix(got, "lossless: id! int, v ")
}

// A column may change its type between the snapshot and the stream, and with every setting of the connector. The table
// takes both, exactly, or refuses the value.
func TestColumnsTakeWhatSnapshotAndStreamSend(t *testing.T) {
	const decimalName = "bytes org.apache.kafka.connect.data.Decimal scale=2 connect.decimal.precision=10"
	const micros, date = "int64 io.debezium.time.MicroTime", "int32 io.debezium.time.Date"
	for _, tc := range []struct{ column, schema, value, want string }{
		// BOOLEAN in the stream, TINYINT(1) in the snapshot, and the other way round.
		{"boolean", "int16", "1", "true"},
		{"boolean", "int8", "0", "false"},
		{"boolean", "int16", "-1", "out_of_range"},
		{"boolean", "int64", "1", "lossy: id! int, v long"},
		{"int", "boolean", "false", "0"},
		{"long", "boolean", "true", "1"},
		{"int", "int8", "-128", "-128"},
		{"long", "int8", "-128", "-128"},
		{"long", "int32", "2147483647", "2147483647"},
		{"int", "int64", "5", "long"},
		{"decimal(20,0)", "boolean", "true", "lossy: id! int, v boolean"},
		// REAL is a float in the stream and a double in the snapshot.
		{"double", "float", "0.1", "0.10000000149011612"},
		{"float", "double", "0.1", "double"},
		{"double", "int32", "1", "lossy: id! int, v int"},
		// decimal.handling.mode and decimal.format.
		{"decimal(10,2)", "string", `"12345.67"`, "12345.67"},
		{"decimal(10,2)", "string", `"12345.670"`, "12345.67"},
		{"decimal(10,2)", "string", `"12345.678"`, "out_of_range"},
		{"decimal(10,2)", "string", `"1E3"`, "1000.00"},
		{"decimal(10,2)", "string", `"+1"`, "type_mismatch"},
		{"decimal(10,2)", "string", `" 1"`, "type_mismatch"},
		{"decimal(10,2)", "string", `"NaN"`, "type_mismatch"},
		{"decimal(10,2)", "double", "1.5", "lossy: id! int, v double"},
		{"string", decimalName, `"EtaH"`, "12345.67"},
		{"string", decimalName, "-0.1", "-0.10"},
		{"string", decimalName, "0.001", "out_of_range"},
		{"decimal(12,4)", decimalName, `"EtaH"`, "12345.6700"},
		{"decimal(10,1)", decimalName, `"EtaH"`, "out_of_range"},
		{"decimal(8,2)", decimalName, `"EtaH"`, "decimal(10,2)"},
		{"decimal(38,30)", decimalName, `"EtaH"`, "12345.670000000000000000000000000000"},
		{"decimal(10,2)", "int32", "5", "5.00"},
		{"decimal(10,2)", "int32", "100000000", "out_of_range"},
		// bigint.unsigned.handling.mode.
		{"decimal(20,0)", "bytes org.apache.kafka.connect.data.Decimal scale=0 connect.decimal.precision=20", `"AP//////////"`, "18446744073709551615"},
		{"decimal(20,0)", "int64", "9223372036854775807", "9223372036854775807"},
		{"decimal(20,0)", "int64", "-1", "out_of_range"},
		{"long", "int64 __debezium.source.column.type=BIGINT_UNSIGNED", "1", "lossy: id! int, v decimal(20,0)"},
		{"decimal(20,0)", "int64 __debezium.source.column.type=bigint_unsigned_zerofill", "-9223372036854775808", "9223372036854775808"},
		{"decimal(20,0)", "int64 __debezium.source.column.type=SERIAL", "-2", "18446744073709551614"},
		{"decimal(22,2)", "int64 __debezium.source.column.type=BIGINT_UNSIGNED", "-1", "18446744073709551615.00"},
		{"decimal(20,0)", "int64 io.debezium.time.MicroTime", "-5", "-5"}, // Not a BIGINT at all.
		// time.precision.mode: each name of a type goes into its column.
		{"date", "int32 org.apache.kafka.connect.data.Date", "17702", "2018-06-20"},
		{"date", "string io.debezium.time.IsoDate", `"2018-06-20Z"`, "2018-06-20"},
		{"timestamp", "int64 org.apache.kafka.connect.data.Timestamp", "-1", "1969-12-31T23:59:59.999000"},
		{"timestamp", "string io.debezium.time.IsoTimestamp", `"2018-06-20T06:37:03.123456Z"`, "2018-06-20T06:37:03.123456"},
		{"timestamp", "int64 io.debezium.time.NanoTimestamp", "-1000", "1969-12-31T23:59:59.999999"},
		{"timestamptz", "int64 io.debezium.time.MicroTimestamp", "1", "lossy: id! int, v timestamp"},
		{"timestamp", date, "1", "lossy: id! int, v date"},
		{"date", "int32", "1", "lossy: id! int, v int"},
		{"int", date, "1", "lossy: id! int, v date"},
		// TIME goes into whatever form its column has.
		{"long", "int32 io.debezium.time.Time", "-1", "-1000"},
		{"long", "int32 org.apache.kafka.connect.data.Time", "86399999", "86399999000"},
		{"long", "int64 io.debezium.time.NanoTime", "1001", "out_of_range"},
		{"long", "string io.debezium.time.IsoTime", `"04:05:11.789Z"`, "14711789000"},
		{"string", micros, "-3020399000000", "-838:59:59.000000"},
		{"string", "int32 io.debezium.time.Time", "1", "00:00:00.001000"},
		{"string", micros, "-1", "-00:00:00.000001"},
		{"string", micros, "-9223372036854775808", "-2562047788:00:54.775808"},
		{"time", micros, "86399999999", "23:59:59.999999"},
		{"time", micros, "86400000000", "out_of_range"},
		{"time", micros, "-1", "out_of_range"},
		{"int", micros, "1", "long"},
		{"string", "int64", "1", "lossy: id! int, v long"},
		{"time", "int64", "1", "lossy: id! int, v long"},
		// Names that nobody knows are their literal.
		{"long", "int64 com.example.Unknown", "-5", "-5"},
		{"boolean", "boolean com.example.Unknown", "true", "true"},
		{"timestamp", "int64 com.example.Unknown", "1", "lossy: id! int, v long"},
		{"binary", "bytes com.example.Unknown", `"AQI="`, "hex:0102"},
		// A name on another literal than its own is its literal, too.
		{"string", "string io.debezium.time.Date", `"x"`, "x"},
		{"long", "int64 io.debezium.time.Date", "1", "1"},
	} {
		t.Run(tc.schema+" "+tc.value+" to "+tc.column, func(t *testing.T) {
			if got := decodeValue(t, Options{}, tc.column, tc.schema, tc.value); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestUnknownNamesAreCounted(t *testing.T) {
	d := NewDecoder(Options{})
	d.Bind(table(t, "id! int, v long, w long"))
	value := typed("id int32, v int64 com.example.A, w int64 com.example.A", record("c", "null", `{"id":1,"v":1,"w":2}`))
	for range 3 {
		decodeOne(d, []byte(`{"id":1}`), value)
	}
	if got := d.UnknownNames(); len(got) != 1 || got["com.example.A"] != 2 {
		t.Errorf("got %v, want two fields, counted once", got)
	}
}

func TestSettingsSayWhatTheSchemaDoesNot(t *testing.T) {
	binary := map[string]row.Type{"V": {Kind: row.Binary}}
	for _, tc := range []struct {
		name                        string
		options                     Options
		column, schema, value, want string
	}{
		{"a wrapped BIGINT UNSIGNED", Options{Unsigned: []string{"V"}}, "decimal(20,0)", "int64", "-1", "18446744073709551615"},
		{"a wrapped BIGINT UNSIGNED makes its column", Options{Unsigned: []string{"v"}}, "long", "int64", "1", "lossy: id! int, v decimal(20,0)"},
		{"TIME as text", Options{Time: TimeAsString}, "string", "int64 io.debezium.time.MicroTime", "1000000", "00:00:01.000000"},
		{"TIME as text meets a long", Options{Time: TimeAsString}, "long", "int64 io.debezium.time.MicroTime", "1000000", "1000000"},
		{"TIME as time of day meets text", Options{Time: TimeOfDay}, "string", "string io.debezium.time.IsoTime", `"00:00:01"`, "00:00:01.000000"},
		{"base64 of a declared column", Options{BinaryText: Base64, Types: binary}, "binary", "string", `"3q2+7/8="`, "hex:deadbeefff"},
		{"base64 of a table's column", Options{BinaryText: Base64}, "binary", "string", `"3q2+7/8="`, "hex:deadbeefff"},
		{"base64 for URLs", Options{BinaryText: Base64URL}, "binary", "string", `"3q2-7_8="`, "hex:deadbeefff"},
		{"base64 for URLs is not base64", Options{BinaryText: Base64URL}, "binary", "string", `"3q2+7/8="`, "invalid_base64"},
		{"base64 without its padding", Options{BinaryText: Base64URL}, "binary", "string", `"3q2-7_8"`, "invalid_base64"},
		{"hexadecimal digits", Options{BinaryText: Hex}, "binary", "string", `"DEADbeef"`, "hex:deadbeef"},
		{"an odd number of digits", Options{BinaryText: Hex}, "binary", "string", `"dea"`, "invalid_base64"},
		{"no digits", Options{BinaryText: Hex}, "binary", "string", `"xx"`, "invalid_base64"},
		{"nothing", Options{BinaryText: Hex}, "binary", "string", `""`, "hex:"},
		{"the propagated type", Options{BinaryText: Hex}, "binary", "string __debezium.source.column.type=TINYBLOB", `"ff"`, "hex:ff"},
		{"text stays text", Options{BinaryText: Hex}, "string", "string", `"ff"`, "ff"},
		{"text of a propagated type", Options{BinaryText: Hex}, "string", "string __debezium.source.column.type=VARCHAR", `"ff"`, "ff"},
		{"an ENUM is no bytes", Options{BinaryText: Hex}, "binary", "string io.debezium.data.Enum", `"ff"`, "lossy: id! int, v string"},
		{"bytes stay base64", Options{BinaryText: Hex}, "binary", "bytes", `"3q0="`, "hex:dead"},
		{"text into a binary column, without the setting", Options{}, "binary", "string", `"ff"`, "lossy: id! int, v string"},
		{"a DECIMAL without a scale", Options{}, "decimal(5,0)", "string __debezium.source.column.type=DECIMAL __debezium.source.column.length=5", `"-12345"`, "-12345"},
		{"a DECIMAL without a precision", Options{}, "string", "string __debezium.source.column.type=DECIMAL", `"1.50"`, "1.50"},
		{"a NUMERIC that is unsigned", Options{}, "decimal(5,2)", "string __debezium.source.column.type=NUMERIC_UNSIGNED __debezium.source.column.length=5 __debezium.source.column.scale=2", `"1.5"`, "1.50"},
		{"a DECIMAL with a scale beyond its precision", Options{}, "string", "string __debezium.source.column.type=DECIMAL __debezium.source.column.length=2 __debezium.source.column.scale=5", `"1"`, "type_mismatch"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := decodeValue(t, tc.options, tc.column, tc.schema, tc.value); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// Avro does not allow every column name. Where the original is propagated, the column has it.
func TestAdjustedNamesAreRestored(t *testing.T) {
	for _, tc := range []struct{ field, original, want string }{
		{"user_id", "user-id", "user-id"},
		{"_1st", "1st", "_1st"}, // avro replaces the digit: "_st".
		{"_st", "1st", "1st"},
		{"a_b", "a b", "a b"},
		{"_u00e9t_u00e9", "été", "été"},
		{"a_u005fb", "a_b", "a_b"},
		{"__", "😀", "😀"}, // Two units of UTF-16.
		{"renamed", "user-id", "renamed"},
		{"same", "same", "same"},
		{"plain", "", "plain"},
	} {
		c := &connectSchema{field: tc.field, parameters: map[string]string{sourceNameParameter: tc.original}}
		if got := c.columnName(); got != tc.want {
			t.Errorf("%s of %s: got %s, want %s", tc.field, tc.original, got, tc.want)
		}
	}
	d := NewDecoder(Options{})
	value := typed("id int32, a_b int32 __debezium.source.column.name=a-b", record("c", "null", `{"id":1,"a_b":2}`))
	rows, _, err := apply(d, typedKey("id int32", `{"id":1}`), value)
	if err != nil || describe(d.bound) != "id! int, a-b int" || rowText(rows) != "1|2" {
		t.Errorf("got %v, %v", describe(d.bound), err)
	}
}
