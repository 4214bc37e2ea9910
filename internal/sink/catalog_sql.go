package sink

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	icesql "github.com/apache/iceberg-go/catalog/sql"
	"modernc.org/sqlite" // The pure Go driver "sqlite".
)

// How often, and after what rest, a file is opened that others are making at this moment: for about ten seconds.
const (
	connectAttempts = 200
	connectRest     = 50 * time.Millisecond
)

// openSQL opens an SQLite file as a catalog, and makes it if it is not there.
func openSQL(ctx context.Context, o CatalogOptions, properties iceberg.Properties) (catalog.Catalog, func() error, error) {
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
	var cat *icesql.Catalog
	if err = connect(ctx, db); err == nil {
		cat, err = icesql.NewCatalog(catalogName, db, icesql.SQLite, properties)
	}
	if err != nil {
		if closeErr := db.Close(); closeErr != nil {
			err = fmt.Errorf("%w (close: %w)", err, closeErr)
		}
		return nil, nil, err
	}
	return cat, db.Close, nil
}

// connect makes the first connection, which switches a fresh file to the write-ahead log. For that alone SQLite lets nobody
// wait: of several processes that start at once, all but one would be told that the database is locked.
func connect(ctx context.Context, db *sql.DB) error {
	const busy = 5 // SQLITE_BUSY.
	for attempt := 0; ; attempt++ {
		err := db.PingContext(ctx)
		if refused, ok := errors.AsType[*sqlite.Error](err); !ok || refused.Code()&0xff != busy || attempt == connectAttempts {
			return err
		}
		if err := sleep(ctx, connectRest); err != nil {
			return err
		}
	}
}
