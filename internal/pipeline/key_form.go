package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cdcd-project/cdcd/internal/bookmark"
)

// clockSkew is how much earlier than events of the form before the first of the next form may seem to be: brokers' and workers' clocks
// differ a little, and nobody changes a converter and changes it back within it.
const clockSkew = time.Second

// errDisorder refuses an event that an event of its key, which came after it, may have overtaken.
var errDisorder = errors.New("a later event of its key may have been applied (I13)")

const hintDisorder = "cdcd table rewind TABLE -to-snapshot ID, to one from before the form changed, reads the events again in their order. If the topic merges " +
	"several source tables, and no key comes from two of them, set disjoint_keys. The runbook names the other ways out."

// formReturnsMax is how often, in one session, forms may come back: nobody changes a converter so often. Several sources do, and a barrier for
// each of their events would take for ever.
const formReturnsMax = 10

// adopt makes the next form that of a topic, all of whose events of the form before are applied. Record times decide, as far as they can:
// what they leave open halts the table.
func (t *table) adopt(ctx context.Context, topic string, b *barrier) error {
	next := b.first()
	key := t.keyOf(topic)
	until := t.latest(topic)
	for _, h := range b.held {
		if h.key.form != next.key.form && h.key.time == next.key.time {
			return t.refuse(ctx, next.place, fmt.Errorf("its key has the form %s, and that of %s/%d offset %d has the form %s; both were written at %s: %w",
				next.key.form, topic, h.before.Partition, h.before.Next, h.key.form, instant(h.key.time), errDisorder))
		}
	}
	if next.late(key) {
		return t.refuse(ctx, next.place, fmt.Errorf("its key has the form %s, and was written at %s, although events of the form %s were applied, the first of %s: %w",
			next.key.form, instant(next.key.time), key.Form, instant(key.Since), errDisorder))
	}
	if t.forms[next.key.form] {
		t.returns++
	}
	if t.returns > formReturnsMax {
		return t.refuse(ctx, next.place, fmt.Errorf("its key has the form %s, which takes turns with %s: several sources write to the topic: %w", next.key.form, key.Form, errDisorder))
	}
	if until > next.key.time+clockSkew.Milliseconds() {
		return t.refuse(ctx, next.place, fmt.Errorf("its key has the form %s, and was written at %s, although events of the form %s up to %s were applied: %w",
			next.key.form, instant(next.key.time), key.Form, instant(until), errDisorder))
	}
	t.position.SetKey(topic, &bookmark.Key{Form: next.key.form, Since: next.key.time, Until: max(until, next.key.time), Was: t.formBefore(topic, key)})
	if t.forms == nil {
		t.forms = map[string]bool{}
	}
	t.forms[next.key.form] = true
	t.log.Info("read held partitions on", "topic", topic, "partitions", len(b.held), "form", next.key.form, "topic_form", key.Form)
	return nil
}

// first returns the held event with the smallest record time.
func (b *barrier) first() held {
	var first *held
	for _, h := range b.held {
		if first == nil || h.key.time < first.key.time || h.key.time == first.key.time && h.before.Partition < first.before.Partition {
			first = &h
		}
	}
	return *first
}

// late reports whether an event of another form may have been made before those of the topic's form. It was not if its own partition
// has one of these before it. A broker's clock tells nothing of an event that comes with the form before once more.
func (h *held) late(key *bookmark.Key) bool {
	if key.Form == "" || h.progress.form == key.Form {
		return false
	}
	return h.key.time <= key.Since || h.key.clock && h.key.form == key.Was
}

// latest returns the latest record time of an event of a topic that was applied, of those whose form was looked at.
func (t *table) latest(topic string) int64 {
	latest := int64(0)
	if at, _ := t.position.Topic(topic); at.Key != nil {
		latest = at.Key.Until
	}
	for p, pr := range t.progress {
		if p.topic == topic {
			latest = max(latest, pr.latest)
		}
	}
	return latest
}

// formBefore returns which form of a topic's keys the next one follows.
func (t *table) formBefore(topic string, key *bookmark.Key) string {
	if key.Form != "" || t.sink == nil {
		return key.Form
	}
	at, _ := t.sink.Bookmark().Topic(topic)
	for _, p := range at.Partitions {
		if p.Next > 0 {
			return bookmark.KeyWasUnknown
		}
	}
	return ""
}

// noteKeys makes the position tell the latest record times.
func (t *table) noteKeys() {
	for _, topic := range t.o.Topics {
		at, _ := t.position.Topic(topic)
		if latest := t.latest(topic); at.Key != nil && latest > at.Key.Until {
			key := *at.Key
			key.Until = latest
			t.position.SetKey(topic, &key)
		}
	}
}

// instant prints a record time.
func instant(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }
