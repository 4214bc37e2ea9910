package pipeline_test

import (
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Retention and the bookmark (I9): what was removed unread halts the table, exactly where it stood; up to the bookmark nothing
// is missing.
func TestRetentionWhileDown(t *testing.T) {
	for _, test := range []struct {
		name   string
		start  int64 // Of the log, after retention.
		reason string
		next   int64
	}{
		{"before the bookmark", 3, "", 10},
		{"at the bookmark", 4, "", 10},
		{"one past the bookmark", 5, "records_lost", 4},
		{"everything", 10, "records_lost", 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "shop", bystander)
			log := people(customers("shop"), 1, 10)
			w.each(log[:4]...)
			w.mustRunToEnd(mirror("d.t", "shop"))
			w.each(log[4:]...)
			w.trim("shop", test.start)
			p := w.start(both(), nil)
			if test.reason != "" {
				hinted(t, p.halted("d.t", test.reason), "retention", "accept-gap")
			} else {
				w.eventually("the rest is applied", func() bool { return w.next("d.t", "shop", 0) == test.next })
			}
			w.goesOn()
			w.stands("d.t", "shop", fold(t, log[:test.next]...), test.next)
		})
	}
}

// A bookmark may stand inside a batch of the log, and so may the log's start.
func TestRetentionInsideABatchWhileDown(t *testing.T) {
	for _, test := range []struct {
		name   string
		start  int64
		reason string
	}{
		{"before the bookmark", 3, "bad_record"},
		{"at the bookmark", 5, "bad_record"},
		{"one past the bookmark", 6, "records_lost"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "shop", bystander)
			log := people(customers("shop"), 1, 10)
			log[5] = badRecords(customers("shop"))[0].record
			w.oneBatch(log...)
			p := w.start(soon(mirror("d.t", "shop")), nil)
			p.halted("d.t", "bad_record") // In the middle of the batch.
			if err := p.stop(); err != nil {
				t.Fatal(err)
			}
			w.trim("shop", test.start)
			p = w.start(both(), nil)
			entry := p.halted("d.t", test.reason)
			if test.reason == "bad_record" && entry["offset"] != 5.0 {
				t.Errorf("read on at offset %v, want 5", entry["offset"])
			}
			w.goesOn()
			w.stands("d.t", "shop", fold(t, log[:5]...), 5)
		})
	}
}

// oneBatch produces records that the log keeps in one batch.
func (w *world) oneBatch(records ...*kgo.Record) {
	w.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(50*time.Millisecond))
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(w.t.Context(), records...).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

// Retention overtakes a reader that is far behind.
func TestRetentionWhileRunning(t *testing.T) {
	for _, test := range []struct {
		name    string
		produce func(w *world, records ...*kgo.Record)
		start   int64
		reason  string
		next    int64
	}{
		{"up to the position", (*world).each, 4, "", 10},
		{"past the position", (*world).each, 7, "records_lost", 4},
		{"past the position, inside a batch", (*world).oneBatch, 7, "records_lost", 4},
		{"everything", (*world).each, 10, "records_lost", 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "shop", bystander)
			log := people(customers("shop"), 1, 10)
			p := w.start(both(), nil)
			w.each(log[:4]...)
			w.eventually("the first records are applied", func() bool { return w.next("d.t", "shop", 0) == 4 })
			release := w.holdFetches()
			test.produce(w, log[4:]...)
			w.trim("shop", test.start)
			release()
			if test.reason != "" {
				hinted(t, p.halted("d.t", test.reason), "retention", "accept-gap")
			} else {
				w.eventually("the rest is applied", func() bool { return w.next("d.t", "shop", 0) == test.next })
			}
			w.goesOn()
			w.stands("d.t", "shop", fold(t, log[:test.next]...), test.next)
		})
	}
}

// holdFetches keeps the brokers from answering fetches until release is called. From its return on, no fetch is under way.
func (w *world) holdFetches() (release func()) {
	held, released := make(chan struct{}), make(chan struct{})
	var first sync.Once
	w.cluster.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		first.Do(func() { close(held) })
		w.cluster.SleepControl(func() { <-released })
		return nil, nil, false
	})
	<-held
	return func() { close(released) }
}
