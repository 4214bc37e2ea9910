package debezium

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cdcd-project/cdcd/internal/captured"
	"github.com/cdcd-project/cdcd/internal/row"
)

// respelled returns the same JSON as no converter prints it: white space between all tokens, and escapes for all letters and
// digits. None of the decoder's short cuts applies to it: no remembered prefix, no member name or number by its bytes.
func respelled(text []byte) []byte {
	var out []byte
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			n := 2
			if text[i+1] == 'u' {
				n = 6
			}
			out = append(out, text[i:i+n]...)
			i += n - 1
		case c == '"':
			quoted = !quoted
			out = append(out, c)
			if !quoted {
				out = append(out, '\n')
			}
		case quoted && (c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'):
			out = fmt.Appendf(out, `\u%04X`, c)
		case !quoted && strings.IndexByte("{}[]:,", c) >= 0:
			out = append(out, ' ', c, '\t')
		default:
			out = append(out, c)
		}
	}
	return append(out, '\r', '\n')
}

// prepared returns a decoder bound to the schema, or else to the one that the record asks for.
func prepared(schema *row.Schema, r Record) *Decoder {
	d := NewDecoder(Options{Placeholder: "\x00none"})
	d.Bind(schema)
	if schema == nil {
		var ev Event
		if change, ok := errors.AsType[*SchemaChange](d.DecodeRecord(r, nil, &ev)); ok && change.Lossless {
			d.Bind(change.Want)
		}
	}
	return d
}

// FuzzRecord compares ways of reading a whole record, which have to agree: a fresh decoder; one that has learned from the record,
// the primer and others (embedded schemas by their bytes, member names in their order, what follows the row images); a fresh one on the
// same JSON spelled so that no short cut applies; and encoding/json with an independent reading of each value.
func FuzzRecord(f *testing.F) {
	addRecords(f)
	schema := sample()
	schema.Columns[0].Required = false
	learn := [][][]byte{}
	for _, embedded := range []bool{false, true} {
		keys, values := sampleRecords(2, embedded)
		learn = append(learn, keys[:1], values[:1], keys[1:], withBefore(values[1:]))
	}
	keys, values := flattenedRecords(1)
	learn = append(learn, keys, values)
	f.Fuzz(func(t *testing.T, key, value, primer []byte, ownSchema bool) {
		r := Record{Key: key, Value: value}
		bound := schema
		if ownSchema {
			if bound = prepared(nil, r).bound; bound == nil {
				return
			}
		}
		want := tell(t, prepared(bound, r), r)
		used := prepared(bound, r)
		for i := 0; i < len(learn); i += 2 {
			tell(t, used, Record{Key: learn[i][0], Value: learn[i+1][0]})
		}
		tell(t, used, Record{Key: key, Value: primer})
		for range 3 {
			if diff := cmp.Diff(want, tell(t, used, r)); diff != "" {
				t.Fatalf("a fresh decoder (-) and a used one (+) differ:\n%s", diff)
			}
		}
		checkByOracle(t, bound, r, want)
		if !json.Valid(value) || !json.Valid(key) {
			return
		}
		slow := tell(t, prepared(bound, r), Record{Key: respelled(key), Value: respelled(value)})
		if diff := cmp.Diff(want.compacted(), slow.compacted()); diff != "" {
			t.Fatalf("the record (-) and itself respelled (+) differ:\n%s", diff)
		}
	})
}

// told is all that a caller sees of one decoded record.
type told struct {
	op, ignored, snapshot string
	key                   string
	row                   []string
	unchanged             []int
	flattened             bool
	sourceMs              int64
	err                   string
}

// compacted returns w without white space in what may be a document that was stored as it is.
func (w told) compacted() told {
	w.row = slices.Clone(w.row)
	for i, text := range w.row {
		if v := valueOf([]byte(text)); strings.ContainsAny(text, "{[") && json.Valid([]byte(text)) {
			b, _ := json.Marshal(v)
			w.row[i] = string(b)
		}
	}
	return w
}

// Equal makes cmp compare all of it.
func (w told) Equal(other told) bool { return fmt.Sprintf("%#v", w) == fmt.Sprintf("%#v", other) }

// tell decodes one record, and checks what holds of every event.
func tell(t *testing.T, d *Decoder, r Record) told {
	t.Helper()
	rows := row.NewRows(d.bound)
	var ev Event
	err := d.DecodeRecord(r, rows, &ev)
	hasRow := err == nil && (ev.IsUpsert() || ev.IsAppend())
	for i := range rows.Vectors {
		if rows.Vectors[i].Len() != rows.Len() {
			t.Fatalf("column %d has %d values in %d rows", i, rows.Vectors[i].Len(), rows.Len())
		}
	}
	if want := map[bool]int{true: 1}[hasRow]; rows.Len() != want {
		t.Fatalf("%d rows, want %d", rows.Len(), want)
	}
	if refused, ok := errors.AsType[*Error](err); ok {
		return told{err: string(refused.Reason) + strconv.FormatBool(refused.Undecided)}
	}
	if err != nil {
		return told{err: err.Error()}
	}
	kinds := 0
	for _, is := range []bool{ev.IsUpsert(), ev.IsAppend(), ev.IsDelete(), ev.Ignored == "" && ev.Op == Truncate, ev.Ignored != ""} {
		if is {
			kinds++
		}
	}
	if kinds != 1 {
		t.Fatalf("the event is of %d kinds: %+v", kinds, ev)
	}
	w := told{
		op: ev.Op.String(), ignored: string(ev.Ignored), snapshot: ev.Snapshot.String(), key: string(ev.Key), unchanged: slices.Clone(ev.Unchanged),
		flattened: ev.Flattened, sourceMs: ev.SourceMs,
	}
	if hasRow {
		for i := range rows.Vectors {
			w.row = append(w.row, string(rows.Vectors[i].AppendText(nil, 0)))
		}
	}
	return w
}

// checkByOracle holds a decoded row against encoding/json's reading of the record, and asks for a row where nothing stands against
// one.
func checkByOracle(t *testing.T, bound *row.Schema, r Record, got told) {
	t.Helper()
	value, key := readJSON(r.Value), readJSON(r.Key)
	if got.err == "" && (!value.sound || !key.sound && got.key != "") { // Truncates and side topics need no key.
		t.Fatalf("decoded although a text is unsound: %+v", got)
	}
	if !value.sound || !key.sound {
		return
	}
	op := ""
	_ = json.Unmarshal(value.payload["op"], &op)
	if got.err == "" && !got.flattened && got.op != op && got.ignored == "" {
		t.Fatalf("the op is %q, encoding/json says %q", got.op, op)
	}
	if ms, known := sourceTime(value); known && got.err == "" && !got.flattened && got.sourceMs != ms {
		t.Fatalf("the source time is %d, encoding/json says %d", got.sourceMs, ms)
	}
	rowWanted, sure := expectRow(value, got.flattened, bound)
	if got.row != nil {
		compareExpected(t, bound, rowWanted, got)
		return
	}
	if sure && got.err != "" && (op == "c" || op == "r") && plainKey(key, value, bound) && withinLimits(r) && sourceIsSound(value) {
		t.Fatalf("refused with %s, but nothing stands against the row %+v", got.err, rowWanted)
	}
}

// expectRow returns what each column has to hold. It is sure if it knows all of them, and there is nothing else.
func expectRow(value reading, flattened bool, bound *row.Schema) (out []expectation, sure bool) {
	members, schemas := value.image(flattened)
	sure = members != nil
	taken := 0
	for i, c := range bound.Columns {
		e := expectation{null: true, known: !slices.Contains(bound.Key, i)} // An absent identifier is that of the record key.
		spellings := 0
		for name, raw := range members {
			if strings.ToLower(name) != c.Name {
				continue
			}
			if spellings++; spellings > 1 {
				e = refuses()
				continue
			}
			taken++
			if e = expect(raw, schemas[name], schemas != nil, c.Type); flattened && strings.HasPrefix(name, defaultAddedPrefix) {
				e = expectation{} // What the transformation has added is no column, unless the record key has one of its name.
			}
		}
		for _, s := range schemas {
			if p, _ := s["parameters"].(map[string]any); p[sourceNameParameter] != nil {
				e = expectation{} // The column may have another name.
			}
		}
		out = append(out, e)
		sure = sure && e.known && !e.refuse
	}
	return out, sure && taken == len(members) && value.schema == nil
}

func compareExpected(t *testing.T, bound *row.Schema, want []expectation, got told) {
	t.Helper()
	for i, e := range want {
		text, c := got.row[i], bound.Columns[i]
		switch {
		case !e.known:
		case e.refuse:
			t.Fatalf("column %s: %q was decoded from what has to be refused", c.Name, text)
		case e.null && text != "null", !e.null && text != e.text:
			t.Fatalf("column %s: %q, want %+v", c.Name, text, e)
		}
	}
}

// plainKey reports whether the record key has the identifier columns as the row has them, and nothing else.
func plainKey(key, value reading, bound *row.Schema) bool {
	after := membersOf(value.payload["after"])
	if key.schema != nil || len(key.payload) != len(bound.Key) {
		return false
	}
	for _, c := range bound.Key {
		name := bound.Columns[c].Name
		k, v := key.payload[name], after[name]
		if k == nil || string(k) == "null" || !bytes.Equal(k, v) {
			return false
		}
	}
	return true
}

// sourceTime returns the source block's ts_ms, if it has one that is a number.
func sourceTime(value reading) (ms int64, known bool) {
	x, err := strconv.ParseInt(string(membersOf(value.payload["source"])["ts_ms"]), 10, 64)
	return x, err == nil
}

// sourceIsSound reports whether the source block is absent, or one that Debezium may print.
func sourceIsSound(value reading) bool {
	source, ok := value.payload["source"]
	members := membersOf(source)
	_, stamped := members["ts_ms"]
	_, known := sourceTime(value)
	return !ok || members != nil && (!stamped || known)
}

// withinLimits reports whether a record is far from every limit of depth, length and number.
func withinLimits(r Record) bool {
	text := string(r.Key) + string(r.Value)
	return len(text) < maxNumberBytes && strings.Count(text, "{")+strings.Count(text, "[") < MaxDepth &&
		!strings.Contains(strings.ToLower(text), `\ud`) && !strings.ContainsFunc(text, func(r rune) bool { return r == 0 }) &&
		!strings.Contains(text, `\u00`)
}

// addRecords seeds with the golden messages, with captured records, and with the samples, changed in ways that matter.
func addRecords(f *testing.F) {
	for _, name := range []string{"envelope.jsonl", "flattened.jsonl", "types.jsonl", "malformed.jsonl"} {
		for _, r := range readFixtures(f, name) {
			value := fixtureBytes(f, r.Value, r.ValueEncoding)
			f.Add(fixtureBytes(f, r.Key, r.KeyEncoding), value, value, true)
		}
	}
	for _, form := range []string{"schema", "plain", "flattened"} {
		for _, r := range capturedRecords(f, "c", form)[:2] {
			f.Add(captured.Bytes(r.Key), captured.Bytes(r.Value), captured.Bytes(r.Value), true)
		}
	}
	for _, embedded := range []bool{false, true} {
		keys, values := sampleRecords(1, embedded)
		for _, change := range [][2]string{
			{"", ""},
			{`"op":"u"`, `"op":"c"`},
			{`"op":"u"`, `"op":"r"`},
			{`"total":"EtaH"`, `"total":12345.67`},
			{`"total":"EtaH"`, `"total":"-1.28"`},
			{`"total":"EtaH"`, `"total":1e3`},
			{`"gift":false`, `"gift":1`},
			{`"cust_id":8887`, `"cust_id":-2147483648`},
			{`"weight":1.25`, `"weight":-1.7976931348623157e308`},
			{`"created":1715682030123456`, `"created":"2024-05-14T10:20:30.123456Z"`},
			{`"updated":"2024-05-14T10:20:30.5Z"`, `"updated":"0000-02-29T23:59:59.999999+07:00"`},
			{`"note":"left at the door"`, `"note":{"a":[1, 2]}`},
			{`"note":"left at the door"`, `"Note":"\ud83d\ude00\u0000\\\"/"`},
			{`"created":1715682030123456`, `"created":9999999999999999999`},
			{`"due":19857,`, ``},
			{`"source":{`, `"source":{"\u0074s_us":1,`},
			{`"before":null`, `"before":{"order_id":1}`},
		} {
			value := bytes.Replace(values[0], []byte(change[0]), []byte(change[1]), 1)
			f.Add(keys[0], value, values[0], false)
			f.Add(keys[0], bytes.Replace(value, []byte(`"op":"u"`), []byte(`"op":"c"`), 1), values[0], !embedded)
		}
	}
	for _, embedded := range []bool{false, true} {
		keys, values := sampleRecords(1, embedded)
		for _, value := range [][]byte{
			append(bytes.Clone(values[0]), 'x'), append(bytes.Clone(values[0]), ' '), values[0][:len(values[0])-1],
			append(bytes.TrimSuffix(values[0], []byte("}")), `,"op":"c"}`...),
		} {
			f.Add(keys[0], value, values[0], false)
		}
	}
	for _, key := range []string{`{"a":1,"b":"x"}`, `{"b":"x","a":1}`, `{"a":2,"b":"x"}`, `{"a":1}`, `{"schema":null,"payload":{"a":1,"b":"x"}}`} {
		for _, image := range []string{`{"a":1,"b":"x","v":7}`, `{"b":"x","v":7}`, `{"v":7,"b":"x","a":1}`, `{"a":1,"b":"x","v":null}`, `{"A":1,"b":"x","v":7}`} {
			value := []byte(`{"before":null,"after":` + image + `,"source":{"ts_ms":5},"op":"c","ts_ms":6}`)
			f.Add([]byte(key), value, value, true)
			f.Add([]byte(key), []byte(strings.TrimSuffix(image, "}")+`,"__op":"c"}`), value, true)
		}
	}
	keys, values := flattenedRecords(1)
	f.Add(keys[0], values[0], values[0], false)
	f.Add(keys[0], values[0], values[0], true)
}
