package sink

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/apache/iceberg-go/catalog"
	iceio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cdcd-project/cdcd/internal/wiretest"
)

func kindOf(path string) string {
	for _, k := range []struct{ pattern, kind string }{
		{`-deletes\.parquet$`, "delete file"},
		{`\.parquet$`, "data file"},
		{`-m[0-9]*\.avro$`, "manifest"},
		{`/snap-[^/]*\.avro$`, "manifest list"},
		{`\.metadata\.json$`, "metadata.json"},
		{`^$`, ""},
	} {
		if regexp.MustCompile(k.pattern).MatchString(path) {
			return k.kind
		}
	}
	return "unknown object " + path
}

// deskFS is storage whose requests go over a desk. The catalog reads metadata.json by opening it.
type deskFS struct {
	iceio.WriteFileIO
	desk *wiretest.Desk
}

func (f *deskFS) carry(verb, name string, size int, do func() error) error {
	return f.desk.Carry(wiretest.Request{Service: "store", Operation: verb, Bucket: "trace", Key: name, RequestBytes: int64(size)}, do)
}

func (f *deskFS) Open(name string) (iceio.File, error) {
	file, err := f.WriteFileIO.Open(name)
	size := 0
	if err == nil {
		if info, statErr := file.Stat(); statErr == nil {
			size = int(info.Size())
		}
	}
	return file, f.carry("GET", name, size, func() error { return err })
}

func (f *deskFS) WriteFile(name string, text []byte) error {
	return f.carry("PUT", name, len(text), func() error { return f.WriteFileIO.WriteFile(name, text) })
}

func (f *deskFS) Create(name string) (iceio.FileWriter, error) {
	w, err := f.WriteFileIO.Create(name)
	return &deskWriter{FileWriter: w, fs: f, name: name}, err
}

func (f *deskFS) Remove(name string) error {
	return f.carry("DELETE", name, 0, func() error { return f.WriteFileIO.Remove(name) })
}

// deskWriter asks for its object when it is closed, as an object store makes it.
type deskWriter struct {
	iceio.FileWriter
	fs   *deskFS
	name string
	size int
}

func (w *deskWriter) Write(p []byte) (int, error) {
	w.size += len(p)
	return w.FileWriter.Write(p)
}

func (w *deskWriter) ReadFrom(r io.Reader) (int64, error) {
	n, err := w.FileWriter.ReadFrom(r)
	w.size += int(n)
	return n, err
}

func (w *deskWriter) Close() error { return w.fs.carry("PUT", w.name, w.size, w.FileWriter.Close) }

// deskCatalog sends the calls of the catalog that a table's life is made of over a desk.
type deskCatalog struct {
	catalog.Catalog
	desk *wiretest.Desk
}

func (c *deskCatalog) carry(operation string, ident table.Identifier, do func() error) error {
	return c.desk.Carry(wiretest.Request{Service: "sql", Operation: operation, Namespace: ident[0], Table: ident[1]}, do)
}

func (c *deskCatalog) LoadTable(ctx context.Context, ident table.Identifier) (loaded *table.Table, err error) {
	err = c.carry("LoadTable", ident, func() (err error) {
		loaded, err = c.Catalog.LoadTable(ctx, ident)
		return err
	})
	return loaded, err
}

func (c *deskCatalog) CommitTable(ctx context.Context, ident table.Identifier, reqs []table.Requirement, updates []table.Update) (meta table.Metadata, location string, err error) {
	ctx = context.WithoutCancel(ctx) // A request may arrive after its sender gave it up.
	err = c.carry("CommitTable", ident, func() (err error) {
		meta, location, err = c.Catalog.CommitTable(ctx, ident, reqs, updates)
		return err
	})
	return meta, location, err
}

// stores are the storage of all tests, by the host of their warehouse URL: iceberg-go finds storage by URL scheme.
var stores sync.Map

func TestMain(m *testing.M) {
	iceio.Register("trace", func(_ context.Context, u *url.URL, _ map[string]string) (iceio.IO, error) {
		fs, ok := stores.Load(u.Host)
		if !ok {
			return nil, fmt.Errorf("no store %q", u.Host)
		}
		return fs.(*deskFS), nil
	})
	m.Run()
}

// newStore keeps what has the returned URL in base, behind a desk, until the test ends.
func newStore(t testing.TB, base iceio.WriteFileIO, desk *wiretest.Desk) (warehouse string) {
	t.Helper()
	host := strings.ToLower(regexp.MustCompile(`[^A-Za-z0-9]`).ReplaceAllString(t.Name(), "-"))
	stores.Store(host, &deskFS{base, desk})
	t.Cleanup(func() { stores.Delete(host) })
	return "trace://" + host
}

// newTracedSink returns a sink on an SQLite catalog and the given storage, and the desk over which the requests to both go.
func newTracedSink(t testing.TB, base iceio.WriteFileIO, registry prometheus.Registerer) (*Sink, catalog.Catalog, *wiretest.Desk) {
	t.Helper()
	desk := &wiretest.Desk{}
	cat, err := OpenCatalog(t.Context(), CatalogOptions{
		Type: "sql", URI: "sqlite:" + filepath.Join(t.TempDir(), "catalog.db"), Warehouse: newStore(t, base, desk),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cat.Close(); err != nil {
			t.Error(err)
		}
	})
	c := &deskCatalog{cat, desk}
	return New(Options{Catalog: c, Version: "test", Delete: true, Backoff: 1, Logger: slog.New(slog.DiscardHandler), Registerer: registry}), c, desk
}
