package debezium

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/cdcd-project/cdcd/internal/row"
)

func scannerOf(text []byte) *scanner {
	s := &NewDecoder(Options{}).scan
	s.reset(text)
	return s
}

// tree reads the value at pos as encoding/json would present it with UseNumber.
func (s *scanner) tree() (v any, ok bool) {
	switch s.peek() {
	case '{':
		object := map[string]any{}
		ok = s.members(func(name []byte) bool {
			key := string(name)
			var ok bool
			object[key], ok = s.tree()
			return ok
		})
		return object, ok
	case '[':
		array := []any{}
		if !s.enter() {
			return nil, false
		}
		for s.peek() != ']' {
			if len(array) > 0 {
				if s.peek() != ',' {
					return nil, s.syntax("want a comma")
				}
				s.pos++
			}
			element, ok := s.tree()
			if !ok {
				return nil, false
			}
			array = append(array, element)
		}
		s.leave()
		return array, true
	case '"':
		text, ok := s.string(&field{})
		return string(text), ok
	case 't':
		return true, s.literal("true")
	case 'f':
		return false, s.literal("false")
	case 'n':
		return nil, s.literal("null")
	}
	token, _, ok := s.number()
	return json.Number(token), ok
}

// hasDuplicates reports whether the next value holds an object with two members of one name, as encoding/json reads them.
func hasDuplicates(d *json.Decoder) bool {
	token, err := d.Token()
	if err != nil {
		return false
	}
	twice := false
	switch token {
	case json.Delim('{'):
		seen := map[string]bool{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return twice
			}
			text, _ := name.(string)
			twice = twice || seen[text]
			seen[text] = true
			twice = hasDuplicates(d) || twice
		}
	case json.Delim('['):
		for d.More() {
			twice = hasDuplicates(d) || twice
		}
	default:
		return false
	}
	_, err = d.Token()
	return twice || err != nil
}

// FuzzScanner compares the scanner with encoding/json: it accepts what that accepts, but for its documented limits and
// for text that has no UTF-8 form, and it reads the same values.
func FuzzScanner(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,-2.5e+10,true,false,null],"b":{"c":"\u00e9\ud83d\ude00\n"}}`, ` [ ] `, `{}`, `"\ud800"`, `01`, `-`, `1.`, `1e`,
		`{"a":1,}`, `[1,]`, `{"a" : 1 , "b":2}`, `"ab` + "\x00" + `"`, `nul`, `{"a":1}x`, `[[[[]]]]`, `"\u12"`, "\"\xff\"", `{,}`, `[,1]`, `{"a":}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s := scannerOf(text)
		skipped := s.valid() && s.skip() && s.end()
		skipErr := s.err
		s.reset(text)
		tree, read := s.tree()
		read = read && utf8.Valid(text) && s.end()
		if skipped != read {
			t.Fatalf("skip says %v (%v), tree %v (%v)", skipped, skipErr, read, s.err)
		}
		if valid := json.Valid(text) && utf8.Valid(text); skipped != valid {
			limit := skipErr != nil && (skipErr.Reason == InvalidUTF8 || skipErr.Reason == OutOfRange || skipErr.Reason == TooLarge || strings.Contains(skipErr.Detail, "nested"))
			twice := skipErr != nil && skipErr.Reason == DuplicateMember && hasDuplicates(json.NewDecoder(bytes.NewReader(text)))
			if !limit && !twice || skipped {
				t.Fatalf("got %v (%v), encoding/json says %v", skipped, skipErr, valid)
			}
			return
		}
		if !skipped {
			return
		}
		if hasDuplicates(json.NewDecoder(bytes.NewReader(text))) {
			t.Fatal("a duplicate member was read over")
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		var want any
		if err := decoder.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, tree); diff != "" {
			t.Fatal(diff)
		}
	})
}

// FuzzDecode checks that no record can make Decode panic or leave half a row, and that what a decoder has remembered of
// other records never shows: a used decoder and a fresh one agree.
func FuzzDecode(f *testing.F) {
	keys, values := sampleRecords(2, false)
	embeddedKeys, embeddedValues := sampleRecords(2, true)
	flattened := []byte(`{"note":"x","order_id":1000000,"__op":"u","total":"EtaH","__source_ts_ms":7}`)
	embeddedFlat := []byte(flat("x.Value", "order_id int64, shape? int32, __deleted? string", `{"order_id":1000000,"shape":null,"__deleted":"false"}`))
	for _, value := range [][]byte{
		values[0], embeddedValues[1], flattened, embeddedFlat, []byte("null"), nil,
		bytes.Replace(values[0], []byte(`"gift":false`), []byte(`"gift":null,"NEW":null`), 1),
		bytes.Replace(values[0], []byte(`"ts_ms":1715600000000,`), []byte(`"ts_ms":1715600000001, `), 1),
		bytes.Replace(values[0], []byte(`"thread":18`), []byte(`"ts_ms":18`), 1),
		bytes.Replace(values[0], []byte(`"snapshot":"false"`), []byte(`"snapshot":"last"`), 1),
		bytes.Replace(values[0], []byte(`"before":null`), []byte(`"before":{"order_id":1,"\u006fther":{"a":[1]}}`), 1),
		bytes.Replace(values[0], []byte(`"left at the door"`), []byte(`"__debezium_unavailable_value"`), 1),
		bytes.Replace(values[0], []byte(`"updated":"2024-05-14T10:20:30.5Z"`), []byte(`"place":{"wkb":"AQI=","srid":1},"vector":[1,2]`), 1),
		bytes.Replace(flattened, []byte(`"__op":"u"`), []byte(`"__deleted":"true"`), 1),
	} {
		f.Add(keys[0], value, "")
	}
	f.Add(embeddedKeys[0], embeddedValues[0], "c")
	f.Add([]byte(`{"order_id":7,"other":1}`), values[1], `"u"`)
	schema := sample()
	for _, text := range []string{"struct<wkb: binary, srid: int>", "list<float>", "time"} {
		typ, err := row.ParseType(text)
		if err != nil {
			f.Fatal(err)
		}
		schema.Columns = append(schema.Columns, row.Column{Name: strings.Fields(strings.NewReplacer("<", " ").Replace(text))[0] + "s", Type: typ})
	}
	f.Fuzz(func(t *testing.T, key, value []byte, header string) {
		if len(value) == 0 {
			value = nil
		}
		r := Record{Key: key, Value: value}
		if header != "" {
			r.Headers = headers("__op", header)
		}
		fresh, used := NewDecoder(Options{Partial: true}), NewDecoder(Options{Partial: true})
		fresh.Bind(schema)
		used.Bind(schema)
		for i := range keys {
			for _, before := range []Record{
				{Key: keys[i], Value: values[i]},
				{Key: embeddedKeys[i], Value: embeddedValues[i]},
				{Key: keys[i], Value: flattened},
				{Key: keys[i], Value: embeddedFlat},
			} {
				tell(t, used, before)
			}
		}
		want := tell(t, fresh, r)
		for range 2 {
			if got := tell(t, used, r); !got.Equal(want) {
				t.Fatalf("a used decoder says %+v, a fresh one %+v", got, want)
			}
		}
		shape := Enveloped
		if want.flattened {
			shape = Flattened
		}
		configured := NewDecoder(Options{Partial: true, Shape: shape})
		configured.Bind(schema)
		if got := tell(t, configured, r); want.err == "" && !got.Equal(want) {
			t.Fatalf("a decoder that was told the shape says %+v, one that finds out %+v", got, want)
		}
	})
}

// FuzzNested compares what becomes of a nested value with what encoding/json reads of it.
func FuzzNested(f *testing.F) {
	for _, seed := range []string{
		`{"a":1,"b":[{"c":"x"},null],"d":null}`, `{"d":true,"a":-5,"b":[]}`, `null`, `{"a":1}`, `{"a":1.0}`, `{"b":[{}]}`, `{"b":[{"c":"\ud83d\ude00\u0000"}]}`,
		`{"a":1,"a":2}`, `{"b":{}}`, `[]`, `{"x":null}`, `{"x":1}`,
	} {
		f.Add([]byte(seed))
	}
	typ, err := row.ParseType("struct<a: long, b: list<struct<c: string>>, d: boolean>")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		d := NewDecoder(Options{Placeholder: "\x00no value"})
		d.Bind(&row.Schema{Columns: []row.Column{{Name: "id", Type: row.Type{Kind: row.Long}}, {Name: "v", Type: typ}}, Key: []int{0}})
		rows := row.NewRows(d.bound)
		var ev Event
		text := []byte(`{"op":"c","after":{"id":1,"v":` + string(value) + `}}`)
		if err := d.Decode([]byte(`{"id":1}`), text, rows, &ev); err != nil || !ev.IsUpsert() {
			return
		}
		decoder := json.NewDecoder(bytes.NewReader(value))
		decoder.UseNumber()
		var want any
		if err := decoder.Decode(&want); err != nil {
			t.Fatalf("decoded, but encoding/json says %v", err)
		}
		var got any
		if err := json.Unmarshal(rows.Vectors[1].AppendJSON(nil, 0), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(nestedText(want), got); diff != "" {
			t.Fatal(diff)
		}
	})
}

// nestedText is what a value of FuzzNested's type has to become, by what encoding/json reads.
func nestedText(v any) any {
	object, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	out := map[string]any{"a": nil, "b": nil, "d": nil}
	switch a := object["a"].(type) {
	case json.Number:
		if out["a"] = a.String(); a == "-0" {
			out["a"] = "0"
		}
	case bool:
		out["a"] = map[bool]string{true: "1", false: "0"}[a]
	}
	if b, ok := object["b"].([]any); ok {
		elements := []any{}
		for _, e := range b {
			if o, ok := e.(map[string]any); ok {
				elements = append(elements, map[string]any{"c": o["c"]})
			} else {
				elements = append(elements, nil)
			}
		}
		out["b"] = elements
	}
	switch d := object["d"].(type) {
	case bool:
		out["d"] = strconv.FormatBool(d)
	case json.Number:
		out["d"] = strconv.FormatBool(d == "1")
	}
	return out
}
