// Package sink turns a batch into data and delete files and commits them, with the bookmark, in one Iceberg snapshot.
//
// A table is a value: (head, bookmark, index). Every change of it goes through one door, Table.Commit, which keeps the
// invariants I1 to I5, I10 and I12 of ARCHITECTURE.md. Nothing here assumes one kind of catalog or storage.
package sink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/apache/iceberg-go/catalog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cdcd-project/cdcd/internal/halt"
)

// Options are what a Sink needs. There are no defaults.
type Options struct {
	Catalog    catalog.Catalog
	Version    string        // cdcd's own version, recorded in each snapshot's summary.
	Delete     bool          // Whether objects that nothing refers to any more are deleted.
	IndexBytes int64         // Budget of the key indexes of all tables together (I7); 0: none.
	Backoff    time.Duration // The first wait before something is tried again; each next one is twice as long, up to BackoffMax.
	FileAge    time.Duration // Files older than this are not committed any more: their batch is read again. 0: 24 hours.
	Logger     *slog.Logger
	Registerer prometheus.Registerer // May be nil.
}

// Sink is a catalog with its tables.
type Sink struct {
	o       Options
	metrics *metrics
	watch   watch
	indexed atomic.Int64 // Bytes of all tables' key indexes.
}

// New returns a Sink. It does not touch the catalog.
func New(o Options) *Sink {
	o.FileAge = cmp.Or(o.FileAge, fileAgeDefault)
	return &Sink{o: o, metrics: newMetrics(o.Registerer), watch: watch{seen: map[string]string{}}}
}

// ErrStandDown is returned by Commit when another writer moved the bookmark: the batch and the index are worthless,
// and the table must be opened again.
var ErrStandDown = errors.New("another writer moved the bookmark")

// ErrUnsettled is returned by Commit when ctx ended while the outcome of the commit was unknown. The table must be
// opened again; its head then tells what happened (I5).
var ErrUnsettled = errors.New("outcome of the commit is unknown")

// ErrStaleFiles is returned by Commit for files so old that another tool's removal of orphan files may have taken
// them. The batch must be read again.
var ErrStaleFiles = errors.New("data files are too old to be committed")

// BackoffMax is the longest wait before something is tried again.
const BackoffMax = 20 * time.Second

// callTimeout bounds one call of the catalog: the clients of some have no limit of their own, and a server that hangs must
// not hang the table for ever. It is far above what a sound call takes.
const callTimeout = 2 * time.Minute

// retry calls f until it succeeds or ctx ends, with a jittered exponential backoff. It is loud: the first failure is
// logged, then one a minute. f must be harmless when an earlier call of it took effect unseen.
func (s *Sink) retry(ctx context.Context, log *slog.Logger, stage string, f func(context.Context) error) error {
	wait, logged := s.o.Backoff, time.Time{}
	for attempt := 1; ; attempt++ {
		err := accessDenied(bounded(ctx, f))
		if err == nil || permanent(err) {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w (last error: %w)", stage, context.Cause(ctx), err)
		}
		if time.Since(logged) > time.Minute {
			log.Warn("retried", "stage", stage, "attempt", attempt, "err", err)
			logged = time.Now()
		}
		if err := sleep(ctx, wait); err != nil {
			return fmt.Errorf("%s: %w", stage, err)
		}
		wait = min(2*wait, BackoffMax)
	}
}

// bounded calls f with a context that ends after callTimeout.
func bounded(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return f(ctx)
}

// permanent reports errors that a repetition cannot mend: a table or an object is gone, or the table has halted. An object
// may be gone because another owner moved the table on; opening the table again tells.
func permanent(err error) bool {
	_, halted := errors.AsType[*halt.Error](err)
	return halted || noTable(err) || errors.Is(err, fs.ErrNotExist)
}

// sleep waits for about d, or until ctx ends; it then returns ctx's cause.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d/2 + rand.N(d)) //nolint:gosec // Jitter, not a secret.
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
