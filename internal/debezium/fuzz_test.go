package debezium

import (
	"bytes"
	"encoding/json"
	"errors"
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
			if limit := skipErr != nil && (skipErr.Reason == InvalidUTF8 || skipErr.Reason == OutOfRange || strings.Contains(skipErr.Detail, "nested")); !limit || skipped {
				t.Fatalf("got %v (%v), encoding/json says %v", skipped, skipErr, valid)
			}
			return
		}
		if !skipped {
			return
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

// outcome is all that a caller sees of one decoded record.
func outcome(t *testing.T, d *Decoder, key, value []byte) string {
	t.Helper()
	rows := row.NewRows(d.bound)
	var ev Event
	err := d.Decode(key, value, rows, &ev)
	var text []byte
	if err == nil && ev.IsUpsert() {
		if rows.Len() != 1 {
			t.Fatalf("an upsert has %d rows", rows.Len())
		}
		for i := range rows.Vectors {
			text = append(rows.Vectors[i].AppendText(text, 0), '|')
		}
	}
	for i := range rows.Vectors {
		if rows.Vectors[i].Len() != rows.Len() {
			t.Fatalf("column %d has %d values in %d rows", i, rows.Vectors[i].Len(), rows.Len())
		}
	}
	if (err != nil || !ev.IsUpsert()) && rows.Len() != 0 {
		t.Fatalf("%d rows without an upsert", rows.Len())
	}
	if refused, ok := errors.AsType[*Error](err); ok {
		return string(refused.Reason)
	}
	if err != nil {
		return err.Error()
	}
	return ev.Op.String() + string(ev.Ignored) + ev.Snapshot.String() + string(ev.Key) + "=" + string(text) + strconv.FormatInt(ev.SourceMs, 10)
}

// FuzzDecode checks that no record can make Decode panic or leave half a row, and that what a decoder has remembered of
// other records never shows: a used decoder and a fresh one agree.
func FuzzDecode(f *testing.F) {
	keys, values := sampleRecords(2, false)
	embeddedKeys, embeddedValues := sampleRecords(2, true)
	f.Add(keys[0], values[0])
	f.Add(embeddedKeys[1], embeddedValues[1])
	f.Add(keys[0], bytes.Replace(values[0], []byte(`"gift":false`), []byte(`"gift":null,"NEW":null`), 1))
	f.Add(keys[0], bytes.Replace(values[0], []byte(`"ts_ms":1715600000000,`), []byte(`"ts_ms":1715600000001, `), 1))
	f.Add(keys[0], bytes.Replace(values[0], []byte(`"thread":18`), []byte(`"ts_ms":18`), 1))
	f.Add(keys[0], bytes.Replace(values[0], []byte(`"snapshot":"false"`), []byte(`"snapshot":"last"`), 1))
	f.Add(keys[0], []byte(nil))
	f.Add([]byte(`{"order_id":7,"other":1}`), values[1])
	schema := sample()
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if len(value) == 0 {
			value = nil
		}
		fresh, used := NewDecoder(Options{}), NewDecoder(Options{})
		fresh.Bind(schema)
		used.Bind(schema)
		for i := range keys {
			outcome(t, used, keys[i], values[i])
			outcome(t, used, embeddedKeys[i], embeddedValues[i])
		}
		want := outcome(t, fresh, key, value)
		for range 2 {
			if got := outcome(t, used, key, value); got != want {
				t.Fatalf("a used decoder says %q, a fresh one %q", got, want)
			}
		}
	})
}
