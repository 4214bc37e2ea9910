package pipeline_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/pipeline"
)

// only leaves the records at some offsets.
func only(offsets ...int64) func(*pipeline.ReplayOptions) {
	return func(o *pipeline.ReplayOptions) {
		o.Records = slices.DeleteFunc(o.Records, func(r pipeline.Quarantined) bool { return !slices.Contains(offsets, r.Offset) })
	}
}

// After the cause was mended, what was set aside is applied together with the events that keep its values: the table is the fold of the whole
// log. Nothing is applied alone that rests on something else.
func TestReplayOfRowsInDoubtMakesTheTableWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := documents("shop")
	name := strings.Trim(long(), `"`)
	kept := func(id, name, photo string) *kgo.Record { return e.put("u", document{id, name, unavailable, photo}) }
	w.produce(
		e.put("c", document{"1", "a", "doc", "photo"}), e.put("c", document{"2", "a", "doc2", "photo2"}),
		e.spoiled("u", document{"1", "", "new", unavailable}), // 2: too long, and keeps a photo.
		kept("1", "b", unavailable), kept("1", "c", "newer"),  // 3, 4: in doubt.
		e.spoiled("u", document{"2", "", "lost", "lost"}),                                        // 5: superseded.
		e.put("u", document{"2", "z", "all", "all"}),                                             // 6
		e.spoiled("c", document{"3", "", "doc3", "photo3"}),                                      // 7: a row that is not there.
		kept("3", "x", unavailable), e.spoiled("u", document{"3", "", unavailable, unavailable}), // 8, 9
	)
	target := lenient("d.t", 100, "shop")
	w.settle(target)
	before := map[string]string{"1": document{"1", "a", "doc", "photo"}.text(), "2": document{"2", "z", "all", "all"}.text()}
	w.expect("d.t", []string{"id"}, before)
	for _, alone := range [][]int64{{3}, {2}, {3, 4}, {2, 4}, {8}} {
		for at, outcome := range w.replay(mended(target), only(alone...)) {
			if outcome != pipeline.Refused {
				t.Errorf("%v: %s is %s", alone, at, outcome)
			}
		}
	}
	w.expect("d.t", []string{"id"}, before)
	want := map[string]string{"shop/0@2": "applied", "shop/0@3": "applied", "shop/0@4": "applied", "shop/0@5": "superseded", "shop/0@7": "applied", "shop/0@8": "applied", "shop/0@9": "applied"}
	for range 2 { // Again, as after a crash before they were marked.
		if diff := cmp.Diff(want, w.replay(mended(target), nil)); diff != "" {
			t.Errorf("outcomes (-want +got):\n%s", diff)
		}
		w.expect("d.t", []string{"id"}, map[string]string{
			"1": document{"1", "c", "new", "newer"}.text(), "2": document{"2", "z", "all", "all"}.text(), "3": document{"3", name, "doc3", "photo3"}.text(),
		})
	}
	w.produce(kept("1", "d", unavailable), kept("3", "d", unavailable), kept("2", "d", unavailable)) // What was not applied keeps row 2 in doubt.
	w.settle(mended(target))
	w.expect("d.t", []string{"id"}, map[string]string{
		"1": document{"1", "d", "new", "newer"}.text(), "2": document{"2", "z", "all", "all"}.text(), "3": document{"3", "d", "doc3", "photo3"}.text(),
	})
}

// The create of a pair that changes a key keeps values of a row that is gone when it is replayed.
func TestReplayRefusesWhatKeepsValuesOfAGoneRow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := documents("shop")
	w.produce(e.put("c", document{"1", "a", "doc", "photo"}), e.spoiled("u", document{"1", "", "new", "new"}))
	w.produce(e.rename("1", document{"2", "b", unavailable, unavailable})...)
	target := lenient("d.t", 100, "shop")
	w.settle(target)
	if diff := cmp.Diff(map[string]string{"shop/0@1": "superseded", "shop/0@4": "refused"}, w.replay(mended(target), nil)); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	w.expect("d.t", []string{"id"}, map[string]string{})
}
