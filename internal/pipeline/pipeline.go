// Package pipeline runs one loop per table: poll, decode, fold, commit. It owns every goroutine.
//
// Kafka record -> change event -> batch -> plan -> files -> one commit: each step is a call into another package, and
// table.run in table.go shows them in order. State belongs to one table's goroutine, so there are no locks to order.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/registry"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// Options are what Run needs. There are no defaults.
type Options struct {
	Kafka    *kafka.Client
	Registry *registry.Client // Nil: no record refers to one.
	Sink     *sink.Sink
	Tables   []Table

	// Bounded ends the run when every table has reached the end offsets that its topics had when it started. A bounded
	// run joins no group: it takes all tables, and I2 keeps it from harm if another process has them too.
	Bounded bool

	BatchBytes  int64         // Memory of all open batches together (I7).
	GracePeriod time.Duration // How long a table may finish its open batch after the run was told to stop.
	Pause       time.Duration // Before a table is opened again after an error; each next pause is twice as long, up to PauseMax.
	PauseMax    time.Duration // Also the pause between probes of a cause that lies outside.

	// QuietInterval is how often a bookmark is committed alone, at most, for a table whose topics move without changing a
	// row (I8).
	QuietInterval time.Duration

	// WatchInterval is how often the brokers are asked where topics end, for the lag of tables that get nothing. Zero: never. A
	// bounded run never asks.
	WatchInterval time.Duration

	Logger     *slog.Logger
	Registerer prometheus.Registerer // May be nil.
}

// Table is one table and the topics that feed it.
type Table struct {
	Topics         []string
	Decoder        debezium.Options
	Sink           sink.TableOptions
	CommitInterval time.Duration // An open batch is committed when its first record is this old.
	CommitBytes    int64         // A batch is committed when its decoded rows and keys have come to this many bytes, written out or not.
	BadRecords     BadRecords    // What becomes of records that cannot be applied.
	DisjointKeys   bool          // No key comes from two sources that a topic merges: their keys may have forms of their own (I13).
	FromEarliest   bool          // Whether a first start may begin where the log begins, complete or not.
}

// ErrQuarantined is returned by a bounded run in which every table reached its end, and at least one set records aside.
var ErrQuarantined = errors.New("records were quarantined")

// ErrHalted is returned by a bounded run in which a table halted.
var ErrHalted = errors.New("not all tables reached their end")

// Run runs all tables until ctx ends, or, if Bounded, until each has reached its end or halted. When ctx ends each table
// commits what it has read, within the grace period; what it cannot commit in time is read again by the next owner.
func Run(ctx context.Context, o Options) error {
	g, ctx := errgroup.WithContext(ctx)
	d := &daemon{o: o, metrics: newMetrics(o.Registerer), budget: &budget{limit: o.BatchBytes}, running: map[string]*actor{}, lags: map[string]*lag{}}
	for _, t := range o.Tables {
		d.metrics.of(t.Sink.Name)
		d.lags[t.Sink.Name] = newLag(t.Sink.Name, o.Logger, d.metrics)
	}
	if o.Bounded {
		return d.runBounded(ctx, g)
	}
	g.Go(func() error { return o.Kafka.Run(ctx) })
	g.Go(func() error {
		d.watchLag(ctx)
		return nil
	})
	g.Go(func() error {
		defer d.own(context.WithoutCancel(ctx), nil)
		return o.Kafka.Join(ctx, plans(o.Tables), d.own)
	})
	return g.Wait()
}

func plans(tables []Table) []kafka.Table {
	var out []kafka.Table
	for _, t := range tables {
		out = append(out, kafka.Table{Name: t.Sink.Name, Topics: t.Topics})
	}
	return out
}

// daemon starts and stops the tables of one process.
type daemon struct {
	o       Options
	metrics *metrics
	budget  *budget
	lags    map[string]*lag   // By table; never changed.
	running map[string]*actor // Touched by one goroutine only: the one that calls own.
}

// actor is a running table.
type actor struct {
	stop context.CancelCauseFunc
	done chan struct{}
}

// errRevoked is the cause with which a table stops that the group gave to another member.
var errRevoked = errors.New("the group gave the table to another member")

// own makes the running tables those named, and returns when all others have stopped.
func (d *daemon) own(ctx context.Context, names []string) {
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	for name, a := range d.running {
		if !wanted[name] {
			a.stop(errRevoked)
		}
	}
	for name, a := range d.running {
		if !wanted[name] {
			<-a.done
			delete(d.running, name)
		}
	}
	for _, t := range d.o.Tables {
		if name := t.Sink.Name; wanted[name] && d.running[name] == nil {
			d.running[name] = d.start(ctx, t)
		}
	}
}

func (d *daemon) start(ctx context.Context, o Table) *actor {
	ctx, stop := context.WithCancelCause(ctx)
	a := &actor{stop: stop, done: make(chan struct{})}
	go func() {
		defer close(a.done)
		defer stop(nil)
		t := d.newTable(o)
		_ = t.keep(ctx) // It ends because it was told to; what it had to say is in the log.
		t.metrics.release()
		t.lag.clear()
	}()
	return a
}

// runBounded runs every table to its end.
func (d *daemon) runBounded(ctx context.Context, g *errgroup.Group) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g.Go(func() error { return d.o.Kafka.Run(ctx) })
	tables, tablesCtx := errgroup.WithContext(ctx)
	results, setAsides := make([]error, len(d.o.Tables)), make([]int64, len(d.o.Tables))
	for i, o := range d.o.Tables {
		tables.Go(func() error {
			t := d.newTable(o)
			results[i] = t.keep(tablesCtx)
			setAsides[i] = t.setAsides
			return nil
		})
	}
	err := tables.Wait()
	stopped := context.Cause(ctx)
	stop()
	if err := errors.Join(err, g.Wait()); err != nil {
		return err
	}
	for i, result := range results {
		if result != nil && stopped == nil {
			err = errors.Join(err, fmt.Errorf("table %s: %w", d.o.Tables[i].Sink.Name, result))
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrHalted, err)
	case stopped != nil:
		return fmt.Errorf("%w: %w", ErrHalted, stopped)
	}
	return d.setAside(setAsides)
}

// setAside returns ErrQuarantined if any table set records aside.
func (d *daemon) setAside(counts []int64) error {
	var names []string
	for i, n := range counts {
		if n > 0 {
			names = append(names, d.o.Tables[i].Sink.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%w: cdcd quarantine list tells those of %s", ErrQuarantined, strings.Join(names, ", "))
}

// verdict says what becomes of a table after its session ended with an error.
type verdict int

const (
	again verdict = iota // Open the table and read from its bookmark again.
	probe                // Halt, and look from time to time whether the cause has gone.
	stop                 // Halt until somebody changes the table: an operator, above all.
)

// classify decides about an error that ended a session.
func classify(err error) verdict {
	halted, ok := errors.AsType[*halt.Error](err)
	switch {
	case !ok:
		return again // Storage, network, a second writer: the bookmark in the table tells where to go on.
	case halted.Reason == halt.TopicMissing, halted.Reason == halt.AccessDenied:
		return probe // It lies outside and may be mended there.
	}
	return stop
}
