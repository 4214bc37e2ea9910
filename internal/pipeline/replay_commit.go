package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/invariant"
	"github.com/cdcd-project/cdcd/internal/merge"
	"github.com/cdcd-project/cdcd/internal/row"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// decode decodes a record into event, and looks at no row. With evolve the table is asked for the schema that the record needs, as the
// pipeline does; without, the schema is taken for this record alone, whose key is all that is of interest.
func (j *judge) decode(ctx context.Context, r *kgo.Record, evolve bool) error {
	bound := j.table.Schema()
	defer func() {
		if bound != j.table.Schema() {
			j.decoder.Bind(j.table.Schema())
		}
	}()
	for schemas := 0; ; schemas++ {
		if j.scratch == nil || j.scratch.Schema != bound {
			j.scratch = row.NewRows(bound)
		}
		j.scratch.Reset()
		err := j.decoder.DecodeRecord(recordOf(r), j.scratch, &j.event)
		if needed, ok := errors.AsType[*debezium.SchemaNeeded](err); ok {
			if err := j.learn(ctx, j.decoder, needed); err != nil {
				return err
			}
			schemas--
			continue
		}
		change, ok := errors.AsType[*debezium.SchemaChange](err)
		switch {
		case !ok || !change.Lossless || schemas == schemasMax:
			return err
		case evolve:
			if err := j.table.Evolve(change.Want); err != nil {
				return err
			}
			change.Want = j.table.Schema()
		}
		bound = change.Want
		j.decoder.Bind(bound)
	}
}

// learn gets a schema that a record needs, and tells a decoder.
func (j *judge) learn(ctx context.Context, d *debezium.Decoder, needed *debezium.SchemaNeeded) error {
	return learnFrom(j.o.Registry, d, needed, func() (debezium.WriterSchema, error) { return j.o.Registry.Schema(ctx, needed.Ref) })
}

func recordOf(r *kgo.Record) debezium.Record {
	out := debezium.Record{Topic: r.Topic, Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, debezium.Header(h))
	}
	return out
}

// commit applies the records that were found good, in one snapshot whose bookmark is the head's.
func (j *judge) commit(ctx context.Context, out []Replayed) error {
	batch, draft := merge.NewBatch(j.table.Schema()), j.table.Draft()
	defer draft.Discard()
	j.decoder.Bind(j.table.Schema())
	for _, c := range j.found {
		if c == nil {
			continue
		}
		if err := j.fold(c.record, batch); err != nil {
			return err
		}
		if batch.Rows().Bytes() > chunkBytes {
			if _, err := writeChunk(ctx, batch, draft); err != nil {
				return err
			}
		}
	}
	if batch.Empty() {
		return nil
	}
	if _, err := writeChunk(ctx, batch, draft); err != nil {
		return err
	}
	change := sink.Change{Batch: batch, Draft: draft, Bookmark: j.mark}
	done, err := j.table.CommitOperation(ctx, sink.OperationReplay, j.o.detail(out), change)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	j.o.Logger.Info("replayed records", "table", j.o.Table.Sink.Name, "snapshot_id", done.SnapshotID, "inserted", done.Inserted, "updated", done.Updated, "deleted", done.Deleted)
	return nil
}

// fold folds a record that was found good into the batch.
func (j *judge) fold(r *kgo.Record, batch *merge.Batch) error {
	ev := &j.event
	if err := j.decoder.DecodeRecord(recordOf(r), batch.Rows(), ev); err != nil {
		return fmt.Errorf("decode record %s/%d offset %d again: %w", r.Topic, r.Partition, r.Offset, err)
	}
	var from merge.Source
	if ev.Unchanged != nil {
		var ok bool
		from, _, ok = keptRow(j.table, batch, ev)
		invariant.Check(ok, "I4: the row is not there that offset %d keeps values of", r.Offset)
	}
	if ev.OldKey != nil {
		batch.Delete(ev.OldKey)
	}
	switch {
	case ev.Ignored != "":
	case ev.Logged:
		places := stampsOf(j.table.Schema())
		places.stamp(batch.Rows(), ev, r.Topic, r.Partition, r.Offset)
		batch.Append()
	case ev.Unchanged != nil:
		batch.UpsertPartial(ev.Key, ev.Unchanged, from)
	case ev.IsUpsert():
		batch.Upsert(ev.Key)
	default:
		batch.Delete(ev.Key)
	}
	return nil
}

// detailRecordsMax bounds what a snapshot summary lists.
const detailRecordsMax = 100

func (o *ReplayOptions) detail(out []Replayed) sink.Detail {
	d := sink.Detail{Reason: o.Reason, By: o.By}
	for _, r := range out {
		if !r.resolves() {
			continue
		}
		if d.Count++; d.Count <= detailRecordsMax {
			d.Records = append(d.Records, sink.Place{Topic: r.Record.Topic, TopicID: r.Record.TopicID, Partition: r.Record.Partition, Offset: r.Record.Offset})
		}
	}
	return d
}

func (r *Replayed) resolves() bool { return r.Outcome == Applied || r.Outcome == Dismissed }

// resolve marks the records in the quarantine table. An owner that sets others aside meanwhile only makes it begin again.
func (o *ReplayOptions) resolve(ctx context.Context, out []Replayed) error {
	for range replayAttempts {
		err := o.mark(ctx, out)
		if !errors.Is(err, sink.ErrStandDown) {
			return err
		}
	}
	return fmt.Errorf("mark records as resolved: the owner's commits came first %d times; try again", replayAttempts)
}

func (o *ReplayOptions) mark(ctx context.Context, out []Replayed) error {
	d := o.detail(out)
	if d.Count == 0 {
		return nil
	}
	q, err := openQuarantine(ctx, o.Sink, o.Table.Sink)
	if err != nil {
		return err
	}
	defer q.close()
	now := time.Now()
	for _, r := range out {
		q.key = r.Record.appendKey(q.key[:0])
		if !r.resolves() || !q.sink.Has(q.key) {
			continue
		}
		resolved := *r.Record
		resolved.Resolved = now
		if err := q.add(ctx, &resolved); err != nil {
			return err
		}
	}
	name := sink.OperationReplay
	if o.Dismiss {
		name = sink.OperationDismiss
	}
	if q.empty() {
		return nil
	}
	if _, err := q.commit(ctx, name, d); err != nil {
		return quarantineError(QuarantineOf(o.Table.Sink).Name, err)
	}
	return nil
}

func (j *judge) partitions() int { return partitionsIn(j.mark, j.o.Table.Topics) }
