package pipeline

import (
	"context"
	"time"
)

// changedByOthers reports whether somebody else has changed a halted table, or its quarantine table. A look that fails is the next one's business.
func (t *table) changedByOthers(ctx context.Context) bool {
	changed, err := t.d.o.Sink.Changed(ctx, t.o.Sink)
	if err == nil && !changed && t.quarantines {
		changed, err = t.d.o.Sink.Changed(ctx, QuarantineOf(t.o.Sink))
	}
	switch {
	case err != nil && ctx.Err() == nil && !t.blind:
		t.log.Warn("could not look at halted table", "err", err, "hint", "It goes on when it can be seen that somebody changed it.")
	case changed:
		t.log.Info("looked again at changed table")
	}
	t.blind = err != nil
	return changed
}

// look asks of a table that has nothing to commit whether somebody else has changed it. Then its bookmark is committed, which is
// refused by what an operator has decided, and lies on top of what another tool has done (I8). Nobody else would notice for as
// long as no record comes.
func (t *table) look(ctx context.Context) {
	interval := t.d.o.QuietInterval
	if t.d.o.Bounded || t.batch == nil || !t.batch.Empty() || time.Since(t.last) < interval || time.Since(t.looked) < interval {
		return
	}
	t.looked = time.Now()
	changed, err := t.d.o.Sink.Changed(ctx, t.o.Sink)
	if err != nil {
		t.log.Warn("could not look at quiet table", "err", err)
		return
	}
	t.changed = changed
}
