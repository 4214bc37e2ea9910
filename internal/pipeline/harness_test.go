package pipeline_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/iceberg-go/catalog"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/readback"
	"github.com/cdcd-project/cdcd/internal/sink"
	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// patience is how long a test waits for what must happen; no test waits this long when it passes.
const patience = 3 * time.Minute

// TestMain lets many tests run at once: they wait more than they work.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	m.Run()
}

// world is everything around the processes of one test: a broker on the loopback interface, a catalog and a warehouse.
type world struct {
	t        testing.TB
	cluster  *kfake.Cluster
	producer *kgo.Client
	catalog  catalog.Catalog
	tune     func(*kafka.Options) // Of processes that start from then on; may be nil.
}

// newWorld returns a world with topics of one partition each.
func newWorld(t testing.TB, topics ...string) *world {
	t.Helper()
	return newPartitionedWorld(t, 1, topics...)
}

func newPartitionedWorld(t testing.TB, partitions int32, topics ...string) *world {
	t.Helper()
	return newWorldOf(t, kfake.SeedTopics(partitions, topics...))
}

// newWorldOf returns a world with a cluster of one broker, unless the options say otherwise.
func newWorldOf(t testing.TB, opts ...kfake.Opt) *world {
	t.Helper()
	w := &world{t: t}
	var err error
	if w.cluster, err = kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.ListenFn(wiretest.Listen)}, opts...)...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.cluster.Close() })
	w.producer, err = kgo.NewClient(kgo.SeedBrokers(w.cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MetadataMinAge(10*time.Millisecond), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.producer.Close)
	dir := t.TempDir()
	cat, err := sink.OpenCatalog(t.Context(), sink.CatalogOptions{
		Type: "sql", URI: "sqlite:" + filepath.Join(dir, "catalog.db"), Warehouse: "file://" + dir,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.catalog = cat
	t.Cleanup(func() {
		if err := cat.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) produce(records ...*kgo.Record) {
	w.t.Helper()
	if err := w.producer.ProduceSync(w.t.Context(), records...).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

// mirror returns the table that mirrors one topic, with a commit interval that no test waits for.
func mirror(name string, topics ...string) pipeline.Table {
	return pipeline.Table{
		Topics:  topics,
		Decoder: debezium.Options{Limits: debezium.DefaultLimits()},
		Sink: sink.TableOptions{
			Name: name, Ref: "main", TargetFileBytes: 64 << 20, RetainSnapshots: 100, RetainAge: time.Hour,
		},
		CommitInterval: time.Hour, CommitBytes: 64 << 20,
	}
}

// soon makes tables commit after a moment.
func soon(tables ...pipeline.Table) []pipeline.Table {
	for i := range tables {
		tables[i].CommitInterval = 20 * time.Millisecond
	}
	return tables
}

// process is one run of the pipeline.
type process struct {
	w        *world
	registry *prometheus.Registry
	log      *journal
	cancel   context.CancelFunc
	done     chan error
	ended    bool
}

// options returns those of a process that reads w; change may be nil.
func (w *world) options(p *process, tables []pipeline.Table, change func(*pipeline.Options)) (pipeline.Options, *kafka.Client) {
	w.t.Helper()
	log := slog.New(slog.NewJSONHandler(p.log, nil))
	reach := kafka.Options{Brokers: w.cluster.ListenAddrs(), Group: "cdcd", Logger: log, Registerer: p.registry}
	if w.tune != nil {
		w.tune(&reach)
	}
	client, err := kafka.Open(reach)
	if err != nil {
		w.t.Fatal(err)
	}
	o := pipeline.Options{
		Kafka: client, Tables: tables, BatchBytes: 256 << 20, GracePeriod: 10 * time.Second, Pause: 5 * time.Millisecond,
		PauseMax: 100 * time.Millisecond, QuietInterval: time.Hour, Logger: log, Registerer: p.registry,
		Sink: w.sink(w.catalog, log, p.registry),
	}
	if change != nil {
		change(&o)
	}
	return o, client
}

func (w *world) sink(cat catalog.Catalog, log *slog.Logger, r prometheus.Registerer) *sink.Sink {
	return sink.New(sink.Options{Catalog: cat, Version: "test", Delete: true, Backoff: 5 * time.Millisecond, Logger: log, Registerer: r})
}

// start runs the tables in a consumer group until the process is stopped, at the end of the test at the latest.
func (w *world) start(tables []pipeline.Table, change func(*pipeline.Options)) *process {
	w.t.Helper()
	p := &process{w: w, registry: prometheus.NewRegistry(), log: &journal{t: w.t}, done: make(chan error, 1)}
	o, client := w.options(p, tables, change)
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	p.cancel = cancel
	go func() {
		err := pipeline.Run(ctx, o)
		client.Close()
		p.done <- err
	}()
	w.t.Cleanup(func() {
		if !p.ended {
			_ = p.stop()
		}
	})
	return p
}

// stop ends the process as SIGTERM does, and returns what Run returned.
func (p *process) stop() error {
	p.w.t.Helper()
	p.cancel()
	return p.wait()
}

func (p *process) wait() error {
	p.w.t.Helper()
	p.ended = true
	select {
	case err := <-p.done:
		return err
	case <-time.After(patience):
		p.w.t.Fatal("the run did not end")
		return nil
	}
}

// runToEnd runs the tables from their bookmarks to the ends of their topics.
func (w *world) runToEnd(tables []pipeline.Table, change func(*pipeline.Options)) (*process, error) {
	w.t.Helper()
	p := w.start(tables, func(o *pipeline.Options) {
		o.Bounded = true
		if change != nil {
			change(o)
		}
	})
	err := p.wait()
	return p, err
}

// mustRunToEnd is runToEnd without halts.
func (w *world) mustRunToEnd(tables ...pipeline.Table) *process {
	w.t.Helper()
	p, err := w.runToEnd(tables, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// metric adds up the metrics of that name with all of the given labels, written name=value.
func (p *process) metric(name string, labels ...string) float64 {
	p.w.t.Helper()
	families, err := p.registry.Gather()
	if err != nil {
		p.w.t.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			have := map[string]bool{}
			for _, l := range m.GetLabel() {
				have[l.GetName()+"="+l.GetValue()] = true
			}
			all := true
			for _, l := range labels {
				all = all && have[l]
			}
			if all {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// halted waits until a table has halted for a reason, and returns what the log says about it.
func (p *process) halted(table, reason string) map[string]any {
	p.w.t.Helper()
	p.w.eventually(table+" halts with "+reason, func() bool {
		return p.metric("cdcd_table_halted", "table="+table, "reason="+reason) == 1
	})
	for _, e := range p.log.entries("halted table") {
		if e["table"] == table && e["reason"] == reason {
			if hint, _ := e["hint"].(string); hint == "" {
				p.w.t.Errorf("%s halted without a hint", table)
			}
			return e
		}
	}
	p.w.t.Fatalf("the log does not say that %s halted with %s", table, reason)
	return nil
}

// eventually waits until f is true.
func (w *world) eventually(what string, f func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// rows returns the table as iceberg-go's own scan reads it, by the key columns; nothing if there is no table.
func (w *world) rows(table string, key ...string) map[string]string {
	w.t.Helper()
	if !w.exists(table) {
		return map[string]string{}
	}
	rows, err := readback.Map(w.t.Context(), w.catalog, table, key...)
	if err != nil {
		w.t.Fatal(err)
	}
	return rows
}

func (w *world) exists(table string) bool {
	w.t.Helper()
	exists, err := w.catalog.CheckTableExists(w.t.Context(), strings.Split(table, "."))
	if err != nil {
		w.t.Fatal(err)
	}
	return exists
}

// expect compares the rows of a table, and fails the test at once.
func (w *world) expect(table string, key []string, want map[string]string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.rows(table, key...)); diff != "" {
		w.t.Fatalf("rows of %s (-want +got):\n%s", table, diff)
	}
}

// snapshots returns the table's snapshots, oldest first; none if there is no table.
func (w *world) snapshots(table string) []readback.Snapshot {
	w.t.Helper()
	if !w.exists(table) {
		return nil
	}
	all, err := readback.Snapshots(w.t.Context(), w.catalog, table)
	if err != nil {
		w.t.Fatal(err)
	}
	for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
		all[i], all[j] = all[j], all[i]
	}
	return all
}

// next returns the offset at which the table's bookmark stands in a partition; -1 if there is none.
func (w *world) next(table, topic string, partition int32) int64 {
	w.t.Helper()
	all := w.snapshots(table)
	if len(all) == 0 {
		return -1
	}
	b, err := bookmark.Parse(all[len(all)-1].Summary["cdcd.bookmark"])
	if err != nil {
		w.t.Fatal(err)
	}
	at, ok := b.Partition(topic, partition)
	if !ok {
		return -1
	}
	return at.Next
}

// journal keeps what a process logs, one JSON object a line.
type journal struct {
	t  testing.TB
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, _ = j.t.Output().Write(line)
	return j.b.Write(line)
}

// entries returns what was logged with a message, in order.
func (j *journal) entries(message string) []map[string]any {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []map[string]any
	d := json.NewDecoder(bytes.NewReader(j.b.Bytes()))
	for {
		var e map[string]any
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			panic(err)
		}
		if e["msg"] == message {
			out = append(out, e)
		}
	}
}
