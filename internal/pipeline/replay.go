package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/registry"
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
// checked again. A crash between the two commits leaves records that are applied and not marked: replaying them again ends equal, and
// is refused where it would add the row of a changelog once more.
func Replay(ctx context.Context, o ReplayOptions) ([]Replayed, error) {
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
	decoding := o.Table.Decoder
	decoding.Partial = true // keep sees to the values that are not there.
	j := &judge{o: o, mark: mark, table: t, decoder: debezium.NewDecoder(decoding)}
	j.decoder.Bind(t.Schema())
	defer func() { j.aside.close() }()
	if err := j.all(ctx, out); err != nil || o.DryRun {
		return out, err
	}
	return out, j.commit(ctx, out)
}
