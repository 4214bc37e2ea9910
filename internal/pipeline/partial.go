package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/merge"
	"github.com/cdcd-project/cdcd/internal/row"
)

// foldUnusual folds the event at hand if it needs more than its key and its row. It returns an error, and leaves the batch as it
// was before the record, if the event cannot be applied.
func (t *table) foldUnusual() error {
	ev := &t.event
	drop := func(err error) error {
		if rows := t.batch.Rows(); ev.IsUpsert() {
			rows.Truncate(rows.Len() - 1)
		}
		return err
	}
	if ev.Unordered && t.partitions() > 1 {
		return drop(errUnordered)
	}
	if ev.Unchanged == nil {
		t.replace()
		return nil
	}
	from, err := t.source()
	if err != nil {
		return drop(err)
	}
	if ev.OldKey != nil {
		t.batch.Delete(ev.OldKey)
	}
	t.batch.UpsertPartial(ev.Key, ev.Unchanged, from)
	return nil
}

// replace folds an event that keeps no values; the row of an update that moves it goes from its old key.
func (t *table) replace() {
	ev := &t.event
	if ev.OldKey != nil {
		t.batch.Delete(ev.OldKey)
	}
	if ev.IsUpsert() {
		t.batch.Upsert(ev.Key)
	} else {
		t.batch.Delete(ev.Key)
	}
}

// errUnordered refuses an event whose key does not decide its partition.
var errUnordered = errors.New("the record key has not only columns of the configured key, so that two events of one key may stand in two partitions, in no order (I13)")

const hintUnordered = "Feed the table from one partition; or configure a key that has every field of the record key; or let the connector make the record key of " +
	"the configured columns (message.key.columns) in a new topic."

// source returns where the values stand that the event at hand keeps: a null in their place would be wrong for ever.
//
// They are those of the row that the event changes. An update changes the row of its key, or, if it moves the row to another key, of
// the old one. The create of a pair in which Debezium tells of a changed record key names the old one in a header; that row was deleted just
// before, and only in one partition is it known to be as it was then (I13). Such a create can also be the repetition of one that was
// applied, and then the row of its own key has the values.
func (t *table) source() (merge.Source, error) {
	ev := &t.event
	if ev.OldKey != nil {
		return t.sourceOf(ev.OldKey, false)
	}
	if key, ok := t.decoder.ReplacedKey(); ok && t.partitions() == 1 {
		if from, ok := t.sink.Source(t.batch, key, true); ok {
			return from, nil
		}
	}
	return t.sourceOf(ev.Key, false)
}

func (t *table) sourceOf(key []byte, gone bool) (merge.Source, error) {
	from, ok := t.sink.Source(t.batch, key, gone)
	if ok {
		return from, nil
	}
	return from, &debezium.Error{Reason: debezium.SchemaMismatch, Detail: fmt.Sprintf("the record has Debezium's placeholder for unavailable values in %s, "+
		"and the table has no row of its key to take them from: set binlog_row_image=FULL", t.columnNames(t.event.Unchanged))}
}

func (t *table) columnNames(columns []int) string {
	var names []string
	for _, c := range columns {
		names = append(names, t.sink.Schema().Columns[c].Name)
	}
	return strings.Join(names, ", ")
}

// fillChunk writes those rows of the open chunk to the open data file that keep values of rows in files. Files are read once for a
// chunk, however many of its rows need them.
func (t *table) fillChunk(ctx context.Context) error {
	at, columns := t.batch.Missing()
	if len(at) == 0 {
		return nil
	}
	err := t.draft.Kept(ctx, columns, at, func(first int, values *row.Rows) error {
		return t.writeRows(ctx, t.batch.Fill(first, values))
	})
	if err != nil {
		return fmt.Errorf("fill rows: %w", err)
	}
	return nil
}
