package pipeline_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// compactedTopic makes a topic that keeps the last record of each key, and no tombstones.
func (w *world) compactedTopic(topic string) {
	w.t.Helper()
	keep, none, compact := "compact", "0", "cleanup.policy"
	if err := w.cluster.CreateTopic(topic, 1, map[string]string{compact: keep, "delete.retention.ms": none}); err != nil {
		w.t.Fatal(err)
	}
}

// offsets returns those of the records that a partition still has.
func (w *world) offsets(topic string) []int64 {
	w.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.cluster.ListenAddrs()...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		topic: {0: kgo.NewOffset().AtStart()},
	}))
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	var out []int64
	end := w.cluster.PartitionInfo(topic, 0).HighWatermark
	for len(out) == 0 || out[len(out)-1] < end-1 {
		client.PollFetches(w.t.Context()).EachRecord(func(r *kgo.Record) { out = append(out, r.Offset) })
	}
	return out
}

// A compacted topic has holes; what it keeps folds to the same rows, wherever the bookmark stands: but for a delete whose tombstone
// went before it was read, which is what delete.retention.ms is for.
func TestCompactedTopic(t *testing.T) {
	for _, applied := range []int{0, 1, 3, 8, 9} {
		t.Run(fmt.Sprintf("bookmark at %d", applied), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, bystander)
			w.compactedTopic("shop")
			e := customers("shop")
			log := people(e, 1, 4) // Offset 0 stays: nothing else has its key.
			log = append(log, e.upsert("u", "2", `"again"`), e.upsert("u", "3", `"again"`))
			log = append(log, e.remove("4", `"x"`)...)
			log = append(log, e.upsert("u", "2", `"at last"`), e.upsert("c", "5", `"last"`))
			w.each(log[:applied]...)
			if applied > 0 {
				w.mustRunToEnd(mirror("d.t", "shop"))
			}
			w.each(log[applied:]...)
			w.cluster.Compact()
			if got, want := fmt.Sprint(w.offsets("shop")), "[0 5 8 9]"; got != want {
				t.Fatalf("the log has offsets %s, want %s", got, want)
			}
			if applied == 9 {
				w.mustRunToEnd(mirror("d.t", "shop"))
			}
			p := w.start(both(), nil)
			w.eventually("all records are applied", func() bool { return w.next("d.t", "shop", 0) == 10 })
			w.goesOn()
			w.stands("d.t", "shop", fold(t, log...), 10)
			p.notHalted()
		})
	}
}

// The first records may be gone although the log starts before them: only compaction took them, and nothing is missing.
func TestHoleAtTheHead(t *testing.T) {
	t.Parallel()
	d := newDurable(t, bystander)
	d.compactedTopic("shop")
	e := customers("shop")
	log := append(people(e, 1, 2), e.upsert("u", "1", `"again"`), e.upsert("u", "2", `"again"`), e.upsert("c", "3", `"last"`))
	d.each(log...)
	d.cluster.Compact()
	d.cluster.Close()
	file := filepath.Join(d.dir, "partitions", "shop-0", "snapshot.json") // kfake moves the start of a compacted log; brokers do not.
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var state map[string]any
	if err := json.Unmarshal(text, &state); err != nil {
		t.Fatal(err)
	}
	if state["log_start_offset"] != 2.0 {
		t.Fatalf("the compacted log starts at %v, want 2", state["log_start_offset"])
	}
	state["log_start_offset"] = 0
	if text, err = json.Marshal(state); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	d.cluster = d.open(d.dir, d.port)
	d.mustRunToEnd(mirror("d.t", "shop"))
	d.stands("d.t", "shop", fold(t, log...), 5)
}

// Where a log ends in offsets without records, the bookmark moves over them all the same, so that retention never overtakes it; and no
// lag is left (I8).
func TestHoleAtTheTail(t *testing.T) {
	t.Parallel()
	d := newDurable(t, "shop")
	log := people(customers("shop"), 1, 5)
	d.each(log...)
	d.hollow("shop", 3)
	if at := d.cluster.PartitionInfo("shop", 0); at.HighWatermark != 5 {
		t.Fatalf("the log ends at %d, want 5", at.HighWatermark)
	}
	p := d.start(soon(mirror("d.t", "shop")), quickly)
	d.eventually("the bookmark is at the end", func() bool { return d.next("d.t", "shop", 0) == 5 })
	d.eventually("no lag is left", func() bool { return p.metric("cdcd_consumer_lag_records") == 0 })
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	d.stands("d.t", "shop", fold(t, log[:3]...), 5)
	d.trim("shop", 5)
	d.mustRunToEnd(mirror("d.t", "shop"))
	d.stands("d.t", "shop", fold(t, log[:3]...), 5)
}

// hollow takes the records out of the batches from an offset on, and leaves the batches: so compaction does.
func (d *durable) hollow(topic string, from uint64) {
	d.t.Helper()
	const lengthAt, crcAt, attributesAt, countAt, header = 8, 17, 21, 57, 61 // Kafka protocol, "Record Batch".
	d.cluster.Close()
	file := filepath.Join(d.dir, "partitions", topic+"-0", "0.dat")
	log, err := os.ReadFile(file)
	if err != nil {
		d.t.Fatal(err)
	}
	var out []byte
	for len(log) > 0 {
		size := lengthAt + 4 + int(binary.BigEndian.Uint32(log[lengthAt:]))
		batch := log[:size:size]
		log = log[size:]
		if binary.BigEndian.Uint64(batch) >= from {
			batch = batch[:header]
			binary.BigEndian.PutUint32(batch[lengthAt:], header-lengthAt-4)
			binary.BigEndian.PutUint32(batch[countAt:], 0)
			binary.BigEndian.PutUint32(batch[crcAt:], crc32.Checksum(batch[attributesAt:], crc32.MakeTable(crc32.Castagnoli)))
		}
		out = append(out, batch...)
	}
	if err := os.WriteFile(file, out, 0o600); err != nil {
		d.t.Fatal(err)
	}
	d.cluster = d.open(d.dir, d.port)
}
