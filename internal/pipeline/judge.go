package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"

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

	unresolved []unresolved
	looked     bool // unresolved was read.
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
		all, err := j.allUnresolved(ctx)
		if err != nil {
			return err
		}
		if at := (coordinate{partition{r.Topic, r.Partition}, r.Offset}); slices.ContainsFunc(all, func(u unresolved) bool { return u.coordinate == at }) {
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
