package pipeline_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cdcd-project/cdcd/internal/pipeline"
)

// A position that nobody can tell about for a while is no reason to read the open batch again.
func TestDoubtThatPassesKeepsTheOpenBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	log := people(customers("shop"), 1, 3)
	w.produce(log[:2]...)
	p := w.start([]pipeline.Table{mirror("d.t", "shop")}, nil)
	w.eventually("the records are read", func() bool { return p.metric("cdcd_records_consumed_total") == 2 })
	faults := w.cluster.Fault(
		kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "shop", Err: kerr.UnknownTopicID, Count: -1},
		kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: "shop", Err: kerr.TopicAuthorizationFailed, Count: -1},
	)
	w.eventually("the position is in doubt", func() bool { return len(p.log.entries("retried poll")) >= 3 })
	if n := len(w.snapshots("d.t")); n != 0 {
		t.Errorf("%d commits while the position was in doubt, want none", n)
	}
	faults.Remove()
	w.produce(log[2:]...)
	w.eventually("the next record is read", func() bool { return p.metric("cdcd_records_consumed_total") == 3 })
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	w.stands("d.t", "shop", fold(t, log...), 3)
	if n := p.metric("cdcd_table_restarts_total"); n != 0 {
		t.Errorf("%v restarts, want none", n)
	}
	if n := len(w.snapshots("d.t")); n != 1 {
		t.Errorf("%d commits, want 1", n)
	}
}
