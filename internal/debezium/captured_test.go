package debezium

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cdcd-project/cdcd/internal/row"
)

// Records of a real MariaDB, Debezium and Kafka, and what MariaDB's own SELECT says of the same tables: the fold of the
// records equals the rows. The files are named by scenario, form of the records, and version of the connector.
func TestCapturedRecordsFoldToTheSourcesRows(t *testing.T) {
	selects := map[string]map[string]selected{}
	for _, scenario := range []string{"b", "c", "d"} {
		selects[scenario] = readSelects(t, scenario+"-mariadb-3.5.0.Final.select.jsonl")
	}
	schemas := map[string]*row.Schema{} // By table: what the embedded schemas have led to.
	for _, file := range []string{
		"b-schema-mariadb-3.5.0.Final.jsonl.gz", "c-schema-mariadb-3.5.0.Final.jsonl.gz", "d-schema-mariadb-3.5.0.Final.jsonl.gz",
		"b-plain-mariadb-3.5.0.Final.jsonl", "d-plain-mariadb-3.5.0.Final.jsonl",
	} {
		t.Run(file, func(t *testing.T) {
			folds := map[string]*fold{}
			for _, r := range readCaptured(t, file) {
				table := r.Topic[strings.Index(r.Topic, ".")+1:]
				if folds[table] == nil {
					folds[table] = newFold(t, table, schemas[table])
				}
				folds[table].add(r)
			}
			for table, f := range folds {
				f.compare(selects[file[:1]][table])
				schemas[table] = f.schema
			}
		})
	}
}

// misread are values that the connector itself has read wrongly: Debezium 3.5.0 shifts a UUID that ends in zero bytes when
// it reads it from the binlog. The records say so, and nothing in them tells.
var misread = map[string]string{
	"123e4567-e89b-12d3-a456-426655440000": "0000123e-4567-e89b-12d3-a45642665544",
}

// fold is one table, folded as text by column name: columns come and go while the records are read.
type fold struct {
	t       *testing.T
	table   string
	decoder *Decoder
	schema  *row.Schema
	rows    map[string]map[string]*string // By canonical key.
}

func newFold(t *testing.T, table string, known *row.Schema) *fold {
	t.Helper()
	f := &fold{t: t, table: table, rows: map[string]map[string]*string{}}
	types := map[string]row.Type{}
	if known != nil { // Records without schema, whose types have to be declared.
		for _, c := range known.Columns {
			if types[c.Name] = c.Type; c.Type.Kind == row.Timestamp {
				types[c.Name] = row.Type{Kind: row.Long} // Nothing tells the unit of an integer.
			}
		}
	}
	f.decoder = NewDecoder(Options{Types: types, Limits: DefaultLimits()})
	return f
}

func (f *fold) bind(s *row.Schema) {
	f.schema = s
	f.decoder.Bind(s)
}

func (f *fold) add(r captured) {
	f.t.Helper()
	for range 4 {
		var rows *row.Rows
		if f.schema != nil {
			rows = row.NewRows(f.schema)
		}
		var event Event
		err := f.decoder.Decode(r.key(), r.value(), rows, &event)
		if change, ok := errors.AsType[*SchemaChange](err); ok && change.Lossless {
			f.bind(change.Want)
			continue
		}
		if err != nil {
			f.t.Fatalf("%s: %v", r.Name, err)
		}
		f.apply(rows, &event)
		return
	}
	f.t.Fatalf("%s: the record asks for a schema again and again", r.Name)
}

func (f *fold) apply(rows *row.Rows, event *Event) {
	switch {
	case event.IsUpsert():
		values := map[string]*string{}
		for i, c := range f.schema.Columns {
			if v := &rows.Vectors[i]; !v.IsNull(0) {
				values[c.Name] = new(string(v.AppendText(nil, 0)))
			}
		}
		f.rows[string(event.Key)] = values
	case event.IsDelete():
		delete(f.rows, string(event.Key))
	}
}

// compare holds the fold against MariaDB's rows: each of them is one of ours, and there are no others.
func (f *fold) compare(want selected) {
	f.t.Helper()
	if len(want.Rows) == 0 || len(f.rows) != len(want.Rows) {
		f.t.Errorf("%s has %d rows, want %d", f.table, len(f.rows), len(want.Rows))
	}
	key := f.schema.Columns[f.schema.Key[0]].Name
	for _, w := range want.Rows {
		matched := false
		var difference string
		for _, got := range f.rows {
			d := f.difference(got, want.Columns, w)
			matched = matched || d == ""
			if d != "" && *got[key] == *w[indexOf(want.Columns, key)] {
				difference += d
			}
		}
		if !matched {
			f.t.Errorf("%s: %s", f.table, difference)
		}
	}
}

func (f *fold) difference(got map[string]*string, columns []string, want []*string) string {
	var out strings.Builder
	for i, c := range columns {
		g, w := got[c], want[i]
		if g != nil && w != nil && misread[*w] == *g {
			continue
		}
		column := f.schema.Index(c)
		same := g == nil && w == nil || g != nil && w != nil && column >= 0 && sameText(f.schema.Columns[column].Type.Kind, *g, *w)
		if !same {
			out.WriteString(c + " is " + orNull(g) + ", want " + orNull(w) + "; ")
		}
	}
	return out.String()
}

// sameText compares canonical text with MariaDB's. A Long that stands for an instant may be in milliseconds or microseconds.
func sameText(k row.Kind, got, want string) bool {
	if got == want || sameNumber(k, got, want) {
		return true
	}
	if k == row.Struct {
		return storedGeometry(got) == want
	}
	at, err := time.Parse("2006-01-02 15:04:05.000000", strings.TrimSuffix(want, "Z"))
	if err != nil {
		return false
	}
	if k == row.Long {
		return got == strconv.FormatInt(at.UnixMicro(), 10) || got == strconv.FormatInt(at.UnixMilli(), 10)
	}
	return got == strings.Replace(want, " ", "T", 1)
}

// storedGeometry returns what MariaDB stores of a geometry: its SRID as four bytes, little endian, and its WKB.
func storedGeometry(text string) string {
	var g struct{ WKB, SRID *string }
	if err := json.Unmarshal([]byte(text), &g); err != nil || g.WKB == nil {
		return text
	}
	srid := uint64(0)
	if g.SRID != nil {
		srid, _ = strconv.ParseUint(*g.SRID, 10, 32)
	}
	return fmt.Sprintf("hex:%x%s", binary.LittleEndian.AppendUint32(nil, uint32(srid)), strings.TrimPrefix(*g.WKB, "hex:"))
}

func orNull(s *string) string {
	if s == nil {
		return "NULL"
	}
	return *s
}

func indexOf(columns []string, name string) int {
	for i, c := range columns {
		if c == name {
			return i
		}
	}
	return -1
}

// captured is one Kafka record.
type captured struct {
	Name, Topic string
	Key, Value  *string
}

func (r captured) key() []byte   { return optional(r.Key) }
func (r captured) value() []byte { return optional(r.Value) }

func optional(s *string) []byte {
	if s == nil {
		return nil
	}
	return []byte(*s)
}

// selected is what SELECT * says of a table.
type selected struct {
	Table   string
	Columns []string
	Rows    [][]*string
}

func readSelects(t *testing.T, name string) map[string]selected {
	t.Helper()
	out := map[string]selected{}
	readLines(t, name, func(line []byte) error {
		var s selected
		err := json.Unmarshal(line, &s)
		out[s.Table] = s
		return err
	})
	return out
}

func readCaptured(t testing.TB, name string) (out []captured) {
	t.Helper()
	readLines(t, name, func(line []byte) error {
		var r captured
		err := json.Unmarshal(line, &r)
		out = append(out, r)
		return err
	})
	return out
}

func readLines(t testing.TB, name string, f func([]byte) error) {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "captured", name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var in io.Reader = file
	if strings.HasSuffix(name, ".gz") {
		if in, err = gzip.NewReader(file); err != nil {
			t.Fatal(err)
		}
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if err := f(lines.Bytes()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}
