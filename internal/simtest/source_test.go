package simtest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// feed is Debezium: it writes what changes in the database to the topics. Its own calls are reliable; what is unreliable about
// it is that it may repeat what it wrote, and abort a transaction.
type feed struct {
	w     *world
	rng   *rand.Rand
	db    *database
	plain *kgo.Client
	txn   *kgo.Client
	sent  map[string][]event // By topic and partition: what was written, in order.
}

func newFeed(w *world) *feed {
	f := &feed{w: w, rng: rand.New(rand.NewPCG(w.seed, 13)), db: newDatabase(w.seed), sent: map[string][]event{}}
	w.database = f.db
	f.plain = w.client()
	if w.plan.has(actAbort) {
		f.txn = w.client(kgo.TransactionalID("debezium"))
	}
	return f
}

// client returns a Kafka client of the world's own, whose calls are reliable.
func (w *world) client(opts ...kgo.Opt) *kgo.Client {
	c, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(w.cluster.ListenAddrs()...), kgo.Dialer(w.network.DialContext), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerLinger(0), kgo.MetadataMinAge(10 * time.Millisecond), kgo.DisableClientMetrics(),
	}, opts...)...)
	if err != nil {
		w.t.Error(err)
		panic(err)
	}
	return c
}

func (f *feed) close() {
	f.plain.Close()
	if f.txn != nil {
		f.txn.Close()
	}
}

// run makes changes until as many events were written as the plan says, with pauses between them.
func (f *feed) run() error {
	for _, topic := range f.w.topics() {
		if err := f.plain.ProduceSync(context.Background(), records(f.db.filler(topic))...).FirstErr(); err != nil {
			return fmt.Errorf("produce: %w", err)
		}
	}
	for n := 0; n < f.w.plan.events; {
		var events []event
		for range 1 + f.rng.IntN(4) {
			events = append(events, f.note(f.next())...)
		}
		if err := f.write(events); err != nil {
			return err
		}
		n += len(events)
		switch f.rng.IntN(10) {
		case 0:
			time.Sleep(time.Duration(f.rng.IntN(8000)) * time.Millisecond)
		case 1, 2, 3, 4:
			time.Sleep(time.Duration(f.rng.IntN(1200)) * time.Millisecond)
		}
		if f.w.plan.has(actClean) && f.rng.IntN(30) == 0 {
			f.w.cluster.Compact()
		}
	}
	if f.w.plan.hasTable(tableSour) {
		for !f.db.soured {
			if err := f.write(f.note(f.db.changeSour())); err != nil {
				return err
			}
		}
	}
	return nil
}

// next is a change of some table, or a repetition of the last events of a partition.
func (f *feed) next() []event {
	if f.w.plan.has(actReplay) && f.rng.IntN(25) == 0 {
		if places := slices.Sorted(maps.Keys(f.sent)); len(places) > 0 {
			sent := f.sent[places[f.rng.IntN(len(places))]]
			return sent[max(0, len(sent)-1-f.rng.IntN(12)):]
		}
	}
	if topics := f.w.spoilable(); f.rng.IntN(25) == 0 {
		return []event{f.db.spoil(topics)}
	}
	return f.db.change(f.w.plan.tables[f.rng.IntN(len(f.w.plan.tables))])
}

// write appends events to the log. Aborted ones are followed by the same again, as a transactional source does.
func (f *feed) write(events []event) error {
	if f.txn != nil && f.rng.IntN(2) == 0 {
		for f.rng.IntN(3) == 0 {
			if err := f.transaction(events[:1+f.rng.IntN(len(events))], kgo.TryAbort); err != nil {
				return err
			}
		}
		if err := f.transaction(events, kgo.TryCommit); err != nil {
			return err
		}
	} else if err := f.plain.ProduceSync(context.Background(), records(events)...).FirstErr(); err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	return nil
}

// note takes note of events that are written next, in this order.
func (f *feed) note(events []event) []event {
	for i, r := range records(events) {
		place := fmt.Sprintf("%s/%d", r.Topic, r.Partition)
		f.sent[place] = append(f.sent[place], events[i])
	}
	return events
}

func (f *feed) transaction(events []event, how kgo.TransactionEndTry) error {
	if err := f.txn.BeginTransaction(); err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	if err := f.txn.ProduceSync(context.Background(), records(events)...).FirstErr(); err != nil {
		return fmt.Errorf("produce in transaction: %w", err)
	}
	if err := f.txn.EndTransaction(context.Background(), how); err != nil {
		return fmt.Errorf("end transaction: %w", err)
	}
	return nil
}

func records(events []event) []*kgo.Record {
	var out []*kgo.Record
	for _, e := range events {
		out = append(out, e.record())
	}
	return out
}
