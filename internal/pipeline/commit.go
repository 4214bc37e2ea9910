package pipeline

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/sink"
)

const (
	// quietInterval is how often a bookmark is committed alone, for a table whose topics move without changing a row (I8).
	quietInterval = 15 * time.Minute
	// behindFactor is how many commit intervals a batch may last while more records wait than it holds: far behind,
	// batches grow towards CommitBytes instead of committing by the clock.
	behindFactor = 5
)

// untilDue returns how long polling may wait before the open batch has to be committed.
func (t *table) untilDue() time.Duration {
	if t.first.IsZero() {
		if t.d.o.Bounded {
			return 200 * time.Millisecond
		}
		return min(t.o.CommitInterval, time.Minute)
	}
	return max(time.Until(t.first.Add(t.o.CommitInterval)), time.Millisecond)
}

// due reports whether the open batch is to be committed: on time, on bytes, or on the memory budget.
func (t *table) due() bool {
	if t.batch == nil {
		return false
	}
	if t.batch.Empty() {
		return time.Since(t.last) >= quietInterval && !t.position.Equal(t.sink.Bookmark())
	}
	age := time.Since(t.first)
	switch {
	case int64(t.batch.Bytes()) >= t.o.CommitBytes, t.share.exceeded(len(t.d.o.Tables)):
		return true
	case age >= behindFactor*t.o.CommitInterval:
		return true
	}
	return age >= t.o.CommitInterval && t.waiting() <= t.batch.Changes()
}

// waiting returns how many records of the table are known to wait in Kafka.
func (t *table) waiting() int64 {
	n := int64(0)
	for p, high := range t.high {
		at, _ := t.position.Partition(p.topic, p.number)
		n += max(high-at.Next, 0)
	}
	return n
}

// commit commits the open batch with the position it stands for; without changes it commits the bookmark alone, if
// that has moved.
func (t *table) commit(ctx context.Context) error {
	if t.sink == nil || t.batch.Empty() && t.position.Equal(t.sink.Bookmark()) {
		return nil
	}
	if err := t.writeChunk(ctx); err != nil {
		return err
	}
	change := sink.Change{Batch: t.batch, Draft: t.draft, Bookmark: t.position.Clone(), ValidThroughMs: t.validThrough()}
	if t.start != "" {
		change.Summary = map[string]string{sink.KeyStart: t.start}
	}
	changes := t.batch.Changes()
	done, err := t.sink.Commit(ctx, change)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	t.log.Info("committed snapshot", "snapshot_id", done.SnapshotID, "operation", done.Operation, "changes", changes,
		"inserted", done.Inserted, "updated", done.Updated, "deleted", done.Deleted,
		"files", done.DataFiles+done.DeleteFiles, "bytes", done.Bytes, "duration_ms", done.Duration.Milliseconds(), "attempt", done.Attempts)
	t.committed(ctx)
	return nil
}

// committed begins the next batch, and tells the group how far the table is.
func (t *table) committed(ctx context.Context) {
	name := t.o.Sink.Name
	t.last, t.first, t.start = time.Now(), time.Time{}, ""
	t.metrics.lastCommit.WithLabelValues(name).Set(float64(t.last.UnixMilli()) / 1000)
	if ms := t.validThrough(); ms > 0 {
		t.metrics.committedSource.WithLabelValues(name).Set(float64(ms) / 1000)
	}
	t.batch.Reset(t.sink.Schema())
	t.decoder.Bind(t.sink.Schema())
	t.draft = t.sink.Draft()
	t.account()
	if err := t.d.o.Kafka.CommitOffsets(ctx, t.sink.Bookmark()); err != nil {
		t.log.Warn("left group offsets behind", "err", err, "hint", "They are advice for lag monitors; the table is not affected.")
	}
}

// validThrough returns the best lower bound of source time that the position stands for: the smallest, over the
// partitions, of the source time of the last event. It is 0 until each partition with records has given an event.
func (t *table) validThrough() int64 {
	lowest := int64(0)
	for _, ms := range t.sources {
		if lowest == 0 || ms < lowest {
			lowest = ms
		}
	}
	return lowest
}

// atEnd commits and reports true when a bounded run has reached the end offsets seen at its start. A topic may end in
// offsets without records: positions move over them.
func (t *table) atEnd(ctx context.Context) (bool, error) {
	for _, name := range t.o.Topics {
		end, _ := t.end.Topic(name)
		for _, p := range end.Partitions {
			at, _ := t.position.Partition(name, p.Partition)
			if at.Next >= p.Next {
				continue
			}
			next, err := t.d.o.Kafka.Skip(ctx, name, p.Partition, at.Next)
			if err != nil {
				return false, fmt.Errorf("find end of %s: %w", name+"/"+strconv.Itoa(int(p.Partition)), err)
			}
			if next < p.Next {
				return false, nil // Records wait.
			}
			t.position.Set(name, "", bookmark.Partition{Partition: p.Partition, Next: p.Next, Epoch: at.Epoch})
		}
	}
	if err := t.commit(ctx); err != nil {
		return false, err
	}
	t.log.Info("reached the end", "bookmark", t.position.String())
	return true, nil
}
