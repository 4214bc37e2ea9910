package pipeline_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cdcd-project/cdcd/internal/bookmark"
)

// transaction is an open transaction of a producer of its own.
type transaction struct {
	w      *world
	client *kgo.Client
}

func (w *world) begin() *transaction {
	w.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.TransactionalID(w.t.Name()+time.Now().String()), kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(client.Close)
	if err := client.BeginTransaction(); err != nil {
		w.t.Fatal(err)
	}
	return &transaction{w, client}
}

// produce writes records that are open until the transaction ends.
func (x *transaction) produce(records ...*kgo.Record) *transaction {
	x.w.t.Helper()
	if err := x.client.ProduceSync(x.w.t.Context(), records...).FirstErr(); err != nil {
		x.w.t.Fatal(err)
	}
	return x
}

func (x *transaction) end(how kgo.TransactionEndTry) {
	x.w.t.Helper()
	if err := x.client.EndTransaction(x.w.t.Context(), how); err != nil {
		x.w.t.Fatal(err)
	}
}

// Aborted records are not applied, and the bookmark moves over them and over the markers, wherever they stand: the table is
// at the end of its topic and its lag is 0, also after a restart (I8).
func TestTransactions(t *testing.T) {
	e := customers("shop")
	for _, test := range []struct {
		name  string
		write func(w *world) (applied []*kgo.Record)
		end   int64
	}{
		{"committed", func(w *world) []*kgo.Record {
			log := people(e, 1, 3)
			w.begin().produce(log...).end(kgo.TryCommit)
			return log
		}, 4},
		{"aborted in the middle", func(w *world) []*kgo.Record {
			log := people(e, 1, 4)
			w.produce(log[:2]...)
			w.begin().produce(people(e, 101, 3)...).end(kgo.TryAbort)
			w.produce(log[2:]...)
			return log
		}, 8},
		{"aborted at the end", func(w *world) []*kgo.Record {
			log := people(e, 1, 2)
			w.produce(log...)
			w.begin().produce(e.upsert("u", "1", `"aborted"`), e.upsert("c", "7", `"aborted"`)).end(kgo.TryAbort)
			return log
		}, 5},
		{"aborted between the records of a committed one", func(w *world) []*kgo.Record {
			log := people(e, 1, 4)
			first := w.begin().produce(log[:2]...)
			second := w.begin().produce(people(e, 101, 2)...)
			first.produce(log[2:]...)
			second.end(kgo.TryAbort)
			first.end(kgo.TryCommit)
			return log
		}, 8},
		{"nothing but markers and aborted records after the bookmark", func(w *world) []*kgo.Record {
			log := people(e, 1, 2)
			w.produce(log...)
			w.mustRunToEnd(mirror("d.t", "shop"))
			for range 3 {
				w.begin().produce(people(e, 101, 1)...).end(kgo.TryAbort)
			}
			return log
		}, 8},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "shop")
			log := test.write(w)
			p := w.start(soon(mirror("d.t", "shop")), quickly)
			w.eventually("the bookmark is at the end", func() bool { return w.next("d.t", "shop", 0) == test.end })
			if lag := p.metric("cdcd_consumer_lag_records"); lag != 0 {
				t.Errorf("the lag is %v, want 0", lag)
			}
			if err := p.stop(); err != nil {
				t.Fatal(err)
			}
			w.stands("d.t", "shop", fold(t, log...), test.end)
			w.mustRunToEnd(mirror("d.t", "shop"))
			w.stands("d.t", "shop", fold(t, log...), test.end)
		})
	}
}

// What stands after the last stable offset is not applied before the transaction ends, whoever wrote it; then it is, in its order.
func TestOpenTransactionIsWaitedFor(t *testing.T) {
	for _, test := range []struct {
		name string
		how  kgo.TransactionEndTry
	}{{"until it commits", kgo.TryCommit}, {"until it aborts", kgo.TryAbort}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "shop", bystander)
			e := customers("shop")
			log := people(e, 1, 2)
			w.produce(log...)
			p := w.start(both(), quickly)
			w.eventually("the first records are applied", func() bool { return w.next("d.t", "shop", 0) == 2 })
			within := []*kgo.Record{e.upsert("u", "1", `"within"`), e.upsert("c", "3", `"within"`)}
			x := w.begin().produce(within...)
			after := []*kgo.Record{e.upsert("u", "3", `"after"`)}
			w.produce(after...)
			w.goesOn()
			w.eventually("the lag tells", func() bool { return p.metric("cdcd_consumer_lag_records", "table=d.t") == 3 })
			w.eventually("so does the metric of open transactions", func() bool {
				return p.metric("cdcd_open_transaction_records", "table=d.t", "partition=shop/0") == 3
			})
			w.eventually("the log warns", func() bool { return len(p.log.entries("waited for an open transaction")) > 0 })
			if got := p.log.entries("waited for an open transaction")[0]; got["topic"] != "shop" || got["offset"] != 2.0 || got["hint"] == "" {
				t.Errorf("the log says %v, want topic, offset and hint", got)
			}
			w.stands("d.t", "shop", fold(t, log...), 2)
			// A bounded run does not wait: its end is the last stable offset.
			w.mustRunToEnd(mirror("d.t", "shop"))
			w.stands("d.t", "shop", fold(t, log...), 2)

			x.end(test.how)
			if test.how == kgo.TryCommit {
				log = append(log, within...)
			}
			log = append(log, after...)
			w.eventually("the rest is applied", func() bool { return w.next("d.t", "shop", 0) == 6 })
			w.stands("d.t", "shop", fold(t, log...), 6)
			w.eventually("no lag is left", func() bool {
				return p.metric("cdcd_consumer_lag_records") == 0 && p.metric("cdcd_open_transaction_records") == 0
			})
		})
	}
}

// A bounded run that ends in offsets without records leaves a bookmark that the leaders confirm, also if they were written in a later
// leader epoch than the last record.
func TestEndWithoutRecordsInALaterEpoch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	log := people(customers("shop"), 1, 3)
	w.produce(log...)
	w.mustRunToEnd(mirror("d.t", "shop"))
	w.lead("shop", 0)
	w.begin().produce(people(customers("shop"), 101, 2)...).end(kgo.TryAbort)
	var silent atomic.Bool
	silent.Store(true)
	w.cluster.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		if !silent.Load() {
			return nil, nil, false
		}
		w.cluster.KeepControl()
		if request.(*kmsg.FetchRequest).MaxWaitMillis < 500 { // The question whether records wait.
			return nil, nil, false
		}
		time.Sleep(20 * time.Millisecond)
		return request.ResponseKind(), nil, true
	})
	w.mustRunToEnd(mirror("d.t", "shop"))
	if at, _ := w.mark("d.t").Partition("shop", 0); at != (bookmark.Partition{Next: 6, Epoch: 1}) {
		t.Errorf("the bookmark is %+v, want offset 6 of epoch 1", at)
	}
	silent.Store(false)
	w.produce(people(customers("shop"), 4, 1)...)
	w.mustRunToEnd(mirror("d.t", "shop"))
	w.stands("d.t", "shop", fold(t, append(log, people(customers("shop"), 4, 1)...)...), 7)
}
