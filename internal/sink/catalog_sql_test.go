package sink

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
)

// Processes that start at the same moment, on a catalog that does not exist yet, all find one.
func TestManyOpenAFreshCatalogAtOnce(t *testing.T) {
	for n := range 30 {
		dir := t.TempDir()
		o := CatalogOptions{Type: "sql", URI: "sqlite:" + filepath.Join(dir, fmt.Sprint(n), "catalog.db"), Warehouse: "file://" + dir}
		var wg sync.WaitGroup
		together := make(chan struct{})
		for range 4 {
			wg.Go(func() {
				<-together
				cat, err := OpenCatalog(t.Context(), o)
				if err != nil {
					t.Error(err)
					return
				}
				if err := cat.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		close(together)
		wg.Wait()
	}
}
