package sink

import (
	"context"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/iceberg-go/catalog"
	iceio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cdcd-project/cdcd/internal/awstest"
	"github.com/cdcd-project/cdcd/internal/merge"
	"github.com/cdcd-project/cdcd/internal/resttest"
	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// world is a catalog of one kind and its storage, reached by the real clients, and a writer of a table in it.
type world struct {
	*writer
	t        *testing.T
	kind     string
	cat      catalog.Catalog
	desks    []*wiretest.Desk  // The catalog's, and the storage's if that has its own.
	commitOp string            // What the protocol calls the request that commits, ...
	loadOp   string            // ... and the one that loads a table.
	objects  func() []string   // All objects, by the URLs that tables know them by.
	settled  map[string]string // The rows that readers have to see, whatever becomes of the writer's batch.
	registry *prometheus.Registry
	base     iceio.WriteFileIO // SQL: the storage without a desk before it.
	aws      *awstest.Server   // Glue and REST.

	hook   func(*wiretest.Request) wiretest.Verdict // Asked while the world is made.
	away   bool                                     // Somebody else uses the catalog.
	others int                                      // Commit requests that were somebody else's.
	late   []func() wiretest.Outcome                // Requests that are still on their way when the commit has ended.
}

// worldKinds are the kinds of world that exist.
func worldKinds() []string { return []string{"sql", "glue", "rest"} }

const kmsKey = "arn:aws:kms:eu-central-1:123456789012:key/cdcd"

// newWorld returns a world whose table exists and is empty.
func newWorld(t *testing.T, kind string) *world {
	t.Helper()
	return newWorldUnder(t, kind, nil)
}

// newWorldUnder returns a world in whose making a hook is asked about each request to the catalog.
func newWorldUnder(t *testing.T, kind string, hook func(*wiretest.Request) wiretest.Verdict) *world {
	t.Helper()
	w := &world{t: t, kind: kind, registry: prometheus.NewRegistry(), hook: hook}
	switch kind {
	case "sql":
		w.openSQL()
	case "glue":
		w.openGlue()
	case "rest":
		w.openREST()
	}
	w.heal()
	return w
}

func (w *world) openSQL() {
	w.commitOp, w.loadOp = "CommitTable", "LoadTable"
	memory := iceio.NewMemFS()
	w.base = memory
	s, cat, desk := newTracedSink(w.t, memory, w.registry)
	w.cat, w.desks, w.writer = cat, []*wiretest.Desk{desk}, newWriter(w.t, s, customerOptions())
	w.objects = func() (paths []string) {
		err := memory.WalkDir("trace:", func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				paths = append(paths, path)
			}
			return err
		})
		if err != nil {
			w.t.Fatal(err)
		}
		return paths
	}
}

// openS3 starts AWS with a bucket for the table.
func (w *world) openS3() *awstest.Server {
	server := awstest.Start(w.t)
	server.Setenv(w.t)
	server.CreateBucket("lake")
	w.aws = server
	w.desks = append(w.desks, &server.Desk)
	w.objects = func() (paths []string) {
		for _, key := range server.Keys("lake") {
			paths = append(paths, "s3://lake/"+key)
		}
		return paths
	}
	return server
}

func (w *world) openGlue() {
	w.commitOp, w.loadOp = "UpdateTable", "GetTable"
	server := w.openS3()
	w.open(CatalogOptions{Type: "glue", Warehouse: "s3://lake/cdc", AWS: awsOptions(server)})
}

func (w *world) openREST() {
	w.commitOp, w.loadOp = "updateTable", "loadTable"
	server := resttest.StartWith(w.t, resttest.Options{Warehouse: "s3://lake/cdc", Credential: "cdcd:secret"})
	w.desks = append(w.desks, &server.Desk)
	w.open(CatalogOptions{Type: "rest", URI: server.URL(), Credential: "cdcd:secret", AWS: awsOptions(w.openS3())})
}

func awsOptions(server *awstest.Server) AWSOptions {
	return AWSOptions{Region: awstest.Region, S3Endpoint: server.URL(), GlueEndpoint: server.URL(), KMSKeyID: kmsKey}
}

func (w *world) open(o CatalogOptions) {
	w.onCatalog(w.hook)
	cat, err := OpenCatalog(w.t.Context(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := cat.Close(); err != nil {
			w.t.Error(err)
		}
	})
	s := New(Options{
		Catalog: cat, Version: "test", Delete: true, Backoff: time.Millisecond, Logger: slog.New(slog.NewTextHandler(w.t.Output(), nil)), Registerer: w.registry,
	})
	w.cat, w.writer = cat, newWriterIn(cat.Context(w.t.Context()), w.t, s, customerOptions())
}

// onCatalog has a hook asked about each request to the catalog.
func (w *world) onCatalog(decide func(*wiretest.Request) wiretest.Verdict) {
	w.desks[0].OnRequest(decide)
}

// heal lets all further requests be done.
func (w *world) heal() {
	for _, desk := range w.desks {
		desk.OnRequest(nil)
	}
}

// requests returns all requests since the last reset, in the order of their arrival.
func (w *world) requests() []wiretest.Request {
	var all []wiretest.Request
	for _, desk := range w.desks {
		all = append(all, desk.Requests()...)
	}
	slices.SortStableFunc(all, func(a, b wiretest.Request) int { return a.Arrived.Compare(b.Arrived) })
	return all
}

func (w *world) forget() {
	for _, desk := range w.desks {
		desk.Reset()
	}
}

// reopen is what the next owner of the table does: it opens it and goes on from its bookmark.
func (w *world) reopen() {
	w.t.Helper()
	opened, err := w.table.s.Open(context.WithoutCancel(w.ctx), w.table.o)
	if err != nil {
		w.t.Fatalf("opening ended with %v", err)
	}
	w.table.Close()
	w.table = opened
	w.next = 0
	if p, ok := opened.Bookmark().Partition("t", 0); ok {
		w.next = p.Next
	}
	w.reset()
}

// rival is another owner of the same table, who thinks that it is its only one.
func (w *world) rival() *writer {
	w.t.Helper()
	opened, err := w.table.s.Open(context.WithoutCancel(w.ctx), w.table.o)
	if err != nil {
		w.t.Fatal(err)
	}
	r := &writer{tb: w.t, ctx: w.ctx, table: opened, batch: merge.NewBatch(opened.Schema()), truth: w.settled}
	if p, ok := opened.Bookmark().Partition("t", 0); ok {
		r.next = p.Next
	}
	r.reset()
	return r
}

// load reads the table with the client, beside the writer.
func (w *world) load() *table.Table {
	w.t.Helper()
	loaded, err := w.cat.LoadTable(w.ctx, w.table.ident)
	if err != nil {
		w.t.Fatal(err)
	}
	return loaded
}

// checkFiles compares the objects that are there with those that the table's metadata and all its snapshots refer to: none of these may
// be missing. It returns the kinds of the objects that nothing refers to, sorted.
func (w *world) checkFiles() (orphans []string) {
	w.t.Helper()
	there := map[string]bool{}
	for _, path := range w.objects() {
		there[path] = true
	}
	for _, path := range referenced(w.ctx, w.t, w.load()) {
		if !there[path] {
			w.t.Errorf("%s %s is referred to, and is not there", kindOf(path), path)
		}
		delete(there, path)
	}
	for path := range there {
		orphans = append(orphans, kindOf(path))
	}
	slices.Sort(orphans)
	return orphans
}

// referenced lists the objects that a table needs.
func referenced(ctx context.Context, t *testing.T, loaded *table.Table) []string {
	t.Helper()
	fsys, err := loaded.FS(ctx)
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]bool{loaded.MetadataLocation(): true}
	for e := range loaded.Metadata().PreviousFiles() {
		paths[e.MetadataFile] = true
	}
	for _, s := range loaded.Metadata().Snapshots() {
		paths[s.ManifestList] = true
		manifests, err := s.Manifests(fsys)
		if err != nil {
			t.Errorf("snapshot %d: %v", s.SnapshotID, err)
		}
		for _, m := range manifests {
			paths[m.FilePath()] = true
			for e, err := range m.Entries(fsys, true) {
				if err != nil {
					t.Errorf("manifest %s: %v", m.FilePath(), err)
					break
				}
				paths[e.DataFile().FilePath()] = true
			}
		}
	}
	var list []string
	for path := range paths {
		list = append(list, path)
	}
	return list
}

// outcomes returns cdcd_commits_total by outcome.
func (w *world) outcomes() map[string]int {
	w.t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	counts := map[string]int{}
	for _, f := range families {
		if f.GetName() != "cdcd_commits_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "outcome" && m.GetCounter().GetValue() > 0 {
					counts[l.GetValue()] = int(m.GetCounter().GetValue())
				}
			}
		}
	}
	return counts
}

// lineOf words a request as a trace does.
func lineOf(r wiretest.Request) string {
	switch r.Service {
	case "store":
		return r.Operation + " " + kindOf(r.Key)
	case "sql":
		return r.Operation
	case awstest.S3:
		return "s3   " + r.Operation + " " + kindOf("/"+r.Key)
	}
	line := strings.TrimSuffix(r.String(), " ")
	if r.SkipArchive {
		line += " (no archive)"
	}
	return line
}
