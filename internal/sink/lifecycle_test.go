package sink

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/merge"
	"github.com/cdcd-project/cdcd/internal/readback"
	"github.com/cdcd-project/cdcd/internal/row"
)

type arrowBatch = arrow.RecordBatch

func contains(s, part string) bool { return strings.Contains(s, part) }

func TestEveryTypeIsWrittenAndReadBack(t *testing.T) {
	s, cat := newSink(t)
	schema := &row.Schema{Key: []int{0}}
	kinds := []string{
		"long", "boolean", "int", "float", "double", "decimal(9,2)", "decimal(18,4)", "decimal(38,10)", "date", "timestamp", "timestamptz", "string", "binary",
		"time", "struct<wkb: binary, srid: int>", "list<float>",
	}
	for i, k := range kinds {
		typ, err := row.ParseType(k)
		if err != nil {
			t.Fatal(err)
		}
		schema.Columns = append(schema.Columns, row.Column{Name: fmt.Sprint("c", i), Type: typ, Required: i == 0})
	}
	tbl, err := s.Create(t.Context(), customerOptions(), schema)
	if err != nil {
		t.Fatal(err)
	}
	b, d := merge.NewBatch(tbl.Schema()), tbl.Draft()
	rows := b.Rows()
	for id := range int64(2) {
		rows.Vectors[0].AppendInt64(id)
		for i := 1; i < len(kinds); i++ {
			if id == 1 {
				rows.Vectors[i].AppendNull()
			}
		}
		if id == 0 {
			rows.Vectors[1].AppendBool(true)
			rows.Vectors[2].AppendInt32(-5)
			rows.Vectors[3].AppendFloat32(1.5)
			rows.Vectors[4].AppendFloat64(-2.25)
			for i := 5; i < 8; i++ {
				rows.Vectors[i].AppendDecimal(row.Decimal128{Lo: ^uint64(0) - 12344, Hi: -1}) // -12345 unscaled.
			}
			rows.Vectors[8].AppendInt32(-1)
			rows.Vectors[9].AppendInt64(1_529_476_623_123_456)
			rows.Vectors[10].AppendInt64(-1)
			rows.Vectors[11].AppendBytes([]byte("héllo"))
			rows.Vectors[12].AppendBytes([]byte{0xde, 0xad})
			rows.Vectors[13].AppendInt64(86_399_000_001)
			rows.Vectors[14].Children[0].AppendBytes([]byte{1, 2})
			rows.Vectors[14].Children[1].AppendInt32(4326)
			rows.Vectors[14].EndStruct()
			rows.Vectors[15].Children[0].AppendFloat32(1.5)
			rows.Vectors[15].Children[0].AppendNull()
			rows.Vectors[15].EndList()
		}
		rows.End()
		b.Upsert(key(id))
	}
	w := &writer{tb: t, ctx: t.Context(), table: tbl, batch: b, draft: d, next: 2}
	w.commit()
	got, err := readback.Map(t.Context(), cat, customers, "c0")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"0": "0|true|-5|1.5|-2.25|-123.45|-1.2345|-0.0000012345|1969-12-31|2018-06-20T06:37:03.123456|1969-12-31T23:59:59.999999Z|héllo|hex:dead|23:59:59.000001|{\"wkb\":\"hex:0102\",\"srid\":\"4326\"}|[\"1.5\",null]",
		"1": "1" + strings.Repeat("|∅", len(kinds)-1),
	}
	for k := range want {
		if got[k] != want[k] {
			t.Errorf("row %s is\n%s, want\n%s", k, got[k], want[k])
		}
	}
}

func TestEvolvedSchemaLandsWithTheFirstRowThatNeedsIt(t *testing.T) {
	s, cat := newSink(t)
	narrow := &row.Schema{Columns: []row.Column{
		{Name: "cust_id", Type: row.Type{Kind: row.Int}, Required: true}, {Name: "name", Type: row.Type{Kind: row.String}},
	}, Key: []int{0}}
	tbl, err := s.Create(t.Context(), customerOptions(), narrow)
	if err != nil {
		t.Fatal(err)
	}
	w := &writer{tb: t, ctx: t.Context(), table: tbl, batch: merge.NewBatch(tbl.Schema()), draft: tbl.Draft(), next: 1}
	rows := w.batch.Rows()
	rows.Vectors[0].AppendInt32(7)
	rows.Vectors[1].AppendBytes([]byte("old"))
	rows.End()
	w.batch.Upsert(key(7))
	w.commit()

	nested, err := row.ParseType("list<struct<a: int>>")
	if err != nil {
		t.Fatal(err)
	}
	wide := &row.Schema{Columns: append(customerSchema().Columns, row.Column{Name: "city", Type: row.Type{Kind: row.String}}, row.Column{Name: "nested", Type: nested}), Key: []int{0}}
	if err := tbl.Evolve(wide); err != nil {
		t.Fatal(err)
	}
	if n := len(tbl.Schema().Columns); n != 4 {
		t.Fatalf("%d columns, want 4", n)
	}
	w.reset()
	rows = w.batch.Rows()
	rows.Vectors[0].AppendInt64(1 << 40)
	rows.Vectors[1].AppendBytes([]byte("new"))
	rows.Vectors[2].AppendBytes([]byte("Bern"))
	rows.Vectors[3].Children[0].Children[0].AppendInt32(5)
	rows.Vectors[3].Children[0].EndStruct()
	rows.Vectors[3].Children[0].AppendNull()
	rows.Vectors[3].EndList()
	rows.End()
	w.batch.Upsert(key(1 << 40))
	w.next++
	w.commit()
	got, err := readback.Map(t.Context(), cat, customers, "cust_id")
	if err != nil {
		t.Fatal(err)
	}
	if got["7"] != "7|old|∅|∅" || got["1099511627776"] != `1099511627776|new|Bern|[{"a":"5"},null]` {
		t.Errorf("rows are %v", got)
	}
	head := tbl.meta.CurrentSnapshot()
	if head.SchemaID == nil || *head.SchemaID != tbl.meta.CurrentSchema().ID {
		t.Error("the snapshot does not name the evolved schema")
	}
	reopened, err := s.Open(t.Context(), customerOptions()) // Reads int and long keys.
	if err != nil {
		t.Fatal(err)
	}
	w.table = reopened
	w.reset()
	w.batch.Delete(key(7))
	w.next++
	w.commit()
	if reopened.Rows() != 1 {
		t.Errorf("%d rows, want 1", reopened.Rows())
	}
}

// A table opened again finds its rows by a key that is a time of day.
func TestATimeOfDayIdentifiesRows(t *testing.T) {
	s, cat := newSink(t)
	schema := &row.Schema{Columns: []row.Column{{Name: "cust_id", Type: row.Type{Kind: row.Time}, Required: true}}, Key: []int{0}}
	tbl, err := s.Create(t.Context(), customerOptions(), schema)
	if err != nil {
		t.Fatal(err)
	}
	w := &writer{tb: t, ctx: t.Context(), table: tbl, batch: merge.NewBatch(tbl.Schema()), draft: tbl.Draft(), next: 1}
	for _, at := range []int64{0, 86_399_999_999} {
		rows := w.batch.Rows()
		rows.Vectors[0].AppendInt64(at)
		rows.End()
		w.batch.Upsert(key(at))
	}
	w.commit()
	if w.table, err = s.Open(t.Context(), customerOptions()); err != nil {
		t.Fatal(err)
	}
	w.reset()
	w.batch.Delete(key(0))
	w.next++
	w.commit()
	got, err := readback.Map(t.Context(), cat, customers, "cust_id")
	if err != nil || len(got) != 1 || got["23:59:59.999999"] == "" {
		t.Errorf("rows are %v, %v", got, err)
	}
}

func TestExpiryKeepsTheNewestAndWhatOthersHold(t *testing.T) {
	w, m := newMeddledWriter(t)
	held := w.table.head.SnapshotID
	if _, _, err := m.Catalog.CommitTable(t.Context(), w.table.ident, nil, []table.Update{
		table.NewSetSnapshotRefUpdate("audit-2026", held, table.TagRef, 0, 0, 0),
	}); err != nil {
		t.Fatal(err)
	}
	n := customerOptions().RetainSnapshots
	for i := range 3 * n {
		w.upsert(int64(i%3), fmt.Sprint("v", i))
		w.commit()
	}
	if got := len(w.table.meta.Snapshots()); got != n+1 {
		t.Errorf("%d snapshots are kept, want %d and the tagged one", got, n)
	}
	if w.table.meta.SnapshotByID(held) == nil {
		t.Error("the tagged snapshot has expired")
	}
	if tag := w.table.meta.SnapshotByName("cdcd"); tag == nil || tag.SnapshotID != w.table.head.SnapshotID {
		t.Error("the tag cdcd is not at the head")
	}
	w.check(m)
	loaded, err := m.LoadTable(t.Context(), w.table.ident)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range loaded.Metadata().Snapshots() { // Nothing that a kept snapshot needs was deleted.
		_, batches, err := loaded.Scan(table.WithSnapshotID(s.SnapshotID)).ToArrowRecords(t.Context())
		if err != nil {
			t.Fatalf("snapshot %d: %v", s.SnapshotID, err)
		}
		for batch, err := range batches {
			if err != nil {
				t.Fatalf("snapshot %d: %v", s.SnapshotID, err)
			}
			batch.Release()
		}
	}
}

func TestRetainAgeExpiresYoungCountsToo(t *testing.T) {
	s, _ := newSink(t)
	o := customerOptions()
	o.RetainAge = time.Nanosecond
	w := newWriter(t, s, o)
	for i := range 5 {
		w.upsert(1, fmt.Sprint(i))
		w.commit()
		time.Sleep(2 * time.Millisecond)
	}
	if n := len(w.table.meta.Snapshots()); n > 2 {
		t.Errorf("%d snapshots are kept, want the head and at most its parent", n)
	}
}

func TestIndexOverBudgetHalts(t *testing.T) {
	s, _ := newSink(t)
	w := newWriter(t, s, customerOptions())
	s.o.IndexBytes = 10
	w.upsert(1, "a")
	_, err := w.table.Commit(t.Context(), w.change())
	if h, ok := errors.AsType[*halt.Error](err); !ok || h.Reason != halt.IndexOverBudget {
		t.Fatalf("commit ended with %v, want index_over_budget (I7)", err)
	}
	if _, err := s.Open(t.Context(), customerOptions()); err == nil {
		t.Error("the table opened over its budget")
	}
	s.o.IndexBytes = 1 << 20
	if _, err := s.Open(t.Context(), customerOptions()); err != nil {
		t.Errorf("a budget that was raised does not help: %v", err)
	}
}

func TestTableThatCdcdCannotMaintainHalts(t *testing.T) {
	s, _ := newSink(t)
	newWriter(t, s, customerOptions())
	o := customerOptions()
	o.Key = []string{"name"}
	_, err := s.Open(t.Context(), o)
	if h, ok := errors.AsType[*halt.Error](err); !ok || h.Reason != halt.InvalidTable || h.Hint == "" {
		t.Fatalf("opening with another key ended with %v, want invalid_table and a hint", err)
	}
}
