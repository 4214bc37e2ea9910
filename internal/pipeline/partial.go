package pipeline

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/merge"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// foldUnusual folds the event at hand if it needs more than its key and its row. It returns an error, and leaves the batch as it
// was before the record, if the event cannot be applied.
func (t *table) foldUnusual(p place) error {
	ev := &t.event
	if ev.Unordered && t.partitions() > 1 {
		t.dropRow()
		return errUnordered
	}
	if ev.Unchanged == nil {
		t.replace()
		return nil
	}
	from, err := t.source(p)
	if err != nil {
		t.dropRow()
		return err
	}
	if ev.OldKey != nil {
		t.batch.Delete(ev.OldKey)
	}
	t.batch.UpsertPartial(ev.Key, ev.Unchanged, from)
	return nil
}

// dropRow takes the row of the event at hand, which is not folded, out of the batch.
func (t *table) dropRow() {
	if t.event.IsUpsert() {
		rows := t.batch.Rows()
		rows.Truncate(rows.Len() - 1)
	}
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
// They are those of the row that the event changes. If its own key has a row, it is that one, also when the event moves a row to
// this key: nothing else was there when that happened, so this is the row that was moved, and a source that repeats itself tells of it again. Its old
// key may have another row by then. Otherwise the row moves now, and the old key's has the values. Where Debezium tells of a changed
// record key in a pair, the create names the old one in a header; that row was deleted just before, and only in one partition is it known
// to be as it was then (I13).
//
// A row that is in doubt has no values to keep. A delete leaves its key in doubt: what is kept may be those of the deleted row. Nor are the
// old key's kept if the event's own key is in doubt: the row may have been moved by an event that was set aside, and the old key has another
// one by now.
func (t *table) source(p place) (merge.Source, error) {
	ev := &t.event
	from, key, ok := keptRow(t.sink, t.batch, ev)
	if !ok && ev.OldKey == nil && t.partitions() == 1 {
		if old, told := t.decoder.ReplacedKey(); told {
			key = old
			from, ok = t.sink.Source(t.batch, key, true)
		}
	}
	if !ok {
		return from, &debezium.Error{Reason: debezium.SchemaMismatch, Detail: fmt.Sprintf("the record has Debezium's placeholder for unavailable values in %s, "+
			"and the table has no row of its key to take them from: set binlog_row_image=FULL", t.columnNames(ev.Unchanged))}
	}
	if err := t.certain(p, ev.Key); err != nil {
		return from, err
	}
	return from, t.certain(p, key)
}

// keptRow returns where the row of an event's own key stands, or else that of the key from which it moves the row.
func keptRow(s *sink.Table, batch *merge.Batch, ev *debezium.Event) (from merge.Source, key []byte, ok bool) {
	if from, ok = s.Source(batch, ev.Key, false); ok || ev.OldKey == nil {
		return from, ev.Key, ok
	}
	from, ok = s.Source(batch, ev.OldKey, false)
	return from, ev.OldKey, ok
}

func (t *table) columnNames(columns []int) string {
	var names []string
	for _, c := range columns {
		names = append(names, t.sink.Schema().Columns[c].Name)
	}
	return strings.Join(names, ", ")
}
