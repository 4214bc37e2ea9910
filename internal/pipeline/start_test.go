package pipeline_test

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cdcd-project/cdcd/internal/pipeline"
)

// trim removes the records of partition 0 before an offset, as retention does.
func (w *world) trim(topic string, before int64) {
	w.t.Helper()
	var offsets kadm.Offsets
	offsets.AddOffset(topic, 0, before, -1)
	deleted, err := kadm.NewClient(w.producer).DeleteRecords(w.t.Context(), offsets)
	if err != nil || deleted.Error() != nil {
		w.t.Fatal(err, deleted.Error())
	}
}

// A table without its beginning would be wrong in silence (I9).
func TestIncompleteStartIsRefusedUnlessAccepted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	for id := 1; id <= 4; id++ {
		w.produce(e.upsert("c", fmt.Sprint(id), `"x"`))
	}
	w.trim("shop", 2)
	o := mirror("d.t", "shop")
	p := w.start([]pipeline.Table{o}, nil)
	p.halted("d.t", "incomplete_start")
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	if n := len(w.snapshots("d.t")); n != 0 {
		t.Errorf("%d commits, want none", n)
	}

	o.FromEarliest = true
	p = w.start(soon(o), nil)
	w.reaches("d.t", 2)
	w.produce(e.upsert("c", "5", `"x"`))
	w.reaches("d.t", 3)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	w.produce(e.upsert("c", "6", `"x"`))
	w.mustRunToEnd(o)
	w.expect("d.t", []string{"id"}, map[string]string{"3": "3|x", "4": "4|x", "5": "5|x", "6": "6|x"})
	for i, s := range w.snapshots("d.t") {
		want := ""
		if i == 0 {
			want = "earliest"
		}
		if got := s.Summary["cdcd.start"]; got != want {
			t.Errorf("commit %d has cdcd.start %q, want %q", i, got, want)
		}
	}
}

func TestCompleteStartIsNotRecordedAsEarliest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	w.produce(customers("shop").upsert("c", "1", `"x"`))
	o := mirror("d.t", "shop")
	o.FromEarliest = true
	w.mustRunToEnd(o)
	if got, ok := w.snapshots("d.t")[0].Summary["cdcd.start"]; ok {
		t.Errorf("the first commit has cdcd.start %q, though the log begins at 0", got)
	}
}

// Records that retention took before they were applied are missed at once (I9).
func TestLostRecordsHalt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	w.produce(e.upsert("c", "1", `"x"`))
	w.mustRunToEnd(mirror("d.t", "shop"))
	w.produce(e.upsert("c", "2", `"x"`), e.upsert("c", "3", `"x"`))
	w.trim("shop", 2)
	w.start(soon(mirror("d.t", "shop")), nil).halted("d.t", "records_lost")
	w.expect("d.t", []string{"id"}, map[string]string{"1": "1|x"})
}

// A missing topic may be made later: cdcd looks again by itself.
func TestMissingTopicIsProbed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "other")
	p := w.start(soon(mirror("d.t", "shop"), mirror("d.other", "other")), nil)
	p.halted("d.t", "topic_missing")
	if err := w.cluster.CreateTopic("shop", 1, nil); err != nil {
		t.Fatal(err)
	}
	w.produce(customers("shop").upsert("c", "1", `"Ann"`))
	w.reaches("d.t", 1)
	p.notHalted()
}

// Rights may be granted later: cdcd looks again by itself, and reads the batch again.
func TestDeniedAccessIsProbed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	w.produce(e.upsert("c", "1", `"Ann"`))
	w.mustRunToEnd(mirror("d.t", "shop"))
	c := &wire{Catalog: w.catalog}
	c.denied.Store(true)
	w.produce(e.upsert("c", "2", `"Bob"`))
	p := w.start(soon(mirror("d.t", "shop")), w.through(c))
	p.halted("d.t", "access_denied")
	c.denied.Store(false)
	w.reaches("d.t", 2)
	w.eventually("the table is not said to be halted", func() bool { return p.metric("cdcd_table_halted") == 0 })
}

// What was read before a topic went away is committed. A topic made anew under its name is another one (I9).
func TestDeletedTopicHaltsAndARecreatedOneIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	w.produce(e.upsert("c", "1", `"Ann"`), e.upsert("c", "2", `"Bob"`))
	p := w.start([]pipeline.Table{mirror("d.t", "shop")}, nil)
	w.eventually("the records are read", func() bool { return p.metric("cdcd_records_consumed_total") == 2 })
	if err := w.cluster.DeleteTopic("shop"); err != nil {
		t.Fatal(err)
	}
	p.halted("d.t", "topic_missing")
	w.expect("d.t", []string{"id"}, map[string]string{"1": "1|Ann", "2": "2|Bob"})
	if err := w.cluster.CreateTopic("shop", 1, nil); err != nil {
		t.Fatal(err)
	}
	w.producer.PurgeTopicsFromClient("shop") // It remembers the old topic's id.
	w.produce(e.upsert("c", "3", `"other"`), e.upsert("c", "4", `"other"`), e.upsert("c", "5", `"other"`))
	p.halted("d.t", "topic_recreated")
	if n := p.metric("cdcd_table_halted"); n != 1 {
		t.Errorf("the table is said to be halted for %v reasons, want 1", n)
	}
	w.expect("d.t", []string{"id"}, map[string]string{"1": "1|Ann", "2": "2|Bob"})
}

// When the log loses its tail, what an open batch took from it may be gone: it is not committed, and is read again.
func TestTruncatedLogHaltsWithoutCommittingWhatItMayHaveLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	w.produce(e.upsert("c", "1", `"Ann"`))
	w.mustRunToEnd(mirror("d.t", "shop"))
	w.produce(e.upsert("c", "2", `"Bob"`), e.upsert("c", "3", `"Cid"`))
	p := w.start([]pipeline.Table{mirror("d.t", "shop")}, nil)
	w.eventually("the records are read", func() bool { return p.metric("cdcd_records_consumed_total") == 2 })
	w.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "shop", Err: kerr.OffsetOutOfRange, Count: 1})
	p.halted("d.t", "log_truncated")
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	w.expect("d.t", []string{"id"}, map[string]string{"1": "1|Ann"})
	if next := w.next("d.t", "shop", 0); next != 1 {
		t.Errorf("the bookmark stands at %d, want 1", next)
	}
	w.mustRunToEnd(mirror("d.t", "shop"))
	w.expect("d.t", []string{"id"}, map[string]string{"1": "1|Ann", "2": "2|Bob", "3": "3|Cid"})
}
