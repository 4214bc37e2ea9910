package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// decode runs cdcd decode on lines.
func decode(t *testing.T, lines string, args ...string) (code int, out []map[string]any, log string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = execute(&console{ctx: t.Context(), in: strings.NewReader(lines), out: &stdout, err: &stderr}, append([]string{"decode"}, args...))
	for line := range strings.SplitSeq(strings.TrimSuffix(stdout.String(), "\n"), "\n") {
		if line == "" {
			continue
		}
		var answer map[string]any
		if err := json.Unmarshal([]byte(line), &answer); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		out = append(out, answer)
	}
	return code, out, stderr.String()
}

// expectation is what a line of the fixtures says of its record.
type expectation struct {
	Name   string         `json:"name"`
	Expect map[string]any `json:"expect"`
}

// Every golden message has the expected answer.
func TestDecodeAnswersTheGoldenMessages(t *testing.T) {
	files, err := filepath.Glob("../../internal/debezium/testdata/*.jsonl")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		code, answers, log := decode(t, string(text))
		lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		if code != exitDone || log != "" || len(answers) != len(lines) {
			t.Fatalf("%s: exit code %d, %d answers to %d lines, standard error %q", path, code, len(answers), len(lines), log)
		}
		for i, line := range lines {
			var want expectation
			if err := json.Unmarshal([]byte(line), &want); err != nil {
				t.Fatal(err)
			}
			t.Run(want.Name, func(t *testing.T) {
				compareAnswer(t, want, answers[i])
			})
		}
	}
}

// compareAnswer compares all that a fixture expects, and that nothing else is there which says what becomes of the record.
func compareAnswer(t *testing.T, want expectation, got map[string]any) {
	t.Helper()
	if got["name"] != want.Name {
		t.Errorf("got the name %v, want %v", got["name"], want.Name)
	}
	for _, member := range []string{"action", "key", "row", "types", "op", "reason", "unchanged"} {
		w, ok := want.Expect[member]
		if !ok || w == "none" {
			if member == "row" || member == "reason" || member == "unchanged" {
				if got[member] != nil {
					t.Errorf("%s is %v, want none", member, got[member])
				}
			}
			continue
		}
		var options cmp.Options
		if member == "row" {
			options = append(options, cmp.FilterPath(isFloat(want), cmp.Comparer(sameFloat)))
		}
		if diff := cmp.Diff(w, got[member], options); diff != "" {
			t.Errorf("%s (-want +got):\n%s", member, diff)
		}
	}
}

// isFloat selects the values of float and double columns, which are compared as numbers.
func isFloat(want expectation) func(cmp.Path) bool {
	types, _ := want.Expect["types"].(map[string]any)
	return func(p cmp.Path) bool {
		for _, step := range p {
			if index, ok := step.(cmp.MapIndex); ok {
				return types[index.Key().String()] == "float" || types[index.Key().String()] == "double"
			}
		}
		return false
	}
}

func sameFloat(a, b any) bool {
	x, errX := strconv.ParseFloat(fmt.Sprint(a), 64)
	y, errY := strconv.ParseFloat(fmt.Sprint(b), 64)
	return errX == nil && errY == nil && x == y
}

// What is no record is reported with its line's number, and does not keep the other lines from being decoded.
func TestDecodeReportsLinesThatHoldNoRecord(t *testing.T) {
	good := `{"name":"n","topic":"t","key":"{\"id\":1}","value":"{\"before\":null,\"after\":{\"id\":1},\"source\":{},\"op\":\"c\"}"}`
	for _, tc := range []struct{ name, line, want string }{
		{"no JSON", `{"name":`, "unexpected end"},
		{"an array", `[]`, "cannot unmarshal array"},
		{"no value", `{"name":"n","key":null}`, `"value" is absent`},
		{"no key", `{"name":"n","value":null}`, `"key" is absent`},
		{"a number for a value", `{"key":null,"value":5}`, "value:"},
		{"an unknown encoding", `{"key":null,"value":"","value_encoding":"hex"}`, `"hex" is not base64`},
		{"bad base64", `{"key":"%","key_encoding":"base64","value":null}`, "illegal base64"},
		{"half a surrogate pair", `{"key":null,"value":"\ud800"}`, "not UTF-8"},
		{"half a surrogate pair and an escape", `{"key":null,"value":"\udbff\u0041"}`, "not UTF-8"},
		{"bytes that are not UTF-8", "{\"key\":null,\"value\":\"\xff\"}", "not UTF-8"},
		{"headers that are no object", `{"key":null,"value":null,"headers":[]}`, "headers"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, answers, log := decode(t, good+"\n\n"+tc.line+"\n"+good)
			if code != exitFailed || !strings.Contains(log, errDecodeLines.Error()) || len(answers) != 3 {
				t.Fatalf("exit code %d, %d answers, standard error %q", code, len(answers), log)
			}
			if answers[0]["action"] != "upsert" || answers[2]["action"] != "upsert" {
				t.Errorf("the lines around it: %v, %v", answers[0], answers[2])
			}
			if answers[1]["line"] != 3.0 || !strings.Contains(fmt.Sprint(answers[1]["error"]), tc.want) {
				t.Errorf("got %v, want line 3 and %q", answers[1], tc.want)
			}
		})
	}
	code, answers, _ := decode(t, "")
	if code != exitDone || answers != nil {
		t.Errorf("no lines: exit code %d, %v", code, answers)
	}
	code, answers, _ = decode(t, strings.ReplaceAll(good, `"t"`, `"\u2028\ud83d\ude00\\ud800"`)+"\r\n"+strings.Replace(good, `"name":"n"`, "\"name\":\"\u2028\"", 1))
	if code != exitDone || len(answers) != 2 || answers[1]["name"] != "\u2028" {
		t.Errorf("odd but sound lines: exit code %d, %v", code, answers)
	}
}

// answerTo decodes one record and writes the answer in one line: action, op, reason, key, row, types, unchanged.
func answerTo(t *testing.T, key, value *string, headers map[string]string, args ...string) string {
	t.Helper()
	line, err := json.Marshal(map[string]any{"name": "n", "topic": "t", "key": key, "value": value, "headers": headers})
	if err != nil {
		t.Fatal(err)
	}
	code, answers, log := decode(t, string(line), args...)
	if code != exitDone || len(answers) != 1 {
		t.Fatalf("exit code %d, %d answers, %s", code, len(answers), log)
	}
	var parts []string
	for _, member := range []string{"action", "op", "reason", "key", "row", "types", "unchanged"} {
		if v, ok := answers[0][member]; ok {
			text, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, strings.Trim(strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(text)), `"`))
		}
	}
	return strings.Join(parts, " ")
}

func TestDecodeAnswersByActionAndSetting(t *testing.T) {
	const source = `"source":{"connector":"mysql","ts_ms":1},"ts_ms":2`
	one, none := new(`{"id":1}`), (*string)(nil)
	create := func(after string) *string {
		return new(`{"before":null,"after":` + after + `,` + source + `,"op":"c"}`)
	}
	for _, tc := range []struct {
		name       string
		key, value *string
		headers    map[string]string
		args       []string
		want       string
	}{
		{"names are the record's", new(`{"ID":1}`), create(`{"ID":1,"Name":"x","N":null}`), nil, nil, `upsert c {"ID":"1"} {"ID":"1","N":null,"Name":"x"} {"ID":"long","Name":"string"}`},
		{"a row without a key", none, create(`{"v":"x"}`), nil, nil, `append c {"v":"x"} {"v":"string"}`},
		{"a row with a null key", new("null"), create(`{"v":"x"}`), nil, nil, `append c {"v":"x"} {"v":"string"}`},
		{"an update without a key", none, new(`{"before":{"v":1},"after":{"v":2},` + source + `,"op":"u"}`), nil, nil, "error null_key"},
		{"a delete without a key", none, new(`{"before":{"v":1},"after":null,` + source + `,"op":"d"}`), nil, nil, "error null_key"},
		{"a tombstone without a key", none, none, nil, nil, "error null_key"},
		{"a tombstone", one, none, nil, nil, `ignore tombstone {"id":"1"}`},
		{"a tombstone of a flattened topic", one, none, nil, []string{"-shape", "flattened"}, `delete {"id":"1"}`},
		{"a tombstone whose header has an op", one, none, map[string]string{"__op": "d"}, nil, `delete {"id":"1"}`},
		{"a text that is null", one, new("null"), nil, nil, `delete d {"id":"1"}`},
		{"a text that is null, for envelopes", one, new("null"), nil, []string{"-shape", "envelope"}, "error not_an_object"},
		{"a plain row", one, new(`{"id":1,"v":"x"}`), nil, nil, `upsert {"id":"1"} {"id":"1","v":"x"} {"id":"long","v":"string"}`},
		{"a plain row, for envelopes", one, new(`{"id":1,"v":"x"}`), nil, []string{"-shape", "envelope"}, "error missing_op"},
		{"a plain row of another key", one, new(`{"id":2,"v":"x"}`), nil, nil, "error missing_op"},
		{"a configured key", new("Struct{id=1}"), create(`{"id":1}`), nil, []string{"-key", "id"}, `upsert c {"id":"1"} {"id":"1"} {"id":"long"}`},
		{"a tombstone, a configured key and none in the record", new("Struct{id=1}"), none, nil, []string{"-key", "id"}, "ignore tombstone"},
		{"declared types", one, create(`{"id":1,"d":17702,"m":"EtaH"}`), nil, []string{"-type", "d=date", "-type", "m=decimal(10,2)"}, `upsert c {"id":"1"} {"d":"2018-06-20","id":"1","m":"12345.67"} {"d":"date","id":"long","m":"decimal(10, 2)"}`},
		{"a floating point key", new(`{"id":1.5}`), create(`{"id":1.5}`), nil, nil, "error invalid_key"},
		{"a message", new(`{"prefix":"p"}`), new(`{"op":"m","ts_ms":1,` + `"source":{},"message":{}}`), nil, nil, "ignore m op_m"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := answerTo(t, tc.key, tc.value, tc.headers, tc.args...); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

// An empty value is no tombstone, in base64 neither.
func TestDecodeTellsEmptyFromNull(t *testing.T) {
	for _, line := range []string{
		`{"key":"{\"id\":1}","value":""}`,
		`{"key":"{\"id\":1}","value":"","value_encoding":"base64"}`,
		`{"key":"` + base64.StdEncoding.EncodeToString([]byte(`{"id":1}`)) + `","key_encoding":"base64","value":""}`,
	} {
		code, answers, _ := decode(t, line)
		if code != exitDone || len(answers) != 1 || answers[0]["reason"] != "invalid_json" {
			t.Errorf("%s: exit code %d, %v", line, code, answers)
		}
	}
}

func TestDecodeRefusesWrongSettings(t *testing.T) {
	for _, args := range [][]string{{"-shape", "round"}, {"-time", "never"}, {"-type", "a=uuid"}, {"-type", "a"}, {"-binary", "x"}} {
		if code, out, log := decode(t, "", args...); code != exitUsage || out != nil || log == "" {
			t.Errorf("%v: exit code %d, %q", args, code, log)
		}
	}
	code, out, _ := command(t, "decode", "--help")
	if code != exitDone || !strings.Contains(out, "Every line stands alone") {
		t.Errorf("help: exit code %d:\n%s", code, out)
	}
}

// FuzzDecodeLine checks that no line makes the command fall over, and that each gets an answer or is no record.
func FuzzDecodeLine(f *testing.F) {
	f.Add([]byte(`{"name":"n","topic":"t","key":"{\"id\":1}","value":"{\"after\":{\"id\":1},\"op\":\"c\"}","headers":{"__op":"c"}}`))
	f.Add([]byte(`{"key":null,"value":"AA==","value_encoding":"base64"}`))
	f.Add([]byte(`{"key":"{\"a\":\"x\",\"id\":1}","value":"{\"id\":1,\"g\":{\"wkb\":null}}"}`))
	f.Add([]byte(`{"key":"\ud83d\ude00\\ud800","value":null}`))
	o, err := (decodeCommand{}).options()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		a, err := decodeLine(o, line)
		if err != nil {
			if !errors.Is(err, errNoRecord) {
				t.Fatal(err)
			}
			return
		}
		if _, err := json.Marshal(a); err != nil || a.Action == "" || a.Action == actionError && a.Reason == "" {
			t.Fatalf("%+v, %v", a, err)
		}
	})
}
