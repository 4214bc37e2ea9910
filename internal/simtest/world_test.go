package simtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/readback"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// world is everything around the processes of one seed.
type world struct {
	t          *testing.T
	seed       uint64
	rng        *rand.Rand
	host       string
	catalog    catalog.Catalog
	cluster    *kfake.Cluster
	producer   *kgo.Client
	mirrors    []*mirror
	log        *slog.Logger
	unreliable atomic.Bool
	faultRate  float64
	late       sync.WaitGroup // Calls that are done after their reply was lost.

	mu       sync.Mutex
	landed   map[string]bookmark.Bookmark // By table: the bookmark of the head.
	heads    map[string]int64             // By table: the head.
	injected map[string]int               // How often each fault was injected, by call site.
	commits  int
	advised  int     // Group offsets that were seen committed.
	broken   []error // Invariants that were seen broken.
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 7)), host: fmt.Sprintf("seed-%d-%d", seed, time.Now().UnixNano()),
		mirrors: mirrors(), landed: map[string]bookmark.Bookmark{}, heads: map[string]int64{}, injected: map[string]int{}, faultRate: 0.06,
	}
	out := io.Discard
	if testing.Verbose() {
		out = t.Output()
	}
	w.log = slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelInfo}))
	stores.Store(w.host, &store{objects: map[string][]byte{}})
	t.Cleanup(func() { stores.Delete(w.host) })
	cat, err := sink.OpenCatalog(t.Context(), sink.CatalogOptions{
		Type: "sql", URI: "sqlite:" + filepath.Join(t.TempDir(), "catalog.db"), Warehouse: scheme + "://" + w.host,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.catalog = cat
	t.Cleanup(func() { _ = cat.Close() })
	w.startKafka()
	return w
}

func (w *world) startKafka() {
	topics := []string{}
	for _, m := range w.mirrors {
		topics = append(topics, m.topic)
	}
	var err error
	if w.cluster, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, topics...)); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.cluster.Close)
	names := map[[16]byte]string{} // Newer requests name topics by id.
	for _, topic := range topics {
		names[w.cluster.TopicInfo(topic).TopicID] = topic
	}
	w.cluster.ControlKey(int16(kmsg.OffsetCommit), func(r kmsg.Request) (kmsg.Response, error, bool) {
		w.cluster.KeepControl()
		w.checkGroupOffsets(r.(*kmsg.OffsetCommitRequest), names)
		return nil, nil, false
	})
	if w.producer, err = kgo.NewClient(kgo.SeedBrokers(w.cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner())); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.producer.Close)
}

// checkGroupOffsets holds the group's offsets against the tables: they are committed after the table, never before, so
// that nobody who trusts them can miss a record (I8).
func (w *world) checkGroupOffsets(r *kmsg.OffsetCommitRequest, names map[[16]byte]string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range r.Topics {
		topic := t.Topic + names[t.TopicID]
		for _, m := range w.mirrors {
			if m.topic != topic {
				continue
			}
			for _, p := range t.Partitions {
				w.advised++
				at, _ := w.landed[m.name].Partition(topic, p.Partition)
				if p.Offset > at.Next {
					w.broken = append(w.broken, fmt.Errorf("group offset %s/%d is %d, the table's bookmark %d (I8)", topic, p.Partition, p.Offset, at.Next))
				}
			}
		}
	}
}

// commit is the catalog's side of a commit: it does it, and checks what landed.
func (w *world) commit(ctx context.Context, p *process, ident table.Identifier, reqs []table.Requirement, updates []table.Update) (table.Metadata, string, error) {
	w.mu.Lock() // One commit at a time, so that what is checked is what landed.
	defer w.mu.Unlock()
	meta, location, err := w.catalog.CommitTable(ctx, ident, reqs, updates)
	if err != nil {
		return meta, location, err
	}
	w.commits++
	name, head := strings.Join(ident, "."), meta.CurrentSnapshot()
	next, err := bookmark.Parse(head.Summary.Properties["cdcd.bookmark"])
	if err != nil {
		w.broken = append(w.broken, fmt.Errorf("%s: snapshot %d: %w (I1)", name, head.SnapshotID, err))
	}
	if moved := next.MovedBack(w.landed[name]); moved != "" {
		w.broken = append(w.broken, fmt.Errorf("%s: %s moved the bookmark back: %s (I3)", name, p.name, moved))
	}
	if parent := head.ParentSnapshotID; parent == nil && w.heads[name] != 0 || parent != nil && *parent != w.heads[name] {
		w.broken = append(w.broken, fmt.Errorf("%s: %s committed on a head that was not the table's (I2)", name, p.name))
	}
	w.landed[name], w.heads[name] = next, head.SnapshotID
	return meta, location, nil
}

func (w *world) count(site string, f fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.injected[site+": "+f.String()]++
}

// start runs a process until it ends by itself, is stopped, or crashes; the channel tells its end.
func (w *world) start(name, group string, bounded bool) (*process, <-chan error) {
	ctx, kill := context.WithCancelCause(context.Background())
	p := &process{w: w, name: name, kill: kill, rng: rand.New(rand.NewPCG(w.rng.Uint64(), w.rng.Uint64()))}
	p.alive.Store(true)
	ctx = context.WithValue(ctx, processKey{}, p)
	log := w.log.With("process", name)
	client, err := kafka.Open(kafka.Options{Brokers: w.cluster.ListenAddrs(), Group: group, Logger: log})
	if err != nil {
		w.t.Fatal(err)
	}
	var tables []pipeline.Table
	for _, m := range w.mirrors {
		tables = append(tables, pipeline.Table{
			Topics:  []string{m.topic},
			Decoder: debezium.Options{Types: m.types, Limits: debezium.DefaultLimits()},
			Sink: sink.TableOptions{
				Name: m.name, Ref: "main", TargetFileBytes: 1 << 20, RetainSnapshots: 4, RetainAge: time.Hour,
			},
			CommitInterval: time.Duration(1+w.rng.IntN(10)) * time.Millisecond, CommitBytes: 1 << 20,
		})
	}
	done := make(chan error, 1)
	go func() {
		defer kill(nil)
		defer client.Close()
		done <- pipeline.Run(ctx, pipeline.Options{
			Kafka:  client,
			Sink:   sink.New(sink.Options{Catalog: &remote{w.catalog, p}, Version: "sim", Delete: true, Backoff: time.Millisecond, Logger: log}),
			Tables: tables, Bounded: bounded, BatchBytes: 64 << 20, GracePeriod: 20 * time.Millisecond, Pause: time.Millisecond,
			PauseMax: 30 * time.Second, QuietInterval: 15 * time.Minute, Logger: log,
		})
	}()
	return p, done
}

// live lets processes live and die while the source database changes.
func (w *world) live(events int) {
	w.unreliable.Store(true)
	produced := make(chan struct{})
	go func() {
		defer close(produced)
		rng := rand.New(rand.NewPCG(w.seed, 11))
		for n := 0; n < events; {
			m := w.mirrors[rng.IntN(len(w.mirrors))]
			records := m.change(m, rng)
			if err := w.producer.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
				w.t.Error(err)
				return
			}
			n += len(records)
			if rng.IntN(4) == 0 {
				time.Sleep(time.Duration(rng.IntN(8)) * time.Millisecond)
			}
		}
	}()
	for life := 0; ; life++ {
		var other *process
		var rival <-chan error
		if life == 0 || w.rng.IntN(3) == 0 { // A second deployment, which believes that it owns the same tables.
			other, rival = w.start(fmt.Sprintf("rival-%d", life), "rivals", false)
		}
		p, done := w.start(fmt.Sprintf("process-%d", life), "cdcd", false)
		select {
		case err := <-done:
			w.ended(err)
		case <-time.After(time.Duration(30+w.rng.IntN(120)) * time.Millisecond):
			if w.rng.IntN(2) == 0 {
				p.crash()
			}
			p.kill(errors.New("stopped"))
			w.ended(<-done)
		}
		if other != nil {
			other.kill(errors.New("stopped"))
			w.ended(<-rival)
		}
		select {
		case <-produced:
			if life >= 2 {
				return
			}
		default:
		}
	}
}

// ended takes note of how a process ended: it may have been stopped or crashed, and nothing else.
func (w *world) ended(err error) {
	if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, errCrashed) {
		w.log.Info("process ended", "err", err)
	}
}

// heal makes the world reliable, lets one process read to the end, and compares the tables with the oracle.
func (w *world) heal() error {
	w.unreliable.Store(false)
	w.late.Wait()
	_, done := w.start("healer", "cdcd", true)
	var err error
	select {
	case err = <-done:
	case <-time.After(time.Minute):
		err = errors.New("the healing process did not reach the end")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	errs := append([]error{err}, w.broken...)
	for _, m := range w.mirrors {
		errs = append(errs, w.compare(m))
	}
	return errors.Join(errs...)
}

func (w *world) compare(m *mirror) error {
	got, err := readback.Map(context.Background(), w.catalog, m.name, m.key...)
	if err != nil {
		return err
	}
	for k, v := range m.truth {
		if got[k] != v {
			return fmt.Errorf("%s: row %s is %q, want %q", m.name, k, got[k], v)
		}
	}
	if len(got) != len(m.truth) {
		return fmt.Errorf("%s has %d rows, want %d", m.name, len(got), len(m.truth))
	}
	return nil
}
