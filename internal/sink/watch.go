package sink

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/apache/iceberg-go/catalog"
	icetable "github.com/apache/iceberg-go/table"
)

// watch remembers as what this process last saw each of its tables, so that a change by anybody else can be told at the cost of
// one look.
type watch struct {
	mu   sync.Mutex
	seen map[string]string // Version by table name. Bounded by the configured tables.
}

// version names one state of a table; "" is a table that does not exist. Every commit changes it, also one that adds no snapshot.
func version(meta icetable.Metadata, ref string) string {
	head := int64(0)
	if s := meta.SnapshotByName(ref); s != nil {
		head = s.SnapshotID
	}
	return fmt.Sprintf("%s/%d/%d", meta.TableUUID(), meta.LastUpdatedMillis(), head)
}

func (w *watch) see(o TableOptions, version string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[o.Name] = version
}

// Changed reports whether a table is another one than this process last saw: somebody else committed to it, dropped it, or put
// it back. It asks once, and reads nothing but the table's metadata.
func (s *Sink) Changed(ctx context.Context, o TableOptions) (bool, error) {
	now := ""
	err := bounded(ctx, func(ctx context.Context) error {
		loaded, err := s.o.Catalog.LoadTable(ctx, strings.Split(o.Name, "."))
		if errors.Is(err, catalog.ErrNoSuchTable) || errors.Is(err, catalog.ErrNoSuchNamespace) {
			return nil
		}
		if err == nil {
			now = version(loaded.Metadata(), o.Ref)
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("look at table %s: %w", o.Name, err)
	}
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	return s.watch.seen[o.Name] != now, nil
}
