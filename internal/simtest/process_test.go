package simtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"
)

// fault is what the world does to one call that leaves the process.
type fault int

const (
	none        fault = iota
	refuse            // An error; nothing was done.
	lose              // It was done; the reply is lost.
	late              // The reply is lost, and it is done some time later.
	delay             // It takes its time.
	crashBefore       // The process dies; nothing was done.
	crashAfter        // It was done; the process dies.
	faults
)

func (f fault) String() string {
	return [...]string{"none", "refuse", "lose", "late", "delay", "crash before", "crash after"}[f]
}

var (
	errInjected = errors.New("injected fault")
	errCrashed  = errors.New("the process has crashed")
)

type processKey struct{}

// process is one run of cdcd, from its start to its end or crash. What a crashed process still tries has no effect.
type process struct {
	w     *world
	name  string
	alive atomic.Bool
	kill  context.CancelCauseFunc

	mu  sync.Mutex
	rng *rand.Rand
}

// ask lets one call leave the process, and returns its reply. A nil process is reliable.
func ask[T any](p *process, site string, f func() (T, error)) (T, error) {
	var nothing T
	if p == nil {
		return f()
	}
	if !p.alive.Load() {
		return nothing, errCrashed
	}
	what, wait := p.draw(site)
	switch what {
	case none, faults:
		return f()
	case refuse:
	case lose:
		_, _ = f() // Its reply is what gets lost.
	case late:
		p.w.late.Go(func() {
			time.Sleep(wait * 5)
			_, _ = f()
		})
	case delay:
		time.Sleep(wait)
		return f()
	case crashBefore:
		p.crash()
		return nothing, errCrashed
	case crashAfter:
		_, _ = f()
		p.crash()
		return nothing, errCrashed
	}
	return nothing, fmt.Errorf("%s: %w", site, errInjected)
}

// tell lets one call leave the process that has no reply but that it was done.
func (p *process) tell(site string, f func() error) error {
	_, err := ask(p, site, func() (struct{}, error) { return struct{}{}, f() })
	return err
}

// draw decides about the next call, and counts the decision.
func (p *process) draw(site string) (fault, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait := time.Duration(p.rng.IntN(4)) * time.Millisecond
	if !p.w.unreliable.Load() || p.rng.Float64() >= p.w.faultRate {
		return none, 0
	}
	f := fault(1 + p.rng.IntN(int(faults)-1))
	if (f == crashBefore || f == crashAfter) && p.rng.IntN(2) == 0 {
		f = late
	}
	p.w.count(site, f)
	return f, wait
}

func (p *process) crash() {
	p.alive.Store(false)
	p.kill(errCrashed)
}

// remote is the catalog as one process sees it.
type remote struct {
	catalog.Catalog
	p *process
}

// server strips the process from a context: what the catalog itself does with storage is as reliable as the catalog.
func server(ctx context.Context) context.Context {
	return context.WithValue(context.WithoutCancel(ctx), processKey{}, (*process)(nil))
}

func (r *remote) LoadTable(ctx context.Context, ident table.Identifier) (*table.Table, error) {
	return ask(r.p, "catalog.load", func() (*table.Table, error) { return r.Catalog.LoadTable(server(ctx), ident) })
}

func (r *remote) CheckNamespaceExists(ctx context.Context, ident table.Identifier) (bool, error) {
	return ask(r.p, "catalog.namespace_exists", func() (bool, error) { return r.Catalog.CheckNamespaceExists(server(ctx), ident) })
}

func (r *remote) CreateNamespace(ctx context.Context, ident table.Identifier, props iceberg.Properties) error {
	return r.p.tell("catalog.create_namespace", func() error { return r.Catalog.CreateNamespace(server(ctx), ident, props) })
}

func (r *remote) CreateTable(ctx context.Context, ident table.Identifier, s *iceberg.Schema, o ...catalog.CreateTableOpt) (*table.Table, error) {
	return ask(r.p, "catalog.create_table", func() (*table.Table, error) { return r.Catalog.CreateTable(server(ctx), ident, s, o...) })
}

func (r *remote) CommitTable(ctx context.Context, ident table.Identifier, reqs []table.Requirement, updates []table.Update) (table.Metadata, string, error) {
	type reply struct {
		meta     table.Metadata
		location string
	}
	got, err := ask(r.p, "catalog.commit", func() (reply, error) {
		meta, location, err := r.p.w.commit(server(ctx), r.p, ident, reqs, updates)
		return reply{meta, location}, err
	})
	return got.meta, got.location, err
}
