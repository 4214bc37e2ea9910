package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/merge"
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

// session is what a table holds from one opening of its Iceberg table to the next.
//
// Invariant: position is the table's bookmark, moved over exactly the records that were folded into batch or ignored
// (I1, I6).
type session struct {
	sink    *sink.Table // nil: the table does not exist yet.
	sub     *kafka.Subscription
	decoder *debezium.Decoder
	unknown unknownNames
	batch   *merge.Batch
	stamps  stamps // Of a changelog.
	draft   *sink.Draft

	quarantine *quarantine // nil: no bad record was met.
	bad        int64       // Records of the open batch that were set aside, and were not there before.
	seen       int64       // Records of the open batch that were applied, ignored or set aside.
	doubts     doubts

	position bookmark.Bookmark
	base     bookmark.Bookmark // Where position stood at the last commit, or when the table was opened.
	end      bookmark.Bookmark // The end offsets when the table was opened.
	progress map[partition]*progress
	barriers map[string]*barrier // By topic: where partitions are held.
	paired   bool                // The last event deletes a row whose create under another key is to follow: it may keep values of that row.
	written  int64               // Bytes of the open batch's rows that were handed to the draft.
	first    time.Time           // When the open batch got its first record.
	last     time.Time           // When the table was last committed, or opened.
	looked   time.Time           // When a quiet table was last looked at.
	changed  bool                // Somebody else has changed the table since it was last committed, or opened.
	asked    time.Time           // When the brokers were last asked whether records wait before the ends of partitions.
	start    string              // "earliest" if the first start was allowed to be incomplete.
	forms    map[string]bool     // Of keys, that were adopted.
	returns  int                 // How often one of them came back.
}

type partition struct {
	topic  string
	number int32
}

// progress is what a partition's records have told, beside their changes.
type progress struct {
	high     int64 // The high watermark that came with the last records.
	sourceMs int64 // Source time of the last event, in Unix milliseconds; 0 before the first.
	asked    int64 // Where the position stood when a hole was last looked for; -1 before.

	form   string // Of the key of the last event; "": none was looked at.
	latest int64  // The latest record time of the events whose form was looked at, in Unix milliseconds.
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

// resume opens the Iceberg table and subscribes from its bookmark (I8).
func (t *table) resume(ctx, work context.Context) error {
	decoding := t.o.Decoder
	decoding.Partial = true // source finds the values that are not there.
	t.session = session{
		decoder: debezium.NewDecoder(decoding), unknown: unknownNames{counter: t.d.metrics.unknownTypes.WithLabelValues(t.o.Sink.Name)}, progress: map[partition]*progress{}, barriers: map[string]*barrier{}, last: time.Now(),
	}
	opened, err := t.d.o.Sink.Open(work, t.o.Sink)
	switch {
	case errors.Is(err, sink.ErrNoTable) && t.existed:
		return halt.Newf(halt.TableDropped, "Put the table back, remove it from the configuration, or restart cdcd to build it anew from what its topics hold.",
			"the table was dropped while cdcd maintained it: %w", err)
	case err != nil && !errors.Is(err, sink.ErrNoTable):
		return err
	}
	from := bookmark.Bookmark{}
	if err == nil {
		t.use(opened)
		from = opened.Bookmark()
		t.lag.stand(from, t.o.Topics, false)
	}
	at, err := t.d.o.Kafka.Locate(ctx, t.o.Topics, from)
	if err != nil {
		return err
	}
	incomplete, err := t.o.CheckStart(from, at)
	if err != nil {
		return err
	}
	if incomplete {
		t.start = "earliest"
	}
	t.position, t.base, t.end = at.Start, at.Start.Clone(), at.End
	t.doubts.from = at.Start.Clone()
	t.sub = t.d.o.Kafka.Subscribe(t.o.Sink.Name, at.Start, t.o.Topics...)
	t.lag.stand(at.Start, t.o.Topics, true)
	t.log.Info("resumed from bookmark", "bookmark", at.Start.String())
	t.metrics.setHalted("")
	if t.sink != nil {
		t.d.o.Kafka.CommitOffsets(t.sink.Bookmark()) // The last owner may not have come through with it.
	}
	return nil
}

// CheckStart refuses a first start that would silently lack the beginning of a topic. It reports whether FromEarliest allows
// the table to start without one.
func (o Table) CheckStart(from bookmark.Bookmark, at kafka.Position) (incomplete bool, err error) {
	for _, name := range o.Topics {
		if _, known := from.Topic(name); known {
			continue
		}
		begin, _ := at.LogStart.Topic(name)
		for _, p := range begin.Partitions {
			if p.Next == 0 {
				continue
			}
			if !o.FromEarliest {
				return false, halt.Newf(halt.IncompleteStart, `Take a new Debezium snapshot into a fresh topic, or set start = "earliest" to accept a table without its beginning.`,
					"%s/%d begins at offset %d: records 0 to %d are gone", name, p.Partition, p.Next, p.Next-1)
			}
			incomplete = true
		}
	}
	return incomplete, nil
}

// use binds the session to an opened table.
func (t *table) use(s *sink.Table) {
	t.sink, t.existed = s, true
	t.decoder.Bind(s.Schema())
	t.batch = merge.NewBatch(s.Schema())
	t.draft = s.Draft()
	t.stamps = stampsOf(s.Schema())
}

// close ends the session. A batch that is still open is dropped: it is read again from the bookmark.
func (t *table) close() {
	if t.sub != nil {
		t.sub.Close()
		t.lag.stand(t.base, t.o.Topics, false) // What was read after the last commit will be read again.
	}
	if t.sink != nil {
		t.draft.Discard()
		t.sink.Close()
	}
	t.quarantine.close()
	t.session = session{}
	t.share.set(0)
	t.metrics.setBuffered(0, 0)
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
