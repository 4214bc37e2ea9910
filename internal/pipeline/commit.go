package pipeline

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/invariant"
	"github.com/cdcd-project/cdcd/internal/sink"
)

const (
	// behindFactor is how many commit intervals a batch may last while more records wait than it holds: far behind,
	// batches grow towards CommitBytes instead of committing by the clock.
	behindFactor = 5
	// behindWait is how long such a batch waits for the next of the waiting records, which may be a while in coming.
	behindWait = time.Second
	// idleWait is how long polling waits without an open batch, at most.
	idleWait = time.Minute
	// boundedWait is how long polling waits in a bounded run, which wants to know whether it has reached its end.
	boundedWait = 200 * time.Millisecond
	// askInterval is how often a bounded run, or a barrier, asks about ends while records still come.
	askInterval = time.Second
)

// untilDue returns how long polling may wait: until the open batch has to be committed, if nothing comes.
func (t *table) untilDue() time.Duration {
	wait := min(t.o.CommitInterval, t.d.o.QuietInterval, idleWait)
	if !t.first.IsZero() {
		if wait = time.Until(t.first.Add(t.o.CommitInterval)); wait <= 0 {
			wait = behindWait
		}
	}
	if len(t.barriers) > 0 {
		wait = min(wait, askInterval)
	}
	if t.d.o.Bounded {
		wait = min(wait, boundedWait)
	}
	return wait
}

// due reports whether the open batch is to be committed: on time, on bytes, or on the memory budget. idle says that the
// last poll brought nothing.
func (t *table) due(idle bool) bool {
	if t.empty() {
		return t.sink != nil && time.Since(t.last) >= t.d.o.QuietInterval && t.moved()
	}
	age := time.Since(t.first)
	switch {
	case t.paired && !idle && age < behindFactor*t.o.CommitInterval:
		return false
	case t.size() >= t.o.CommitBytes, t.share.exceeded(len(t.d.o.Tables)):
		return true
	case age >= behindFactor*t.o.CommitInterval:
		return true
	}
	return age >= t.o.CommitInterval && (idle || t.waiting() <= t.seen)
}

// empty reports whether the open batch has nothing to commit but a bookmark.
func (t *table) empty() bool {
	return (t.batch == nil || t.batch.Empty()) && t.quarantine.empty()
}

// size returns the bytes of the open batch's rows and keys, written out or not.
func (t *table) size() int64 {
	if t.batch == nil {
		return t.quarantine.size()
	}
	return t.written + int64(t.batch.Bytes()) + t.quarantine.size()
}

// waiting returns how many records of the table are known to wait in Kafka.
func (t *table) waiting() int64 {
	n := int64(0)
	for p, pr := range t.progress {
		at, _ := t.position.Partition(p.topic, p.number)
		n += max(pr.high-at.Next, 0)
	}
	return n
}

// moved reports whether a bookmark alone is worth a commit: it has moved (I8), or another tool's snapshot is the head, whose
// expiry could take the one that carries it.
func (t *table) moved() bool {
	return !t.position.Equal(t.base) || t.sink.HeadIsForeign() || t.changed
}

// commit commits the open batch with the position it stands for; without changes it commits the bookmark alone, if
// that has moved. What the batch has set aside is committed first.
func (t *table) commit(ctx context.Context) error {
	if err := t.commitQuarantine(ctx); err != nil {
		return err
	}
	if t.sink == nil || t.batch.Empty() && !t.moved() {
		return nil
	}
	if err := t.writeChunk(ctx); err != nil {
		return err
	}
	return t.send(ctx, sink.Change{Batch: t.batch, Draft: t.draft}, t.batch.Changes())
}

// send commits a change of so many changes, with the position it stands for. What was set aside before that was committed.
func (t *table) send(ctx context.Context, change sink.Change, changes int64) error {
	invariant.Check(t.quarantine.empty(), "I6: the bookmark of %s would move over bad records that are nowhere", t.o.Sink.Name)
	t.noteKeys()
	change.Bookmark, change.ValidThroughMs = t.position.Clone(), t.validThrough()
	if t.start != "" {
		change.Summary = map[string]string{sink.KeyStart: t.start}
	}
	done, err := t.sink.Commit(ctx, change)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	t.log.Info("committed snapshot", "snapshot_id", done.SnapshotID, "operation", done.Operation, "changes", changes,
		"inserted", done.Inserted, "updated", done.Updated, "deleted", done.Deleted,
		"files", done.DataFiles+done.DeleteFiles, "bytes", done.Bytes, "duration_ms", done.Duration.Milliseconds(), "attempt", done.Attempts)
	t.committed()
	return nil
}

// committed begins the next batch, and tells the group how far the table is.
func (t *table) committed() {
	t.base, t.changed = t.position.Clone(), false
	t.last, t.first, t.start, t.written = time.Now(), time.Time{}, "", 0
	t.bad, t.seen = 0, 0
	t.metrics.setCommitted(t.last.UnixMilli(), t.validThrough())
	t.batch.Reset(t.sink.Schema())
	t.decoder.Bind(t.sink.Schema())
	t.draft = t.sink.Draft()
	t.account()
	t.d.o.Kafka.CommitOffsets(t.sink.Bookmark())
}

// validThrough returns the best lower bound of source time that the position stands for: the smallest, over the
// partitions, of the source time of the last event. It is 0 until each partition in which records waited when the table
// was opened has given an event.
func (t *table) validThrough() int64 {
	lowest := int64(0)
	for _, topic := range t.end.Topics {
		for _, end := range topic.Partitions {
			pr := t.progress[partition{topic.Name, end.Partition}]
			at, _ := t.position.Partition(topic.Name, end.Partition)
			switch {
			case pr != nil && pr.sourceMs > 0:
				if lowest == 0 || pr.sourceMs < lowest {
					lowest = pr.sourceMs
				}
			case at.Next < end.Next:
				return 0
			}
		}
	}
	return lowest
}

// atEnd commits and reports true when a bounded run has reached the end offsets seen at its start, however many records
// came after them. A topic may end in offsets without records: positions move over them. idle says that the last poll
// brought nothing.
func (t *table) atEnd(ctx context.Context, idle bool) (bool, error) {
	ask := idle || time.Since(t.asked) >= askInterval
	for _, name := range t.o.Topics {
		end, _ := t.end.Topic(name)
		for _, p := range end.Partitions {
			at, _ := t.position.Partition(name, p.Partition)
			if reached, err := t.reach(ctx, name, at, p.Next, ask); err != nil || !reached {
				return false, err
			}
		}
	}
	if err := t.commit(ctx); err != nil {
		return false, err
	}
	t.log.Info("reached the end", "bookmark", t.position.String())
	return true, nil
}

// reach reports whether a partition has been read to an end. Offsets without records before the end are moved over, if the brokers may
// be asked for them.
func (t *table) reach(ctx context.Context, topic string, at bookmark.Partition, end int64, ask bool) (bool, error) {
	if at.Next >= end || !ask {
		return at.Next >= end, nil
	}
	t.asked = time.Now()
	next, err := t.d.o.Kafka.Skip(ctx, topic, at)
	if err != nil {
		return false, fmt.Errorf("find end of %s: %w", topic+"/"+strconv.Itoa(int(at.Partition)), err)
	}
	if next.Next < end {
		return false, nil // Records wait.
	}
	next.Next = end
	t.position.Set(topic, "", next)
	return true, nil
}
