package pipeline_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cdcd-project/cdcd/internal/kafka"
)

// Offsets committed to the group are advice (I8): a group that refuses them for ever, or never answers, holds up no table.
func TestGroupThatTakesNoOffsets(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(c *kfake.Cluster)
	}{
		{"refuses for ever", func(c *kfake.Cluster) {
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.GroupAuthorizationFailed, Count: -1})
		}},
		{"rebalances for ever", func(c *kfake.Cluster) {
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.RebalanceInProgress, Count: -1})
		}},
		{"never answers", func(c *kfake.Cluster) {
			c.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				return nil, nil, true
			})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "shop")
			test.spoil(w.cluster)
			p := w.start(soon(mirror("d.t", "shop")), nil)
			log := people(customers("shop"), 1, 12)
			began := time.Now()
			for i, r := range log {
				w.produce(r)
				w.eventually("the record is applied", func() bool { return w.next("d.t", "shop", 0) == int64(i+1) })
			}
			if took := time.Since(began); took > time.Minute { // With ten seconds each it would be two minutes.
				t.Errorf("%d commits took %v: they waited for the group", len(log), took)
			}
			if err := p.stop(); err != nil {
				t.Error(err)
			}
			w.stands("d.t", "shop", fold(t, log...), 12)
			if n := p.metric("cdcd_records_consumed_total") + p.metric("cdcd_table_restarts_total"); n != 12 {
				t.Errorf("consumed %v records with restarts, want 12 without", n)
			}
			// Once, and then once a minute.
			if n := len(p.log.entries("left group offsets behind")); n > 1 || n == 0 && test.name != "never answers" {
				t.Errorf("the log says %d times that the group is left behind, want once", n)
			}
		})
	}
}

// A refusal that passes is made good, also if the table has nothing more to commit.
func TestGroupIsToldOnceItListens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	w.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.RebalanceInProgress, Count: 1})
	w.start(soon(mirror("d.t", "shop")), nil)
	w.produce(people(customers("shop"), 1, 3)...)
	w.eventually("the group knows", func() bool { return w.told("shop") == 3 })
}

// What the last owner of a table could not tell the group, the next one does, also if there is nothing to commit.
func TestGroupIsToldByTheNextOwner(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	deaf := w.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.RebalanceInProgress, Count: -1})
	p := w.start(soon(mirror("d.t", "shop")), nil)
	w.produce(people(customers("shop"), 1, 3)...)
	w.eventually("the records are applied", func() bool { return w.next("d.t", "shop", 0) == 3 })
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	deaf.Remove()
	w.start(soon(mirror("d.t", "shop")), nil)
	w.eventually("the group knows", func() bool { return w.told("shop") == 3 })
}

// told returns the offset that the group has been told for partition 0, or -1.
func (w *world) told(topic string) int64 {
	info := w.cluster.GroupInfo("cdcd")
	if info == nil {
		return -1
	}
	if at, ok := info.Commits[topic][0]; ok {
		return at.Offset
	}
	return -1
}

// Whatever the group goes through, tables lose nothing and apply nothing twice.
func TestGroupTroubles(t *testing.T) {
	fault := func(key kmsg.Key, err *kerr.Error) func(*world) {
		return func(w *world) {
			h := w.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Group: "cdcd", TopLevel: true, Err: err, Count: 2})
			w.eventually("the member has met the fault", func() bool { return h.Hits() > 0 })
			h.Remove()
		}
	}
	for _, test := range []struct {
		name    string
		trouble func(w *world)
	}{
		{"coordinator moves", func(w *world) { w.cluster.RehashCoordinators() }},
		{"heartbeat: not the coordinator", fault(kmsg.Heartbeat, kerr.NotCoordinator)},
		{"heartbeat: coordinator loads", fault(kmsg.Heartbeat, kerr.CoordinatorLoadInProgress)},
		{"heartbeat: rebalance", fault(kmsg.Heartbeat, kerr.RebalanceInProgress)},
		{"heartbeat: unknown member", fault(kmsg.Heartbeat, kerr.UnknownMemberID)},
		{"heartbeat: illegal generation", fault(kmsg.Heartbeat, kerr.IllegalGeneration)},
		{"join: unknown member, after a rebalance", func(w *world) {
			w.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, Group: "cdcd", TopLevel: true, Err: kerr.UnknownMemberID})
			fault(kmsg.Heartbeat, kerr.RebalanceInProgress)(w)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorldOf(t, kfake.NumBrokers(3), kfake.SeedTopics(1, "shop"), kfake.GroupMinSessionTimeout(time.Second))
			w.tune = func(o *kafka.Options) { o.SessionTimeout = 1500 * time.Millisecond } // With a heartbeat every 500 ms.
			e := customers("shop")
			p := w.start(soon(mirror("d.t", "shop")), nil)
			log := people(e, 1, 10)
			w.produce(log[:5]...)
			w.eventually("the first records are applied", func() bool { return w.next("d.t", "shop", 0) == 5 })
			w.produce(log[5:]...)
			test.trouble(w)
			for i := range 5 {
				log = append(log, e.upsert("u", fmt.Sprint(i+1), `"again"`))
			}
			w.produce(log[10:]...)
			w.eventually("all records are applied", func() bool { return w.next("d.t", "shop", 0) == 15 })
			w.eventually("the group knows", func() bool { return w.told("shop") == 15 })
			if n := p.metric("cdcd_table_halted") + p.metric("cdcd_table_restarts_total"); n != 0 {
				t.Errorf("%v halts and restarts, want none", n)
			}
			w.stands("d.t", "shop", fold(t, log...), 15)
			inserted := 0.0
			for _, s := range p.log.entries("committed snapshot") {
				n, _ := s["inserted"].(float64)
				inserted += n
			}
			if inserted != 10 {
				t.Errorf("inserted %v rows, want 10", inserted)
			}
		})
	}
}
