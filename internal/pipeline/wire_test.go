package pipeline_test

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/catalog/rest"
	"github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/pipeline"
)

// wire stands between a process and the catalog.
type wire struct {
	catalog.Catalog
	down      atomic.Bool                               // Nothing gets through.
	denied    atomic.Bool                               // Commits are refused for want of rights.
	creating  atomic.Pointer[func()]                    // Called once, before a table is created.
	committed atomic.Pointer[func(ctx context.Context)] // Called once, after a commit landed; its reply is lost then.
}

var errUnreachable = errors.New("the catalog is unreachable")

func (c *wire) LoadTable(ctx context.Context, ident table.Identifier) (*table.Table, error) {
	if c.down.Load() {
		return nil, errUnreachable
	}
	return c.Catalog.LoadTable(ctx, ident)
}

func (c *wire) CommitTable(ctx context.Context, ident table.Identifier, reqs []table.Requirement, updates []table.Update) (table.Metadata, string, error) {
	if c.down.Load() {
		return nil, "", errUnreachable
	}
	if c.denied.Load() {
		return nil, "", rest.ErrForbidden
	}
	meta, location, err := c.Catalog.CommitTable(ctx, ident, reqs, updates)
	if f := c.committed.Swap(nil); err == nil && f != nil {
		(*f)(ctx)
		return nil, "", errUnreachable
	}
	return meta, location, err
}

func (c *wire) CreateTable(ctx context.Context, ident table.Identifier, s *iceberg.Schema, o ...catalog.CreateTableOpt) (*table.Table, error) {
	if f := c.creating.Swap(nil); f != nil {
		(*f)()
	}
	return c.Catalog.CreateTable(ctx, ident, s, o...)
}

// through makes a process use c.
func (w *world) through(c *wire) func(*pipeline.Options) {
	return func(o *pipeline.Options) { o.Sink = w.sink(c, o.Logger, nil) }
}
