package kafka

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// declare reads "t1:a,b t2:c" as table t1 on topics a and b, and t2 on c; and "t1,t2@3" as owned since generation 3.
func declare(member, tables, owned string) declaration {
	d := declaration{member: member, tables: map[string][]string{}, generation: -1}
	for table := range strings.FieldsSeq(tables) {
		name, topics, _ := strings.Cut(table, ":")
		d.tables[name] = strings.Split(topics, ",")
	}
	if names, generation, ok := strings.Cut(owned, "@"); ok {
		d.owned = strings.Split(names, ",")
		_, _ = fmt.Sscan(generation, &d.generation)
	}
	return d
}

func TestAssign(t *testing.T) {
	const four = "t1:a t2:b t3:c t4:d"
	for _, test := range []struct {
		name         string
		declarations []declaration
		want         map[string][]string
		waiting      []string
	}{
		{name: "no members", want: map[string][]string{}},
		{
			name:         "one member gets everything",
			declarations: []declaration{declare("m1", four, "")},
			want:         map[string][]string{"m1": {"t1", "t2", "t3", "t4"}},
		},
		{
			name:         "two members share evenly",
			declarations: []declaration{declare("m1", four, ""), declare("m2", four, "")},
			want:         map[string][]string{"m1": {"t1", "t3"}, "m2": {"t2", "t4"}},
		},
		{
			name:         "more members than tables leaves some without",
			declarations: []declaration{declare("m1", "t1:a", ""), declare("m2", "t1:a", "")},
			want:         map[string][]string{"m1": {"t1"}},
		},
		{
			name: "a shared topic ties two tables, a table ties two topics",
			declarations: []declaration{
				declare("m1", "t1:a t2:a,b t3:b t4:c", ""), declare("m2", "t1:a t2:a,b t3:b t4:c", ""),
			},
			want: map[string][]string{"m1": {"t1", "t2", "t3"}, "m2": {"t4"}},
		},
		{
			name: "a table found late ties two chains",
			declarations: []declaration{
				declare("m1", "t1:a t2:b t3:c t9:a,c", ""), declare("m2", "t1:a t2:b t3:c t9:a,c", ""),
			},
			want: map[string][]string{"m1": {"t1", "t3", "t9"}, "m2": {"t2"}},
		},
		{
			name:         "owners keep what they have",
			declarations: []declaration{declare("m1", four, "t2,t4@5"), declare("m2", four, "t1,t3@5")},
			want:         map[string][]string{"m1": {"t2", "t4"}, "m2": {"t1", "t3"}},
		},
		{
			name:         "a difference of one moves nothing",
			declarations: []declaration{declare("m1", "t1:a t2:b t3:c", "t1,t2@5"), declare("m2", "t1:a t2:b t3:c", "t3@5")},
			want:         map[string][]string{"m1": {"t1", "t2"}, "m2": {"t3"}},
		},
		{
			name:         "a new member gets only what balance needs",
			declarations: []declaration{declare("m1", four, "t1,t2,t3,t4@5"), declare("m2", four, "")},
			want:         map[string][]string{"m1": {"t1", "t2"}, "m2": {"t3", "t4"}},
		},
		{
			name:         "the tables of a member that left are spread",
			declarations: []declaration{declare("m1", four, "t1@5"), declare("m3", four, "t4@5")},
			want:         map[string][]string{"m1": {"t1", "t2"}, "m3": {"t3", "t4"}},
		},
		{
			name:         "of two claims the newer generation is true",
			declarations: []declaration{declare("m1", "t1:a", "t1@4"), declare("m2", "t1:a", "t1@7")},
			want:         map[string][]string{"m2": {"t1"}},
		},
		{
			name:         "a table goes only to a member that declares it",
			declarations: []declaration{declare("m1", "t1:a t2:b", ""), declare("m2", "t3:c", "")},
			want:         map[string][]string{"m1": {"t1", "t2"}, "m2": {"t3"}},
		},
		{
			name:         "an owner that no longer declares its table loses it",
			declarations: []declaration{declare("m1", "t2:b", "t1,t2@5"), declare("m2", "t1:a t2:b", "")},
			want:         map[string][]string{"m1": {"t2"}, "m2": {"t1"}},
		},
		{
			name: "the topics of the majority count",
			declarations: []declaration{
				declare("m1", "t1:a", "t1@5"), declare("m2", "t1:a,b", ""), declare("m3", "t1:a,b", ""),
			},
			want: map[string][]string{"m2": {"t1"}},
		},
		{
			name:         "in a tie the owner's topics count",
			declarations: []declaration{declare("m1", "t1:a", ""), declare("m2", "t1:a,b", "t1@5")},
			want:         map[string][]string{"m2": {"t1"}},
		},
		{
			name:         "a table that only new members have ties its topic to them",
			declarations: []declaration{declare("m1", "t1:a", "t1@5"), declare("m2", "t1:a t2:a", "")},
			want:         map[string][]string{"m2": {"t1", "t2"}},
		},
		{
			name:         "members that disagree on a component leave tables waiting, but none runs twice",
			declarations: []declaration{declare("m1", "t1:a", ""), declare("m2", "t2:a", "")},
			want:         map[string][]string{"m1": {"t1"}},
			waiting:      []string{"t2"},
		},
		{
			name:         "a member without tables gets nothing",
			declarations: []declaration{declare("m1", "", ""), declare("m2", "t1:a t2:b", "")},
			want:         map[string][]string{"m2": {"t1", "t2"}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, waiting := assign(test.declarations)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.waiting, waiting); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Random groups, seen in random order: the result is the same, no table has two owners, none is lost without being
// named, owners declare what they get, and where all members agree the load differs by at most one component.
func TestAssignHoldsItsRulesForRandomGroups(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		agreed := randomTables(r)
		var declarations []declaration
		same := r.IntN(2) == 0
		for i := range 1 + r.IntN(5) {
			d := declaration{member: fmt.Sprintf("m%d", i), tables: agreed, generation: int32(r.IntN(4)) - 1}
			if !same {
				d.tables = randomTables(r)
			}
			for table := range agreed {
				if r.IntN(3) == 0 {
					d.owned = append(d.owned, table)
				}
			}
			declarations = append(declarations, d)
		}
		got, waiting := assign(declarations)
		shuffled := slices.Clone(declarations)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		again, _ := assign(shuffled)
		if diff := cmp.Diff(got, again); diff != "" {
			t.Fatalf("seed %d: the order of members matters: %s", seed, diff)
		}
		checkOwners(t, seed, declarations, got, waiting)
		if !same {
			continue
		}
		if len(waiting) > 0 {
			t.Fatalf("seed %d: members agree, but %v wait", seed, waiting)
		}
		load := map[string]int{}
		for _, c := range connect(agreed) {
			for member, tables := range got {
				if slices.Contains(tables, c.tables[0]) {
					load[member]++
					if !subset(c.tables, tables) {
						t.Fatalf("seed %d: component %v was torn apart: %v", seed, c.tables, got)
					}
				}
			}
		}
		least, most := len(agreed), 0
		for _, d := range declarations {
			least, most = min(least, load[d.member]), max(most, load[d.member])
		}
		if most-least > 1 {
			t.Fatalf("seed %d: loads %v", seed, load)
		}
	}
}

func randomTables(r *rand.Rand) map[string][]string {
	tables := map[string][]string{}
	for i := range 1 + r.IntN(10) {
		var topics []string
		for range 1 + r.IntN(2) {
			topics = append(topics, fmt.Sprintf("topic%d", r.IntN(12)))
		}
		slices.Sort(topics)
		tables[fmt.Sprintf("t%d", i)] = slices.Compact(topics)
	}
	return tables
}

func checkOwners(t *testing.T, seed uint64, declarations []declaration, got map[string][]string, waiting []string) {
	t.Helper()
	owners := map[string]int{}
	declared := map[string]bool{}
	for _, d := range declarations {
		for table := range d.tables {
			declared[table] = true
		}
		for _, table := range got[d.member] {
			owners[table]++
			if _, ok := d.tables[table]; !ok {
				t.Fatalf("seed %d: %s got %s, which it does not declare", seed, d.member, table)
			}
		}
	}
	for table := range declared {
		if n := owners[table]; n > 1 || n == 0 && !slices.Contains(waiting, table) {
			t.Fatalf("seed %d: table %s has %d owners; waiting: %v", seed, table, n, waiting)
		}
	}
}
