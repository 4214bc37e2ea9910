package demo

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fold is a naive reader: it applies every message to a map of rows in canonical text.
type fold struct {
	t      *testing.T
	shop   *Shop
	tables map[string]Table // By topic.
	rows   map[string]map[string][]string
	ops    map[string]int
	pos    string // Of the event before.
}

func newFold(t *testing.T, s *Shop) *fold {
	f := &fold{t: t, shop: s, tables: map[string]Table{}, rows: map[string]map[string][]string{}, ops: map[string]int{}}
	for _, table := range s.Tables() {
		f.tables[table.Topic], f.rows[table.Topic] = table, map[string][]string{}
	}
	return f
}

type envelope struct {
	Before, After map[string]any
	Source        struct {
		Snapshot, DB, Table, File string
		Pos, Row                  int64
		ServerID                  int64 `json:"server_id"`
	}
	Op string
}

// apply applies one message, and checks what must hold of any: the op fits the images, the key those of the row.
func (f *fold) apply(m Message) {
	f.t.Helper()
	table, rows := f.tables[m.Topic], f.rows[m.Topic]
	var keyFields map[string]any
	keySchema := f.payload(m.Key, &keyFields)
	key := f.text(table.Columns[:len(table.Key)], keyFields, keySchema.Fields)
	name := strings.Join(key, " ")
	if m.Value == nil {
		f.ops["tombstone"]++
		if _, exists := rows[name]; exists {
			f.t.Fatalf("%s: tombstone of %s, which exists", m.Topic, name)
		}
		return
	}
	var e envelope
	schema := f.payload(m.Value, &e)
	f.ops[e.Op]++
	f.checkSource(table, e)
	var columns []connectSchema
	if len(schema.Fields) > 0 {
		columns = schema.Fields[1].Fields
	}
	before, after := f.text(table.Columns, e.Before, columns), f.text(table.Columns, e.After, columns)
	old, exists := rows[name]
	if exists != (e.Op == "u" || e.Op == "d") || (before == nil) != (e.Op == "c" || e.Op == "r") || (after == nil) != (e.Op == "d") {
		f.t.Fatalf("%s: op %s of %s: exists %t, before %q, after %q", m.Topic, e.Op, name, exists, before, after)
	}
	if exists && !slices.Equal(before, old) {
		f.t.Fatalf("%s: op %s of %s: before %q, want %q", m.Topic, e.Op, name, before, old)
	}
	if e.Op == "u" && slices.Equal(before, after) {
		f.t.Fatalf("%s: an update that changes nothing: %q", m.Topic, after)
	}
	delete(rows, name)
	if after != nil {
		if !slices.Equal(after[:len(key)], key) {
			f.t.Fatalf("%s: key %q of row %q", m.Topic, key, after)
		}
		rows[name] = after
	}
}

// checkSource checks that positions ascend; those of a primary key change and of a snapshot are shared.
func (f *fold) checkSource(table Table, e envelope) {
	f.t.Helper()
	s := e.Source
	if s.DB != "salesdb" || s.Table != table.Name || (s.Snapshot == "false") != (e.Op != "r") || (s.ServerID == 0) != (e.Op == "r") {
		f.t.Fatalf("op %s: source %+v", e.Op, s)
	}
	pos := fmt.Sprintf("%s %020d %06d", s.File, s.Pos, s.Row)
	if pos < f.pos || pos == f.pos && e.Op != "r" && e.Op != "c" {
		f.t.Fatalf("op %s at %s after %s", e.Op, pos, f.pos)
	}
	f.pos = pos
}

type connectSchema struct {
	Type, Name, Field string
	Optional          bool
	Parameters        map[string]string
	Fields            []connectSchema
}

// payload decodes the payload of a key or value into out; it returns the schema, empty if the shop is schemaless.
func (f *fold) payload(document []byte, out any) (schema connectSchema) {
	f.t.Helper()
	if f.shop.Schemaless {
		f.decode(document, out)
		return schema
	}
	var with struct {
		Schema  connectSchema
		Payload json.RawMessage
	}
	f.decode(document, &with)
	f.decode(with.Payload, out)
	return with.Schema
}

func (f *fold) decode(document []byte, out any) {
	f.t.Helper()
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	if err := d.Decode(out); err != nil {
		f.t.Fatalf("%v in %s", err, document)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		f.t.Fatalf("more after the end of %s", document)
	}
}

// text returns the canonical text of a row image, by its Connect schema if there is one, else by the table's types.
func (f *fold) text(columns []Column, image map[string]any, schema []connectSchema) []string {
	f.t.Helper()
	if image == nil {
		return nil
	}
	if len(image) != len(columns) || schema != nil && len(schema) != len(columns) {
		f.t.Fatalf("%d columns of %v, %d in the schema, want %d", len(image), slices.Collect(maps.Keys(image)), len(schema), len(columns))
	}
	row := make([]string, len(columns))
	for i, c := range columns {
		kind := map[string]string{"timestamp": "MicroTimestamp", "timestamptz": "ZonedTimestamp", "date": "Date", "boolean": "boolean"}[c.Type]
		if strings.HasPrefix(c.Type, "decimal") {
			kind = "Decimal"
		}
		if schema != nil {
			if schema[i].Field != c.Name {
				f.t.Fatalf("column %s is %s in the schema", c.Name, schema[i].Field)
			}
			kind = schema[i].Name[strings.LastIndex(schema[i].Name, ".")+1:]
			if kind == "" && schema[i].Type == "boolean" {
				kind = "boolean"
			}
		}
		row[i] = f.value(kind, image[c.Name])
	}
	return row
}

func (f *fold) value(kind string, value any) string {
	f.t.Helper()
	if value == nil {
		return Null
	}
	switch kind {
	case "boolean":
		return fmt.Sprint(value.(bool))
	case "Decimal":
		raw, err := base64.StdEncoding.DecodeString(value.(string))
		if err != nil {
			f.t.Fatal(err)
		}
		return new(big.Rat).SetFrac(twosComplement(raw), big.NewInt(100)).FloatString(2)
	case "MicroTimestamp":
		micros, err := value.(json.Number).Int64()
		if err != nil {
			f.t.Fatal(err)
		}
		return time.UnixMicro(micros).UTC().Format("2006-01-02T15:04:05.000000")
	case "ZonedTimestamp":
		at, err := time.Parse(time.RFC3339Nano, value.(string))
		if err != nil {
			f.t.Fatal(err)
		}
		return at.UTC().Format("2006-01-02T15:04:05.000000Z")
	case "Date":
		days, err := value.(json.Number).Int64()
		if err != nil {
			f.t.Fatal(err)
		}
		return time.Date(1970, 1, 1+int(days), 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
	}
	return fmt.Sprint(value)
}

func (f *fold) compare() {
	f.t.Helper()
	for _, table := range f.shop.Tables() {
		truth := map[string][]string{}
		for row := range f.shop.Truth(table.Name) {
			truth[strings.Join(row[:len(table.Key)], " ")] = slices.Clone(row)
		}
		if !maps.EqualFunc(f.rows[table.Topic], truth, slices.Equal) {
			f.t.Fatalf("%s: fold (-) and truth (+): %s", table.Name, cmp.Diff(f.rows[table.Topic], truth))
		}
	}
}

func twosComplement(raw []byte) *big.Int {
	x := new(big.Int).SetBytes(raw)
	if raw[0]&0x80 != 0 {
		x.Sub(x, new(big.Int).Lsh(big.NewInt(1), uint(8*len(raw))))
	}
	return x
}
