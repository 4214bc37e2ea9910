package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// table is one table's life in this process. It belongs to one goroutine.
type table struct {
	o       Table
	d       *daemon
	log     *slog.Logger
	metrics *tableMetrics
	lag     *lag
	share   share
	event   debezium.Event // Of the record at hand.
	headers []debezium.Header
	existed bool            // The Iceberg table was seen by this process.
	blind   bool            // The last look at the halted table failed.
	life    context.Context // Ends when the table is told to stop.

	quarantines bool                 // The quarantine table was opened by this process.
	setAsides   int64                // Records that this process has set aside, those included that were there already.
	reported    map[string]time.Time // When the log last told of a record that was set aside, by reason.

	session // Of the present session; zero in between.
}

func (d *daemon) newTable(o Table) *table {
	return &table{o: o, d: d, log: d.o.Logger.With("table", o.Sink.Name), metrics: d.metrics.of(o.Sink.Name), lag: d.lags[o.Sink.Name], share: share{b: d.budget}, reported: map[string]time.Time{}}
}

// keep runs session after session until ctx ends, or a bounded run reaches its end (nil) or halts. A table that has halted begins a
// session again when somebody else has changed it, as an operator's ways out of a halt do.
func (t *table) keep(ctx context.Context) error {
	pause := t.d.o.Pause
	for {
		started := time.Now()
		err := t.run(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if errors.Is(err, sink.ErrStandDown) && t.d.o.Bounded {
			err = halt.Newf(halt.AnotherWriter, "Stop the other process, or let it do the work: it goes on from where it is.", "%w", err)
		}
		if time.Since(started) > time.Minute {
			pause = t.d.o.Pause
		}
		verdict := classify(err)
		switch verdict {
		case stop:
			t.halt(err)
		case probe:
			t.halt(err)
			pause = t.d.o.PauseMax
		case again:
			t.log.Warn("restarted table", "err", err)
			t.metrics.restarts.Inc()
		}
		if verdict != again && t.d.o.Bounded {
			return err
		}
		for unchanged := true; unchanged; unchanged = verdict == stop && !t.changedByOthers(ctx) {
			if !wait(ctx, pause) {
				return err
			}
			pause = min(2*pause, t.d.o.PauseMax)
		}
	}
}

// halt tells that the table commits nothing more, why, and what to do.
func (t *table) halt(err error) {
	halted, _ := errors.AsType[*halt.Error](err)
	log := t.log
	if r, ok := errors.AsType[*recordError](err); ok {
		log = log.With("topic", r.topic, "partition", r.partition, "offset", r.offset)
	}
	log.Error("halted table", "reason", string(halted.Reason), "err", err, "hint", halted.Hint)
	t.metrics.setHalted(halted.Reason)
}

// run is the whole life of a table, from its bookmark on.
func (t *table) run(ctx context.Context) (err error) {
	work, release := withGrace(ctx, t.d.o.GracePeriod) // Outlives ctx, so that an open batch can be finished.
	defer release()
	defer t.close()
	t.life = ctx
	interrupted := context.AfterFunc(ctx, release)
	err = t.resume(ctx, work) // Find the bookmark in the table, and read Kafka from there.
	interrupted()             // Only what follows may have a batch to finish.
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && ctx.Err() != nil { // The next owner reads it again: this is no loss.
			t.log.Warn("dropped open batch", "err", err)
		}
	}()
	for {
		fetches, err := t.poll(ctx)
		if ctx.Err() != nil {
			return t.finish(work)
		}
		if err != nil {
			return t.lost(work, err)
		}
		if err := t.add(work, fetches); errors.Is(err, errStopped) { // debezium.Decode, then merge.Batch.
			return t.finish(work)
		} else if err != nil {
			return err
		}
		t.look(work)
		if err := t.pass(work, len(fetches) == 0); err != nil {
			return err
		}
		t.passHoles(work)
		if t.due(len(fetches) == 0) {
			if err := t.commit(work); err != nil { // sink.Commit; then tell Kafka, which is advisory.
				return err
			}
		}
		if t.d.o.Bounded {
			if done, err := t.atEnd(work, len(fetches) == 0); done || err != nil {
				return err
			}
		}
	}
}

// lost ends a session that cannot read on. Before a halt, what was read is committed; but not if the log lost its tail: what
// the open batch holds may be gone from it, and the table stays the fold of what the log has.
func (t *table) lost(work context.Context, err error) error {
	halted, ok := errors.AsType[*halt.Error](err)
	switch {
	case !ok:
		return fmt.Errorf("poll: %w", err)
	case halted.Reason == halt.LogTruncated:
		return err
	}
	return errors.Join(err, t.commit(work))
}

// withGrace returns a context that ends the grace period after ctx does.
func withGrace(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if wait(work, grace) {
			cancel(fmt.Errorf("grace period is over: %w", context.Cause(ctx)))
		}
	})
	return work, func() { stop(); cancel(nil) }
}

// wait waits for d and reports true, or false if ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// finish commits the open batch when the table was told to stop. What cannot be committed within the grace period is
// dropped, which is no loss.
func (t *table) finish(work context.Context) error {
	if err := t.commit(work); err != nil {
		return err
	}
	t.log.Info("stopped")
	return nil
}
