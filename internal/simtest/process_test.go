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

// call lets one call leave the process. A nil process is reliable.
func (p *process) call(site string, f func() error) error {
	if p == nil {
		return f()
	}
	if !p.alive.Load() {
		return errCrashed
	}
	what, wait := p.draw(site)
	switch what {
	case none, faults:
		return f()
	case refuse:
	case lose:
		_ = f() // Its reply is what gets lost.
	case late:
		p.w.late.Go(func() {
			time.Sleep(wait * 5)
			_ = f()
		})
	case delay:
		time.Sleep(wait)
		return f()
	case crashBefore:
		p.crash()
		return errCrashed
	case crashAfter:
		_ = f()
		p.crash()
		return errCrashed
	}
	return fmt.Errorf("%s: %w", site, errInjected)
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

func (r *remote) LoadTable(ctx context.Context, ident table.Identifier) (t *table.Table, err error) {
	err = r.p.call("catalog.load", func() error {
		t, err = r.Catalog.LoadTable(server(ctx), ident)
		return err
	})
	return t, err
}

func (r *remote) CheckNamespaceExists(ctx context.Context, ident table.Identifier) (exists bool, err error) {
	err = r.p.call("catalog.namespace_exists", func() error {
		exists, err = r.Catalog.CheckNamespaceExists(server(ctx), ident)
		return err
	})
	return exists, err
}

func (r *remote) CreateNamespace(ctx context.Context, ident table.Identifier, props iceberg.Properties) error {
	return r.p.call("catalog.create_namespace", func() error { return r.Catalog.CreateNamespace(server(ctx), ident, props) })
}

func (r *remote) CreateTable(ctx context.Context, ident table.Identifier, s *iceberg.Schema, o ...catalog.CreateTableOpt) (t *table.Table, err error) {
	err = r.p.call("catalog.create_table", func() error {
		t, err = r.Catalog.CreateTable(server(ctx), ident, s, o...)
		return err
	})
	return t, err
}

func (r *remote) CommitTable(ctx context.Context, ident table.Identifier, reqs []table.Requirement, updates []table.Update) (meta table.Metadata, location string, err error) {
	err = r.p.call("catalog.commit", func() error {
		meta, location, err = r.p.w.commit(server(ctx), r.p, ident, reqs, updates)
		return err
	})
	return meta, location, err
}
