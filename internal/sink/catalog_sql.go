package sink

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	icesql "github.com/apache/iceberg-go/catalog/sql"
	_ "modernc.org/sqlite" // The pure Go driver "sqlite".
)

// openSQL opens an SQLite file as a catalog, and makes it if it is not there.
func openSQL(o CatalogOptions, properties iceberg.Properties) (catalog.Catalog, func() error, error) {
	path, ok := strings.CutPrefix(o.URI, "sqlite:")
	if !ok {
		return nil, nil, errors.New("write the uri as sqlite:path")
	}
	path = strings.TrimPrefix(path, "//")
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, nil, err
	}
	// Each pooled connection waits for another process's write instead of failing, and readers never block a writer.
	dsn := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: url.Values{
		"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(NORMAL)"}, "_txlock": {"immediate"},
	}.Encode()}).String()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, nil, err
	}
	properties["warehouse"] = o.Warehouse
	cat, err := icesql.NewCatalog(catalogName, db, icesql.SQLite, properties)
	if err != nil {
		if closeErr := db.Close(); closeErr != nil {
			err = fmt.Errorf("%w (close: %w)", err, closeErr)
		}
		return nil, nil, err
	}
	return cat, db.Close, nil
}
