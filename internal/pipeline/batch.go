package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/invariant"
	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// add folds the fetched records into the open batch, and writes chunks of rows as they fill up.
func (t *table) add(ctx context.Context, fetches []kafka.Fetch) error {
	for _, f := range fetches {
		if err := t.addFetch(ctx, f); err != nil {
			return err
		}
		if t.batch != nil && t.batch.Rows().Bytes() > chunkBytes && !t.paired {
			if err := t.writeChunk(ctx); err != nil {
				return err
			}
		}
	}
	if t.batch == nil && t.quarantine == nil {
		return nil
	}
	if t.first.IsZero() && !t.empty() {
		t.first = time.Now()
	}
	t.account()
	t.tellUnknown()
	return nil
}

// addFetch folds the records of one piece of a partition, and moves the position over all of it.
func (t *table) addFetch(ctx context.Context, f kafka.Fetch) error {
	if t.isHeld(f.Topic, f.Partition) {
		return nil // It will be fetched again.
	}
	pr := t.progressOf(f.Topic, f.Partition)
	pr.high = f.HighWatermark
	at, _ := t.position.Partition(f.Topic, f.Partition)
	invariant.Check(len(f.Records) == 0 || f.Records[0].Offset >= at.Next, "I3: %s read %s/%d from %d back to %d", t.o.Sink.Name, f.Topic,
		f.Partition, at.Next, f.Next)
	if f.Next <= at.Next {
		return nil // The position has moved over offsets without records already.
	}
	key := t.keyOf(f.Topic)
	for _, r := range f.Records {
		at.Next = r.Offset
		if err := t.apply(ctx, place{f.Topic, at, pr, key}, r); errors.Is(err, errHeld) {
			return nil
		} else if err != nil {
			return err
		}
		at.Epoch = r.LeaderEpoch
	}
	t.position.Set(f.Topic, "", bookmark.Partition{Partition: f.Partition, Next: f.Next, Epoch: f.Epoch})
	t.lag.move(f.Topic, f.Partition, f.Next, f.HighWatermark)
	return nil
}

func (t *table) progressOf(topic string, number int32) *progress {
	key := partition{topic, number}
	if t.progress[key] == nil {
		t.progress[key] = &progress{asked: -1}
	}
	return t.progress[key]
}

// place is where a record stands: the position before it, the progress of its partition, and what is known of its topic's keys.
type place struct {
	topic    string
	before   bookmark.Partition
	progress *progress
	key      *bookmark.Key // Nil: their form does not matter.
}

func (t *table) account() {
	bytes, keys := t.quarantine.bytes(), 0
	if t.batch != nil {
		bytes, keys = bytes+t.batch.Bytes(), t.batch.Len()
	}
	t.share.set(int64(bytes))
	t.metrics.setBuffered(bytes, keys)
}

// schemasMax is how many schemas one record may ask for: a table may have to be created, or turn out to have been created by
// somebody else; its columns may have to change; and so may those of its key.
const schemasMax = 3

// apply decodes one record and folds it. A record that asks for a schema that the table does not have cuts the batch:
// what came before is committed, so that the schema changes together with the first row that needs it.
func (t *table) apply(ctx context.Context, p place, r *kgo.Record) error {
	if bytes := int64(len(r.Key) + len(r.Value)); bytes > t.d.o.BatchBytes {
		return t.refuse(ctx, p, &overBudgetError{bytes: bytes, budget: t.d.o.BatchBytes})
	}
	for schemas := 0; ; schemas++ {
		err := t.decode(r)
		if needed, ok := errors.AsType[*debezium.SchemaNeeded](err); ok {
			if err := t.learn(ctx, p, needed); err != nil {
				return err
			}
			schemas--
			continue
		}
		change, ok := errors.AsType[*debezium.SchemaChange](err)
		if err != nil && (!ok || !change.Lossless || schemas == schemasMax) {
			return t.reject(ctx, p, r, err)
		}
		if !t.inForm(p, r) {
			if err == nil {
				t.dropRow()
			}
			return errHeld
		}
		switch {
		case err != nil:
			if err := t.evolve(ctx, p, change); err != nil {
				return err
			}
		case t.event.Op == debezium.Truncate && t.event.Ignored == "":
			return t.truncate(ctx, p, r)
		default:
			return t.fold(ctx, p, r)
		}
	}
}

// decode decodes one record into event, and its row into the batch.
func (t *table) decode(r *kgo.Record) error {
	t.headers = t.headers[:0]
	for _, h := range r.Headers {
		t.headers = append(t.headers, debezium.Header(h))
	}
	record := debezium.Record{Topic: r.Topic, Key: r.Key, Value: r.Value, Headers: t.headers}
	if t.batch == nil {
		return t.decoder.DecodeRecord(record, nil, &t.event)
	}
	return t.decoder.DecodeRecord(record, t.batch.Rows(), &t.event)
}

// fold folds the event at hand. A record counts as consumed together with what became of it, so that the counters add up
// at any moment: consumed = applied + ignored + quarantined + refused (I6).
func (t *table) fold(ctx context.Context, p place, r *kgo.Record) error {
	event := &t.event
	if event.Ignored != "" {
		t.metrics.consumed.Inc()
		t.seen++
		t.metrics.ignored[event.Ignored].Inc()
		return nil
	}
	if event.Logged {
		t.stamps.stamp(t.batch.Rows(), event, p.topic, p.before.Partition, p.before.Next)
		t.batch.Append()
	} else if event.Unordered || event.OldKey != nil || event.Unchanged != nil {
		if err := t.readDoubts(ctx, p); err != nil {
			return err
		}
		if err := t.foldUnusual(p); err != nil {
			return t.reject(ctx, p, r, err)
		}
	} else if event.IsUpsert() {
		t.batch.Upsert(event.Key)
	} else {
		t.batch.Delete(event.Key)
	}
	if event.IsUpsert() && !t.doubts.none() {
		t.doubts.settle(partition{p.topic, r.Partition}, event.Key)
	}
	t.paired = event.IsDelete() && t.decoder.ReplacesKey()
	t.metrics.consumed.Inc()
	t.seen++
	t.applied(p)
	return nil
}

// applied counts the event at hand, which is part of the batch, or of the table.
func (t *table) applied(p place) {
	t.metrics.applied[t.event.Op].Inc()
	if t.event.SourceMs > 0 {
		p.progress.sourceMs = t.event.SourceMs
	}
}

// evolve gives the table the schema that the record at p asks for.
func (t *table) evolve(ctx context.Context, p place, change *debezium.SchemaChange) error {
	if t.sink == nil {
		created, err := t.d.o.Sink.Create(ctx, t.o.Sink, change.Want)
		if err != nil {
			return err
		}
		if !created.Bookmark().IsZero() {
			return fmt.Errorf("create table: %w", sink.ErrStandDown)
		}
		t.use(created)
		return nil
	}
	t.position.Set(p.topic, "", p.before)
	if err := t.commit(ctx); err != nil {
		return err
	}
	if err := t.sink.Evolve(change.Want); err != nil {
		return err
	}
	t.log.Info("evolved schema", "detail", change.Detail)
	t.use(t.sink)
	return nil
}

// writeChunk writes the live rows of the open chunk to the open data file.
func (t *table) writeChunk(ctx context.Context) error {
	bytes, err := writeChunk(ctx, t.batch, t.draft)
	t.written += bytes
	return err
}
