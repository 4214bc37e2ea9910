package demo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/bookmark"
)

const (
	partitions       = 3         // Of each topic.
	bufferedBytesMax = 16 << 20  // Of messages that wait to be sent: Send blocks beyond it.
	batchBytesMax    = 512 << 10 // Of one produce request's records; small, so that fetching starts early.
	segmentBytes     = 4 << 20   // Of one log segment, which is what Trim can let go of.
)

// Broker is a Kafka broker in this process, reached over a socket on the loopback interface, and the producer with which the
// connector writes to it. What it holds is in memory only.
type Broker struct {
	cluster  *kfake.Cluster
	producer *kgo.Client
	admin    *kadm.Client

	mu      sync.Mutex // Guards what the producer's promises write.
	written bookmark.Bookmark
	failed  error
}

// StartBroker returns a running broker that has the topics of the tables, each with three partitions.
func StartBroker(tables []Table) (*Broker, error) {
	var topics []string
	for _, t := range tables {
		topics = append(topics, t.Topic)
	}
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1), kfake.ClusterID("demo"), kfake.SeedTopics(partitions, topics...),
		kfake.BrokerConfigs(map[string]string{"log.segment.bytes": strconv.Itoa(segmentBytes)}),
	)
	if err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	// Records go to the partition that their key's hash names, as Kafka Connect's do; so the events of a key stay in order (I13).
	producer, err := kgo.NewClient(
		kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ClientID("connector"), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.MaxBufferedBytes(bufferedBytesMax), kgo.ProducerBatchMaxBytes(batchBytesMax), kgo.DisableClientMetrics(),
	)
	if err != nil {
		cluster.Close()
		return nil, fmt.Errorf("start producer: %w", err)
	}
	return &Broker{cluster: cluster, producer: producer, admin: kadm.NewClient(producer)}, nil
}

// Addresses returns the broker's host:port.
func (b *Broker) Addresses() []string { return b.cluster.ListenAddrs() }

// Close ends the broker at once, with all that it holds.
func (b *Broker) Close() {
	b.producer.Close()
	b.cluster.Close()
}

// Send hands messages to the producer, in order, and waits only while too much is buffered. An error is that of an earlier
// message, or ctx's.
func (b *Broker) Send(ctx context.Context, messages ...Message) error {
	for _, m := range messages {
		b.producer.Produce(ctx, &kgo.Record{Topic: m.Topic, Key: m.Key, Value: m.Value}, b.done)
	}
	return b.failure()
}

// Flush waits until the broker has everything that was sent.
func (b *Broker) Flush(ctx context.Context) error {
	if err := b.producer.Flush(ctx); err != nil {
		return fmt.Errorf("produce: %w", errors.Join(err, b.failure()))
	}
	return b.failure()
}

// done notes the outcome of one record.
func (b *Broker) done(r *kgo.Record, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		if b.failed == nil {
			b.failed = fmt.Errorf("produce to %s: %w", r.Topic, err)
		}
		return
	}
	if at, _ := b.written.Partition(r.Topic, r.Partition); r.Offset >= at.Next {
		b.written.Set(r.Topic, "", bookmark.Partition{Partition: r.Partition, Next: r.Offset + 1})
	}
}

func (b *Broker) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed
}

// Written returns the end of each partition of a topic that has a record.
func (b *Broker) Written(topic string) []bookmark.Partition {
	b.mu.Lock()
	defer b.mu.Unlock()
	t, _ := b.written.Clone().Topic(topic)
	return t.Partitions
}

// Trim lets go of the records of a topic before a position that a table has committed: nobody reads them again.
func (b *Broker) Trim(ctx context.Context, topic string, committed bookmark.Bookmark) error {
	t, _ := committed.Topic(topic)
	var before kadm.Offsets
	for _, p := range t.Partitions {
		before.AddOffset(topic, p.Partition, p.Next, -1)
	}
	deleted, err := b.admin.DeleteRecords(ctx, before)
	if err != nil {
		return fmt.Errorf("trim topic %s: %w", topic, err)
	}
	if err := deleted.Error(); err != nil {
		return fmt.Errorf("trim topic %s: %w", topic, err)
	}
	return nil
}
