package simtest

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/bookmark"
)

// engine is another engine that works on the same tables, with iceberg-go's own transactions. Its calls are reliable.
type engine struct {
	catalog.Catalog

	w *world
}

// LoadTable implements catalog.Catalog.
func (e *engine) LoadTable(ctx context.Context, ident table.Identifier) (*table.Table, error) {
	t, err := e.Catalog.LoadTable(ctx, ident)
	if err != nil {
		return nil, err
	}
	return table.New(ident, t.Metadata(), t.MetadataLocation(), t.FS, e), nil
}

// CommitTable implements catalog.Catalog. Rows and bookmark follow the head wherever the engine moves it.
func (e *engine) CommitTable(ctx context.Context, ident table.Identifier, reqs []table.Requirement, updates []table.Update) (table.Metadata, string, error) {
	w := e.w
	w.mu.Lock()
	defer w.mu.Unlock()
	meta, location, err := w.catalog.CommitTable(ctx, ident, reqs, updates)
	if err != nil {
		return meta, location, err
	}
	name := strings.Join(ident, ".")
	w.stats.foreign++
	w.heads[name] = meta.CurrentSnapshot().SnapshotID
	for s := meta.CurrentSnapshot(); s != nil; s = meta.SnapshotByID(*s.ParentSnapshotID) {
		if text, ok := s.Summary.Properties["cdcd.bookmark"]; ok {
			w.landed[name], err = bookmark.Parse(text)
			break
		}
		if s.ParentSnapshotID == nil {
			break
		}
	}
	return meta, location, err
}

// engine lets another engine do something to one table.
func (w *world) engine(rng *rand.Rand) {
	var may []string
	for _, name := range []string{actCompact, actExpire, actRollback} {
		if w.plan.has(name) {
			may = append(may, name)
		}
	}
	if len(may) == 0 {
		return
	}
	m := w.mirrors[rng.IntN(len(w.mirrors))]
	e := &engine{w.catalog, w}
	t, err := e.LoadTable(context.Background(), strings.Split(m.name, "."))
	if err != nil || t.CurrentSnapshot() == nil {
		return
	}
	switch may[rng.IntN(len(may))] {
	case actCompact:
		err = compact(t)
	case actExpire:
		err = expire(t)
	case actRollback:
		err = rollback(t)
	}
	if err != nil && !errors.Is(err, table.ErrCommitFailed) {
		w.complain("%s: another engine: %w", m.name, err)
	}
}

// compact rewrites all data files. Of a part of them iceberg-go would take away delete files that the others still need.
func compact(t *table.Table) error {
	ctx := context.Background()
	tasks, err := t.Scan().PlanFiles(ctx)
	if err != nil || len(tasks) == 0 {
		return err
	}
	tx := t.NewTransaction()
	if _, err := tx.RewriteDataFiles(ctx, []table.CompactionTaskGroup{{Tasks: tasks}}, table.RewriteDataFilesOptions{}); err != nil {
		return err
	}
	_, err = tx.Commit(ctx)
	return err
}

// expireKeep is how many snapshots another engine's expiry leaves: more than it makes between two commits of cdcd, so that one with
// a bookmark is always left.
const expireKeep = 8

func expire(t *table.Table) error {
	tx := t.NewTransaction()
	if err := tx.ExpireSnapshots(table.WithOlderThan(time.Millisecond), table.WithRetainLast(expireKeep)); err != nil {
		return err
	}
	_, err := tx.Commit(context.Background())
	return err
}

// rollback makes the head's parent the head.
func rollback(t *table.Table) error {
	parent := t.CurrentSnapshot().ParentSnapshotID
	if parent == nil || t.SnapshotByID(*parent) == nil {
		return nil
	}
	tx := t.NewTransaction()
	if err := tx.RollbackToSnapshot(*parent); err != nil {
		return err
	}
	_, err := tx.Commit(context.Background())
	return err
}
