package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// BadRecords says what becomes of records that cannot be applied. The zero value halts the table at the first.
type BadRecords struct {
	Quarantine          bool // Records that cannot be decoded, mapped or keyed are set aside.
	QuarantineConflicts bool // So are those whose schema change would lose something.

	// The table halts when more records of one batch have been set aside than Max, and than Percent of those consumed: that is no bad
	// record but a bad setting.
	Max, Percent int64
}

// SchemaConflict is the reason, beside those of debezium.Reasons, for which a record is set aside: its schema change would lose
// something.
const SchemaConflict = "schema_conflict"

// reason returns why a record is to be set aside, in a word and in detail; "" if it is not.
func (b BadRecords) reason(err error) (reason, detail string) {
	if bad, ok := errors.AsType[*debezium.Error](err); ok && b.Quarantine {
		return string(bad.Reason), bad.Detail
	}
	if change, ok := errors.AsType[*debezium.SchemaChange](err); ok && !change.Lossless && b.QuarantineConflicts {
		return SchemaConflict, change.Detail
	}
	return "", ""
}

// exceeded reports whether so many bad records among those consumed mean a bad setting.
func (b BadRecords) exceeded(bad, consumed int64) bool {
	return bad > b.Max && bad*100 > b.Percent*consumed
}

// setAside takes a record that cannot be applied into the quarantine table, unless it stands there already: then an earlier session came
// so far, and not to the target's commit, or the table was rewound.
func (t *table) setAside(ctx context.Context, p place, r *kgo.Record, reason, detail string) error {
	if t.quarantine == nil {
		var err error
		if t.quarantine, err = openQuarantine(ctx, t.d.o.Sink, t.o.Sink); err != nil {
			return err
		}
		t.quarantines = true
	}
	topic, _ := t.position.Topic(p.topic)
	bad := Quarantined{
		Topic: r.Topic, TopicID: topic.ID, Partition: r.Partition, Offset: r.Offset, Time: r.Timestamp, Key: r.Key, Value: r.Value,
		Headers: recordOf(r).Headers, Reason: reason, Detail: detail, Version: t.d.o.Sink.Version(), At: time.Now(),
	}
	if err := t.noteDoubt(ctx, p, r, reason); err != nil {
		return err
	}
	q := t.quarantine
	known, err := q.knows(ctx, &bad)
	if err != nil {
		return quarantineError(QuarantineOf(t.o.Sink).Name, err)
	}
	if !known {
		t.bad++
		if t.o.BadRecords.exceeded(t.bad, t.seen+1) {
			return t.tooMany(p, reason, detail)
		}
		t.report(&bad)
		if err := q.add(ctx, &bad); err != nil {
			return quarantineError(QuarantineOf(t.o.Sink).Name, err)
		}
	}
	t.seen++
	t.setAsides++
	t.metrics.consumed.Inc()
	t.metrics.quarantined(reason)
	return nil
}

// tooMany halts the table at a bad record that is one too many. Nothing of the open batch is committed, neither here nor there: after
// the setting was mended its bad records decode.
func (t *table) tooMany(p place, reason, detail string) error {
	t.metrics.consumed.Inc()
	t.metrics.refused(reason)
	var counts []string
	for _, r := range slices.Sorted(maps.Keys(t.quarantine.reasons)) {
		counts = append(counts, fmt.Sprintf("%d %s", t.quarantine.reasons[r], r))
	}
	err := &recordError{topic: p.topic, partition: p.before.Partition, offset: p.before.Next, err: &debezium.Error{Reason: debezium.Reason(reason), Detail: detail}}
	return halt.Newf(halt.BadRecords, "That many are no bad records but a bad setting. cdcd decode tells what becomes of a record. Mend the setting, or raise "+
		"bad_record_limit, and restart: nothing of the open batch was committed, and it is read again.",
		"%d of the %d records of the open batch cannot be applied (before this one: %s): %w", t.bad, t.seen+1, strings.Join(counts, ", "), err)
}

// reportInterval is how often the log tells of a record that was set aside for the same reason, at most.
const reportInterval = time.Minute

// report tells of the first record of a batch that is set aside for a reason, and never of its values. The commit tells how many
// there were.
func (t *table) report(bad *Quarantined) {
	if t.quarantine.reasons[bad.Reason] > 0 || time.Since(t.reported[bad.Reason]) < reportInterval {
		return
	}
	t.reported[bad.Reason] = time.Now()
	t.log.Warn("quarantined record", "topic", bad.Topic, "partition", bad.Partition, "offset", bad.Offset, "reason", bad.Reason, "detail", bad.Detail,
		"hint", "cdcd quarantine show "+t.o.Sink.Name+" "+fmt.Sprintf("%s/%d@%d", bad.Topic, bad.Partition, bad.Offset)+" prints it.")
}

// commitQuarantine commits the records that the open batch has set aside. It comes before the commit of the target, whose bookmark
// then stands behind them: after a crash in between they are met again, and found.
func (t *table) commitQuarantine(ctx context.Context) error {
	q := t.quarantine
	if q.empty() {
		return nil
	}
	name := QuarantineOf(t.o.Sink).Name
	done, err := q.commit(ctx, "", sink.Detail{})
	if err != nil {
		return quarantineError(name, fmt.Errorf("commit: %w", err))
	}
	args := []any{"quarantine", name, "snapshot_id", done.SnapshotID, "records", done.Inserted + done.Updated, "bytes", done.Bytes, "duration_ms", done.Duration.Milliseconds()}
	for _, reason := range slices.Sorted(maps.Keys(q.reasons)) {
		args = append(args, reason, q.reasons[reason])
	}
	t.log.Info("committed quarantine", args...)
	q.next()
	t.bad, t.seen = 0, 0
	if t.sink == nil {
		t.first = time.Time{}
		t.account()
	}
	return nil
}
