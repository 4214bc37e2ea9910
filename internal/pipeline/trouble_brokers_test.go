package pipeline_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

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

// Whatever the brokers answer for a while: nothing is lost, nothing is applied twice, no table halts, and the log tells.
func TestBrokerTroublesThatPass(t *testing.T) {
	refuse := func(key kmsg.Key, err *kerr.Error) func(*world) (hits func() int, end func()) {
		return func(w *world) (func() int, func()) {
			h := w.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Topic: "shop", Err: err, Count: -1})
			return h.Hits, h.Remove
		}
	}
	for _, test := range []struct {
		name    string
		trouble func(w *world) (hits func() int, end func())
	}{
		{"not the leader", refuse(kmsg.Fetch, kerr.NotLeaderForPartition)},
		{"unknown topic or partition", refuse(kmsg.Fetch, kerr.UnknownTopicOrPartition)},
		{"offset not available", refuse(kmsg.Fetch, kerr.OffsetNotAvailable)},
		{"storage error", refuse(kmsg.Fetch, kerr.KafkaStorageError)},
		{"fenced leader epoch", refuse(kmsg.Fetch, kerr.FencedLeaderEpoch)},
		{"unknown leader epoch", refuse(kmsg.Fetch, kerr.UnknownLeaderEpoch)},
		{"unknown server error", refuse(kmsg.Fetch, kerr.UnknownServerError)},
		{"no access", refuse(kmsg.Fetch, kerr.TopicAuthorizationFailed)},
		{"no leader", refuse(kmsg.Metadata, kerr.LeaderNotAvailable)},
		{"connections are dropped", func(w *world) (func() int, func()) {
			return w.control(kmsg.Fetch, func(kmsg.Request) (kmsg.Response, error, bool) { return nil, errors.New("dropped"), true })
		}},
		{"answers are late", func(w *world) (func() int, func()) {
			return w.control(kmsg.Fetch, func(kmsg.Request) (kmsg.Response, error, bool) {
				w.cluster.SleepControl(func() { time.Sleep(300 * time.Millisecond) })
				return nil, nil, false
			})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "shop", bystander)
			e := customers("shop")
			log := people(e, 1, 4)
			p := w.start(both(), quickly)
			w.produce(log...)
			w.eventually("the first records are applied", func() bool { return w.next("d.t", "shop", 0) == 4 })
			log = append(log, people(e, 5, 2)...)
			hits, end := test.trouble(w)
			if test.name == "no leader" {
				w.lead("shop", 0) // Something to ask about.
			} else {
				w.produce(log[4:]...)
			}
			w.eventually("the trouble is met", func() bool { return hits() >= 3 })
			if test.name != "answers are late" {
				w.eventually("the log tells", func() bool {
					loud := 0
					for _, message := range []string{"retried fetch", "read nothing although records wait", "left lag unknown", "retried broker connection"} {
						loud += len(p.log.entries(message))
					}
					return loud > 0
				})
			}
			end()
			if test.name == "no leader" {
				w.produce(log[4:]...)
			}
			log = append(log, e.upsert("u", "1", `"again"`))
			w.produce(log[len(log)-1])
			w.eventually("all records are applied", func() bool { return w.next("d.t", "shop", 0) == int64(len(log)) })
			w.goesOn()
			w.stands("d.t", "shop", fold(t, log...), int64(len(log)))
			if n := p.metric("cdcd_records_consumed_total", "table=d.t"); n != float64(len(log)) {
				t.Errorf("consumed %v records, want %d: each once", n, len(log))
			}
			if n := p.metric("cdcd_table_halted") + p.metric("cdcd_table_restarts_total"); n != 0 {
				t.Errorf("%v halts and restarts, want none", n)
			}
			if n := len(p.log.entries("halted table")); n != 0 {
				t.Errorf("the log has %d halts, want none", n)
			}
		})
	}
}

// control answers requests of one kind with f until end is called.
func (w *world) control(key kmsg.Key, f func(kmsg.Request) (kmsg.Response, error, bool)) (hits func() int, end func()) {
	var met atomic.Int64
	var ended atomic.Bool
	w.cluster.ControlKey(int16(key), func(request kmsg.Request) (kmsg.Response, error, bool) {
		if ended.Load() {
			w.cluster.DropControl()
			return nil, nil, false
		}
		w.cluster.KeepControl()
		met.Add(1)
		return f(request)
	})
	return func() int { return int(met.Load()) }, func() { ended.Store(true) }
}

// Brokers that are gone for a while are waited for, also by a table that has an open batch.
func TestBrokersAwayForAWhile(t *testing.T) {
	t.Parallel()
	d := newDurable(t, "shop")
	log := people(customers("shop"), 1, 6)
	d.each(log[:3]...)
	p := d.start([]pipeline.Table{mirror("d.t", "shop")}, nil)
	d.eventually("the first records are read", func() bool { return p.metric("cdcd_records_consumed_total") == 3 })
	d.cluster.Close()
	d.eventually("the log tells", func() bool { return len(p.log.entries("retried broker connection")) > 0 })
	d.cluster = d.open(d.dir, d.port)
	d.each(log[3:]...)
	d.eventually("the others are read", func() bool { return p.metric("cdcd_records_consumed_total") == 6 })
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	d.stands("d.t", "shop", fold(t, log...), 6)
	if n := len(d.snapshots("d.t")); n != 1 || p.metric("cdcd_table_restarts_total") != 0 {
		t.Errorf("%d commits and %v restarts, want one batch", n, p.metric("cdcd_table_restarts_total"))
	}
}

// holdPartition keeps a partition's records from being fetched until release is called; the other partitions go on.
func (w *world) holdPartition(topic string, partition int32) (release func()) {
	h := w.cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Fetch}, Topic: topic, Partitions: []int32{partition}, Err: kerr.OffsetNotAvailable, Count: -1,
	})
	return h.Remove
}
