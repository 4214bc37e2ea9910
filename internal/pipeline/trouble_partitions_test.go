package pipeline_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/pipeline"
)

// addPartitions adds n partitions to a topic.
func (w *world) addPartitions(topic string, n int) {
	w.t.Helper()
	added, err := kadm.NewClient(w.producer).CreatePartitions(w.t.Context(), n, topic)
	if err == nil {
		err = added.Error()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.producer.PurgeTopicsFromClient(topic) // So that it sees them at once.
}

// Where partitions are added, keys move between them: no order is left between the events of one key. The table halts, and
// holds nothing of what came to the added partitions (I13).
func TestPartitionsAddedWhileDown(t *testing.T) {
	t.Parallel()
	w := newPartitionedWorld(t, 2, "shop", bystander)
	e := customers("shop")
	log := append(people(e, 1, 3), people(e.in(1), 11, 2)...)
	w.produce(log...)
	w.mustRunToEnd(mirror("d.t", "shop"))
	w.addPartitions("shop", 1)
	w.produce(e.upsert("u", "2", `"more"`), e.in(2).upsert("u", "1", `"moved"`))
	p := w.start(both(), nil)
	hinted(t, p.halted("d.t", "partitions_added"), "out of order")
	w.goesOn()
	w.stands("d.t", "shop", fold(t, log...), 3, 2)
	if _, err := w.runToEnd([]pipeline.Table{mirror("d.t", "shop")}, nil); err == nil {
		t.Error("a bounded run went on")
	}
	w.stands("d.t", "shop", fold(t, log...), 3, 2)
}

// A running daemon sees added partitions when its metadata is refreshed. What it has read by then is committed.
func TestPartitionsAddedWhileRunning(t *testing.T) {
	t.Parallel()
	w := newPartitionedWorld(t, 2, "shop", bystander)
	w.tune = func(o *kafka.Options) { o.MetadataAge = 200 * time.Millisecond }
	e := customers("shop")
	log := append(people(e, 1, 3), people(e.in(1), 11, 2)...)
	w.produce(log...)
	tables := both()
	tables[0].CommitInterval = time.Hour // Only the halt makes it commit.
	p := w.start(tables, nil)
	w.eventually("the records are read", func() bool { return p.metric("cdcd_records_consumed_total", "table=d.t") == 5 })
	w.addPartitions("shop", 1)
	added := time.Now()
	w.produce(e.in(2).upsert("u", "1", `"moved"`))
	p.halted("d.t", "partitions_added")
	t.Logf("halted %v after the partition was added", time.Since(added))
	w.goesOn()
	w.stands("d.t", "shop", fold(t, log...), 3, 2)
}

// The topic of a table that does not exist yet may have any number of partitions.
func TestPartitionsAddedBeforeTheFirstStart(t *testing.T) {
	t.Parallel()
	w := newPartitionedWorld(t, 1, "shop")
	w.addPartitions("shop", 2)
	var log []*kgo.Record
	for p := range int32(3) {
		log = append(log, people(customers("shop").in(p), int(10*p+1), 2)...)
	}
	w.produce(log...)
	w.mustRunToEnd(mirror("d.t", "shop"))
	w.stands("d.t", "shop", fold(t, log...), 2, 2, 2)
}
