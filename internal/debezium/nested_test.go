package debezium

import (
	"fmt"
	"strings"
	"testing"
)

// namedStruct writes the schema of a struct with the fields of structSchema, under a name.
func namedStruct(name, fields string) string { return structSchema(fields) + `,"name":"` + name + `"` }

// decodeField decodes a value whose schema, an object without its closing brace, stands in an embedded schema.
func decodeField(t *testing.T, o Options, column, schema, value string) string {
	t.Helper()
	d := NewDecoder(o)
	d.Bind(table(t, "id! int, v "+column))
	image := `{"type":"struct","optional":true,"name":"x.Value","fields":[{"type":"int32","optional":false,"field":"id"},` + schema + `,"field":"v"}]`
	text := fmt.Appendf(nil, `{"schema":{"type":"struct","fields":[%s,"field":"before"},%s,"field":"after"}],"optional":false,"name":"x.Envelope"},"payload":%s}`,
		image, image, record("c", "null", `{"id":1,"v":`+value+`}`))
	var got string
	for range 2 { // The second time from the remembered projection.
		got = decodeOne(d, []byte(`{"id":1}`), text)
	}
	if text, ok := strings.CutPrefix(got, "1|"); ok {
		return text
	}
	return strings.TrimPrefix(got, "lossless: id! int, v ")
}

func TestStructuredTemporals(t *testing.T) {
	date := namedStruct("io.debezium.time.StructuredDate", "year? int32, month? int8, day? int8, specialValue? string")
	stamp := namedStruct("io.debezium.time.StructuredTimestamp", "year? int32, month? int8, day? int8, hour? int8, minute? int8, second? int8, nanos? int32, specialValue? string, precision? int32")
	zoned := namedStruct("io.debezium.time.StructuredZonedTimestamp", "year? int32, month? int8, day? int8, hour? int8, minute? int8, second? int8, nanos? int32, offsetSeconds? int32, zoneId? string, specialValue? string, precision? int32")
	duration := namedStruct("io.debezium.time.StructuredDuration", "years? int32, months? int32, days? int32, hours? int32, minutes? int32, seconds? int64, nanos? int32, precision? int32")
	const clock = `"hour":13,"minute":37,"second":3,"nanos":123456000`
	for _, tc := range []struct{ name, column, schema, value, want string }{
		{"a date", "date", date, `{"year":2018,"month":6,"day":20,"specialValue":null}`, "2018-06-20"},
		{"members in another order", "date", date, `{"day":20,"specialValue":null,"month":6,"year":2018}`, "2018-06-20"},
		{"a leap day", "date", date, `{"year":2024,"month":2,"day":29,"specialValue":null}`, "2024-02-29"},
		{"no leap day", "date", date, `{"year":2023,"month":2,"day":29,"specialValue":null}`, "out_of_range"},
		{"the ends of the range", "date", date, `{"year":9999,"month":12,"day":31,"specialValue":null}`, "9999-12-31"},
		{"a year beyond it", "date", date, `{"year":10000,"month":1,"day":1,"specialValue":null}`, "out_of_range"},
		{"a month beyond the year", "date", date, `{"year":2018,"month":13,"day":1,"specialValue":null}`, "out_of_range"},
		{"a negative year", "date", date, `{"year":-1,"month":1,"day":1,"specialValue":null}`, "out_of_range"},
		{"the zero date", "date", date, `{"year":0,"month":0,"day":0,"specialValue":null}`, "null"},
		{"a date without a day", "date", date, `{"year":2018,"month":6,"day":0,"specialValue":null}`, "null"},
		{"the year 0", "date", date, `{"year":0,"month":5,"day":5,"specialValue":null}`, "null"},
		{"a special value", "date", date, `{"year":null,"month":null,"day":null,"specialValue":"POSITIVE_INFINITY"}`, "out_of_range"},
		{"no year", "date", date, `{"year":null,"month":6,"day":20,"specialValue":null}`, "schema_mismatch"},
		{"two years", "date", date, `{"year":2018,"year":2018,"month":6,"day":20}`, "duplicate_member"},
		{"text for a year", "date", date, `{"year":"2018","month":6,"day":20}`, "type_mismatch"},
		{"another member", "date", date, `{"year":2018,"month":6,"day":20,"era":1}`, "schema_mismatch"},
		{"null", "date", date, "null", "null"},
		{"a number", "date", date, "17702", "type_mismatch"},
		{"into a timestamp", "timestamp", date, `{"year":2018,"month":6,"day":20}`, "lossy: id! int, v date"},

		{"a timestamp", "timestamp", stamp, `{"year":2018,"month":6,"day":20,` + clock + `,"specialValue":null,"precision":6}`, "2018-06-20T13:37:03.123456"},
		{"a timestamp long ago", "timestamp", stamp, `{"year":1000,"month":1,"day":1,"hour":0,"minute":0,"second":0,"nanos":0,"specialValue":null,"precision":0}`, "1000-01-01T00:00:00.000000"},
		{"the zero timestamp", "timestamp", stamp, `{"year":0,"month":0,"day":0,"hour":0,"minute":0,"second":0,"nanos":0,"specialValue":null,"precision":6}`, "null"},
		{"nanoseconds", "timestamp", stamp, `{"year":2018,"month":6,"day":20,"hour":1,"minute":1,"second":1,"nanos":1,"precision":9}`, "out_of_range"},
		{"an hour beyond the day", "timestamp", stamp, `{"year":2018,"month":6,"day":20,"hour":24,"minute":0,"second":0,"nanos":0}`, "out_of_range"},
		{"no hour", "timestamp", stamp, `{"year":2018,"month":6,"day":20,"minute":0,"second":0,"nanos":0}`, "schema_mismatch"},

		{"an instant", "timestamptz", zoned, `{"year":2018,"month":6,"day":20,` + clock + `,"offsetSeconds":7200,"zoneId":null,"specialValue":null,"precision":6}`, "2018-06-20T11:37:03.123456Z"},
		{"an instant in the west", "timestamptz", zoned, `{"year":2018,"month":12,"day":31,"hour":23,"minute":0,"second":0,"nanos":0,"offsetSeconds":-7200}`, "2019-01-01T01:00:00.000000Z"},
		{"an instant of UTC", "timestamptz", zoned, `{"year":2018,"month":6,"day":20,` + clock + `,"offsetSeconds":null,"zoneId":"UTC"}`, "2018-06-20T13:37:03.123456Z"},
		{"an instant of nowhere", "timestamptz", zoned, `{"year":2018,"month":6,"day":20,` + clock + `,"offsetSeconds":null,"zoneId":"Europe/Bern"}`, "schema_mismatch"},
		{"an offset beyond all zones", "timestamptz", zoned, `{"year":2018,"month":6,"day":20,` + clock + `,"offsetSeconds":86400}`, "out_of_range"},

		{"a duration", "long", duration, `{"years":0,"months":0,"days":34,"hours":22,"minutes":59,"seconds":59,"nanos":0,"precision":0}`, "3020399000000"},
		{"a negative duration", "long", duration, `{"years":0,"months":0,"days":0,"hours":0,"minutes":0,"seconds":-2,"nanos":500000000,"precision":6}`, "-1500000"},
		{"a duration in seconds", "string", duration, `{"years":null,"months":null,"days":null,"hours":null,"minutes":null,"seconds":-3020399,"nanos":null,"precision":0}`, "-838:59:59.000000"},
		{"a duration of months", "long", duration, `{"years":0,"months":1,"days":0,"hours":0,"minutes":0,"seconds":0,"nanos":0}`, "out_of_range"},
		{"a duration of nothing", "long", duration, `{"years":null,"months":null,"days":null,"hours":null,"minutes":null,"seconds":null,"nanos":null}`, "schema_mismatch"},
		{"a duration of an age", "long", duration, `{"seconds":1000000000001}`, "out_of_range"},
		{"a duration of days beyond", "long", duration, `{"days":999999999}`, "out_of_range"},
		{"a duration of more than int64", "long", duration, `{"seconds":99999999999999999999}`, "out_of_range"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := decodeField(t, Options{}, tc.column, tc.schema, tc.value); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestGeometriesVectorsAndOtherNestedValues(t *testing.T) {
	point := namedStruct("io.debezium.data.geometry.Point", "x double, y double, wkb? bytes, srid? int32")
	geometry := namedStruct("io.debezium.data.geometry.Geometry", "wkb bytes, srid? int32")
	const geometryColumn = "struct<wkb: binary,srid: int>"
	const vector = `{"type":"array","items":{"type":"float","optional":false},"optional":true,"name":"io.debezium.data.FloatVector","version":1`
	const list = `{"type":"array","items":{"type":"int32","optional":true},"optional":true`
	nested := strings.Replace(structSchema("A int32, b? string"), `"fields":[`, `"fields":[`+list+`,"field":"l"},`, 1)
	deep := strings.Repeat(`{"type":"array","items":`, 70) + `{"type":"int32"` + strings.Repeat(`}`, 70)
	for _, tc := range []struct{ name, column, schema, value, want string }{
		{"a point", geometryColumn, point, `{"x":1.0,"y":-2.5,"wkb":"AQI=","srid":4326}`, `{"wkb":"hex:0102","srid":"4326"}`},
		{"a point without wkb", geometryColumn, point, `{"x":1.0,"y":-2.5,"wkb":null,"srid":null}`, `{"wkb":"hex:0101000000000000000000f03f00000000000004c0","srid":null}`},
		{"a point without a coordinate", geometryColumn, point, `{"x":null,"y":-2.5,"wkb":null,"srid":null}`, `{"wkb":null,"srid":null}`},
		{"a point whose coordinate is text", geometryColumn, point, `{"x":"1","y":-2.5,"wkb":null,"srid":null}`, "type_mismatch"},
		{"a point without a member", geometryColumn, point, `{"x":1.0,"y":-2.5,"wkb":"AQI="}`, "schema_mismatch"},
		{"a geometry", geometryColumn, geometry, `{"srid":null,"wkb":"AQI="}`, `{"wkb":"hex:0102","srid":null}`},
		{"a geometry without wkb", geometryColumn, geometry, `{"wkb":null,"srid":null}`, "null_in_required"},
		{"a geometry with bad base64", geometryColumn, geometry, `{"wkb":"A","srid":null}`, "invalid_base64"},
		{"a geometry with an SRID beyond int", geometryColumn, geometry, `{"wkb":"","srid":2147483648}`, "out_of_range"},
		{"a geometry twice", geometryColumn, geometry, `{"wkb":"","wkb":"","srid":1}`, "duplicate_member"},
		{"a geometry with an escaped name", geometryColumn, geometry, `{"\u0077kb":"AQI=","srid":1}`, `{"wkb":"hex:0102","srid":"1"}`},
		{"a geometry and more", geometryColumn, geometry, `{"wkb":"","srid":1,"z":2}`, "schema_mismatch"},
		{"text for a geometry", geometryColumn, geometry, `"AQI="`, "type_mismatch"},
		{"no geometry", geometryColumn, geometry, `null`, "null"},
		{"a geometry for a string", "string", geometry, `null`, "lossy: id! int, v struct<wkb: binary, srid: int>"},
		{"a geometry of other fields", geometryColumn, namedStruct("io.debezium.data.geometry.Geometry", "wkb string, srid? int32"), `null`, "type_mismatch"},
		{"the placeholder for a geometry's bytes", geometryColumn, geometry, `{"wkb":"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==","srid":1}`, "schema_mismatch"},
		{"a vector", "list<float>", vector, `[1.5,-0.25,3.4028235E38]`, `["1.5","-0.25","3.4028235e+38"]`},
		{"an empty vector", "list<float>", vector, `[]`, `[]`},
		{"a vector with spaces", "list<float>", vector, " [ 1 , 2 ] ", `["1","2"]`},
		{"a null in a vector", "list<float>", vector, `[null]`, "null_in_required"},
		{"a number beyond float", "list<float>", vector, `[1e39]`, "out_of_range"},
		{"a vector that does not end", "list<float>", vector, `[1,`, "invalid_json"},
		{"a vector with a comma too many", "list<float>", vector, `[1,]`, "invalid_json"},
		{"a vector for a scalar", "list<float>", vector, `1`, "type_mismatch"},
		{"a list with nulls", "list<int>", list, `[1,null]`, `["1",null]`},
		{"another element type", "list<long>", list, `[1]`, "lossy: id! int, v list<int>"},
		{"a struct with a list", "struct<l: list<int>,a: int,b: string>", nested, `{"l":[1],"A":5,"b":"\n"}`, `{"l":["1"],"a":"5","b":"\u000a"}`},
		{"an array of nothing known", "string", `{"type":"array","optional":true`, `[]`, "type_mismatch"},
		{"an array of maps", "string", `{"type":"array","items":{"type":"map"}`, `[]`, "type_mismatch"},
		{"a struct of nothing", "string", `{"type":"struct","fields":[]`, `{}`, "type_mismatch"},
		{"fields that are equal ignoring case", "string", structSchema("a int32, A int32"), `{}`, "type_mismatch"},
		{"a field name that no type can show", "string", structSchema("a:b int32"), `{}`, "type_mismatch"},
		{"a schema nested too deeply", "string", deep, `[]`, "invalid_json"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := decodeField(t, Options{}, tc.column, tc.schema, tc.value); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// A row that fails in the middle of a nested value leaves nothing of it behind.
func TestHalfANestedValueIsTakenBack(t *testing.T) {
	d := NewDecoder(Options{})
	d.Bind(table(t, "id! int, s struct<a: list<int>,b: string>, l list<string>"))
	schema := `{"type":"struct","optional":true,"fields":[{"type":"int32","field":"id"},{"type":"struct","optional":true,"field":"s","fields":[` +
		`{"type":"array","optional":true,"items":{"type":"int32"},"field":"a"},{"type":"string","optional":true,"field":"b"}]},` +
		`{"type":"array","optional":true,"items":{"type":"string"},"field":"l"}]`
	value := func(s, l string) []byte {
		return fmt.Appendf(nil, `{"schema":{"type":"struct","name":"x.Envelope","fields":[%s,"field":"before"},%s,"field":"after"}]},"payload":%s}`,
			schema, schema, record("c", "null", `{"id":1,"s":`+s+`,"l":`+l+`}`))
	}
	for _, tc := range []struct{ s, l, want string }{
		{`{"a":[1,2],"b":"x"}`, `["y"]`, `1|{"a":["1","2"],"b":"x"}|["y"]`},
		{`{"a":[1,2,"3"],"b":"x"}`, `["y"]`, "type_mismatch"},
		{`{"a":[7],"b":5}`, `["y"]`, "type_mismatch"},
		{`{"a":[7],"b":"x"}`, `["y",5]`, "type_mismatch"},
		{`null`, `["z"]`, `1|null|["z"]`},
	} {
		if got := decodeOne(d, []byte(`{"id":1}`), value(tc.s, tc.l)); got != tc.want {
			t.Errorf("%s, %s: got %s, want %s", tc.s, tc.l, got, tc.want)
		}
	}
}
