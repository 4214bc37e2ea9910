package main

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/iceberg-go/catalog"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/readback"
	"github.com/cdcd-project/cdcd/internal/sink"
	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// world is what processes of cdcd live in: a broker on loopback sockets, and a SQLite catalog with a folder or the servers of
// a cloud. Every access of the test to the tables is that of any other Iceberg reader.
type world struct {
	t        *testing.T
	dir      string
	mirrors  []*mirror
	cluster  *kfake.Cluster
	producer *kgo.Client
	cloud    *cloud // nil: the catalog is a SQLite file.
	started  int    // Processes.
}

func newWorld(t *testing.T, mirrors ...*mirror) *world {
	t.Helper()
	return newWorldIn(t, t.TempDir(), mirrors...)
}

// newWorldIn returns a world whose files are in a folder.
func newWorldIn(t *testing.T, dir string, mirrors ...*mirror) *world {
	t.Helper()
	w := &world{t: t, dir: dir, mirrors: mirrors}
	w.startBroker()
	w.producer = w.newProducer()
	return w
}

// startBroker starts the broker with the topics of all tables, which are empty. With a port given it is at that one.
func (w *world) startBroker(port ...int) {
	w.t.Helper()
	topics := []string{}
	for _, m := range w.mirrors {
		topics = append(topics, m.topic)
	}
	options := []kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(partitions, topics...), kfake.GroupMinSessionTimeout(time.Second), kfake.ListenFn(wiretest.Listen)}
	if len(port) > 0 {
		options = append(options, kfake.Ports(port...))
	}
	var err error
	if w.cluster, err = kfake.NewCluster(options...); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.cluster.Close)
}

func (w *world) newProducer(more ...kgo.Opt) *kgo.Client {
	w.t.Helper()
	options := append([]kgo.Opt{kgo.SeedBrokers(w.cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner())}, more...)
	producer, err := kgo.NewClient(options...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(producer.Close)
	return producer
}

func (w *world) send(records ...*kgo.Record) {
	w.t.Helper()
	ctx, cancel := patient(w.t)
	defer cancel()
	if err := w.producer.ProduceSync(ctx, records...).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

// deployment is what a configuration file says.
type deployment struct {
	group    string
	interval string // Of commits.
	session  string // "": the default.
	grace    string // "": 10s.
	mirrors  []*mirror
}

// configure writes a configuration file for all tables and returns its path. The group is its name.
func (w *world) configure(group, interval string) string {
	w.t.Helper()
	return w.deploy(group+".toml", deployment{group: group, interval: interval, mirrors: w.mirrors})
}

// deploy writes a configuration file and returns its path.
func (w *world) deploy(file string, d deployment) string {
	w.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "grace_period = %q\n\n[kafka]\nbrokers = [%q]\ngroup = %q\n",
		cmp.Or(d.grace, "10s"), strings.Join(w.cluster.ListenAddrs(), `", "`), d.group)
	if d.session != "" {
		fmt.Fprintf(&b, "session_timeout = %q\n", d.session)
	}
	if w.cloud != nil {
		b.WriteString(w.cloud.settings())
	} else {
		fmt.Fprintf(&b, "\n[catalog]\nuri = \"sqlite://%s\"\nwarehouse = \"file://%s\"\n", w.catalogFile(), w.warehouse())
	}
	fmt.Fprintf(&b, `
[defaults]
commit_interval = %q
retain = { snapshots = 100000, age = "24h" } # All of them, so that the whole lineage can be read at the end.

[admin]
listen = "127.0.0.1:0"
`, d.interval)
	for _, m := range d.mirrors {
		fmt.Fprintf(&b, "\n[[table]]\ntopic = %q\nname = %q\n%s\n", m.topic, m.name, m.settings)
	}
	return w.write(file, b.String())
}

func (w *world) write(name, text string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

func (w *world) catalogFile() string { return filepath.Join(w.dir, "catalog", "catalog.db") }
func (w *world) warehouse() string   { return filepath.Join(w.dir, "warehouse") }

// run starts cdcd as a process.
func (w *world) run(config string, more ...string) *process {
	w.t.Helper()
	w.started++
	name := fmt.Sprintf("process-%d", w.started)
	return startProcess(w.t, name, append([]string{"run", "-config", config}, more...)...)
}

// backfill runs a bounded process to its end, and expects that it reaches it.
func (w *world) backfill(config string) *process {
	w.t.Helper()
	p := w.run(config, "-backfill")
	if code := p.exit(); code != exitDone {
		w.t.Fatalf("backfill: exit code %d\n%s", code, p.log.tail(20))
	}
	return p
}

// expel removes the members of a group that were killed, as the broker does when their sessions have expired.
func (w *world) expel(group string) {
	w.t.Helper()
	info := w.cluster.GroupInfo(group)
	if info == nil || len(info.Members) == 0 {
		return
	}
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = group
	for _, m := range info.Members {
		member := kmsg.NewLeaveGroupRequestMember()
		member.MemberID = m.MemberID
		req.Members = append(req.Members, member)
	}
	ctx, cancel := patient(w.t)
	defer cancel()
	if _, err := req.RequestWith(ctx, w.producer); err != nil {
		w.t.Fatal(err)
	}
}

// ctx returns the test's context, in which tables can be read.
func (w *world) ctx() context.Context {
	if w.cloud == nil {
		return w.t.Context()
	}
	return w.cloud.context(w.t.Context())
}

// inCatalog calls f with the catalog.
func (w *world) inCatalog(f func(catalog.Catalog) error) {
	w.t.Helper()
	options := sink.CatalogOptions{Type: "sql", URI: "sqlite://" + w.catalogFile(), Warehouse: "file://" + w.warehouse()}
	if w.cloud != nil {
		options = w.cloud.options()
	}
	cat, err := sink.OpenCatalog(w.ctx(), options)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() {
		if err := cat.Close(); err != nil {
			w.t.Error(err)
		}
	}()
	if err := f(cat); err != nil {
		w.t.Fatal(err)
	}
}

// compare holds each table, as a reader sees it, against the oracle: each key stands once, with the last values. It returns
// how many rows there were, and how many of them differ.
func (w *world) compare() (rows, mismatches int) {
	w.t.Helper()
	w.inCatalog(func(cat catalog.Catalog) error {
		for _, m := range w.mirrors {
			got, err := readback.Map(w.ctx(), cat, m.name, m.key...)
			if err != nil {
				return err
			}
			if len(m.truth) == 0 {
				w.t.Errorf("%s: the oracle has no rows", m.name)
			}
			rows += len(m.truth)
			if diff := gocmp.Diff(m.truth, got); diff != "" {
				w.t.Errorf("%s (-oracle +table):\n%s", m.name, diff)
				mismatches += differing(m.truth, got)
			}
		}
		return nil
	})
	return rows, mismatches
}

// differing counts the keys whose rows are not the same.
func differing(a, b map[string]string) int {
	keys := maps.Clone(a)
	maps.Copy(keys, b)
	n := 0
	for key := range keys {
		was, had := a[key]
		is, has := b[key]
		if was != is || had != has {
			n++
		}
	}
	return n
}

// lineage returns the snapshots of a table, oldest first, and checks them: they are one line in which the parent of each
// is the one before it (I2), each carries a bookmark (I1), and no bookmark stands before an earlier one (I3).
func (w *world) lineage(table string) []readback.Snapshot {
	w.t.Helper()
	var line []readback.Snapshot
	w.inCatalog(func(cat catalog.Catalog) (err error) {
		line, err = readback.Snapshots(w.ctx(), cat, table)
		return err
	})
	slices.Reverse(line)
	var before bookmark.Bookmark
	for i, s := range line {
		switch {
		case i == 0 && s.Parent != nil:
			w.t.Fatalf("%s: the parent of the first snapshot is not there", table)
		case i > 0 && (s.Parent == nil || *s.Parent != line[i-1].ID):
			w.t.Fatalf("%s: snapshot %d has parent %v, the head before it was %d (I2)", table, s.ID, s.Parent, line[i-1].ID)
		}
		at := w.bookmarkOf(table, s)
		if moved := at.MovedBack(before); moved != "" {
			w.t.Errorf("%s: snapshot %d moved the bookmark back: %s (I3)", table, s.ID, moved)
		}
		before = at
	}
	if n := len(line); n == 0 || !slices.Contains(line[n-1].Refs, "main") {
		w.t.Fatalf("%s: the newest of %d snapshots is not the head", table, n)
	}
	return line
}

// bookmarkOf returns the bookmark of a snapshot.
func (w *world) bookmarkOf(table string, s readback.Snapshot) bookmark.Bookmark {
	w.t.Helper()
	at, err := bookmark.Parse(s.Summary["cdcd.bookmark"])
	if err != nil {
		w.t.Fatalf("%s: snapshot %d: %v (I1)", table, s.ID, err)
	}
	return at
}

// head returns the newest snapshot of a table, after a look at the whole lineage.
func (w *world) head(table string) readback.Snapshot {
	w.t.Helper()
	line := w.lineage(table)
	return line[len(line)-1]
}

// objects returns the files in a table's folder that match a pattern, such as "metadata/*.avro".
func (w *world) objects(table, pattern string) []string {
	w.t.Helper()
	found, err := filepath.Glob(filepath.Join(w.warehouse(), strings.Replace(table, ".", ".db/", 1), pattern))
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

// everything returns all files below the world's folder.
func (w *world) everything() []string {
	w.t.Helper()
	var paths []string
	if err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			paths = append(paths, path)
		}
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return paths
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// count returns a number of a snapshot summary, in which a missing one is zero.
func count(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}
