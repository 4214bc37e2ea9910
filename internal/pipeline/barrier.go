package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/row"
)

// barrier keeps the events of one key in their order where the type of a key column widens (I13). A record key that carries its schema
// has other bytes from then on, and so may hash to another partition: the key's new events can be read long before its old
// ones, which wait elsewhere.
//
// A partition is held before its first record that asks for the wider key. When each of the others is held as well, or has been read
// to the end that it had when the barrier was met, all old events are applied, and the held partitions are read on. Until
// then the table's key is what it was: whoever starts in between meets the barrier again.
type barrier struct {
	held map[partition]bool
	ends map[string]kafka.Ends // When the barrier was met.
}

// errHeld says that the record at hand is not to be applied yet.
var errHeld = errors.New("the partition is held")

// widensKey reports whether a wider schema changes the type of a column that identifies rows.
func (t *table) widensKey(change *debezium.SchemaChange) bool {
	return t.sink != nil && widensKey(t.sink.Schema(), change.Want)
}

func widensKey(have, want *row.Schema) bool {
	for _, i := range want.Key {
		c := want.Columns[i]
		if j := have.Index(c.Name); j >= 0 && have.Columns[j].Type != c.Type {
			return true
		}
	}
	return false
}

// hold holds the partition of the record at p, unless all others have been read as far as they must be.
func (t *table) hold(ctx context.Context, p place, change *debezium.SchemaChange) error {
	if t.passed || t.partitions() < 2 || !t.widensKey(change) {
		return nil
	}
	if t.barrier == nil {
		ends, err := t.d.askEnds(ctx, t.o.Topics)
		if err != nil {
			return fmt.Errorf("hold partition %s/%d: %w", p.topic, p.before.Partition, err)
		}
		t.barrier = &barrier{held: map[partition]bool{}, ends: ends}
	}
	t.barrier.held[partition{p.topic, p.before.Partition}] = true
	t.position.Set(p.topic, "", p.before)
	t.log.Info("held partition", "topic", p.topic, "partition", p.before.Partition, "offset", p.before.Next, "detail", change.Detail)
	return errHeld
}

func (t *table) isHeld(topic string, number int32) bool {
	return t.barrier != nil && t.barrier.held[partition{topic, number}]
}

func (t *table) partitions() int {
	n := 0
	for _, name := range t.o.Topics {
		topic, _ := t.position.Topic(name)
		n += len(topic.Partitions)
	}
	return n
}

// pass reads the held partitions on when all others have been read as far as they must be. idle says that the last poll brought nothing.
func (t *table) pass(ctx context.Context, idle bool) error {
	if t.barrier == nil {
		return nil
	}
	ask := idle || time.Since(t.asked) >= askInterval
	for _, name := range t.o.Topics {
		topic, _ := t.position.Topic(name)
		for _, at := range topic.Partitions {
			if t.isHeld(name, at.Partition) {
				continue
			}
			end, ok := t.barrier.ends[name].Partitions[at.Partition]
			if !ok {
				return fmt.Errorf("pass barrier: the end of %s/%d is unknown", name, at.Partition)
			}
			reached, err := t.reach(ctx, name, at, end.Stable, ask)
			if err != nil || !reached {
				return err
			}
		}
	}
	t.log.Info("read held partitions on", "partitions", len(t.barrier.held))
	t.barrier, t.passed = nil, true
	t.sub.Close() // It has gone on from the held partitions.
	t.sub = t.d.o.Kafka.Subscribe(t.o.Sink.Name, t.position, t.o.Topics...)
	return nil
}
