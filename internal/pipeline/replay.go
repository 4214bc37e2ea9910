package pipeline

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/registry"
	"github.com/cdcd-project/cdcd/internal/row"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// ReplayOptions are what Replay needs.
type ReplayOptions struct {
	Kafka    *kafka.Client
	Sink     *sink.Sink
	Registry *registry.Client // Nil: no record refers to one.
	Table    Table
	Records  []Quarantined // As the quarantine table has them; at most ReplayMax.

	Dismiss        bool // Nothing is applied: the records are marked as resolved.
	AcceptDisorder bool // A key may have changed its partition, for all that is known (I13).
	DryRun         bool
	Reason, By     string // Recorded in the snapshot summary.
	Logger         *slog.Logger
}

// ReplayMax is how many records one call of Replay takes.
const ReplayMax = 500

// The outcomes of a replay. Only the first two mark a record as resolved.
const (
	Applied    = "applied"
	Dismissed  = "dismissed"
	Superseded = "superseded" // A later event of the key counts.
	Refused    = "refused"
)

// Replayed tells what became of one record.
type Replayed struct {
	Record          *Quarantined
	Outcome, Detail string
}

// replayAttempts bounds how often a replay starts again because the owner's commit came first.
const replayAttempts = 100

// Replay applies records late that were set aside (docs/quarantine.md says under which conditions), and marks them as resolved.
// Everything is checked against the bookmark of the head on which the commit lands (I2): if the owner's commit comes first, it is
// checked again. A crash between the two commits leaves records that are applied and not marked: replaying them again ends equal.
func Replay(ctx context.Context, o ReplayOptions) ([]Replayed, error) {
	if o.Table.Sink.Changelog && !o.Dismiss {
		return nil, errors.New("replay: the rows of a changelog are not replayed: mark them as resolved with -dismiss, or rebuild the table")
	}
	if len(o.Records) > ReplayMax {
		return nil, fmt.Errorf("replay %d records: at most %d at once", len(o.Records), ReplayMax)
	}
	SortQuarantined(o.Records)
	for range replayAttempts {
		out, err := o.apply(ctx)
		if errors.Is(err, sink.ErrStandDown) || errors.Is(err, sink.ErrStaleFiles) {
			continue
		}
		if err == nil && !o.DryRun {
			err = o.resolve(ctx, out)
		}
		return out, err
	}
	return nil, fmt.Errorf("replay: the owner's commits came first %d times; pause the table's source, then try again", replayAttempts)
}

// SortQuarantined sorts records by their coordinates, so that earlier ones of a key stand before later ones.
func SortQuarantined(records []Quarantined) {
	slices.SortFunc(records, func(a, b Quarantined) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
}

// apply judges all records, and commits those that are to be applied in one snapshot.
func (o *ReplayOptions) apply(ctx context.Context) ([]Replayed, error) {
	out := make([]Replayed, len(o.Records))
	for i := range o.Records {
		out[i] = Replayed{Record: &o.Records[i], Outcome: Dismissed}
	}
	if o.Dismiss {
		return out, nil
	}
	t, err := o.Sink.Open(ctx, o.Table.Sink)
	if errors.Is(err, sink.ErrNoTable) {
		for i := range out {
			out[i].Outcome, out[i].Detail = Refused, "there is no table yet: its records are read anyway"
		}
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	defer t.Close()
	mark := t.Bookmark()
	if _, err := o.Kafka.Locate(ctx, o.Table.Topics, mark); err != nil {
		return nil, err
	}
	j := &judge{o: o, mark: mark, table: t, decoder: debezium.NewDecoder(o.Table.Decoder)}
	j.decoder.Bind(t.Schema())
	if err := j.all(ctx, out); err != nil || o.DryRun {
		return out, err
	}
	return out, j.commit(ctx, out)
}

// judge decides about records that are to be replayed, against one bookmark.
type judge struct {
	o       *ReplayOptions
	mark    bookmark.Bookmark
	table   *sink.Table
	decoder *debezium.Decoder
	event   debezium.Event
	scratch *row.Rows     // What is decoded to be looked at only.
	found   []*kgo.Record // By record: what is to be applied.
}

// all judges the records partition by partition, each of which is read once.
func (j *judge) all(ctx context.Context, out []Replayed) error {
	j.found = make([]*kgo.Record, len(out))
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
	return nil
}

// partition judges records of one partition, in the order of their offsets: it reads from the first of them to the bookmark.
func (j *judge) partition(ctx context.Context, out []Replayed, found []*kgo.Record) error {
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
	open := map[string][]int{} // By key: the records that no later event has superseded so far.
	walk := func(r *kgo.Record) error {
		if i, ok := wanted[r.Offset]; ok {
			var err error
			if out[i].Outcome, out[i].Detail, err = j.candidate(ctx, out[i].Record, r); out[i].Outcome == Applied {
				found[i] = r
				for _, key := range j.keys() {
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
func (j *judge) later(ctx context.Context, r *kgo.Record, open map[string][]int, out []Replayed, found []*kgo.Record) error {
	switch err := j.decode(ctx, r, false); {
	case errors.Is(err, errNoAnswer):
		return err
	case err != nil, j.event.Ignored != "":
		return nil //nolint:nilerr // It was not applied, or has no effect: whatever its key is, it is not in the table.
	}
	supersede := func(key string) {
		for _, i := range open[key] {
			out[i].Outcome, found[i] = Superseded, nil
			out[i].Detail = fmt.Sprintf("a later event of its key stands at offset %d; if that counts, mark the record as resolved with -dismiss", r.Offset)
		}
		delete(open, key)
	}
	if j.event.Op == debezium.Truncate {
		for key := range open {
			supersede(key)
		}
		return nil
	}
	for _, key := range j.keys() {
		supersede(key)
	}
	return nil
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
	case len(j.event.Unchanged) > 0:
		return Refused, "it keeps values of an earlier row, which the table may not have any more", nil
	case j.event.Unordered && j.partitions() > 1 && !j.o.AcceptDisorder:
		return Refused, errUnordered.Error(), nil
	}
	return Applied, "", nil
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
	case j.partitions() < 2:
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
