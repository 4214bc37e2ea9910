package simtest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/iceberg-go/table"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// world is everything around the processes of one seed.
type world struct {
	t          *testing.T
	seed       uint64
	plan       plan
	rng        *rand.Rand // Of what happens to processes; touched by the seed's own goroutine.
	network    kfake.VirtualNetwork
	cluster    *kfake.Cluster
	store      *store
	catalog    *keeper
	mirrors    []mirror
	log        *slog.Logger
	born       time.Time
	unreliable atomic.Bool
	napping    atomic.Bool
	healing    chan struct{}  // Closed when the world heals.
	late       sync.WaitGroup // Calls that are done after their reply was lost, and what else is to come.
	lives      []*process     // All processes there ever were.

	mu      sync.Mutex
	landed  map[string]bookmark.Bookmark // By table: the bookmark of the head.
	heads   map[string]int64             // By table: the head.
	barrier chan struct{}                // While the brokers are shut.
	trap    string                       // The call site at which the next process freezes.
	caught  chan *process
	force   []forcedFault // What is still to come.
	stats   stats
	seen    seen
	broken  []error // Invariants that were seen broken.
	away    absence // Of the schema registry.

	database *database // The source; of its own goroutine until that has ended.
}

// brokers is how many brokers there are, so that partitions have somewhere to go.
const brokers = 2

func newWorld(t *testing.T, seed uint64, o options) *world {
	w := &world{
		t: t, seed: seed, plan: newPlan(seed, o), rng: rand.New(rand.NewPCG(seed, 7)), born: time.Now(), healing: make(chan struct{}),
		store: newStore(), landed: map[string]bookmark.Bookmark{}, heads: map[string]int64{},
		stats: stats{injected: map[string]int{}}, seen: newSeen(),
	}
	w.force = slices.Clone(w.plan.force)
	w.catalog = newKeeper(w.store)
	out := io.Discard
	if o.verbose {
		out = t.Output()
	}
	w.log = slog.New(&witness{Handler: slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelInfo}), w: w, loud: o.verbose})
	for _, m := range mirrors() {
		if slices.Contains(w.plan.tables, m.name) {
			w.mirrors = append(w.mirrors, m)
		}
	}
	w.startKafka()
	return w
}

func (w *world) startKafka() {
	var err error
	if w.cluster, err = kfake.NewCluster(kfake.NumBrokers(brokers), kfake.Ports(9092, 9093), kfake.ListenFn(w.network.Listen)); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.cluster.Close)
	names := map[[16]byte]string{} // Newer requests name topics by id.
	for _, topic := range w.topics() {
		configs := map[string]string{}
		if w.plan.has(actClean) && compacted(topic) {
			configs["cleanup.policy"] = "compact"
		}
		if err := w.cluster.CreateTopic(topic, partitionsOf(topic), configs); err != nil {
			w.t.Fatal(err)
		}
		names[w.cluster.TopicInfo(topic).TopicID] = topic
	}
	w.cluster.ControlKey(int16(kmsg.OffsetCommit), func(r kmsg.Request) (kmsg.Response, error, bool) {
		w.cluster.KeepControl()
		w.checkGroupOffsets(r.(*kmsg.OffsetCommitRequest), names)
		return nil, nil, false
	})
}

func (w *world) topics() []string {
	var topics []string
	for _, m := range w.mirrors {
		topics = append(topics, m.topics...)
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// checkGroupOffsets holds the group's offsets against the tables: they are committed after the tables, never before, so
// that nobody who trusts them can miss a record (I8).
func (w *world) checkGroupOffsets(r *kmsg.OffsetCommitRequest, names map[[16]byte]string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range r.Topics {
		topic := t.Topic + names[t.TopicID]
		for _, p := range t.Partitions {
			w.stats.advised++
			furthest := int64(-1)
			for _, m := range w.mirrors {
				if slices.Contains(m.topics, topic) {
					at, _ := w.seen.furthest[m.name].Partition(topic, p.Partition)
					furthest = max(furthest, at.Next)
				}
			}
			if p.Offset > furthest {
				w.broken = append(w.broken, fmt.Errorf("group offset %s/%d is %d, the furthest bookmark %d (I8)", topic, p.Partition, p.Offset, furthest))
			}
		}
	}
}

// commit is the catalog's side of a commit: it does it, and checks what landed.
func (w *world) commit(ctx context.Context, who string, ident table.Identifier, reqs []table.Requirement, updates []table.Update) (table.Metadata, string, error) {
	w.mu.Lock() // One commit at a time, so that what is checked is what landed.
	defer w.mu.Unlock()
	meta, location, err := w.catalog.CommitTable(ctx, ident, reqs, updates)
	if err != nil {
		return meta, location, err
	}
	w.stats.commits++
	name, head := strings.Join(ident, "."), meta.CurrentSnapshot()
	next, err := bookmark.Parse(head.Summary.Properties["cdcd.bookmark"])
	if err != nil {
		w.broken = append(w.broken, fmt.Errorf("%s: snapshot %d: %w (I1)", name, head.SnapshotID, err))
	}
	if moved := next.MovedBack(w.landed[name]); moved != "" {
		w.broken = append(w.broken, fmt.Errorf("%s: %s moved the bookmark back: %s (I3)", name, who, moved))
	}
	if parent := head.ParentSnapshotID; parent == nil && w.heads[name] != 0 || parent != nil && *parent != w.heads[name] {
		w.broken = append(w.broken, fmt.Errorf("%s: %s committed on a head that was not the table's (I2)", name, who))
	}
	w.landed[name], w.heads[name] = next, head.SnapshotID
	w.seen.reached(name, next)
	return meta, location, nil
}

// rebalanceTimeout is how long a rebalance waits for members. It is short because kfake begins to wait anew with each member that
// joins, which Kafka does not: members that time out and join again would never come together.
const rebalanceTimeout = 3 * time.Second

// start runs a process until it ends by itself, is stopped, or crashes.
func (w *world) start(name, group string, bounded bool) *process {
	ctx, kill := context.WithCancelCause(context.Background())
	p := &process{
		w: w, name: name, kill: kill, done: make(chan struct{}), figures: prometheus.NewRegistry(),
		rng: rand.New(rand.NewPCG(w.rng.Uint64(), w.rng.Uint64())), wires: map[*wire]struct{}{},
	}
	w.lives = append(w.lives, p)
	ctx = context.WithValue(ctx, processKey{}, p)
	log := w.log.With("process", name)
	client, err := kafka.Open(kafka.Options{
		Brokers: w.cluster.ListenAddrs(), Group: group, Dialer: p.dial, SessionTimeout: w.plan.session, RebalanceTimeout: rebalanceTimeout,
		Logger: log, Registerer: p.figures,
	})
	if err != nil {
		w.t.Error(err)
		panic(err)
	}
	schemas, err := p.openRegistry()
	if err != nil {
		w.t.Error(err)
		panic(err)
	}
	interval := []time.Duration{100 * time.Millisecond, time.Second, 4 * time.Second}[w.rng.IntN(3)]
	if w.plan.has(actNap) {
		interval = 20 * time.Second // Tables wake up this often, also while nothing leaves their process.
	}
	var tables []pipeline.Table
	for _, m := range w.mirrors {
		tables = append(tables, pipeline.Table{
			Topics:  m.topics,
			Decoder: m.decoding(),
			Sink:    tableOptions(m.name), CommitInterval: interval, CommitBytes: 64 << 10, BadRecords: badRecords(m.name),
		})
	}
	go func() {
		defer close(p.done)
		defer kill(nil)
		defer client.Close()
		p.err = pipeline.Run(ctx, pipeline.Options{
			Kafka: client, Registry: schemas,
			Sink: sink.New(sink.Options{
				Catalog: &remote{w.catalog, p}, Version: "sim", Delete: true, Backoff: 100 * time.Millisecond, Logger: log, Registerer: p.figures,
			}),
			Tables: tables, Bounded: bounded, BatchBytes: 64 << 20, GracePeriod: w.plan.grace, Pause: time.Second,
			PauseMax: 30 * time.Second, QuietInterval: 15 * time.Minute, Logger: log, Registerer: p.figures,
		})
	}()
	return p
}
