package pipeline_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"
	"github.com/google/go-cmp/cmp"

	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/readback"
	"github.com/cdcd-project/cdcd/internal/row"
)

// columnsOf returns a table's columns, required ones marked.
func (w *world) columnsOf(name string) (readback.Table, []string) {
	w.t.Helper()
	shown, err := readback.Show(w.t.Context(), w.catalog, name)
	if err != nil {
		w.t.Fatal(err)
	}
	var columns []string
	for _, c := range shown.Columns {
		text := c.Name + " " + c.Type
		if c.Required {
			text += " required"
		}
		columns = append(columns, text)
	}
	return shown, columns
}

func TestFirstRecordMakesTheTable(t *testing.T) {
	items := events{
		topic: "shop", key: []string{"order_id", "item_no"},
		columns: []column{
			{"order_id", connectLong},
			{"item_no", connectInt},
			{"Note", connectString},
			{"price", `"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2","connect.decimal.precision":"12"}`},
			{"paid", `"type":"boolean"`},
			{"at", `"type":"int64","name":"io.debezium.time.MicroTimestamp","version":1`},
		},
	}
	typed := items
	typed.schemas = true
	for _, test := range []struct {
		name    string
		e       events
		values  []string
		declare map[string]row.Type
		columns []string
		row     string
	}{
		{
			"embedded schema", typed,
			[]string{"5", "1", `"n"`, `"BNI="`, "true", "1715682030498123"},
			nil,
			[]string{"order_id long required", "item_no int required", "note string", "price decimal(12, 2)", "paid boolean", "at timestamp"},
			"5|1|n|12.34|true|2024-05-14T10:20:30.498123",
		},
		{
			"declared types", items,
			[]string{"5", "1", `"n"`, `"12.34"`, "true", "1715682030498123"},
			map[string]row.Type{
				"order_id": {Kind: row.Long}, "item_no": {Kind: row.Int}, "note": {Kind: row.String},
				"price": {Kind: row.Decimal, Precision: 12, Scale: 2}, "paid": {Kind: row.Boolean}, "at": {Kind: row.Timestamp},
			},
			[]string{"order_id long required", "item_no int required", "note string", "price decimal(12, 2)", "paid boolean", "at timestamp"},
			"5|1|n|12.34|true|2024-05-14T10:20:30.498123",
		},
		{
			"inferred types", items,
			[]string{"5", "1", `"n"`, "12.5", "true", "1715682030498123"},
			nil,
			[]string{"order_id long required", "item_no long required", "note string", "price double", "paid boolean", "at long"},
			"5|1|n|12.5|true|1715682030498123",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "shop")
			w.produce(test.e.upsert("r", test.values...))
			o := mirror("d.items", "shop")
			o.Decoder.Types = test.declare
			w.mustRunToEnd(o)
			shown, columns := w.columnsOf("d.items")
			if diff := cmp.Diff(test.columns, columns); diff != "" {
				t.Errorf("columns (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"order_id", "item_no"}, shown.Key); diff != "" {
				t.Errorf("identifier fields (-want +got):\n%s", diff)
			}
			if shown.Properties[table.ParquetCompressionKey] != "zstd" || shown.Properties[table.MetadataDeleteAfterCommitEnabledKey] != "true" {
				t.Errorf("properties are %v", shown.Properties)
			}
			loaded, err := w.catalog.LoadTable(t.Context(), table.Identifier{"d", "items"})
			if err != nil {
				t.Fatal(err)
			}
			if v := loaded.Metadata().Version(); v != 2 {
				t.Errorf("format version %d, want 2 (I12)", v)
			}
			w.expect("d.items", []string{"order_id", "item_no"}, map[string]string{"5|1": test.row})
		})
	}
}

// A delete may be all that a compacted topic has kept of its first key.
func TestDeleteCanBeTheFirstRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	w.produce(e.remove("1", `"Ann"`)...)
	w.produce(e.upsert("c", "2", `"Bob"`))
	w.mustRunToEnd(mirror("d.t", "shop"))
	w.expect("d.t", []string{"id"}, map[string]string{"2": "2|Bob"})
}

// makeTable creates a table as somebody would by hand.
func (w *world) makeTable(identifiers []int, properties iceberg.Properties) *table.Table {
	w.t.Helper()
	if err := w.catalog.CreateNamespace(w.t.Context(), table.Identifier{"d"}, nil); err != nil {
		w.t.Fatal(err)
	}
	schema := iceberg.NewSchemaWithIdentifiers(0, identifiers,
		iceberg.NestedField{ID: 1, Name: "id", Type: iceberg.PrimitiveTypes.Int64, Required: true},
		iceberg.NestedField{ID: 2, Name: "name", Type: iceberg.PrimitiveTypes.String, Required: true},
	)
	made, err := w.catalog.CreateTable(w.t.Context(), table.Identifier{"d", "t"}, schema, catalog.WithProperties(properties))
	if err != nil {
		w.t.Fatal(err)
	}
	return made
}

func TestTableMadeByHandIsUsedIfItFits(t *testing.T) {
	for _, test := range []struct {
		name        string
		identifiers []int
		key         []string // Configured.
		properties  iceberg.Properties
		reason      string
	}{
		{"same key", []int{1}, nil, nil, ""},
		{"same key configured", []int{1}, []string{"id"}, nil, ""},
		{"another key than the configured one", []int{1}, []string{"id", "name"}, nil, "invalid_table"},
		{"another key than the records'", []int{1, 2}, nil, nil, "schema_change"},
		{"no identifier fields", nil, nil, nil, "invalid_table"},
		{"format version 1", []int{1}, nil, iceberg.Properties{"format-version": "1"}, "invalid_table"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "shop")
			w.makeTable(test.identifiers, test.properties)
			e := customers("shop")
			w.produce(e.upsert("c", "1", `"Ann"`), e.upsert("u", "1", `"Anna"`))
			o := mirror("d.t", "shop")
			o.Decoder.Key, o.Sink.Key = test.key, test.key
			if test.reason == "" {
				w.mustRunToEnd(o)
				w.expect("d.t", []string{"id"}, map[string]string{"1": "1|Anna"})
				return
			}
			w.start([]pipeline.Table{o}, nil).halted("d.t", test.reason)
			if n := len(w.snapshots("d.t")); n != 0 {
				t.Errorf("%d snapshots were committed, want none", n)
			}
		})
	}
}

// Somebody else makes the table just before cdcd does, narrower than the first record needs it: it is widened.
func TestTableThatAppearsWhileItIsMadeIsWidened(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := points("shop", connectLong, connectLong, column{"email", connectString})
	w.produce(e.upsert("c", "1", `"Ann"`, "5000000000", `"a@b"`))
	c := &wire{Catalog: w.catalog}
	first := func() {
		schema := iceberg.NewSchemaWithIdentifiers(0, []int{1},
			iceberg.NestedField{ID: 1, Name: "id", Type: iceberg.PrimitiveTypes.Int32, Required: true},
			iceberg.NestedField{ID: 2, Name: "name", Type: iceberg.PrimitiveTypes.String},
		)
		if _, err := w.catalog.CreateTable(t.Context(), table.Identifier{"d", "t"}, schema); err != nil {
			t.Error(err)
		}
	}
	c.creating.Store(&first)
	if _, err := w.runToEnd([]pipeline.Table{mirror("d.t", "shop")}, w.through(c)); err != nil {
		t.Fatal(err)
	}
	w.expect("d.t", []string{"id"}, map[string]string{"1": "1|Ann|5000000000|a@b"})
}

// A table that is dropped under cdcd is not made again in silence (I9): that is for somebody to decide, by a restart.
func TestDroppedTableHaltsUntilARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	p := w.running(nil)
	if err := w.catalog.DropTable(t.Context(), table.Identifier{"d", "t"}); err != nil {
		t.Fatal(err)
	}
	w.produce(e.upsert("c", "2", `"Bob"`))
	p.halted("d.t", "table_dropped")
	if w.exists("d.t") {
		t.Error("the table was made again")
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	w.mustRunToEnd(mirror("d.t", "shop"))
	w.expect("d.t", []string{"id"}, map[string]string{"1": "1|Ann", "2": "2|Bob"})
}

// foreignAppend adds a row as another tool would.
func (w *world) foreignAppend(name string, id int64) {
	w.t.Helper()
	loaded, err := w.catalog.LoadTable(w.t.Context(), strings.Split(name, "."))
	if err != nil {
		w.t.Fatal(err)
	}
	schema, err := table.SchemaToArrowSchema(loaded.Schema(), nil, false, false)
	if err != nil {
		w.t.Fatal(err)
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	switch ids := b.Field(0).(type) {
	case *array.Int64Builder:
		ids.Append(id)
	case *array.Int32Builder:
		ids.Append(int32(id))
	}
	b.Field(1).(*array.StringBuilder).Append(fmt.Sprint("foreign ", id))
	batch := b.NewRecordBatch()
	defer batch.Release()
	rows := array.NewTableFromRecords(schema, []arrow.RecordBatch{batch})
	defer rows.Release()
	if _, err := loaded.AppendTable(w.t.Context(), rows, 1, nil); err != nil {
		w.t.Fatal(err)
	}
}

func TestTableWithForeignRowsHalts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	w.makeTable([]int{1}, nil)
	w.foreignAppend("d.t", 9)
	e := customers("shop")
	w.produce(e.upsert("c", "1", `"Ann"`))
	w.start(soon(mirror("d.t", "shop")), nil).halted("d.t", "foreign_rows")
	w.expect("d.t", []string{"id"}, map[string]string{"9": "9|foreign 9"})
}

// A row that another tool adds while a batch is open must not be taken for the fold of the events.
func TestForeignRowsUnderAnOpenBatchHalt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	p := w.running(nil)
	w.foreignAppend("d.t", 9)
	w.produce(e.upsert("c", "2", `"Bob"`))
	p.halted("d.t", "foreign_rows")
	w.expect("d.t", []string{"id"}, map[string]string{"1": "1|Ann", "9": "9|foreign 9"})
}
