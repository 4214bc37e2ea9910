package simtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/apache/iceberg-go/table"
)

// checkReferences walks everything that any snapshot of any table refers to: nothing is missing, and what is not referred to is
// explained by what happened.
func (w *world) checkReferences() error {
	alive, err := w.alive()
	errs := []error{err}
	orphans := map[string][]string{}
	for _, path := range w.store.olderThan(0) {
		if !alive[path] {
			name, _, _ := strings.Cut(strings.TrimPrefix(path, warehouse+"/"), "/")
			orphans[name] = append(orphans[name], path)
			w.stats.orphans++
		}
	}
	for _, m := range w.mirrors {
		if w.explained(m.name) {
			continue
		}
		w.stats.spotless++
		if paths := orphans[m.name]; len(paths) > 0 {
			slices.Sort(paths)
			errs = append(errs, fmt.Errorf("%s left %d orphans behind, the first is %s", m.name, len(paths), paths[0]))
		}
	}
	return errors.Join(errs...)
}

// alive returns everything that any snapshot of any table refers to, and an error if something of it is missing.
func (w *world) alive() (map[string]bool, error) {
	var errs []error
	alive := map[string]bool{}
	for ident, err := range w.catalog.ListTables(context.Background(), nil) {
		if err != nil {
			return nil, err
		}
		t, err := w.catalog.LoadTable(context.Background(), ident)
		if err != nil {
			return nil, err
		}
		errs = append(errs, w.walk(t, alive))
	}
	return alive, errors.Join(errs...)
}

// sweep removes objects of a certain age that nothing refers to, as other tools' removal of orphan files does.
func (w *world) sweep(age time.Duration) {
	alive, err := w.alive()
	if err != nil {
		w.complain("sweep: %w", err)
		return
	}
	for _, path := range w.store.olderThan(age) {
		if !alive[path] {
			w.store.remove(path)
			w.note(func(s *stats) { s.swept++ })
		}
	}
}

// walk adds everything that a table refers to to alive.
func (w *world) walk(t *table.Table, alive map[string]bool) error {
	var errs []error
	name := strings.Join(t.Identifier(), ".")
	refer := func(path string) bool {
		if alive[path] {
			return false
		}
		alive[path] = true
		if !w.store.has(path) {
			errs = append(errs, fmt.Errorf("%s refers to %s: %w", name, path, fs.ErrNotExist))
		}
		return true
	}
	refer(t.MetadataLocation())
	for e := range t.Metadata().PreviousFiles() {
		refer(e.MetadataFile)
	}
	storage := &storage{store: w.store}
	for _, s := range t.Metadata().Snapshots() {
		w.stats.snapshots++
		refer(s.ManifestList)
		manifests, err := s.Manifests(storage)
		if err != nil {
			return errors.Join(append(errs, fmt.Errorf("%s: snapshot %d: %w", name, s.SnapshotID, err))...)
		}
		for _, m := range manifests {
			if !refer(m.FilePath()) {
				continue
			}
			for e, err := range m.Entries(storage, true) {
				if err != nil {
					return errors.Join(append(errs, fmt.Errorf("%s: manifest %s: %w", name, m.FilePath(), err))...)
				}
				refer(e.DataFile().FilePath())
			}
		}
	}
	return errors.Join(errs...)
}

// explained says whether objects of a table may be left that nothing refers to. A process that ends, restarts a table or stands
// down forgets what it had superseded; a removal may fail; and an upload may arrive after its object was removed.
func (w *world) explained(name string) bool {
	if !w.plan.lone || w.seen.opened[name] > 1 {
		return true
	}
	for _, f := range []fault{refuse, lose, late, delay} {
		if w.stats.injected[cell("storage.remove", f)] > 0 {
			return true
		}
	}
	return w.stats.injected[cell("storage.put", late)] > 0
}
