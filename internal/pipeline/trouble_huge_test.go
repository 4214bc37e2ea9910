package pipeline_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/pipeline"
)

// newHugeWorld returns a world whose brokers take records of up to 64 MiB, and a function that produces such.
func newHugeWorld(t *testing.T) (*world, func(codec kgo.CompressionCodec, records ...*kgo.Record)) {
	t.Helper()
	w := newWorldOf(t, kfake.SeedTopics(1, "shop", bystander), kfake.BrokerConfigs(map[string]string{"message.max.bytes": fmt.Sprint(64 * mib)}))
	return w, func(codec kgo.CompressionCodec, records ...*kgo.Record) {
		t.Helper()
		client, err := kgo.NewClient(kgo.SeedBrokers(w.cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
			kgo.ProducerBatchMaxBytes(64*mib), kgo.ProducerBatchCompression(codec))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// A record above every limit of a fetch and of the queue comes through all the same: the limits are for how much is read ahead.
func TestRecordLargerThanAFetch(t *testing.T) {
	t.Parallel()
	w, produce := newHugeWorld(t)
	w.tune = func(o *kafka.Options) { o.QueueBytes = 64 << 10 }
	e := customers("shop")
	log := people(e, 1, 2)
	for id := 3; id <= 5; id++ {
		log = append(log, e.upsert("c", fmt.Sprint(id), `"`+noise(uint64(id), 6*mib)+`"`))
	}
	log = append(log, people(e, 6, 2)...)
	produce(kgo.NoCompression(), log[:4]...)
	produce(kgo.NoCompression(), log[4:]...)
	p := w.start(both(), nil)
	w.eventually("all records are applied", func() bool { return w.next("d.t", "shop", 0) == 7 })
	w.goesOn()
	w.stands("d.t", "shop", fold(t, log...), 7)
	if n := p.metric("cdcd_table_halted") + p.metric("cdcd_table_restarts_total"); n != 0 {
		t.Errorf("%v halts and restarts, want none", n)
	}
}

// A record that no open batch can hold halts its table at its offset (I7); a larger budget reads on from there.
func TestRecordOverTheMemoryBudget(t *testing.T) {
	t.Parallel()
	w, produce := newHugeWorld(t)
	e := customers("shop")
	log := append(people(e, 1, 2), e.upsert("c", "3", `"`+noise(3, 6*mib)+`"`), people(e, 4, 1)[0])
	produce(kgo.NoCompression(), log...)
	small := func(o *pipeline.Options) { o.BatchBytes = 4 * mib }
	p := w.start(both(), small)
	entry := p.halted("d.t", "record_over_budget")
	hinted(t, entry, "memory.batches")
	if entry["offset"] != 2.0 {
		t.Errorf("halted at offset %v, want 2", entry["offset"])
	}
	w.goesOn()
	w.stands("d.t", "shop", fold(t, log[:2]...), 2)
	if n := p.metric("cdcd_decode_errors_total", "table=d.t", "reason=record_over_budget"); n != 1 {
		t.Errorf("counted %v records over the budget, want 1", n)
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	w.mustRunToEnd(mirror("d.t", "shop"))
	w.stands("d.t", "shop", fold(t, log...), 4)
}

// A small batch of records may decompress to anything: beyond the limit its table halts before memory is spent (I7).
func TestBatchThatDecompressesToTooMuch(t *testing.T) {
	t.Parallel()
	w, produce := newHugeWorld(t)
	w.tune = func(o *kafka.Options) { o.UnpackedBytes = 4 * mib }
	e := customers("shop")
	log := append(people(e, 1, 2), e.upsert("c", "3", `"`+strings.Repeat("x", 6*mib)+`"`), people(e, 4, 1)[0])
	produce(kgo.GzipCompression(), log[:2]...)
	produce(kgo.GzipCompression(), log[2])
	produce(kgo.GzipCompression(), log[3])
	p := w.start(both(), nil)
	hinted(t, p.halted("d.t", "record_over_budget"), "memory.batches")
	w.goesOn()
	w.stands("d.t", "shop", fold(t, log[:2]...), 2)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	w.tune = nil
	w.mustRunToEnd(mirror("d.t", "shop"))
	w.stands("d.t", "shop", fold(t, log...), 4)
}
