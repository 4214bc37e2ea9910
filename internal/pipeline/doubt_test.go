package pipeline_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/pipeline"
)

// aside returns the reasons for which records of topic shop are in quarantine, by place.
func (w *world) aside(target string) map[string]string {
	w.t.Helper()
	out := map[string]string{}
	if !w.exists(target + pipeline.QuarantineSuffix) {
		return out
	}
	for _, r := range w.set(target) {
		out[fmt.Sprintf("%d@%d", r.Partition, r.Offset)] = r.Reason
	}
	return out
}

// spoiled returns an event that a table with the limit of lenient sets aside, and whose key can be read.
func (e events) spoiled(op string, d document) *kgo.Record {
	d.name = strings.Trim(long(), `"`)
	return e.put(op, d)
}

// keyless returns an event whose key cannot be read.
func (e events) keyless(d document) *kgo.Record {
	r := e.put("u", d)
	r.Key = nil
	return r
}

// What a record that was set aside has changed is not known: updates that keep values of its row are set aside as well, until an event with
// all values comes. Each case is a sequence of events, applied in one session, and in a session for each. A session does not know which
// events came after what earlier ones have set aside, and so sets aside more.
func TestRowsInDoubtKeepNoValues(t *testing.T) {
	t.Parallel()
	full, other := document{"1", "a", "doc", "photo"}, document{"2", "a", "doc2", "photo2"}
	again := document{"1", "z", "doc3", "photo3"}
	rename := func(id, name string) document { return document{id, name, unavailable, unavailable} }
	const bad, doubt, none = "too_large", pipeline.UnavailableValue, "schema_mismatch"
	for _, test := range []struct {
		name  string
		steps func(e events) [][]*kgo.Record
		rows  map[string]string // Beside row 9, after one session.
		aside map[string]string // By place.
		more  map[string]string // With a session for each: what else is set aside,
		less  map[string]string // and which rows are others for it; empty: they are not there.
	}{
		{name: "an update of the key", steps: func(e events) [][]*kgo.Record {
			return [][]*kgo.Record{{e.put("c", full)}, {e.spoiled("u", again)}, {e.put("u", rename("1", "b"))}, {e.put("u", document{"1", "c", unavailable, "p"})}}
		}, rows: map[string]string{"1": full.text()}, aside: map[string]string{"0@2": bad, "0@3": doubt, "0@4": doubt}},
		{name: "an update of another key", steps: func(e events) [][]*kgo.Record {
			return [][]*kgo.Record{{e.put("c", full)}, {e.put("c", other)}, {e.spoiled("u", again)}, {e.put("u", rename("2", "b"))}}
		}, rows: map[string]string{"1": full.text(), "2": document{"2", "b", "doc2", "photo2"}.text()}, aside: map[string]string{"0@3": bad}},
		{
			name: "an event with all values", steps: func(e events) [][]*kgo.Record {
				return [][]*kgo.Record{{e.put("c", full)}, {e.spoiled("u", full)}, {e.put("u", rename("1", "b"))}, {e.put("u", again)}, {e.put("u", rename("1", "c"))}}
			}, rows: map[string]string{"1": document{"1", "c", "doc3", "photo3"}.text()}, aside: map[string]string{"0@2": bad, "0@3": doubt},
			more: map[string]string{"0@5": doubt}, less: map[string]string{"1": again.text()},
		},
		{
			name: "a key that cannot be read", steps: func(e events) [][]*kgo.Record {
				return [][]*kgo.Record{{e.put("c", full)}, {e.put("c", other)}, {e.keyless(again)}, {e.put("u", rename("1", "b"))}, {e.put("u", again)}, {e.put("u", rename("1", "c")), e.put("u", rename("2", "c"))}}
			}, rows: map[string]string{"1": document{"1", "c", "doc3", "photo3"}.text(), "2": other.text()}, aside: map[string]string{"0@3": "null_key", "0@4": doubt, "0@7": doubt},
			more: map[string]string{"0@6": doubt}, less: map[string]string{"1": again.text()},
		},
		{name: "a key of another partition", steps: func(e events) [][]*kgo.Record {
			return [][]*kgo.Record{{e.in(1).put("c", full)}, {e.keyless(again), e.spoiled("u", other)}, {e.in(1).put("u", rename("1", "b"))}}
		}, rows: map[string]string{"1": document{"1", "b", "doc", "photo"}.text()}, aside: map[string]string{"0@1": "null_key", "0@2": bad}},
		{name: "a key that was changed", steps: func(e events) [][]*kgo.Record {
			return [][]*kgo.Record{{e.put("c", full)}, {e.spoiled("u", again)}, e.rename("1", rename("2", "b")), {e.put("u", rename("2", "c"))}}
		}, rows: map[string]string{}, aside: map[string]string{"0@2": bad, "0@5": doubt, "0@6": none}},
		{
			name: "a key that was changed, once more, when the old key has another row", steps: func(e events) [][]*kgo.Record {
				return [][]*kgo.Record{{e.put("c", full)}, {e.spoiled("u", again)}, e.rename("1", rename("2", "b")), {e.put("c", again)}, e.rename("1", rename("2", "b"))}
			}, rows: map[string]string{}, aside: map[string]string{"0@2": bad, "0@5": doubt, "0@9": doubt},
		},
		{
			name: "a row that was made anew", steps: func(e events) [][]*kgo.Record {
				return [][]*kgo.Record{{e.put("c", full)}, {e.spoiled("u", full)}, e.remove(full.values()...), {e.put("u", rename("1", "b"))}, {e.put("c", again)}, {e.put("u", rename("1", "c"))}}
			}, rows: map[string]string{"1": document{"1", "c", "doc3", "photo3"}.text()}, aside: map[string]string{"0@2": bad, "0@5": none},
			more: map[string]string{"0@7": doubt}, less: map[string]string{"1": again.text()},
		},
	} {
		for _, apart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, apart=%v", test.name, apart), func(t *testing.T) {
				t.Parallel()
				w := newPartitionedWorld(t, map[bool]int32{true: 2, false: 1}[test.name == "a key of another partition"], "shop")
				e := documents("shop")
				target := lenient("d.t", 100, "shop")
				w.produce(e.put("c", document{"9", "first", "first", "first"}))
				w.settle(target)
				for _, step := range test.steps(e) {
					w.produce(clones(step)...)
					if apart {
						w.settle(target)
					}
				}
				w.settle(target)
				rows, aside := maps.Clone(test.rows), maps.Clone(test.aside)
				rows["9"] = document{"9", "first", "first", "first"}.text()
				if apart {
					maps.Copy(rows, test.less)
					maps.Copy(aside, test.more)
				}
				if diff := cmp.Diff(aside, w.aside("d.t")); diff != "" {
					t.Errorf("in quarantine (-want +got):\n%s", diff)
				}
				w.expect("d.t", []string{"id"}, rows)
			})
		}
	}
}

// A process that dies at any of its changes of the catalog decides as the one after it: each record is applied or in quarantine, and not both.
func TestRowsInDoubtAcrossCrashes(t *testing.T) {
	for _, lose := range []bool{false, true} {
		for at := 1; at <= 6; at++ {
			t.Run(fmt.Sprintf("change %d, lost %v", at, lose), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, "shop")
				e := documents("shop")
				full, again := document{"1", "a", "doc", "photo"}, document{"1", "z", "doc3", "photo3"}
				kept := func(name string) *kgo.Record { return e.put("u", document{"1", name, unavailable, unavailable}) }
				wide := e
				wide.columns = append(wide.columns[:4:4], column{"more", connectString})
				w.produce(e.put("c", full), e.spoiled("u", again), kept("b"),
					wide.upsert("c", append(document{"2", "a", "d", "p"}.values(), `"m"`)...), // It cuts the batch.
					kept("c"), e.put("u", again), kept("d"), e.keyless(full), kept("e"))
				f := &fuse{at: at, lose: lose, Catalog: w.catalog}
				target := lenient("d.t", 100, "shop")
				p := w.start([]pipeline.Table{target}, func(o *pipeline.Options) {
					o.Bounded, o.GracePeriod = true, time.Millisecond
					o.Sink = w.sink(f, o.Logger, nil)
				})
				w.eventually("the process dies", func() bool {
					f.mu.Lock()
					defer f.mu.Unlock()
					return f.blown
				})
				p.cancel()
				_ = p.wait()
				w.settle(target)
				want := map[string]string{"0@1": "too_large", "0@2": pipeline.UnavailableValue, "0@4": pipeline.UnavailableValue, "0@7": "null_key", "0@8": pipeline.UnavailableValue}
				if diff := cmp.Diff(want, w.aside("d.t")); diff != "" {
					t.Errorf("in quarantine (-want +got):\n%s", diff)
				}
				w.expect("d.t", []string{"id"}, map[string]string{"1": document{"1", "d", "doc3", "photo3"}.text() + "|∅", "2": document{"2", "a", "d", "p"}.text() + "|m"})
			})
		}
	}
}

// A record that has changed no row, as an operator knows, is dismissed: then rows are no longer in doubt for it.
func TestDismissedRecordLeavesNoDoubt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := documents("shop")
	target := lenient("d.t", 100, "shop")
	w.produce(e.put("c", document{"1", "a", "doc", "photo"}), &kgo.Record{Topic: "shop", Value: []byte("hello")})
	w.settle(target)
	if got := w.replay(target, func(o *pipeline.ReplayOptions) { o.Dismiss = true }); got["shop/0@1"] != pipeline.Dismissed {
		t.Fatalf("got %v", got)
	}
	w.produce(e.put("u", document{"1", "b", unavailable, unavailable}))
	w.mustRunToEnd(target)
	w.expect("d.t", []string{"id"}, map[string]string{"1": document{"1", "b", "doc", "photo"}.text()})
}

// A key that was moved to another partition, as another form of the record key does, is in doubt there as well.
func TestRowInDoubtWhoseKeyHasMovedKeepsNoValues(t *testing.T) {
	t.Parallel()
	w := newPartitionedWorld(t, 2, "shop")
	e := documents("shop")
	target := lenient("d.t", 100, "shop")
	full := document{"1", "a", "doc", "photo"}
	for _, r := range []*kgo.Record{e.put("c", full), e.spoiled("u", document{"1", "", "new", "new"}), e.in(1).put("u", document{"1", "b", unavailable, unavailable})} {
		w.produce(r)
		w.settle(target)
	}
	if diff := cmp.Diff(map[string]string{"0@1": "too_large", "1@0": pipeline.UnavailableValue}, w.aside("d.t")); diff != "" {
		t.Errorf("in quarantine (-want +got):\n%s", diff)
	}
	w.expect("d.t", []string{"id"}, map[string]string{"1": full.text()})
	for at, outcome := range w.replay(mended(target), nil) {
		if want := map[string]string{"shop/0@1": pipeline.Applied, "shop/1@0": pipeline.Refused}[at]; outcome != want {
			t.Errorf("%s is %s, want %s", at, outcome, want)
		}
	}
}

// Once keys had another form, a record whose key cannot be read may be about keys that stand in other partitions by now.
func TestAnyRowOfATopicIsInDoubtOnceKeysHaveMoved(t *testing.T) {
	t.Parallel()
	full, kept, fifth := document{"1", "a", "doc", "photo"}, document{"1", "b", unavailable, unavailable}, document{"5", "a", "d", "p"}
	narrow := documents("shop")
	wide := narrow
	wide.columns = append([]column{{"id", connectLong}}, narrow.columns[1:]...)
	for name, test := range map[string]struct {
		home  int32 // Where the key's events stood before.
		late  events
		row   document
		aside map[string]string
	}{
		"moved":  {0, wide, full, map[string]string{"0@1": "null_key", "1@1": pipeline.UnavailableValue}},
		"stayed": {1, narrow, document{"1", "b", "doc", "photo"}, map[string]string{"0@0": "null_key"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newPartitionedWorld(t, 2, "shop")
			target := lenient("d.t", 100, "shop")
			late := test.late.in(1)
			for _, r := range []*kgo.Record{narrow.in(test.home).put("c", full), narrow.keyless(full), late.put("c", fifth), late.put("u", kept)} {
				w.produce(inOrder(r)...)
				w.settle(target)
			}
			w.expect("d.t", []string{"id"}, map[string]string{"1": test.row.text(), "5": fifth.text()})
			if diff := cmp.Diff(test.aside, w.aside("d.t")); diff != "" {
				t.Errorf("in quarantine (-want +got):\n%s", diff)
			}
		})
	}
}
