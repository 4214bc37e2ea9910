package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// errTruncate refuses a truncate event.
var errTruncate = errors.New("a TRUNCATE empties the source table")

// truncate applies the truncate event at hand: what came before it is committed, and then, in a commit of its own, every row goes
// and the bookmark moves over the record (I1). A record key of null says nothing about order: a TRUNCATE has one against all other
// events only where one partition feeds the table (I13).
func (t *table) truncate(ctx context.Context, p place, r *kgo.Record) error {
	switch n := t.partitions(); {
	case t.o.Decoder.Truncate != debezium.TruncateApply:
		return t.refuse(ctx, p, errTruncate)
	case n != 1:
		return t.refuse(ctx, p, fmt.Errorf("%w, and has no order against the events of the table's %d partitions", errTruncate, n))
	}
	if t.sink != nil {
		t.position.Set(p.topic, "", p.before)
		if !t.empty() {
			if err := t.commit(ctx); err != nil {
				return err
			}
		}
		t.position.Set(p.topic, "", bookmark.Partition{Partition: p.before.Partition, Next: r.Offset + 1, Epoch: r.LeaderEpoch})
		if err := t.send(ctx, sink.Change{Truncate: true}, 1); err != nil {
			return err
		}
		t.doubts.forget()
	}
	t.metrics.consumed.Inc()
	t.applied(p)
	return nil
}

// truncateHalt returns the reason and hint of a refused TRUNCATE; skip says how to leave the record out.
func (t *table) truncateHalt(skip string) (halt.Reason, string) {
	way := `Set truncate = "apply" to drop the rows with it, or "ignore" to keep them: `
	if t.o.Decoder.Truncate == debezium.TruncateApply {
		way = `Rebuild the table; or set truncate = "ignore" to keep its rows: `
	}
	return halt.TruncateRefused, way + skip
}
