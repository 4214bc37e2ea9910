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
	reason, hint := t.refusal(p, err)
	label := string(reason)
	if bad, ok := errors.AsType[*debezium.Error](err); ok {
		label = string(bad.Reason)
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

// refusal returns why the table halts at a record that err refuses, and what to do.
func (t *table) refusal(p place, err error) (reason halt.Reason, hint string) {
	var change *debezium.SchemaChange
	var big *overBudgetError
	skip := fmt.Sprintf("cdcd table skip %s %s/%d@%d leaves the record out, and prints it first.", t.o.Sink.Name, p.topic, p.before.Partition, p.before.Next)
	switch {
	case errors.As(err, &change):
		return halt.SchemaChange, "Undo the change in the source database and skip the records in between, or rebuild the table: " + change.Detail
	case errors.Is(err, errUnordered):
		return halt.KeyUnordered, hintUnordered
	case errors.Is(err, errDisorder):
		return halt.KeyUnordered, hintDisorder
	case errors.Is(err, errTruncate):
		return t.truncateHalt(skip)
	case errors.As(err, &big):
		return halt.RecordOverBudget, fmt.Sprintf("Raise memory.batches far above %d bytes, and restart.", big.bytes)
	}
	return halt.BadRecord, skip
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
