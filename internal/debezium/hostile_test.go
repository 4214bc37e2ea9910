package debezium

import (
	"fmt"
	"strings"
	"testing"
)

// mangled returns the sample record with a piece of its text replaced.
func mangled(t *testing.T, embedded bool, from, to string) (key, value []byte) {
	t.Helper()
	keys, values := sampleRecords(1, embedded)
	text := strings.Replace(string(values[0]), from, to, 1)
	if text == string(values[0]) {
		t.Fatalf("the sample has no %s", from)
	}
	return keys[0], []byte(text)
}

// A name that occurs twice makes a record ambiguous, wherever it stands, however it is spelled, and whatever was remembered of
// sound records before.
func TestDuplicateMembersAreRefusedAtEveryLevel(t *testing.T) {
	const image = `{"order_id":1000000,"cust_id":1,"cust_id":2}`
	for _, tc := range []struct{ name, from, to string }{
		{"in the envelope", `"op":"u"`, `"op":"u","op":"u"`},
		{"in the envelope, escaped", `"op":"u"`, `"op":"u","\u006fp":"u"`},
		{"in the envelope, unknown", `"op":"u"`, `"op":"u","x":1,"x":2`},
		{"in the row", `"gift":false`, `"gift":false,"gift":false`},
		{"in the row, escaped", `"gift":false`, `"gift":false,"\u0067ift":false`},
		{"in the row, in other case", `"gift":false`, `"gift":false,"GIFT":false`},
		{"in the row before", `"before":null`, `"before":` + image},
		{"in the row before, escaped", `"before":null`, `"before":{"a":1,"\u0061":1}`},
		{"in the source block", `"thread":18`, `"thread":18,"thread":18`},
		{"in the source block, far away", `"thread":18`, `"thread":18,"version":"x"`},
		{"in the source block, escaped", `"thread":18`, `"thread":18,"\u0074hread":18`},
		{"in a member of the source block", `"query":null`, `"query":{"a":1,"a":1}`},
		{"in the transaction", `"transaction":null`, `"transaction":{"id":"x","total_order":1,"total_order":2}`},
		{"in a list of an unknown member", `"op":"u"`, `"op":"u","x":[{},{"y":{"z":1,"z":1}}]`},
		{"after many others", `"op":"u"`, `"op":"u","x":{"a":0` + wideMembers(50) + `,"c7":1}`},
	} {
		for _, embedded := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, embedded %v", tc.name, embedded), func(t *testing.T) {
				d := NewDecoder(Options{})
				d.Bind(sample())
				key, value := mangled(t, embedded, tc.from, tc.to)
				keys, values := sampleRecords(1, embedded)
				for range 2 {
					got := decodeOne(d, key, value)
					if schema := embedded && tc.name == "in the row, in other case" || embedded && strings.HasPrefix(tc.name, "in the row before, escaped"); got != "duplicate_member" && (!schema || got != "schema_mismatch") {
						t.Fatalf("got %s, want duplicate_member", got)
					}
					if got := decodeOne(d, keys[0], values[0]); !strings.HasPrefix(got, "1000000|") {
						t.Fatalf("the sound record: got %s", got)
					}
				}
			})
		}
	}
	for name, value := range map[string]string{
		"in a schema":               `{"schema":{"type":"struct","type":"struct"},"payload":{}}`,
		"in a field of a schema":    `{"schema":{"type":"struct","fields":[{"field":"a","type":"int32","field":"b"}]},"payload":{}}`,
		"in the parameters":         `{"schema":{"type":"struct","parameters":{"scale":"1","scale":"2"}},"payload":{}}`,
		"in a default":              `{"schema":{"type":"struct","default":{"a":1,"a":2}},"payload":{}}`,
		"in what is no schema":      `{"schema":{"x":{"a":1,"a":2}},"payload":{}}`,
		"in a record with a schema": `{"schema":null,"payload":{"op":"c","op":"c"}}`,
	} {
		d := NewDecoder(Options{})
		d.Bind(sample())
		if got := decodeOne(d, []byte(`{"order_id":1}`), []byte(value)); got != "duplicate_member" {
			t.Errorf("%s: got %s, want duplicate_member", name, got)
		}
	}
	d := NewDecoder(Options{})
	d.Bind(sample())
	_, values := sampleRecords(1, false)
	if got := decodeOne(d, []byte(`{"order_id":1000000,"order_id":1000000}`), values[0]); got != "invalid_key" {
		t.Errorf("in the key: got %s, want invalid_key", got)
	}
}

func TestTextThatIsNoJSONHasItsReason(t *testing.T) {
	for _, tc := range []struct{ name, from, to, want string }{
		{"NaN", `"weight":1.25`, `"weight":NaN`, "invalid_json"},
		{"Infinity", `"weight":1.25`, `"weight":-Infinity`, "invalid_json"},
		{"a plus sign", `"weight":1.25`, `"weight":+1`, "invalid_json"},
		{"a leading zero", `"weight":1.25`, `"weight":01`, "invalid_json"},
		{"a leading point", `"weight":1.25`, `"weight":.5`, "invalid_json"},
		{"a trailing point", `"weight":1.25`, `"weight":1.`, "invalid_json"},
		{"an exponent without digits", `"weight":1.25`, `"weight":1e+`, "invalid_json"},
		{"a hexadecimal number", `"weight":1.25`, `"weight":0x10`, "invalid_json"},
		{"a comment", `"weight":1.25`, `"weight":1.25/* */`, "invalid_json"},
		{"a single quote", `"weight":1.25`, `"weight":'1'`, "invalid_json"},
		{"a bare word", `"weight":1.25`, `"weight":nil`, "invalid_json"},
		{"a control character", `left at the door`, "left\x01", "invalid_json"},
		{"a line feed in a string", `left at the door`, "left\n", "invalid_json"},
		{"an unknown escape", `left at the door`, `left\x41`, "invalid_json"},
		{"an escape cut short", `left at the door`, `left\u00`, "invalid_json"},
		{"a high surrogate alone", `left at the door`, `left\ud83d`, "invalid_utf8"},
		{"a low surrogate alone", `left at the door`, `left\ude00`, "invalid_utf8"},
		{"a high surrogate before another", `left at the door`, `left\ud83d\ud83d`, "invalid_utf8"},
		{"a surrogate in a name", `"note":`, `"\ud83dnote":`, "invalid_utf8"},
		{"half a character", `left at the door`, "left\xe2\x82", "invalid_utf8"},
		{"an overlong NUL", `left at the door`, "left\xc0\x80", "invalid_utf8"},
		{"a surrogate in UTF-8", `left at the door`, "left\xed\xa0\x80", "invalid_utf8"},
		{"a NUL between tokens", `"op":"u"`, "\x00\"op\":\"u\"", "invalid_json"},
		{"a no-break space between tokens", `"op":"u"`, "\u00a0\"op\":\"u\"", "invalid_json"},
		{"a comma too many", `"op":"u"`, `"op":"u",,"x":1`, "invalid_json"},
		{"a number beyond double", `"weight":1.25`, `"weight":1e999`, "out_of_range"},
		{"a number of 400 digits", `"cust_id":8887`, `"cust_id":` + strings.Repeat("9", 400), "out_of_range"},
		{"a number of 4,000 digits", `"cust_id":8887`, `"cust_id":` + strings.Repeat("9", 4000), "out_of_range"},
		{"a number of 4,000 digits that nobody reads", `"thread":18`, `"thread":` + strings.Repeat("9", 4000), "out_of_range"},
		{"an exponent of 400 digits", `"weight":1.25`, `"weight":1e` + strings.Repeat("9", 400), "out_of_range"},
		{"an integer with a fraction", `"cust_id":8887`, `"cust_id":8887.0`, "type_mismatch"},
		{"an integer with an exponent", `"cust_id":8887`, `"cust_id":1e2`, "type_mismatch"},
		{"a decimal with an exponent", `"total":"EtaH"`, `"total":1E1000000`, "out_of_range"},
		{"a decimal with a tiny exponent", `"total":"EtaH"`, `"total":1E-1000000`, "out_of_range"},
	} {
		for _, embedded := range []bool{false, true} {
			d := NewDecoder(Options{})
			d.Bind(sample())
			key, value := mangled(t, embedded, tc.from, tc.to)
			if got := decodeOne(d, key, value); got != tc.want && (!embedded || tc.want != "invalid_utf8" || got != "schema_mismatch") {
				t.Errorf("%s, embedded %v: got %s, want %s", tc.name, embedded, got, tc.want)
			}
		}
	}
}

func TestWhatStandsAroundARecordIsRefused(t *testing.T) {
	keys, values := sampleRecords(1, false)
	_, embedded := sampleRecords(1, true)
	for _, value := range [][]byte{values[0], embedded[0]} {
		for _, tc := range []struct{ name, before, after, want string }{
			{"a byte order mark", "\ufeff", "", "invalid_json"},
			{"a NUL behind", "", "\x00", "invalid_json"},
			{"a brace behind", "", "}", "invalid_json"},
			{"a second record", "", string(value), "invalid_json"},
			{"a comma", "", ",", "invalid_json"},
			{"white space", " \t\r\n", "\n\t \r", ""},
			{"a bad byte behind", "", "\xff", "invalid_utf8"},
			{"a form feed", "", "\f", "invalid_json"},
			{"a Confluent frame", "\x00\x00\x00\x00\x2a", "", "invalid_json"},
			{"a Glue frame", "\x03\x00" + strings.Repeat("x", 16), "", "invalid_json"},
		} {
			d := NewDecoder(Options{})
			d.Bind(sample())
			for range 2 {
				got := decodeOne(d, keys[0], []byte(tc.before+string(value)+tc.after))
				if tc.want == "" && strings.HasPrefix(got, "1000000|") {
					continue
				}
				if got != tc.want {
					t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
				}
			}
		}
	}
}

func TestNestingIsBoundedAt64(t *testing.T) {
	d := NewDecoder(Options{})
	d.Bind(sample())
	for _, tc := range []struct {
		depth int
		want  string
	}{{63, "1000000|"}, {64, "invalid_json"}, {1000, "invalid_json"}, {200_000, "invalid_json"}} {
		for _, brackets := range []string{"[ ]", `{"a": }`} {
			open, closed, _ := strings.Cut(brackets, " ")
			deep := strings.Repeat(open, tc.depth) + "1" + strings.Repeat(closed, tc.depth)
			key, value := mangled(t, false, `"transaction":null`, `"transaction":`+deep)
			if got := decodeOne(d, key, value); !strings.HasPrefix(got, tc.want) {
				t.Errorf("%s %d deep, and the envelope: got %s, want %s", brackets, tc.depth, got, tc.want)
			}
		}
	}
}

func TestATableHas2000ColumnsAtMost(t *testing.T) {
	for _, tc := range []struct {
		columns int
		want    string
	}{{2000, ""}, {2001, "too_large"}} {
		var fields, values strings.Builder
		fields.WriteString("id int32")
		values.WriteString(`"id":1`)
		for i := range tc.columns - 1 {
			fmt.Fprintf(&fields, ", c%d? int32", i)
			fmt.Fprintf(&values, `,"c%d":%d`, i, i)
		}
		plain := record("c", "null", "{"+values.String()+"}")
		for name, value := range map[string][]byte{
			"enveloped": plain, "embedded": typed(fields.String(), plain),
			"flattened": []byte(`{"__op":"c",` + values.String() + "}"), "embedded and flattened": []byte(flat("x.Value", fields.String(), "{"+values.String()+"}")),
		} {
			d := NewDecoder(Options{})
			rows, _, err := apply(d, typedKey("id int32", `{"id":1}`), value)
			got := ""
			if err != nil {
				got, _, _ = strings.Cut(err.Error(), ":")
			} else if len(rows.Vectors) != tc.columns {
				t.Errorf("%s: %d columns, want %d", name, len(rows.Vectors), tc.columns)
			}
			if got != tc.want {
				t.Errorf("%d columns, %s: got %q, want %q", tc.columns, name, got, tc.want)
			}
		}
	}
}

// Members come in any order, with any white space, and with escapes in their names; other languages' characters stay as they
// are.
func TestTheSameRecordInOtherSpellings(t *testing.T) {
	const want = "1|héllo\u2028日本😀|1.50"
	const source, row = `{"connector":"mysql","ts_ms":5}`, `{"id":1,"näme":"héllo` + "\u2028" + `日本😀","m":1.5}`
	d := NewDecoder(Options{})
	d.Bind(table(t, "id! int, näme string, m decimal(4,2)"))
	for name, value := range map[string]string{
		"as 2.6 and before print it": `{"before":null,"after":` + row + `,"source":` + source + `,"op":"c","ts_ms":6,"transaction":null}`,
		"as 2.7 and later print it":  `{"before":null,"after":` + row + `,"source":` + source + `,"transaction":null,"op":"c","ts_ms":6,"ts_us":6000,"ts_ns":6000000}`,
		"op first":                   `{"op":"c","source":` + source + `,"after":` + row + `}`,
		"after last":                 `{"op":"c","before":null,"source":` + source + `,"after":` + row + `}`,
		"after before before":        `{"after":` + row + `,"before":{"id":0},"op":"u"}`,
		"unknown members":            `{"x":{"y":[1,{"z":null}]},"op":"c","after":` + row + `,"extra":"\u0000"}`,
		"columns in another order":   `{"op":"c","after":{"m":1.5,"näme":"héllo` + "\u2028" + `日本😀","id":1}}`,
		"escapes everywhere":         `{"\u006f\u0070":"c","\u0061fter":{"\u0069d":1,"n\u00e4me":"h\u00e9llo\u2028\u65e5\u672c\ud83d\ude00","\u006D":1.5}}`,
		"white space everywhere":     " { \"op\" :\t\"c\" ,\r\n\"after\" : { \"id\" : 1 , \"näme\" : \"héllo\u2028日本😀\" , \"m\" : 1.5 } } ",
		"upper case":                 `{"op":"c","after":{"ID":1,"NÄME":"héllo` + "\u2028" + `日本😀","M":1.5}}`,
		"a decimal's other spelling": `{"op":"c","after":{"id":1,"näme":"héllo` + "\u2028" + `日本😀","m":0.15e1}}`,
	} {
		for range 2 {
			if got := decodeOne(d, []byte(`{"id":1}`), []byte(value)); got != want {
				t.Errorf("%s: got %s, want %s", name, got, want)
			}
		}
	}
}

// Source blocks of MySQL and MariaDB, old and new, with members that nobody knows.
func TestConnectorsOfAllVersionsAreRead(t *testing.T) {
	d := NewDecoder(Options{})
	d.Bind(table(t, "id! int"))
	for name, source := range map[string]string{
		"MySQL 2.1":          `"version":"2.1.4.Final","connector":"mysql","name":"shop","ts_ms":5,"snapshot":"false","db":"d","sequence":null,"table":"t","server_id":1,"gtid":null,"file":"f","pos":4,"row":0,"thread":7,"query":null`,
		"MySQL 3.7":          `"version":"3.7.0.Alpha2","connector":"mysql","name":"shop","ts_ms":5,"snapshot":"false","db":"d","sequence":null,"ts_us":5000,"ts_ns":5000000,"table":"t","server_id":1,"gtid":"3e11fa47-71ca-11e1-9e33-c80aa9429562:tag:23","file":"f","pos":4,"row":0,"thread":7,"query":"UPDATE \"x\""`,
		"MariaDB 2.7":        `"version":"2.7.4.Final","connector":"mariadb","name":"shop","ts_ms":5,"snapshot":"false","db":"d","sequence":null,"ts_us":5000,"ts_ns":5000000,"table":"t","server_id":1,"gtid":"0-1-23","file":"mysqld-bin.ibb","pos":4,"row":0,"thread":7,"query":null`,
		"a later one":        `"version":"9","connector":"mysql","name":"shop","ts_ms":5,"snapshot":null,"db":"d","more":{"a":[1]},"table":null`,
		"a boolean marker":   `"connector":"mysql","ts_ms":5,"snapshot":false`,
		"nothing but a time": `"ts_ms":5`,
	} {
		value := fmt.Appendf(nil, `{"before":null,"after":{"id":1},"source":{%s},"op":"u","ts_ms":6}`, source)
		for range 2 {
			if got := decodeRecord(d, Record{Key: []byte(`{"id":1}`), Value: value}); got != "u 1 at 5" {
				t.Errorf("%s: got %s", name, got)
			}
		}
	}
	for marker, want := range map[string]string{
		"first": "first", "true": "true", "first_in_data_collection": "first_in_data_collection", "last_in_data_collection": "last_in_data_collection",
		"last": "last", "incremental": "incremental", "blocking": "other",
	} {
		value := fmt.Appendf(nil, `{"before":null,"after":{"id":1},"source":{"connector":"mysql","snapshot":%q},"op":"r"}`, marker)
		if got := decodeRecord(d, Record{Key: []byte(`{"id":1}`), Value: value}); got != "r 1 snapshot "+want {
			t.Errorf("%s: got %s, want %s", marker, got, want)
		}
	}
}
