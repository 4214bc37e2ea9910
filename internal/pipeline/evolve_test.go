package pipeline_test

import (
	"slices"
	"testing"

	"github.com/apache/iceberg-go/table"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/pipeline"
)

// points are customers with points, which are an int at first.
func points(topic, id, pointsType string, more ...column) events {
	e := customers(topic)
	e.columns = slices.Concat([]column{{"id", id}, {"name", connectString}, {"points", pointsType}}, more)
	return e
}

// Schema and first row that needs it land together (I1); rows before and after it stay what they are.
func TestWiderSchemaLandsWithTheFirstRowThatNeedsIt(t *testing.T) {
	email := column{"email", connectString}
	for _, test := range []struct {
		name    string
		after   events
		records func(before, after events) []*kgo.Record
		want    map[string]string
	}{
		{
			"added column", points("shop", connectInt, connectInt, email),
			func(before, after events) []*kgo.Record {
				return []*kgo.Record{after.upsert("u", "1", `"Ann"`, "11", `"a@b"`), before.upsert("c", "3", `"Cid"`, "30")}
			},
			map[string]string{"1": "1|Ann|11|a@b", "2": "2|Bob|20|∅", "3": "3|Cid|30|∅"},
		},
		{
			"widened column", points("shop", connectInt, connectLong),
			func(before, after events) []*kgo.Record {
				return []*kgo.Record{after.upsert("u", "1", `"Ann"`, "5000000000"), before.upsert("c", "3", `"Cid"`, "30")}
			},
			map[string]string{"1": "1|Ann|5000000000", "2": "2|Bob|20", "3": "3|Cid|30"},
		},
		{
			"widened key", points("shop", connectLong, connectInt),
			func(before, after events) []*kgo.Record {
				return []*kgo.Record{after.upsert("u", "1", `"Anna"`, "11"), before.upsert("u", "2", `"Bobby"`, "21"), after.upsert("c", "5000000000", `"Eve"`, "50")}
			},
			map[string]string{"1": "1|Anna|11", "2": "2|Bobby|21", "5000000000": "5000000000|Eve|50"},
		},
		{
			"added and widened at once", points("shop", connectLong, connectLong, email),
			func(before, after events) []*kgo.Record {
				return slices.Concat(before.remove("2", `"Bob"`, "20"), []*kgo.Record{after.upsert("c", "2", `"Bo"`, "6000000000", `null`), before.upsert("u", "1", `"An"`, "12")})
			},
			map[string]string{"1": "1|An|12|∅", "2": "2|Bo|6000000000|∅"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "shop")
			before := points("shop", connectInt, connectInt)
			w.produce(before.upsert("c", "1", `"Ann"`, "10"), before.upsert("c", "2", `"Bob"`, "20"))
			w.produce(test.records(before, test.after)...)
			w.mustRunToEnd(mirror("d.t", "shop"))
			w.expect("d.t", []string{"id"}, test.want)

			loaded, err := w.catalog.LoadTable(t.Context(), table.Identifier{"d", "t"})
			if err != nil {
				t.Fatal(err)
			}
			all := w.snapshots("d.t")
			if len(all) != 2 {
				t.Fatalf("%d commits, want one with the first schema and one with the second", len(all))
			}
			first, second := loaded.Metadata().SnapshotByID(all[0].ID), loaded.Metadata().SnapshotByID(all[1].ID)
			if *first.SchemaID == *second.SchemaID {
				t.Error("the second commit has the first one's schema")
			}
			if all[0].Summary["added-records"] == "" || all[1].Summary["added-records"] == "" {
				t.Errorf("the commits added %q and %q rows", all[0].Summary["added-records"], all[1].Summary["added-records"])
			}

			w.produce(before.upsert("u", "2", `"again"`, "22"))
			w.mustRunToEnd(mirror("d.t", "shop"))
			if _, columns := w.columnsOf("d.t"); len(columns) != len(test.after.columns) {
				t.Errorf("columns are %v after a restart, want those of the wider schema", columns)
			}
		})
	}
}

// A record without schema shows a new column by its first value.
func TestNewMemberWithoutSchemaBecomesAColumn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop").schemaless()
	wider := e
	wider.columns = append(slices.Clone(e.columns), column{name: "vip"})
	w.produce(e.upsert("c", "1", `"Ann"`), wider.upsert("c", "2", `"Bob"`, "null"), wider.upsert("c", "3", `"Cid"`, "true"), e.upsert("c", "4", `"Dan"`))
	w.mustRunToEnd(mirror("d.t", "shop"))
	w.expect("d.t", []string{"id"}, map[string]string{"1": "1|Ann|∅", "2": "2|Bob|∅", "3": "3|Cid|true", "4": "4|Dan|∅"})
}

// Only the record that needs a wider schema may change it: one that cannot be applied in the end changes nothing.
func TestRefusedRecordDoesNotWidenTheTable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	wider := e
	wider.columns = append(slices.Clone(e.columns), column{"vip", connectInt})
	w.produce(e.upsert("c", "1", `"Ann"`), wider.upsert("c", "2", `"Bob"`, `"no number"`))
	w.start([]pipeline.Table{mirror("d.t", "shop")}, nil).halted("d.t", "bad_record")
	if _, columns := w.columnsOf("d.t"); len(columns) != 2 {
		t.Errorf("columns are %v, want those of the first record", columns)
	}
	w.expect("d.t", []string{"id"}, map[string]string{"1": "1|Ann"})
}

func TestLossySchemaChangeHaltsAndLosesNothing(t *testing.T) {
	for _, test := range []struct {
		name  string
		after events
		row   []string
	}{
		{"string to int", events{topic: "shop", key: []string{"id"}, columns: []column{{"id", connectInt}, {"name", connectInt}}, schemas: true}, []string{"3", "30"}},
		{"other key", events{topic: "shop", key: []string{"name"}, columns: []column{{"id", connectInt}, {"name", connectString}}, schemas: true}, []string{"3", `"Cid"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "shop")
			e := customers("shop")
			w.produce(e.upsert("c", "1", `"Ann"`), e.upsert("c", "2", `"Bob"`), test.after.upsert("c", test.row...), e.upsert("c", "4", `"Dan"`))
			p := w.start([]pipeline.Table{mirror("d.t", "shop")}, nil)
			if entry := p.halted("d.t", "schema_change"); entry["offset"] != 2.0 {
				t.Errorf("halted at offset %v, want 2", entry["offset"])
			}
			w.expect("d.t", []string{"id"}, map[string]string{"1": "1|Ann", "2": "2|Bob"})
			if next := w.next("d.t", "shop", 0); next != 2 {
				t.Errorf("the bookmark stands at %d, want 2", next)
			}
			_, columns := w.columnsOf("d.t")
			if diff := cmp.Diff([]string{"id int required", "name string"}, columns); diff != "" {
				t.Errorf("columns (-want +got):\n%s", diff)
			}
		})
	}
}
