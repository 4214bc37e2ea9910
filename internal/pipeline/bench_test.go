package pipeline_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/demo"
	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/row"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// BenchmarkPipeline measures events a second from a broker in this process to committed Iceberg files in a folder: the shop's
// snapshot and traffic, in one bounded run of all three tables. Run it with -cpu 1 for the figure of one core, which then
// carries the broker as well.
func BenchmarkPipeline(b *testing.B) {
	for _, schemaless := range []bool{false, true} {
		b.Run(fmt.Sprintf("schemaless=%v", schemaless), func(b *testing.B) {
			const events = 500_000
			shop := demo.NewShop(1)
			shop.Schemaless = schemaless
			addresses, records, bytes := benchmarkTopics(b, shop, events)
			b.SetBytes(bytes)
			b.ReportAllocs()
			for b.Loop() {
				benchmarkRun(b, shop, addresses)
			}
			b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(bytes)/float64(records), "B/event")
		})
	}
}

// benchmarkTopics fills a broker, and returns its addresses and how many records and bytes it holds.
func benchmarkTopics(b *testing.B, shop *demo.Shop, events int) ([]string, int, int64) {
	b.Helper()
	var topics []string
	for _, t := range shop.Tables() {
		topics = append(topics, t.Topic)
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, topics...))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(cluster.Close)
	producer, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	if err != nil {
		b.Fatal(err)
	}
	defer producer.Close()
	records, bytes := 0, int64(0)
	send := func(m demo.Message) {
		records, bytes = records+1, bytes+int64(len(m.Key)+len(m.Value))
		producer.Produce(b.Context(), &kgo.Record{Topic: m.Topic, Key: m.Key, Value: m.Value}, func(_ *kgo.Record, err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	for m := range shop.Snapshot(events / 5) {
		send(m)
	}
	for records < events {
		for _, m := range shop.Change() {
			send(m)
		}
	}
	if err := producer.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	return cluster.ListenAddrs(), records, bytes
}

func benchmarkRun(b *testing.B, shop *demo.Shop, addresses []string) {
	b.Helper()
	log := slog.New(slog.DiscardHandler)
	dir := b.TempDir()
	cat, err := sink.OpenCatalog(b.Context(), sink.CatalogOptions{
		Type: "sql", URI: "sqlite:" + filepath.Join(dir, "catalog.db"), Warehouse: "file://" + dir,
	})
	if err != nil {
		b.Fatal(err)
	}
	client, err := kafka.Open(kafka.Options{Brokers: addresses, Logger: log})
	if err != nil {
		b.Fatal(err)
	}
	var tables []pipeline.Table
	for _, t := range shop.Tables() {
		o := mirror(demo.TableName(t), t.Topic)
		o.Decoder = debezium.Options{Types: map[string]row.Type{}, Limits: debezium.DefaultLimits()}
		for _, c := range t.Columns {
			declared := c.Type
			if declared == "timestamp" {
				declared = "long" // Without a schema nothing tells in which unit it comes.
			}
			if o.Decoder.Types[c.Name], err = row.ParseType(declared); err != nil {
				b.Fatal(err)
			}
		}
		tables = append(tables, o)
	}
	err = pipeline.Run(b.Context(), pipeline.Options{
		Kafka: client, Sink: sink.New(sink.Options{Catalog: cat, Version: "bench", Delete: true, Backoff: time.Millisecond, Logger: log}),
		Tables: tables, Bounded: true, BatchBytes: 256 << 20, GracePeriod: time.Second, Pause: time.Millisecond, PauseMax: time.Second,
		QuietInterval: time.Hour, Logger: log,
	})
	client.Close()
	if err != nil {
		b.Fatal(err)
	}
	if err := cat.Close(); err != nil {
		b.Fatal(err)
	}
}
