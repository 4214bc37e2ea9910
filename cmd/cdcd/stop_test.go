package main

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/apache/iceberg-go/catalog"
	"github.com/google/go-cmp/cmp"
)

// A signal commits the open batch long before its time has come, and leaves nothing behind.
func TestSignalCommitsTheOpenBatch(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, items("shop.item"), stock("shop.stock"))
			records := w.produce(11, 200)
			p := w.run(w.configure("stopped", "1h"))
			eventually(t, "all records are read", func() bool { return p.metrics().sum("cdcd_records_consumed_total") == float64(records) })
			if found := p.log.find(says("committed snapshot", "")); len(found) > 0 {
				t.Fatalf("committed before the signal: %+v", found)
			}
			p.stop(signal)
			w.compare()
			w.clean("stopped")
			for _, m := range w.mirrors {
				if n := len(w.lineage(m.name)); n != 1 {
					t.Errorf("%s: %d commits, want the one of the open batch", m.name, n)
				}
				p.await(1, says("stopped", m.name))
			}
		})
	}
}

// Signals at any moment under traffic leave clean tables, and group offsets that say what the bookmarks say.
func TestSignalUnderTrafficLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t, items("shop.item"), stock("shop.stock"))
	config := w.configure("stopped", "20ms")
	end := w.flow(13)
	for life := range 6 {
		p := w.run(config)
		p.await(1, says("committed snapshot", ""))
		time.Sleep(time.Duration(life*37) * time.Millisecond)
		p.stop(syscall.SIGTERM)
	}
	w.clean("stopped")
	end()
	w.backfill(config)
	w.compare()
}

// A process that waits for its broker, or has been started this instant, obeys a signal as well.
func TestSignalWhileStarting(t *testing.T) {
	t.Parallel()
	w := newWorld(t, items("shop.item"))
	config := w.configure("stopped", "20ms")
	w.cluster.Close()
	for range 3 {
		p := w.run(config)
		p.await(1, says("started", ""))
		p.stop(syscall.SIGTERM)
	}
	waiting := w.run(config)
	waiting.await(1, says("retried broker connection", ""))
	began := time.Now()
	waiting.stop(syscall.SIGTERM)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s to stop a process that had nothing to finish", took)
	}
}

// So does one whose catalog takes the connection and says nothing: that is no failure, for there was nothing to finish.
func TestSignalWhileTheCatalogSaysNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, items("shop.item"))
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	text, err := os.ReadFile(w.configure("stopped", "20ms"))
	if err != nil {
		t.Fatal(err)
	}
	rest := fmt.Sprintf("type = \"rest\"\nuri = \"http://%s\"", silent.Addr())
	p := w.run(w.write("rest.toml", strings.Replace(string(text), `uri = "sqlite://`+w.catalogFile()+`"`, rest, 1)))
	if err := silent.(*net.TCPListener).SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	conn, err := silent.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p.stop(syscall.SIGTERM)
}

// clean checks what a graceful stop promises beside the rows: no file that no snapshot refers to, group offsets equal to the
// bookmarks, no member left in the group.
func (w *world) clean(group string) {
	w.t.Helper()
	info := w.cluster.GroupInfo(group)
	if info == nil || len(info.Members) > 0 {
		w.t.Fatalf("the group is %+v, want one without members", info)
	}
	for _, m := range w.mirrors {
		if strays := w.strays(m.name); len(strays) > 0 {
			w.t.Errorf("%s: nothing refers to %v", m.name, strays)
		}
		want, got := map[string]int64{}, map[string]int64{}
		at, _ := w.bookmarkOf(m.name, w.head(m.name)).Topic(m.topic)
		for _, p := range at.Partitions {
			want[fmt.Sprint(p.Partition)] = p.Next
		}
		for p, c := range info.Commits[m.topic] {
			got[fmt.Sprint(p)] = c.Offset
		}
		if diff := cmp.Diff(want, got); diff != "" {
			w.t.Errorf("%s (-bookmark +group offsets):\n%s", m.name, diff)
		}
	}
}

// strays returns the files in a table's folder that its metadata do not lead to.
func (w *world) strays(name string) []string {
	w.t.Helper()
	known := map[string]bool{}
	folder := ""
	w.inCatalog(func(cat catalog.Catalog) error {
		t, err := cat.LoadTable(w.t.Context(), strings.Split(name, "."))
		if err != nil {
			return err
		}
		io, err := t.FS(w.t.Context())
		if err != nil {
			return err
		}
		folder = strings.TrimPrefix(t.Location(), "file://")
		know := func(path string) { known[strings.TrimPrefix(path, "file://")] = true }
		know(t.MetadataLocation())
		for e := range t.Metadata().PreviousFiles() {
			know(e.MetadataFile)
		}
		for _, s := range t.Metadata().Snapshots() {
			know(s.ManifestList)
			manifests, err := s.Manifests(io)
			if err != nil {
				return err
			}
			for _, m := range manifests {
				know(m.FilePath())
				for e, err := range m.Entries(io, false) {
					if err != nil {
						return err
					}
					know(e.DataFile().FilePath())
				}
			}
		}
		return nil
	})
	var strays []string
	if err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !known[path] {
			strays = append(strays, path)
		}
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	if !slices.ContainsFunc(w.objects(name, "data/*.parquet"), func(path string) bool { return known[path] }) {
		w.t.Fatalf("%s: no data file is known: the paths are of two kinds", name)
	}
	return strays
}
