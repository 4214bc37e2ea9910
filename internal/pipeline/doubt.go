package pipeline

import (
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/debezium"
)

// UnavailableValue is the reason, beside those of debezium.Reasons, for which an event is set aside that keeps values of a row in doubt.
const UnavailableValue = "unavailable_value"

// doubts tell whose rows may lack a change: those of the keys that records were about which were set aside, until an event with all
// values makes the row known again. An event that keeps values of a row in doubt would keep them by guess, and is set aside as well.
//
// All events of a key stand in one partition, or are held in their order (I13): so a key is in doubt wherever its events stand, and a
// record whose key cannot be read puts any key of its partition in doubt, or of its topic, once keys had another form.
//
// What this session sets aside is noted at once; what earlier ones did are the unresolved rows of the quarantine table, which are read
// when the first event comes that keeps values. What came after those, up to the bookmark, is not known: more may be set aside than must
// be, and never less. For the same reason a session that reads again what an interrupted one has read sets aside what that one did, or more.
type doubts struct {
	from   bookmark.Bookmark     // Where the session began to read.
	read   bool                  // What was set aside before that is known.
	keys   map[string]coordinate // The first record of each key in doubt, since its row was known.
	bytes  int                   // Of keys.
	any    map[partition]*anyKey
	reader *keyReader
}

// doubtBytes bounds the keys in doubt, and those of a partition that are known although any may be in doubt (I7).
const doubtBytes = 1 << 20

// coordinate is where a record stands.
type coordinate struct {
	partition

	offset int64
}

// String returns the place as operators write it.
func (c coordinate) String() string { return fmt.Sprintf("%s/%d@%d", c.topic, c.number, c.offset) }

// anyKey is a doubt about any key of a partition.
type anyKey struct {
	offset int64               // The last record that was set aside and may be about any key.
	known  map[string]struct{} // The keys of which an event with all values came after that.
	bytes  int                 // Of known.
}

// note takes note of a record that was set aside. told: these are the keys that it is about.
func (d *doubts) note(at coordinate, keys [][]byte, told bool) {
	if !told {
		d.noteAny(at)
		return
	}
	for _, key := range keys {
		if _, noted := d.keys[string(key)]; noted {
			continue
		}
		if d.keys == nil {
			d.keys = map[string]coordinate{}
		}
		d.keys[string(key)] = at
		d.bytes += len(key) + 64
	}
	if d.bytes > doubtBytes {
		for _, at := range d.keys {
			d.noteAny(at)
		}
		d.keys, d.bytes = nil, 0
	}
}

func (d *doubts) noteAny(at coordinate) {
	if d.any == nil {
		d.any = map[partition]*anyKey{}
	}
	if had := d.any[at.partition]; had != nil {
		at.offset = max(at.offset, had.offset)
	}
	d.any[at.partition] = &anyKey{offset: at.offset}
}

// none reports whether no row is in doubt.
func (d *doubts) none() bool { return len(d.keys) == 0 && d.any == nil }

// settle takes note of an event after which the row of a key is known.
func (d *doubts) settle(p partition, key []byte) {
	if _, noted := d.keys[string(key)]; noted {
		delete(d.keys, string(key))
		d.bytes -= len(key) + 64
	}
	for at, all := range d.any {
		if _, known := all.known[string(key)]; known || at.topic != p.topic || all.bytes > doubtBytes {
			continue
		}
		if all.known == nil {
			all.known = map[string]struct{}{}
		}
		all.known[string(key)] = struct{}{}
		all.bytes += len(key) + 64
	}
}

// about returns the record for which the row of a key is in doubt, whose events stand in a partition; moved: they may have stood in another
// one of its topic. anyOne: the record may as well be about another key.
func (d *doubts) about(p partition, key []byte, moved bool) (at coordinate, anyOne, inDoubt bool) {
	if at, noted := d.keys[string(key)]; noted {
		return at, false, true
	}
	for at, all := range d.any {
		if _, known := all.known[string(key)]; !known && (at == p || moved && at.topic == p.topic) {
			return coordinate{at, all.offset}, true, true
		}
	}
	return coordinate{}, false, false
}

// forget takes note that the table has no rows any more.
func (d *doubts) forget() { d.keys, d.bytes, d.any, d.read = nil, 0, nil, true }

// keyReader returns the session's reader of keys.
func (t *table) keyReader() *keyReader {
	if t.doubts.reader == nil {
		t.doubts.reader = newKeyReader(t.o.Decoder, t.learnAside)
	}
	return t.doubts.reader.bind(t.sink.Schema())
}

// noteDoubt takes note of a record that is set aside. Before the table exists no row can be in doubt: all that there will be are made of
// later events.
func (t *table) noteDoubt(ctx context.Context, p place, r *kgo.Record, reason string) error {
	if t.sink == nil || t.o.Sink.Changelog {
		return nil
	}
	keys, told, err := t.keyReader().keys(ctx, recordOf(r), reason)
	if err != nil {
		t.position.Set(p.topic, "", p.before)
		return err
	}
	t.doubts.note(coordinate{partition{p.topic, r.Partition}, r.Offset}, keys, told)
	return nil
}

// readDoubts reads, before the first event of the session is folded that keeps values, what earlier sessions have set aside.
func (t *table) readDoubts(ctx context.Context, p place) error {
	if t.doubts.read || t.event.Unchanged == nil {
		return nil
	}
	if err := t.readAside(ctx); err != nil {
		t.position.Set(p.topic, "", p.before)
		t.dropRow()
		return err
	}
	t.doubts.read = true
	return nil
}

func (t *table) readAside(ctx context.Context) (err error) {
	if t.quarantine == nil {
		if t.quarantine, err = findQuarantine(ctx, t.d.o.Sink, t.o.Sink); t.quarantine == nil || err != nil {
			return err
		}
		t.quarantines = true
	}
	reader, unread := t.keyReader(), error(nil)
	err = t.quarantine.unresolved(ctx, t.before, func(r *Quarantined) error {
		keys, told, err := reader.keys(ctx, debezium.Record{Topic: r.Topic, Key: r.Key, Value: r.Value}, r.Reason)
		if unread = err; err == nil {
			t.doubts.note(coordinate{partition{r.Topic, r.Partition}, r.Offset}, keys, told)
		}
		return err
	})
	if err == nil || unread != nil {
		return unread
	}
	return quarantineError(QuarantineOf(t.o.Sink).Name, err)
}

// before reports whether a record was read by an earlier session.
func (t *table) before(r *Quarantined) bool {
	topic, _ := t.position.Topic(r.Topic)
	at, known := t.doubts.from.Partition(r.Topic, r.Partition)
	return known && slices.Contains(t.o.Topics, r.Topic) && topic.ID == r.TopicID && r.Offset < at.Next
}

// certain returns an error if the row of a key, whose values the event at hand keeps, is in doubt.
func (t *table) certain(p place, key []byte) error {
	at, anyOne, inDoubt := t.doubts.about(partition{p.topic, p.before.Partition}, key, keysMoved(t.position, p.topic))
	if !inDoubt {
		return nil
	}
	return &debezium.Error{Reason: UnavailableValue, Detail: doubtful(t.columnNames(t.event.Unchanged), at, anyOne)}
}

// keysMoved reports whether a position tells that a topic's keys had another form before, with which they may have stood in other partitions.
func keysMoved(b bookmark.Bookmark, topic string) bool {
	at, _ := b.Topic(topic)
	return at.Key != nil && at.Key.Was != ""
}

// doubtful says why an event is set aside that keeps the values of some columns.
func doubtful(columns string, at coordinate, anyOne bool) string {
	why := fmt.Sprintf("%s was set aside, and no event with all values came since: replay them both when that one is mended", at)
	if anyOne {
		why = fmt.Sprintf("%s was set aside, and may have changed any row, for its key cannot be read: mark it as resolved with -dismiss if it has changed none, and replay this one", at)
	}
	return fmt.Sprintf("the record has Debezium's placeholder for unavailable values in %s, and the row of its key may have others by now: %s", columns, why)
}
