package simtest

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	iceio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table"
)

// warehouse is where the catalog makes tables.
const warehouse = "sim://warehouse"

// keeper is the catalog: it keeps one pointer per table, to its newest metadata.json, and moves it if all requirements hold. What
// they mean and what updates do is iceberg-go's own code. What it does not implement, cdcd does not ask of a catalog.
type keeper struct {
	catalog.Catalog

	store *store

	mu         sync.Mutex
	namespaces map[string]bool
	tables     map[string]*kept
}

// kept is one table: metadata as they stand in the file at location.
type kept struct {
	location string
	meta     table.Metadata
	version  int
}

func newKeeper(s *store) *keeper {
	return &keeper{store: s, namespaces: map[string]bool{}, tables: map[string]*kept{}}
}

// CreateTable implements catalog.Catalog. The catalog decides how files are compressed, as catalogs may: zstd encoders are pooled
// by arrow-go across bubbles, which testing/synctest does not allow.
func (k *keeper) CreateTable(_ context.Context, ident table.Identifier, s *iceberg.Schema, opts ...catalog.CreateTableOpt) (*table.Table, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	name := strings.Join(ident, ".")
	switch {
	case !k.namespaces[ident[0]]:
		return nil, fmt.Errorf("%w: %s", catalog.ErrNoSuchNamespace, ident[0])
	case k.tables[name] != nil:
		return nil, fmt.Errorf("%w: %s", catalog.ErrTableAlreadyExists, name)
	}
	cfg := catalog.NewCreateTableCfg()
	for _, o := range opts {
		o(&cfg)
	}
	props := maps.Clone(cfg.Properties)
	props[table.ParquetCompressionKey] = "snappy"
	meta, err := table.NewMetadata(s, iceberg.UnpartitionedSpec, table.UnsortedSortOrder, warehouse+"/"+name, props)
	if err != nil {
		return nil, err
	}
	t := &kept{version: -1}
	if err := k.move(t, meta); err != nil {
		return nil, err
	}
	k.tables[name] = t
	return k.table(ident, t), nil
}

// CommitTable implements catalog.Catalog.
func (k *keeper) CommitTable(_ context.Context, ident table.Identifier, reqs []table.Requirement, updates []table.Update) (table.Metadata, string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t := k.tables[strings.Join(ident, ".")]
	if t == nil {
		return nil, "", fmt.Errorf("%w: %s", catalog.ErrNoSuchTable, strings.Join(ident, "."))
	}
	for _, r := range reqs {
		if err := r.Validate(t.meta); err != nil {
			return nil, "", fmt.Errorf("%w: %w", table.ErrCommitFailed, err)
		}
	}
	meta, err := table.UpdateTableMetadata(t.meta, updates, t.location)
	if err != nil {
		return nil, "", err
	}
	if err := k.move(t, meta); err != nil {
		return nil, "", err
	}
	return t.meta, t.location, nil
}

// move writes metadata.json and makes it the table's. What the table then is, is what stands there.
func (k *keeper) move(t *kept, meta table.Metadata) error {
	text, err := json.Marshal(meta)
	if err != nil {
		return err
	}
	read, err := table.ParseMetadataBytes(text)
	if err != nil {
		return err
	}
	places, err := table.LoadLocationProvider(meta.Location(), meta.Properties())
	if err != nil {
		return err
	}
	location, err := places.NewTableMetadataFileLocation(t.version + 1)
	if err != nil {
		return err
	}
	k.store.put(location, text)
	t.meta, t.location, t.version = read, location, t.version+1
	return nil
}

// table returns the table as a client holds it: its storage is that of the process in the context.
func (k *keeper) table(ident table.Identifier, t *kept) *table.Table {
	return table.New(ident, t.meta, t.location, func(ctx context.Context) (iceio.IO, error) {
		p, _ := ctx.Value(processKey{}).(*process)
		return &storage{store: k.store, p: p}, nil
	}, k)
}

// LoadTable implements catalog.Catalog.
func (k *keeper) LoadTable(_ context.Context, ident table.Identifier) (*table.Table, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t := k.tables[strings.Join(ident, ".")]
	if t == nil {
		return nil, fmt.Errorf("%w: %s", catalog.ErrNoSuchTable, strings.Join(ident, "."))
	}
	return k.table(ident, t), nil
}

// CheckNamespaceExists implements catalog.Catalog.
func (k *keeper) CheckNamespaceExists(_ context.Context, ident table.Identifier) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.namespaces[ident[0]], nil
}

// CreateNamespace implements catalog.Catalog.
func (k *keeper) CreateNamespace(_ context.Context, ident table.Identifier, _ iceberg.Properties) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.namespaces[ident[0]] {
		return fmt.Errorf("%w: %s", catalog.ErrNamespaceAlreadyExists, ident[0])
	}
	k.namespaces[ident[0]] = true
	return nil
}

// ListTables implements catalog.Catalog.
func (k *keeper) ListTables(context.Context, table.Identifier) iter.Seq2[table.Identifier, error] {
	k.mu.Lock()
	defer k.mu.Unlock()
	names := slices.Sorted(maps.Keys(k.tables))
	return func(yield func(table.Identifier, error) bool) {
		for _, name := range names {
			if !yield(strings.Split(name, "."), nil) {
				return
			}
		}
	}
}
