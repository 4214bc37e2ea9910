package debezium

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cdcd-project/cdcd/internal/captured"
	"github.com/cdcd-project/cdcd/internal/row"
)

const capturedDir = "testdata/captured"

// Records of a real MariaDB, Debezium and Kafka, and what MariaDB's own SELECT says of the same tables: the fold of the records equals
// the rows, in every form of the records.
func TestCapturedRecordsFoldToTheSourcesRows(t *testing.T) {
	for scenario, forms := range map[string][]string{
		"b": {"schema", "plain"}, "c": {"schema", "plain", "flattened", "text", "iso", "connect", "micros"}, "d": {"schema", "plain"},
	} {
		tables, err := captured.Tables(capturedDir, scenario)
		if err != nil {
			t.Fatal(err)
		}
		schemas := map[string]*row.Schema{} // By table: what the first form, with schemas, has led to.
		for _, form := range forms {
			t.Run(scenario+" "+form, func(t *testing.T) {
				folds := map[string]*fold{}
				for _, r := range capturedRecords(t, scenario, form) {
					table := r.Table()
					if folds[table] == nil {
						folds[table] = newFold(t, form, schemas[table])
					}
					folds[table].add(r)
				}
				if len(folds) != len(tables) {
					t.Errorf("%d tables, want %d", len(folds), len(tables))
				}
				for name, f := range folds {
					table := tables[name]
					for _, d := range table.Compare(form, slices.Collect(maps.Values(f.rows))) {
						t.Error(d)
					}
					if form == "schema" {
						schemas[name] = f.schema
					}
				}
			})
		}
	}
}

func capturedRecords(t testing.TB, scenario, form string) []captured.Record {
	t.Helper()
	records, err := captured.Records(capturedDir, scenario, form)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// fold is one table, folded as text by column name: columns come and go while the records are read.
type fold struct {
	t       *testing.T
	decoder *Decoder
	schema  *row.Schema
	rows    map[string]captured.Row // By canonical key.
}

// newFold starts with the types declared that a user would declare who knows the table: only records without schema need them.
func newFold(t *testing.T, form string, known *row.Schema) *fold {
	t.Helper()
	types := map[string]row.Type{}
	if form == "plain" {
		for _, c := range known.Columns {
			switch {
			case c.Type.Kind == row.Struct: // A point has more members than the column.
			case c.Type.Kind == row.Timestamp:
				types[c.Name] = row.Type{Kind: row.Long} // Nothing tells the unit of an integer.
			case strings.HasPrefix(c.Name, "c_bit_") && c.Type.Kind != row.Boolean:
				types[c.Name] = row.Type{Kind: row.Binary}
			default:
				types[c.Name] = c.Type
			}
		}
	}
	mode := map[string]BinaryText{"text": Base64, "iso": Hex, "micros": Base64URL}[form]
	return &fold{t: t, decoder: NewDecoder(Options{Types: types, BinaryText: mode}), rows: map[string]captured.Row{}}
}

func (f *fold) add(r captured.Record) {
	f.t.Helper()
	for range 4 {
		var rows *row.Rows
		if f.schema != nil {
			rows = row.NewRows(f.schema)
		}
		var event Event
		err := f.decoder.Decode(captured.Bytes(r.Key), captured.Bytes(r.Value), rows, &event)
		if change, ok := errors.AsType[*SchemaChange](err); ok && change.Lossless {
			f.schema = change.Want
			f.decoder.Bind(f.schema)
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
		values := captured.Row{}
		for i, c := range f.schema.Columns {
			if v := &rows.Vectors[i]; !v.IsNull(0) {
				values[c.Name] = captured.Cell{Type: c.Type.String(), Text: string(v.AppendText(nil, 0))}
			}
		}
		f.rows[string(event.Key)] = values
	case event.IsDelete():
		delete(f.rows, string(event.Key))
	}
}
