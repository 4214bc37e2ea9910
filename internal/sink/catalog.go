package sink

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	icesql "github.com/apache/iceberg-go/catalog/sql"
	_ "modernc.org/sqlite" // The pure Go driver "sqlite".
)

// CatalogOptions name a catalog and the place of its tables.
type CatalogOptions struct {
	Type       string // "sql".
	URI        string // "sqlite:///absolute/path" or "sqlite:relative/path".
	Warehouse  string // "file:///path": tables without a location of their own are created below it.
	Properties map[string]string
}

// catalogName is the name in the catalog_name column of an SQL catalog, under which other Iceberg libraries find the
// tables as well.
const catalogName = "cdcd"

// OpenCatalog connects to a catalog. The returned function closes it.
func OpenCatalog(_ context.Context, o CatalogOptions) (catalog.Catalog, func() error, error) {
	if o.Type != "sql" {
		return nil, nil, fmt.Errorf("open catalog: type %q is unknown; this version knows \"sql\"", o.Type)
	}
	path, ok := strings.CutPrefix(o.URI, "sqlite:")
	if !ok {
		return nil, nil, fmt.Errorf("open catalog: uri %q is not sqlite:path", o.URI)
	}
	path = strings.TrimPrefix(path, "//")
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, nil, fmt.Errorf("open catalog: %w", err)
	}
	// Each pooled connection waits for another process's write instead of failing, and readers never block a writer.
	dsn := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: url.Values{
		"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(NORMAL)"}, "_txlock": {"immediate"},
	}.Encode()}).String()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, nil, fmt.Errorf("open catalog %s: %w", o.URI, err)
	}
	props := iceberg.Properties{"warehouse": o.Warehouse}
	maps.Copy(props, o.Properties)
	cat, err := icesql.NewCatalog(catalogName, db, icesql.SQLite, props)
	if err != nil {
		return nil, nil, fmt.Errorf("open catalog %s: %w", o.URI, errorsJoinClose(err, db))
	}
	return cat, db.Close, nil
}

func errorsJoinClose(err error, db *sql.DB) error {
	if closeErr := db.Close(); closeErr != nil {
		return fmt.Errorf("%w (close: %w)", err, closeErr)
	}
	return err
}
