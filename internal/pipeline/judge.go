package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/row"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// judge decides about records that are to be replayed, against one bookmark.
type judge struct {
	o       *ReplayOptions
	mark    bookmark.Bookmark
	table   *sink.Table
	decoder *debezium.Decoder
	event   debezium.Event
	scratch *row.Rows    // What is decoded to be looked at only.
	found   []*candidate // By record: what is to be applied.
	aside   *quarantine  // nil: it was not needed.

	unresolved map[partition][]unresolved // nil: they were not needed.
}

// candidate is a record that is found good.
type candidate struct {
	record *kgo.Record
	keys   []string // Whose rows it changes: its own, and the one from which it moves the row.
	upsert bool
	kept   []int // The columns whose values it keeps.
}

// all judges the records partition by partition, each of which is read once.
func (j *judge) all(ctx context.Context, out []Replayed) error {
	j.found = make([]*candidate, len(out))
	for first := 0; first < len(out); {
		end := first + 1
		for end < len(out) && out[end].Record.Topic == out[first].Record.Topic && out[end].Record.Partition == out[first].Record.Partition {
			end++
		}
		if err := j.partition(ctx, out[first:end], j.found[first:end]); err != nil {
			return err
		}
		first = end
	}
	if j.o.Table.Sink.Changelog {
		return j.add(ctx, out)
	}
	return j.keep(ctx, out)
}

// partition judges records of one partition, in the order of their offsets: it reads from the first of them to the bookmark.
func (j *judge) partition(ctx context.Context, out []Replayed, found []*candidate) error {
	topic, partition := out[0].Record.Topic, out[0].Record.Partition
	at, known := j.mark.Partition(topic, partition)
	bound, _ := j.mark.Topic(topic)
	wanted, from := map[int64]int{}, int64(-1)
	for i := range out {
		r := out[i].Record
		out[i].Outcome = Refused
		switch {
		case !known || !slices.Contains(j.o.Table.Topics, topic):
			out[i].Detail = "the table is not fed by this partition"
		case r.TopicID != bound.ID:
			out[i].Detail = fmt.Sprintf("the topic is another one by now: its id is %s, the record's is %s", bound.ID, r.TopicID)
		case r.Offset >= at.Next:
			out[i].Detail = fmt.Sprintf("the table stands at offset %d: it has not come past the record, and will read it anyway", at.Next)
		default:
			out[i].Detail = "the log does not have the record any more"
			wanted[r.Offset] = i
			if from < 0 {
				from = r.Offset
			}
		}
	}
	if from < 0 {
		return nil
	}
	if j.o.Table.Sink.Changelog {
		return j.log(ctx, topic, bound.ID, partition, wanted, out, found)
	}
	open := map[string][]int{} // By key: the records that no later event has superseded so far.
	walk := func(r *kgo.Record) error {
		if i, ok := wanted[r.Offset]; ok {
			var err error
			if out[i].Outcome, out[i].Detail, err = j.candidate(ctx, out[i].Record, r); out[i].Outcome == Applied {
				found[i] = &candidate{record: r, keys: j.keys(), upsert: j.event.IsUpsert(), kept: slices.Clone(j.event.Unchanged)}
				for _, key := range found[i].keys {
					open[key] = append(open[key], i)
				}
			}
			return err
		}
		return j.later(ctx, r, open, out, found)
	}
	for {
		err := j.o.Kafka.Walk(ctx, topic, bound.ID, partition, from, at.Next, walk)
		if !errors.Is(err, kafka.ErrGone) {
			return err
		}
		i := slices.IndexFunc(out, func(r Replayed) bool { _, ok := wanted[r.Record.Offset]; return ok && r.Record.Offset > from })
		if i < 0 {
			return nil
		}
		from = out[i].Record.Offset // Retention took those before.
		clear(open)
	}
}

// later takes note of an event that came after records of its key.
func (j *judge) later(ctx context.Context, r *kgo.Record, open map[string][]int, out []Replayed, found []*candidate) error {
	drop := func(key, outcome, detail string) {
		for _, i := range open[key] {
			out[i].Outcome, out[i].Detail, found[i] = outcome, detail, nil
		}
		delete(open, key)
	}
	supersede := func(key string) error {
		if len(open[key]) == 0 {
			return nil
		}
		all, err := j.unresolvedOf(ctx, partition{r.Topic, r.Partition})
		if err != nil {
			return err
		}
		if slices.ContainsFunc(all, func(u unresolved) bool { return u.offset == r.Offset }) {
			drop(key, Refused, fmt.Sprintf("a later event of its key, at offset %d, was set aside as well: replay both together", r.Offset))
			return nil
		}
		drop(key, Superseded, fmt.Sprintf("a later event of its key stands at offset %d; if that counts, mark the record as resolved with -dismiss", r.Offset))
		return nil
	}
	err := j.decode(ctx, r, false)
	switch {
	case errors.Is(err, errNoAnswer):
		return err
	case err != nil:
		aside, err := j.isAside(ctx, r)
		for key := range open {
			if err == nil && !aside {
				drop(key, Refused, fmt.Sprintf("offset %d was applied, and cannot be read as the table is configured by now: it may be a later event of its key", r.Offset))
			}
		}
		return err // What was set aside was not applied: whatever its key is, it is not in the table.
	case j.event.Ignored != "":
	case j.event.Op == debezium.Truncate:
		for key := range open {
			if err := supersede(key); err != nil {
				return err
			}
		}
	default:
		for _, key := range j.keys() {
			if err := supersede(key); err != nil {
				return err
			}
		}
	}
	return nil
}

// isAside reports whether a record of the log was set aside.
func (j *judge) isAside(ctx context.Context, r *kgo.Record) (bool, error) {
	q, err := j.openAside(ctx)
	if err != nil {
		return false, err
	}
	topic, _ := j.mark.Topic(r.Topic)
	at := Quarantined{Topic: r.Topic, TopicID: topic.ID, Partition: r.Partition, Offset: r.Offset}
	q.key = at.appendKey(q.key[:0])
	return q.sink.Has(q.key), nil
}

func (j *judge) openAside(ctx context.Context) (q *quarantine, err error) {
	if j.aside == nil {
		j.aside, err = openQuarantine(ctx, j.o.Sink, j.o.Table.Sink)
	}
	return j.aside, err
}

// keys returns the keys whose rows the event at hand changes.
func (j *judge) keys() []string {
	keys := []string{string(j.event.Key)}
	if j.event.OldKey != nil {
		keys = append(keys, string(j.event.OldKey))
	}
	return keys
}

// candidate judges a record by itself. What it needs of the schema is asked for.
func (j *judge) candidate(ctx context.Context, want *Quarantined, r *kgo.Record) (outcome, detail string, err error) {
	if what := differs(want, r); what != "" {
		return Refused, "the quarantine table and the log differ in the " + what, nil
	}
	if doubt := j.disorder(r); doubt != "" && !j.o.AcceptDisorder {
		return Refused, doubt + ": a later event of its key may stand in another partition (I13); -accept-disorder applies it all the same", nil
	}
	err = j.decode(ctx, r, true)
	if bad, ok := errors.AsType[*debezium.Error](err); ok {
		return Refused, fmt.Sprintf("it still cannot be applied: %s: %s", bad.Reason, bad.Detail), nil
	}
	switch {
	case errors.Is(err, errNoAnswer):
		return Refused, "", err
	case err != nil:
		return Refused, err.Error(), nil //nolint:nilerr // It is what the operator is told.
	case j.event.Ignored == "" && j.event.Op == debezium.Truncate:
		return Refused, errTruncate.Error(), nil
	case len(j.event.Unchanged) > 0 && j.event.OldKey == nil && j.replaces():
		return Refused, "it keeps values of a row that had another key, which the table does not have any more", nil
	case j.event.Unordered && j.partitions() > 1 && !j.o.AcceptDisorder:
		return Refused, errUnordered.Error(), nil
	}
	return Applied, "", nil
}

// replaces reports whether the event at hand is the create of a pair that changes a key.
func (j *judge) replaces() bool {
	_, ok := j.decoder.ReplacedKey()
	return ok
}

// differs names the part in which a row of the quarantine table and a record of the log are not the same.
func differs(want *Quarantined, r *kgo.Record) string {
	same := func(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }
	switch {
	case !same(want.Key, r.Key):
		return "key"
	case !same(want.Value, r.Value):
		return "value"
	case !want.Time.Equal(r.Timestamp.Truncate(time.Microsecond)):
		return "time"
	case !slices.EqualFunc(want.Headers, r.Headers, func(a debezium.Header, b kgo.RecordHeader) bool { return a.Key == b.Key && same(a.Value, b.Value) }):
		return "headers"
	}
	return ""
}

// disorder says why a key may have changed its partition; "": as far as the table and the record tell, it has not.
func (j *judge) disorder(r *kgo.Record) string {
	switch {
	case j.partitions() < 2 || j.o.Table.Sink.Changelog:
		return ""
	case len(j.o.Table.Topics) > 1:
		return "several topics feed the table"
	case len(j.o.Table.Decoder.Key) > 0:
		return "the table's key is configured, and the record's key decides about its partition"
	}
	own, err := debezium.NewDecoder(j.o.Table.Decoder).KeyTable(recordOf(r))
	if err == nil && own != nil && widensKey(own, j.table.Schema()) {
		return "a column of the table's key was widened since"
	}
	return ""
}
