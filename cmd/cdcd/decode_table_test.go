package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tableConfig writes a configuration with one table, whose settings are given.
func tableConfig(t *testing.T, settings string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cdcd.toml")
	text := "kafka.brokers = [\"b:1\"]\ncatalog = {uri = \"sqlite:c.db\", warehouse = \"file:///w\"}\n" + settings
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// With -config and -table, a record is decoded with every setting of the table.
func TestDecodeTakesTheSettingsOfATable(t *testing.T) {
	const source = `"source":{"connector":"mysql","ts_ms":1},"ts_ms":2`
	one := new(`{"id":1}`)
	for _, tc := range []struct {
		name     string
		settings string
		key      *string
		value    string
		want     string
	}{
		{"time", `time = "string"`, one, `{"schema":{"type":"struct","name":"x.Envelope","fields":[{"type":"struct","field":"after","optional":true,"fields":[` +
			`{"type":"int32","field":"id"},{"type":"int64","field":"t","name":"io.debezium.time.MicroTime"}]},{"type":"string","field":"op"}]},` +
			`"payload":{"after":{"id":1,"t":-1},"op":"c"}}`, `{"id":"int","t":"string"}`},
		{"binary and types", "binary = \"hex\"\ntypes = {b = \"binary\"}", one, `{"after":{"id":1,"b":"ff"},` + source + `,"op":"c"}`, `"b":"binary"`},
		{"unsigned", `unsigned = ["n"]`, one, `{"schema":{"type":"struct","name":"x.Envelope","fields":[{"type":"struct","field":"after","optional":true,"fields":[` +
			`{"type":"int32","field":"id"},{"type":"int64","field":"n"}]},{"type":"string","field":"op"}]},"payload":{"after":{"id":1,"n":-1},"op":"c"}}`, `18446744073709551615`},
		{"shape", `shape = "flattened"`, one, `{"id":1,"op":"x"}`, `upsert {"id":"1"} {"id":"1","op":"x"}`},
		{"prefixes", `flattened = {prefix = "cdc_", header_prefix = "h_"}`, one, `{"id":1,"cdc_op":"d"}`, `delete d {"id":"1"}`},
		{"added fields", "flattened = {keep_added = true}\nshape = \"flattened\"", one, `{"id":1,"__op":"c"}`, `"__op":"c"`},
		{"placeholder", `placeholder = "n/a"`, one, `{"after":{"id":1,"v":"n/a"},` + source + `,"op":"u"}`, `upsert_partial u {"id":"1"} {"id":"1"} {"id":"long"} ["v"]`},
		{"truncate", `truncate = "ignore"`, nil, `{"before":null,"after":null,` + source + `,"op":"t"}`, `ignore t truncate_ignored`},
		{"another topic", `side_topics = {t = "signal"}`, one, `{"whatever":1}`, `ignore signal`},
		{"key", `key = ["v"]`, one, `{"after":{"id":1,"v":2},` + source + `,"op":"c"}`, `upsert c {"v":"2"}`},
		{"mode", `mode = "changelog"`, nil, `{"before":{"v":2},"after":null,` + source + `,"op":"d"}`, `append d {"v":"2"}`},
		{"no key", ``, nil, `{"after":{"id":1},` + source + `,"op":"c"}`, `error null_key`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			config := tableConfig(t, "[[table]]\ntopic = \"shop\"\nname = \"d.t\"\n"+tc.settings+"\n")
			if got := answerTo(t, tc.key, &tc.value, nil, "-config", config, "-table", "d.t"); !strings.Contains(got, tc.want) {
				t.Errorf("got %s, want %s in it", got, tc.want)
			}
		})
	}
}

func TestDecodeRefusesATableThatItDoesNotFind(t *testing.T) {
	config := tableConfig(t, "[[table]]\ntopic = \"shop\"\nname = \"d.t\"\n")
	for _, args := range [][]string{
		{"-table", "d.t"},
		{"-config", config},
		{"-config", config, "-table", "d.u"},
		{"-config", config + "x", "-table", "d.t"},
		{"-config", config, "-table", "d.t", "-shape", "flattened"},
		{"-config", config, "-table", "d.t", "-key", "id"},
	} {
		if code, out, log := decode(t, "", args...); code != exitUsage || out != nil || log == "" {
			t.Errorf("%v: exit code %d, %q", args, code, log)
		}
	}
}

// An update that moves a row under a configured key names the key that goes.
func TestDecodeTellsTheKeyThatARowHadBefore(t *testing.T) {
	line := `{"name":"n","topic":"t","key":"{\"id\":1}","value":"{\"before\":{\"id\":1,\"v\":2},\"after\":{\"id\":1,\"v\":3},\"source\":{},\"op\":\"u\"}"}`
	code, answers, log := decode(t, line, "-key", "v")
	if code != exitDone || len(answers) != 1 {
		t.Fatalf("exit code %d, %d answers, %s", code, len(answers), log)
	}
	if old, _ := answers[0]["old_key"].(map[string]any); old["v"] != "2" {
		t.Errorf("got %v, want the old key v = 2", answers[0])
	}
}
