package simtest

import (
	"context"
	"strings"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/pipeline"
)

// siteQuarantine is the commit of a quarantine table: a crash after it comes before its target's.
const siteQuarantine = "catalog.commit_quarantine"

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
	return ask(ctx, r.p, "catalog.load", func() (*table.Table, error) { return r.Catalog.LoadTable(server(ctx), ident) })
}

func (r *remote) CheckNamespaceExists(ctx context.Context, ident table.Identifier) (bool, error) {
	return ask(ctx, r.p, "catalog.namespace_exists", func() (bool, error) { return r.Catalog.CheckNamespaceExists(server(ctx), ident) })
}

func (r *remote) CreateNamespace(ctx context.Context, ident table.Identifier, props iceberg.Properties) error {
	return r.p.tell(ctx, "catalog.create_namespace", func() error { return r.Catalog.CreateNamespace(server(ctx), ident, props) })
}

func (r *remote) CreateTable(ctx context.Context, ident table.Identifier, s *iceberg.Schema, o ...catalog.CreateTableOpt) (*table.Table, error) {
	return ask(ctx, r.p, "catalog.create_table", func() (*table.Table, error) { return r.Catalog.CreateTable(server(ctx), ident, s, o...) })
}

func (r *remote) CommitTable(ctx context.Context, ident table.Identifier, reqs []table.Requirement, updates []table.Update) (table.Metadata, string, error) {
	type reply struct {
		meta     table.Metadata
		location string
	}
	site := "catalog.commit"
	if strings.HasSuffix(ident[1], pipeline.QuarantineSuffix) {
		site = siteQuarantine
	}
	got, err := ask(ctx, r.p, site, func() (reply, error) {
		meta, location, err := r.p.w.commit(server(ctx), r.p.name, ident, reqs, updates)
		return reply{meta, location}, err
	})
	return got.meta, got.location, err
}
