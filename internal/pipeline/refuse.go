package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/halt"
)

// overBudgetError refuses a record that no open batch can hold (I7).
type overBudgetError struct{ bytes, budget int64 }

// Error implements error.
func (e *overBudgetError) Error() string {
	return fmt.Sprintf("the record has %d bytes, all batches together may take %d", e.bytes, e.budget)
}

// reject sets a record aside that cannot be applied, or halts the table at it.
func (t *table) reject(ctx context.Context, p place, r *kgo.Record, err error) error {
	if reason, detail := t.o.BadRecords.reason(err); reason != "" {
		return t.setAside(ctx, p, r, reason, detail)
	}
	return t.refuse(ctx, p, err)
}

// refuse halts the table at a record that cannot be applied. What came before it is committed, nothing after it is.
func (t *table) refuse(ctx context.Context, p place, err error) error {
	reason := halt.BadRecord
	hint := fmt.Sprintf("cdcd table skip %s %s/%d@%d leaves the record out, and prints it first.", t.o.Sink.Name, p.topic, p.before.Partition, p.before.Next)
	if change, ok := errors.AsType[*debezium.SchemaChange](err); ok {
		reason, hint = halt.SchemaChange, "Undo the change in the source database and skip the records in between, or rebuild the table: "+change.Detail
	}
	label := string(reason)
	if bad, ok := errors.AsType[*debezium.Error](err); ok {
		label = string(bad.Reason)
	}
	if errors.Is(err, errUnordered) {
		reason, hint = halt.KeyUnordered, hintUnordered
		label = string(reason)
	}
	if errors.Is(err, errDisorder) {
		reason, hint = halt.KeyUnordered, hintDisorder
		label = string(reason)
	}
	if errors.Is(err, errTruncate) {
		reason, hint = t.truncateHalt(hint)
		label = string(reason)
	}
	if big, ok := errors.AsType[*overBudgetError](err); ok {
		reason, hint = halt.RecordOverBudget, fmt.Sprintf("Raise memory.batches far above %d bytes, and restart.", big.bytes)
		label = string(reason)
	}
	t.metrics.consumed.Inc()
	t.metrics.refused(label)
	halted := halt.Newf(reason, hint, "%w", &recordError{topic: p.topic, partition: p.before.Partition, offset: p.before.Next, err: err})
	t.position.Set(p.topic, "", p.before)
	if err := t.commit(ctx); err != nil {
		return err // The record is met again, after what came before it has been committed.
	}
	return halted
}

// recordError says which record could not be applied, and why.
type recordError struct {
	topic     string
	partition int32
	offset    int64
	err       error
}

// Error implements error.
func (e *recordError) Error() string {
	return fmt.Sprintf("record %s/%d offset %d: %v", e.topic, e.partition, e.offset, e.err)
}

// Unwrap returns the cause.
func (e *recordError) Unwrap() error { return e.err }
