// Package kafka hands over records from the bookmark onwards, and assigns whole tables to the members of a consumer group.
//
// It uses two clients. The group client only says who: it joins the group with a balancer of our own, but never fetches
// a record. The reader client only says where: it reads partitions from exactly the bookmark's offsets, without a group
// and without any automatic reset. Offsets committed to the group are advice for lag monitors; nothing reads them (I8).
package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
)

// Limits of one fetch. A fetch counts compressed bytes; what is queued counts what came out of it.
const (
	queueBytesDefault      = 64 << 20
	unpackedBytesMin       = 128 << 20
	fetchBytesMax          = 4 << 20
	fetchBytesMin          = 64 << 10
	fetchPartitionBytesMax = 1 << 20
	fetchWait              = 500 * time.Millisecond // How long a broker may hold a fetch back; also how long a new partition waits at worst.
	metadataRest           = 500 * time.Millisecond // Between two metadata requests.
	metadataAgeDefault     = time.Minute
)

// Options says how to reach the cluster. Only Brokers is needed to read, and Group to Join.
type Options struct {
	Brokers          []string // Seed brokers, host:port.
	Group            string
	ClientID         string
	Rack             string // The availability zone id, for fetching from followers (KIP-392).
	TLS              *tls.Config
	SASL             sasl.Mechanism
	QueueBytes       int64 // Bytes of records that may wait in all subscriptions together; beyond it fetching pauses (I7). Zero: 64 MiB.
	UnpackedBytes    int64 // What one batch of records may decompress to; a larger one halts its tables (I7). Zero: QueueBytes, but at least 128 MiB.
	Dialer           func(ctx context.Context, network, host string) (net.Conn, error)
	SessionTimeout   time.Duration // Zero: kgo's default, 45 s.
	RebalanceTimeout time.Duration // How long a rebalance waits for Join's own to return. Zero: kgo's default, 60 s.
	MetadataAge      time.Duration // After this time at the latest, partitions and topics that were added are seen. Zero: a minute.
	Logger           *slog.Logger  // Nil: nothing is logged.
	Registerer       prometheus.Registerer
}

// Client reads from one Kafka cluster. Its methods may be used by several goroutines.
type Client struct {
	o       Options
	log     *slog.Logger
	repeats *repeats
	metrics *metrics
	reader  *kgo.Client
	admin   *kadm.Client

	assigned atomic.Bool // Join has received an assignment, and could check it.

	mu         sync.Mutex // Guards everything below, and the subscriptions with their cursors.
	partitions map[partitionKey]*partition
	changed    map[*partition]struct{} // The partitions that steer has to look at.
	queued     int64                   // Bytes in all queues together.
	full       bool                    // Fetching is paused where records wait; set at QueueBytes, cleared at half of it.
	woken      bool                    // Something changed since steer looked last.
	wake       context.CancelFunc      // Ends the reader's poll under way.
	member     *member                 // While Join runs.
}

// Open returns a client without any I/O: the first call that needs a broker connects. Errors are those of Options.
func Open(o Options) (*Client, error) {
	if len(o.Brokers) == 0 {
		return nil, errors.New("open kafka client: no brokers")
	}
	if o.QueueBytes <= 0 {
		o.QueueBytes = queueBytesDefault
	}
	if o.UnpackedBytes <= 0 {
		o.UnpackedBytes = max(o.QueueBytes, unpackedBytesMin)
	}
	if o.MetadataAge <= 0 {
		o.MetadataAge = metadataAgeDefault
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Client{
		o: o, log: o.Logger, repeats: newRepeats(o.Logger), metrics: newMetrics(o.Registerer),
		partitions: map[partitionKey]*partition{}, changed: map[*partition]struct{}{},
	}
	fetchBytes := int32(min(max(o.QueueBytes/4, fetchBytesMin), fetchBytesMax))
	reader, err := kgo.NewClient(append(c.options(),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		// Control records are kept so that positions move over them, and over the aborted records before them (I8).
		kgo.KeepControlRecords(),
		kgo.FetchMaxBytes(fetchBytes),
		kgo.FetchMaxPartitionBytes(min(fetchBytes, fetchPartitionBytesMax)),
		kgo.FetchMaxWait(fetchWait),
		kgo.MaxDecompressBatchBytes(int(o.UnpackedBytes)),
		kgo.Rack(o.Rack),
	)...)
	if err != nil {
		return nil, fmt.Errorf("open kafka client: %w", err)
	}
	c.reader, c.admin = reader, kadm.NewClient(reader)
	return c, nil
}

// options returns what both clients have in common.
func (c *Client) options() []kgo.Opt {
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.o.Brokers...),
		kgo.WithLogger(kgoLogger{c.log}),
		kgo.WithHooks(connectHook{c.repeats}),
		kgo.MetadataMinAge(min(metadataRest, c.o.MetadataAge)),
		kgo.MetadataMaxAge(c.o.MetadataAge),
		kgo.DisableClientMetrics(),
	}
	if c.o.ClientID != "" {
		opts = append(opts, kgo.ClientID(c.o.ClientID))
	}
	if c.o.SASL != nil {
		opts = append(opts, kgo.SASL(c.o.SASL))
	}
	switch {
	case c.o.Dialer != nil && c.o.TLS != nil:
		opts = append(opts, kgo.Dialer(dialTLS(c.o.Dialer, c.o.TLS)))
	case c.o.Dialer != nil:
		opts = append(opts, kgo.Dialer(c.o.Dialer))
	case c.o.TLS != nil:
		opts = append(opts, kgo.DialTLSConfig(c.o.TLS))
	}
	return opts
}

type dialer = func(ctx context.Context, network, host string) (net.Conn, error)

// dialTLS puts TLS on top of a dialer: kgo ignores a TLS configuration beside a dialer.
func dialTLS(dial dialer, config *tls.Config) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		config := config.Clone()
		if config.ServerName == "" {
			if config.ServerName, _, err = net.SplitHostPort(address); err != nil {
				return nil, errors.Join(err, conn.Close())
			}
		}
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		return secure, nil
	}
}

// Ping asks any broker whether it is there.
func (c *Client) Ping(ctx context.Context) error {
	if err := c.reader.Ping(ctx); err != nil {
		return fmt.Errorf("ping brokers: %w", err)
	}
	return nil
}

// Close ends all connections and goroutines. Run and Join must have returned; subscriptions get ErrClosed.
func (c *Client) Close() {
	c.mu.Lock()
	subscriptions := map[*Subscription]struct{}{}
	for _, p := range c.partitions {
		for _, cur := range p.cursors {
			subscriptions[cur.subscription] = struct{}{}
		}
	}
	c.mu.Unlock()
	for s := range subscriptions {
		s.Close()
	}
	// Nothing is left to fetch when the client closes: it would close fetches that are only about to begin.
	c.reader.PurgeTopicsFromConsuming(c.reader.GetConsumeTopics()...)
	c.reader.Close()
	c.metrics.unregister(c.o.Registerer)
}
