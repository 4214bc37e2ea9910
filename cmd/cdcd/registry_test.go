package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr/srfake"
)

// The check says whether the registry answers, and lets cdcd in.
func TestCheckAsksTheRegistry(t *testing.T) {
	w := newWorld(t, items("shop.item"))
	config := w.configure("registry", "20ms")
	registry := srfake.New(srfake.WithAuth("Bearer right"))
	t.Cleanup(registry.Close)
	t.Setenv("TEST_REGISTRY_TOKEN", "right")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	settings := fmt.Sprintf("\n[registry]\ntype = \"confluent\"\nurl = %q\ntoken = \"${TEST_REGISTRY_TOKEN}\"\n", registry.URL())
	if err := os.WriteFile(config, append(text, settings...), 0o600); err != nil {
		t.Fatal(err)
	}
	sound := [][]string{{"ok", "configuration", "1 tables"}, {"ok", "kafka"}, {"ok", "schema registry: " + registry.URL()}, {"ok", "catalog"}, {"ok", "write access"}, {"ok", "table shop.item"}}
	w.check(exitDone, config, sound...)
	t.Setenv("TEST_REGISTRY_TOKEN", "wrong")
	_, out, _ := command(t, "check", "-config", config, "-timeout", "2s")
	if !strings.Contains(out, "FAIL  schema registry: access_denied") || !strings.Contains(out, "hint: ") || strings.Contains(out, "wrong") {
		t.Errorf("the check says:\n%s", out)
	}
	registry.Close()
	_, out, _ = command(t, "check", "-config", config, "-timeout", "2s")
	if !strings.Contains(out, "FAIL  schema registry: ") {
		t.Errorf("without a registry the check says:\n%s", out)
	}
}

// A line's schemas stand for whatever a registry would be asked.
func TestDecodeTakesSchemasFromTheLine(t *testing.T) {
	const (
		keySchema   = `{"type":"record","name":"Key","fields":[{"name":"id","type":"int"}]}`
		valueSchema = `{"type":"record","name":"s.t.Value","fields":[{"name":"id","type":"int"},{"name":"v","type":["string","null"]}]}`
	)
	encode := base64.StdEncoding.EncodeToString
	key, value := []byte{0, 0, 0, 0, 1, 2}, []byte{0, 0, 0, 0, 2, 2, 0, 2, 'x'}
	for _, tc := range []struct {
		name            string
		key, value      *string
		keySchema, text any
		want            string
	}{
		{"both", new(encode(key)), new(encode(value)), json.RawMessage(keySchema), json.RawMessage(valueSchema), `upsert {"id":"1"} {"id":"1","v":"x"}`},
		{"as text", new(encode(key)), new(encode(value)), keySchema, valueSchema, `upsert {"id":"1"} {"id":"1","v":"x"}`},
		{"a tombstone", new(encode(key)), nil, json.RawMessage(keySchema), nil, `ignore tombstone {"id":"1"}`},
		{"a JSON key beside it", new(encode([]byte(`{"id":1}`))), new(encode(value)), nil, json.RawMessage(valueSchema), `upsert {"id":"1"} {"id":"1","v":"x"}`},
		{"no schema for the value", new(encode(key)), new(encode(value)), json.RawMessage(keySchema), nil, "error unknown_schema"},
		{"no schema for the key", new(encode(key)), new(encode(value)), nil, json.RawMessage(valueSchema), "error unknown_schema"},
		{"no schema at all", new(encode(key)), new(encode(value)), nil, nil, "error invalid_json"},
		{"another magic", new(encode(key)), new(encode([]byte{9, 9})), json.RawMessage(keySchema), json.RawMessage(valueSchema), "error unknown_magic"},
		{"bytes after the body", new(encode(key)), new(encode(append(value, 0))), json.RawMessage(keySchema), json.RawMessage(valueSchema), "error short_body"},
		{"a schema that is none", new(encode(key)), new(encode(value)), json.RawMessage(keySchema), json.RawMessage(`{}`), "error schema_mismatch"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			line, err := json.Marshal(map[string]any{
				"name": "n", "topic": "t", "key": tc.key, "value": tc.value, "key_encoding": "base64", "value_encoding": "base64",
				"avro_key_schema": tc.keySchema, "avro_value_schema": tc.text,
			})
			if err != nil {
				t.Fatal(err)
			}
			code, answers, log := decode(t, string(line))
			if code != exitDone || len(answers) != 1 {
				t.Fatalf("exit code %d, %d answers, %s", code, len(answers), log)
			}
			var parts []string
			for _, member := range []string{"action", "reason", "key", "row"} {
				if v, ok := answers[0][member]; ok {
					text, err := json.Marshal(v)
					if err != nil {
						t.Fatal(err)
					}
					parts = append(parts, strings.Trim(string(text), `"`))
				}
			}
			if got := strings.Join(parts, " "); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}
