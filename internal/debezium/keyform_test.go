package debezium

import (
	"encoding/binary"
	"strings"
	"testing"
)

// connectKey is a record key that carries its schema.
func connectKey(schema, payload string) string {
	return `{"schema":{"type":"struct","fields":[{"type":"` + schema + `","optional":false,"field":"id"}],"optional":false,"name":"s.Key"},"payload":` + payload + `}`
}

func confluentKey(id uint32, body string) string {
	return string(binary.BigEndian.AppendUint32([]byte{0}, id)) + body
}

func glueKey(compression byte, id, body string) string {
	return string([]byte{3, compression}) + strings.Repeat(id, 16) + body
}

// Each group of keys has one form, and no two groups have the same (I13).
func TestKeyFormIsWhatSurroundsTheValues(t *testing.T) {
	inHeader := []Header{{Key: keySchemaHeader, Value: []byte(confluentKey(7, ""))}}
	type key struct {
		text    string
		headers []Header
	}
	plain := func(texts ...string) (out []key) {
		for _, text := range texts {
			out = append(out, key{text: text})
		}
		return out
	}
	for format, groups := range map[Format][][]key{
		JSON: {
			plain(`{"id":1}`, `{"id":-20.5e3}`, `{"id":true}`),
			plain(`{"id": 1}`, `{"id": 22}`),
			plain(`{"id":"1"}`, `{"id":""}`, `{"id":"a\"b,}:\\"}`),
			plain(`{"a":1,"b":2}`, `{"a":10,"b":20}`),
			plain(`{"b":2,"a":1}`),
			plain(`{"a":1,"b":"x"}`, `{"a":1,"b":"{\"a\":1,\"b\":"}`),
			plain(`{"a":1,"b":"x","c":3}`, `{"a":100,"b":"yyy","c":33}`),
			plain(`{"a":1,"c":"x","b":3}`),
			plain(`{"i\"d":1}`),
			plain(`{}`),
			plain(connectKey("int32", `{"id":1}`), connectKey("int32", `{"id":22}`)),
			plain(connectKey("int64", `{"id":1}`)),
			plain(`{"schema":"x","payload":1}`),
			plain(`Struct{id=1}`, `7`, ``),
			plain(`{"id":{"x":1}}`, `{"id":[1]}`, `{"payload":{"id":1},"schema":{"type":"struct"}}`, `{"id":1`),
		},
		ByFraming: {
			plain(`{"id":1}`),
			plain(confluentKey(7, "\x02"), confluentKey(7, "")),
			plain(confluentKey(8, "\x02")),
			plain("\x01" + strings.Repeat("g", 16) + "\x02"),
			plain(glueKey(0, "u", "\x02"), glueKey(0, "u", "")),
			plain(glueKey(5, "u", "\x02")),
			plain(glueKey(0, "v", "\x02")),
			{{"\x02", inHeader}, {confluentKey(9, "\x02"), inHeader}},
		},
	} {
		d := NewDecoder(Options{Format: format})
		met := map[string]int{}
		for range 2 { // More forms than are remembered.
			for g, group := range groups {
				for _, k := range group {
					form := d.KeyFormOf(Record{Key: []byte(k.text), Headers: k.headers})
					if before, ok := met[form]; form == "" || len(form) > 64 || ok && before != g {
						t.Errorf("%q has the form %q, as group %d has", k.text, form, before)
					}
					met[form] = g
				}
			}
		}
		if len(met) != len(groups) {
			t.Errorf("%d forms, want %d: %v", len(met), len(groups), met)
		}
	}
}

func TestNoKeyHasNoForm(t *testing.T) {
	for format, keys := range map[Format][]string{JSON: {"", "null", " null "}, AvroConfluent: {"", "{}", "\x00\x00", "\x03\x00"}} {
		d := NewDecoder(Options{Format: format})
		for _, key := range keys {
			if form := d.KeyFormOf(Record{Key: bytesOrNil(key)}); form != "" {
				t.Errorf("%q has the form %q", key, form)
			}
		}
	}
}

// Telling the form of the key costs nothing that could be measured against decoding a record, and no memory.
func TestKeyFormAllocatesNothing(t *testing.T) {
	for name, o := range map[string]struct {
		format Format
		keys   []string
	}{
		"schemaless": {JSON, []string{`{"a":1,"b":"x"}`, `{"a":2,"b":"yy"}`}},
		"schema":     {JSON, []string{connectKey("int32", `{"id":1}`), connectKey("int32", `{"id":2}`)}},
		"avro":       {AvroConfluent, []string{confluentKey(7, "\x02"), confluentKey(8, "\x04")}},
	} {
		d := NewDecoder(Options{Format: o.format})
		n := 0
		if allocs := testing.AllocsPerRun(100, func() {
			d.record.Key = []byte(o.keys[n%2])
			n++
			_ = d.KeyForm()
		}); allocs > 1 { // The key itself.
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

func BenchmarkKeyForm(b *testing.B) {
	for name, key := range map[string]string{"plain": `{"order_id":1234567}`, "schema": connectKey("int64", `{"id":1234567}`), "avro": confluentKey(7, "\x02")} {
		b.Run(name, func(b *testing.B) {
			o := Options{}
			if name == "avro" {
				o.Format = AvroConfluent
			}
			d := NewDecoder(o)
			d.record.Key = []byte(key)
			for b.Loop() {
				_ = d.KeyForm()
			}
		})
	}
}

// What was met before changes nothing: a remembered form is that which the key has by itself.
func FuzzKeyForm(f *testing.F) {
	for _, key := range []string{`{"id":1}`, `{"a":"x\"","b":2}`, connectKey("int32", `{"id":1}`), "text", "null", `{"id":{"x":1}}`} {
		f.Add([]byte(key), []byte(`{"id": 1}`), false)
		f.Add([]byte(confluentKey(7, "\x02")), []byte(key), true)
	}
	f.Add([]byte(glueKey(0, "u", "\x02")), []byte(glueKey(5, "u", "")), true)
	f.Fuzz(func(t *testing.T, first, second []byte, framed bool) {
		o := Options{}
		if framed {
			o.Format = ByFraming
		}
		d := NewDecoder(o)
		for _, key := range [][]byte{first, second, first, second} {
			form, alone := d.KeyFormOf(Record{Key: key}), NewDecoder(o).KeyFormOf(Record{Key: key})
			if form != alone || len(form) > 64 {
				t.Fatalf("%q has the form %q, and after others %q", key, alone, form)
			}
		}
	})
}
