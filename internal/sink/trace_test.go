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
)

// trace records every request to storage and catalog, in order. Storage is iceberg-go's own in-memory implementation,
// which the scheme "trace" finds behind the recorder.
type trace struct {
	mu       sync.Mutex
	requests []request
}

type request struct {
	what  string // "PUT data file".
	bytes int
}

func (r *trace) add(verb, path string, size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, request{strings.TrimSpace(verb + " " + kindOf(path)), size})
}

// take returns what was recorded since the last call.
func (r *trace) take() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.requests
	r.requests = nil
	return out
}

func kindOf(path string) string {
	for _, k := range []struct{ pattern, kind string }{
		{`-deletes\.parquet$`, "delete file"},
		{`\.parquet$`, "data file"},
		{`-m\.avro$`, "manifest"},
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

// tracedFS is storage behind a recorder. The catalog reads metadata.json by opening it.
type tracedFS struct {
	*iceio.MemFS
	trace *trace
}

func (f *tracedFS) Open(name string) (iceio.File, error) {
	file, err := f.MemFS.Open(name)
	size := 0
	if err == nil {
		if info, statErr := file.Stat(); statErr == nil {
			size = int(info.Size())
		}
	}
	f.trace.add("GET", name, size)
	return file, err
}

func (f *tracedFS) WriteFile(name string, text []byte) error {
	f.trace.add("PUT", name, len(text))
	return f.MemFS.WriteFile(name, text)
}

func (f *tracedFS) Create(name string) (iceio.FileWriter, error) {
	w, err := f.MemFS.Create(name)
	return &tracedWriter{FileWriter: w, fs: f, name: name}, err
}

func (f *tracedFS) Remove(name string) error {
	f.trace.add("DELETE", name, 0)
	return f.MemFS.Remove(name)
}

type tracedWriter struct {
	iceio.FileWriter
	fs   *tracedFS
	name string
	size int
}

func (w *tracedWriter) Write(p []byte) (int, error) {
	w.size += len(p)
	return w.FileWriter.Write(p)
}

func (w *tracedWriter) ReadFrom(r io.Reader) (int64, error) {
	n, err := w.FileWriter.ReadFrom(r)
	w.size += int(n)
	return n, err
}

func (w *tracedWriter) Close() error {
	w.fs.trace.add("PUT", w.name, w.size)
	return w.FileWriter.Close()
}

// tracedCatalog records the calls of the catalog that a table's life is made of.
type tracedCatalog struct {
	catalog.Catalog
	trace *trace
}

func (c *tracedCatalog) LoadTable(ctx context.Context, ident table.Identifier) (*table.Table, error) {
	c.trace.add("LoadTable", "", 0)
	return c.Catalog.LoadTable(ctx, ident)
}

func (c *tracedCatalog) CommitTable(ctx context.Context, ident table.Identifier, reqs []table.Requirement, updates []table.Update) (table.Metadata, string, error) {
	c.trace.add("CommitTable", "", 0)
	return c.Catalog.CommitTable(ctx, ident, reqs, updates)
}

// traced are the traces of all tests, by the host of their warehouse URL.
var traced sync.Map

type tracedWorld struct {
	trace *trace
	fs    *tracedFS
}

func TestMain(m *testing.M) {
	iceio.Register("trace", func(_ context.Context, u *url.URL, _ map[string]string) (iceio.IO, error) {
		w, ok := traced.Load(u.Host)
		if !ok {
			return nil, fmt.Errorf("no trace %q", u.Host)
		}
		return w.(*tracedWorld).fs, nil
	})
	m.Run()
}

// newTracedSink returns a sink whose requests are recorded.
func newTracedSink(t testing.TB) (*Sink, catalog.Catalog, *trace) {
	t.Helper()
	r := &trace{}
	host := strings.ToLower(regexp.MustCompile(`[^A-Za-z0-9]`).ReplaceAllString(t.Name(), "-"))
	traced.Store(host, &tracedWorld{r, &tracedFS{iceio.NewMemFS(), r}})
	cat, err := OpenCatalog(t.Context(), CatalogOptions{
		Type: "sql", URI: "sqlite:" + filepath.Join(t.TempDir(), "catalog.db"), Warehouse: "trace://" + host,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		traced.Delete(host)
		if err := cat.Close(); err != nil {
			t.Error(err)
		}
	})
	c := &tracedCatalog{cat, r}
	return New(Options{Catalog: c, Version: "test", Delete: true, Backoff: 1, Logger: slog.New(slog.DiscardHandler)}), c, r
}
