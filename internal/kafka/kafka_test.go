package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/halt"
)

const patience = 2 * time.Minute // For what must happen; no test waits this long when it passes.

func newCluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.ClusterID("cluster-a"), kfake.GroupMinSessionTimeout(time.Second)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

func open(t *testing.T, cluster *kfake.Cluster, change ...func(*Options)) *Client {
	t.Helper()
	o := Options{Brokers: cluster.ListenAddrs(), Group: "g", ClientID: "test", Logger: testLogger(t)}
	for _, f := range change {
		f(&o)
	}
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// run starts Run and ends it before the client is closed.
func run(t *testing.T, c *Client) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := c.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
}

func testLogger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func newProducer(t *testing.T, cluster *kfake.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.MetadataMinAge(10 * time.Millisecond),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// produce writes records valued prefix0, prefix1, ... to one partition.
func produce(t *testing.T, client *kgo.Client, topic string, partition int32, prefix string, count int) {
	t.Helper()
	for i := range count {
		r := &kgo.Record{Topic: topic, Partition: partition, Value: fmt.Appendf(nil, "%s%d", prefix, i)}
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// at returns a bookmark of one cluster and topic without ids: pairs of partition and next offset.
func at(topic string, pairs ...int64) bookmark.Bookmark {
	var b bookmark.Bookmark
	for i := 0; i < len(pairs); i += 2 {
		b.Set(topic, "", bookmark.Partition{Partition: int32(pairs[i]), Next: pairs[i+1], Epoch: -1})
	}
	return b
}

// collect polls until count records have come, and returns "partition:offset=value" in order of arrival.
func collect(t *testing.T, s *Subscription, count int) []string {
	t.Helper()
	var got []string
	deadline := time.Now().Add(patience)
	for len(got) < count {
		if time.Now().After(deadline) {
			t.Fatalf("got %d of %d records: %v", len(got), count, got)
		}
		fetches, err := s.Poll(t.Context(), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fetches {
			for _, r := range f.Records {
				got = append(got, fmt.Sprintf("%d:%d=%s", r.Partition, r.Offset, r.Value))
			}
		}
	}
	return got
}

// pollHalt polls until the subscription halts.
func pollHalt(t *testing.T, s *Subscription) *halt.Error {
	t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		if _, err := s.Poll(t.Context(), time.Second); err != nil {
			return wantHalt(t, err)
		}
	}
	t.Fatal("the subscription did not halt")
	return nil
}

func wantHalt(t *testing.T, err error) *halt.Error {
	t.Helper()
	halted, ok := err.(*halt.Error) //nolint:errorlint // Poll and Locate promise the type itself.
	if !ok {
		t.Fatalf("got %v, want a *halt.Error", err)
	}
	if halted.Hint == "" {
		t.Errorf("%v has no hint", halted)
	}
	return halted
}

func TestOpenWithoutBrokersIsRefused(t *testing.T) {
	if c, err := Open(Options{}); err == nil {
		c.Close()
		t.Fatal("Open accepted no brokers")
	}
}

func TestPing(t *testing.T) {
	cluster := newCluster(t)
	c := open(t, cluster)
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	cluster.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := c.Ping(ctx); err == nil {
		t.Fatal("Ping of a closed cluster succeeded")
	}
}

// A TLS configuration holds with a dialer of one's own too; kgo alone would ignore it.
func TestTLSIsUsedWithAndWithoutDialer(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS() // For its certificate.
	defer server.Close()
	cluster := newCluster(t, kfake.TLS(&tls.Config{Certificates: server.TLS.Certificates}))
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	for name, dial := range map[string]dialer{"without": nil, "with": new(net.Dialer).DialContext} {
		t.Run(name, func(t *testing.T) {
			trusting := open(t, cluster, func(o *Options) { o.TLS, o.Dialer = &tls.Config{RootCAs: roots}, dial })
			if err := trusting.Ping(t.Context()); err != nil {
				t.Error(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			for name, config := range map[string]*tls.Config{"no TLS": nil, "unknown authority": {}} {
				if err := open(t, cluster, func(o *Options) { o.TLS, o.Dialer = config, dial }).Ping(ctx); err == nil {
					t.Errorf("%s: connected", name)
				}
			}
		})
	}
}

func TestMetricNamesPassLint(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	c, err := Open(Options{Brokers: []string{"localhost:1"}, Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	c.Subscribe("t", at("shop", 0, 0))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if len(families) != 5 {
		t.Errorf("got %d metric families, want 5", len(families))
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
	c.Close()
	if families, err = registry.Gather(); err != nil || len(families) != 0 {
		t.Errorf("after Close: %d families, %v; want none", len(families), err)
	}
}

func TestCloseLeavesNoGoroutine(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(2, "shop"))
	produce(t, newProducer(t, cluster), "shop", 0, "v", 3)
	before := goroutines()
	c, err := Open(Options{Brokers: cluster.ListenAddrs(), Group: "g"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	owned := make(chan struct{}, 10)
	wg.Go(func() { _ = c.Run(ctx) })
	wg.Go(func() {
		_ = c.Join(ctx, []Table{{Name: "t", Topics: []string{"shop"}}}, func(context.Context, []string) { owned <- struct{}{} })
	})
	<-owned
	s := c.Subscribe("t", at("shop", 0, 0, 1, 0))
	collect(t, s, 3)
	cancel()
	wg.Wait()
	c.Close()
	if _, err := s.Poll(t.Context(), 0); err != ErrClosed { //nolint:errorlint // Poll returns it bare.
		t.Errorf("Poll after Close: %v", err)
	}
	deadline := time.Now().Add(patience)
	for {
		left := goroutines()
		if len(left) <= len(before) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d after:\n%s", len(before), len(left), strings.Join(left, "\n\n"))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// goroutines returns the stacks of those that the client or this package runs.
func goroutines() []string {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var ours []string
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, "franz-go/pkg/kgo") || strings.Contains(stack, "internal/kafka.(*") {
			ours = append(ours, stack)
		}
	}
	return ours
}
