package pipeline_test

import "testing"

// A semantic type that nobody knows is stored as its literal type, counted, and told once a name.
func TestUnknownSemanticTypeIsCountedAndTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	e.columns = append(e.columns, column{"mood", connectInt + `,"name":"org.example.Mood"`}, column{"tone", connectInt + `,"name":"org.example.Mood"`})
	w.produce(e.upsert("c", "1", `"Ann"`, "7", "8"), e.upsert("c", "2", `"Bob"`, "7", "9"))
	p := w.mustRunToEnd(mirror("d.t", "shop"))
	w.expect("d.t", []string{"id"}, map[string]string{"1": "1|Ann|7|8", "2": "2|Bob|7|9"})
	if n := p.metric("cdcd_unknown_semantic_types_total", "table=d.t"); n < 2 {
		t.Errorf("counted %v fields, want both", n)
	}
	told := p.log.entries("stored unknown type as it is")
	if len(told) != 1 || told[0]["schema_name"] != "org.example.Mood" {
		t.Errorf("the log says %v, want the name once", told)
	}
}
