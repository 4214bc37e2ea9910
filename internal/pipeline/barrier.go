package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/kafka"
)

// barrier keeps the events of one key in their order where the form of a topic's record keys changes (I13): what surrounds the values in
// their bytes, such as an embedded schema, or the id of one in a registry. The same key has other bytes from then on, and so may hash
// to another partition: its new events can be read long before its old ones, which wait elsewhere.
//
// A partition is held before its first event of another form than the topic's. When each of the others is held as well, or has been read
// to the end that it had after the last one was held, all events of the topic's form are applied. The held event with the smallest record
// time then tells the next form (adopt), and the held partitions are read on; whatever has yet another form meets the next barrier.
// A topic of which no form is known begins with one: the first event of each partition is looked at.
//
// The form stands in the bookmark, and so moves with the rows: whoever starts in between meets the barrier again. It waits for what
// stands in the log; what a producer delivers later is told by its record time, and halts the table. Partitions that were
// read ahead into the next but one form are told in the same way.
type barrier struct {
	held  map[int32]held  // By partition.
	ends  map[int32]int64 // After the last partition was held; nil: not asked yet.
	retry time.Time       // The brokers could not tell where partitions end: they are not asked before this time.
}

// held is an event that waits.
type held struct {
	place

	key eventKey
}

// eventKey is what counts of an event's record besides its change.
type eventKey struct {
	form  string
	time  int64 // The record's, in Unix milliseconds.
	clock bool  // The time is the broker's: when the record arrived, not when it was made.
}

// errHeld says that the record at hand is not to be applied yet.
var errHeld = errors.New("the partition is held")

// keyOf returns what is known of the form of a topic's keys; nil: it does not matter. That is so in one partition, for keys that are
// said to be disjoint, and for a changelog, whose rows tell where their events stand.
func (t *table) keyOf(topic string) *bookmark.Key {
	at, _ := t.position.Topic(topic)
	switch {
	case len(at.Partitions) < 2 || t.o.DisjointKeys || t.o.Decoder.Changelog:
		return nil
	case at.Key == nil:
		return &bookmark.Key{}
	}
	return at.Key
}

// inForm reports whether the record at p, which was decoded, has the form of its topic's keys, or none. Otherwise its partition is held.
func (t *table) inForm(p place, r *kgo.Record) bool {
	if p.key == nil || t.event.Ignored != "" && t.event.Ignored != debezium.RuleTombstone {
		return true
	}
	form := t.decoder.KeyForm()
	if form == "" {
		return true
	}
	key := eventKey{form: form, time: max(r.Timestamp.UnixMilli(), 0), clock: r.Attrs.TimestampType() == 1}
	if form == p.key.Form {
		p.progress.form, p.progress.latest = form, max(p.progress.latest, key.time)
		return true
	}
	if t.barriers[p.topic] == nil {
		t.barriers[p.topic] = &barrier{held: map[int32]held{}}
	}
	b := t.barriers[p.topic]
	b.held[p.before.Partition], b.ends = held{p, key}, nil
	t.position.Set(p.topic, "", p.before)
	t.log.Info("held partition", "topic", p.topic, "partition", p.before.Partition, "offset", p.before.Next, "form", form, "topic_form", p.key.Form)
	return false
}

func (t *table) isHeld(topic string, number int32) bool {
	b := t.barriers[topic]
	if b == nil {
		return false
	}
	_, ok := b.held[number]
	return ok
}

func (t *table) partitions() int {
	return partitionsIn(t.position, t.o.Topics)
}

// partitionsIn returns how many partitions of some topics a bookmark stands in.
func partitionsIn(b bookmark.Bookmark, topics []string) int {
	n := 0
	for _, name := range topics {
		topic, _ := b.Topic(name)
		n += len(topic.Partitions)
	}
	return n
}

// pass reads the held partitions of a topic on when all its others have been read as far as they must be. idle says that the last poll
// brought nothing.
func (t *table) pass(ctx context.Context, idle bool) error {
	passed := false
	for _, topic := range t.o.Topics {
		b := t.barriers[topic]
		if b == nil {
			continue
		}
		drained, err := t.drained(ctx, topic, b, idle)
		if err != nil {
			if b.retry.IsZero() {
				t.log.Warn("left partitions held", "topic", topic, "partitions", len(b.held), "err", err)
			}
			b.retry = time.Now().Add(askInterval)
		}
		if !drained {
			continue
		}
		if err := t.adopt(ctx, topic, b); err != nil {
			return err
		}
		delete(t.barriers, topic)
		passed = true
	}
	if passed {
		t.sub.Close() // It has gone on from the held partitions.
		t.sub = t.d.o.Kafka.Subscribe(t.o.Sink.Name, t.position, t.o.Topics...)
	}
	return nil
}

// drained reports whether each partition of a topic is held, or has been read as far as it must be.
func (t *table) drained(ctx context.Context, name string, b *barrier, idle bool) (bool, error) {
	if time.Now().Before(b.retry) {
		return false, nil
	}
	topic, _ := t.position.Topic(name)
	if b.ends == nil && len(b.held) < len(topic.Partitions) {
		ends, err := t.d.askEnds(ctx, []string{name})
		if err != nil {
			return false, err
		}
		b.ends = stableEnds(ends[name])
	}
	ask := idle || time.Since(t.asked) >= askInterval
	for _, at := range topic.Partitions {
		if t.isHeld(name, at.Partition) {
			continue
		}
		end, ok := b.ends[at.Partition]
		if !ok {
			return false, fmt.Errorf("the end of %s/%d is unknown", name, at.Partition)
		}
		if reached, err := t.reach(ctx, name, at, end, ask); err != nil || !reached {
			return false, err
		}
	}
	return true, nil
}

func stableEnds(ends kafka.Ends) map[int32]int64 {
	out := map[int32]int64{}
	for p, end := range ends.Partitions {
		out[p] = end.Stable
	}
	return out
}
