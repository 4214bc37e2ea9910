package pipeline

import (
	"context"
	"time"
)

// passHoles moves the position over offsets without records at the ends of partitions, as compaction leaves them: nothing is ever
// fetched there, so the bookmark would stay before them until retention takes them away, and then stand outside of the log (I8).
// It asks about a partition that has not moved for a quiet interval although more offsets are there.
func (t *table) passHoles(ctx context.Context) {
	if t.d.o.Bounded || t.batch == nil || time.Since(t.asked) < t.d.o.QuietInterval {
		return
	}
	t.asked = time.Now()
	for _, name := range t.o.Topics {
		topic, _ := t.position.Topic(name)
		for _, at := range topic.Partitions {
			pr := t.progressOf(name, at.Partition)
			stood := pr.asked == at.Next
			pr.asked = at.Next
			if !stood || t.lag.stable(name, at.Partition) <= at.Next {
				continue
			}
			next, err := t.d.o.Kafka.Skip(ctx, name, at)
			if err != nil {
				t.log.Warn("left end of partition unexamined", "topic", name, "partition", at.Partition, "offset", at.Next, "err", err)
				continue
			}
			if next.Next > at.Next {
				t.position.Set(name, "", next)
				t.lag.move(name, at.Partition, next.Next, max(next.Next, pr.high))
			}
		}
	}
}
