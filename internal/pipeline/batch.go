package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/invariant"
	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// chunkBytes is when the rows of the open chunk are written to the open data file: small enough to bound memory,
// large enough that columns compress.
const chunkBytes = 8 << 20

// add folds the fetched records into the open batch, and writes chunks of rows as they fill up.
func (t *table) add(ctx context.Context, fetches []kafka.Fetch) error {
	name := t.o.Sink.Name
	for _, f := range fetches {
		p := partition{f.Topic, f.Partition}
		before, _ := t.position.Partition(f.Topic, f.Partition)
		invariant.Check(f.Next >= before.Next, "I3: %s read %s/%d back from %d to %d", name, f.Topic, f.Partition, before.Next, f.Next)
		for _, r := range f.Records {
			if err := t.apply(ctx, p, r); err != nil {
				return err
			}
		}
		t.position.Set(f.Topic, "", bookmark.Partition{Partition: f.Partition, Next: f.Next, Epoch: f.Epoch})
		t.high[p] = f.HighWatermark
		t.metrics.consumed.WithLabelValues(name).Add(float64(len(f.Records)))
		t.metrics.setLag(name, f.Topic, f.Partition, f.HighWatermark-f.Next)
		if t.batch != nil && t.batch.Rows().Bytes() > chunkBytes {
			if err := t.writeChunk(ctx); err != nil {
				return err
			}
		}
	}
	if t.batch == nil {
		return nil
	}
	if t.first.IsZero() && !t.batch.Empty() {
		t.first = time.Now()
	}
	t.account()
	return nil
}

func (t *table) account() {
	t.share.set(int64(t.batch.Bytes()))
	t.metrics.bufferedBytes.WithLabelValues(t.o.Sink.Name).Set(float64(t.batch.Bytes()))
	t.metrics.bufferedRows.WithLabelValues(t.o.Sink.Name).Set(float64(t.batch.Len()))
}

// apply decodes one record and folds it. A record that asks for a schema that the table does not have cuts the batch:
// what came before is committed, so that the schema changes together with the first row that needs it.
func (t *table) apply(ctx context.Context, p partition, r *kgo.Record) error {
	var event debezium.Event
	for range 2 {
		err := t.decode(r, &event)
		if err == nil && event.Op == debezium.Truncate && event.Ignored == "" {
			return t.refuse(ctx, p, r, errTruncate)
		}
		if err == nil {
			t.fold(p, &event)
			return nil
		}
		change, ok := errors.AsType[*debezium.SchemaChange](err)
		if !ok || !change.Lossless {
			return t.refuse(ctx, p, r, err)
		}
		if err := t.evolve(ctx, p, r, change); err != nil {
			return err
		}
	}
	return t.refuse(ctx, p, r, errors.New("the record asks for another schema again"))
}

func (t *table) decode(r *kgo.Record, event *debezium.Event) error {
	if t.batch == nil {
		return t.decoder.Decode(r.Key, r.Value, nil, event)
	}
	return t.decoder.Decode(r.Key, r.Value, t.batch.Rows(), event)
}

func (t *table) fold(p partition, event *debezium.Event) {
	name := t.o.Sink.Name
	switch {
	case event.Ignored != "":
		t.metrics.ignored.WithLabelValues(name, string(event.Ignored)).Inc()
		return
	case event.IsUpsert():
		t.batch.Upsert(event.Key)
	case event.IsDelete():
		if t.batch != nil { // A table that does not exist yet has nothing to delete.
			t.batch.Delete(event.Key)
		}
	}
	t.metrics.applied.WithLabelValues(name, event.Op.String()).Inc()
	if event.SourceMs > 0 {
		t.sources[p] = event.SourceMs
	}
}

// errTruncate refuses a truncate event: it has no order against the events of other partitions, and empties the table.
var errTruncate = errors.New("a TRUNCATE empties the source table")

// refuse halts the table at a record that cannot be applied. What came before it is committed, nothing after it is.
func (t *table) refuse(ctx context.Context, p partition, r *kgo.Record, err error) error {
	reason, hint := halt.BadRecord, "Mend or skip the record at its source; the table goes on from it after a restart."
	if change, ok := errors.AsType[*debezium.SchemaChange](err); ok {
		reason, hint = halt.SchemaChange, "Undo the change in the source database, or rebuild the table: "+change.Detail
	}
	label := string(reason)
	if bad, ok := errors.AsType[*debezium.Error](err); ok {
		label = string(bad.Reason)
	}
	if errors.Is(err, errTruncate) {
		reason, hint = halt.TruncateRefused, "This version cannot apply a TRUNCATE. Take a new Debezium snapshot into a fresh topic and rebuild the table from it."
		label = string(reason)
	}
	t.metrics.decodeErrors.WithLabelValues(t.o.Sink.Name, label).Inc()
	halted := halt.Newf(reason, hint, "record %s/%d offset %d: %w", p.topic, p.number, r.Offset, err)
	t.position.Set(p.topic, "", bookmark.Partition{Partition: p.number, Next: r.Offset, Epoch: r.LeaderEpoch})
	if err := t.commit(ctx); err != nil {
		return err // The record is met again, after what came before it has been committed.
	}
	return halted
}

// evolve gives the table the schema that the record at r asks for.
func (t *table) evolve(ctx context.Context, p partition, r *kgo.Record, change *debezium.SchemaChange) error {
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
	t.position.Set(p.topic, "", bookmark.Partition{Partition: p.number, Next: r.Offset, Epoch: r.LeaderEpoch})
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
	rows := t.batch.Chunk()
	if rows == nil {
		return nil
	}
	file, first, err := t.draft.Write(ctx, rows)
	if err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	t.batch.Placed(file, first)
	return nil
}
