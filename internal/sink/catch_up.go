package sink

import (
	"context"
	"errors"
	"fmt"

	icetable "github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/merge/keyindex"
)

// catchUp moves the table to the head that a refused commit met, so that the same data files can be staged on it.
//
// That is right only if the new head descends from the pinned one and its bookmark is still the one that the batch
// started from (I2); then all that happened in between is that rows moved to other files. Otherwise the table stands
// down: ErrStandDown. So it does after an operator's decision: that may have brought rows back whose files this owner had given
// up. A head on which rows were changed by others, or that an operator paused, halts the table.
func (t *Table) catchUp(ctx context.Context, st *staged, o outcome, d *Draft) error {
	if st.hopeless(o.meta) {
		for _, path := range st.written {
			t.remove(path)
		}
		if d != nil {
			d.sent = false
		}
	}
	h := t.historyOf(ctx, o.meta)
	follows := true
	if !samePin(o.meta, t.o.Ref, st) {
		var err error
		if follows, err = t.follows(st, h); err != nil {
			return err
		}
	}
	mark, err := resume(h, t.o.Ref)
	if err != nil {
		return err
	}
	if !follows || !mark.Equal(t.bookmark) || o.meta.CurrentSchema().ID != t.meta.CurrentSchema().ID {
		return t.standDown(o.meta, mark)
	}
	if decided, err := decidedSince(h, t.o.Ref, t.head); decided != nil || err != nil {
		return errors.Join(err, t.standDown(o.meta, mark))
	}
	evolved, target := t.evolved, t.target
	if err := t.adoptMetadata(ctx, o.loaded); err != nil {
		return err
	}
	t.evolved, t.target = evolved, target
	l, err := t.loadLive(ctx, t.head)
	if err != nil {
		return err
	}
	if l.sameFiles(t.live) {
		l.data, l.deletes = t.live.data, t.live.deletes
		t.live = l
		return nil
	}
	return t.reindex(ctx, l)
}

// hopeless reports whether no copy of the request can ever land, so that its objects are nobody's (I5). That another snapshot is
// the head does not say so: a rollback may bring the pinned one back. A sequence number that was used up never comes back; but
// the first snapshot of a line is accepted with any.
func (st *staged) hopeless(meta icetable.Metadata) bool {
	return st.snapshot.ParentSnapshotID != nil && meta.LastSequenceNumber() >= st.snapshot.SequenceNumber
}

// follows reports whether the present head is known to descend from the pinned one.
func (t *Table) follows(st *staged, h *history) (bool, error) {
	head := h.meta.SnapshotByName(t.o.Ref)
	if head == nil || st.snapshot.ParentSnapshotID == nil {
		return false, nil
	}
	return h.descends(head.SnapshotID, *st.snapshot.ParentSnapshotID)
}

func (t *Table) standDown(meta icetable.Metadata, mark bookmark.Bookmark) error {
	var id int64
	if head := meta.SnapshotByName(t.o.Ref); head != nil {
		id = head.SnapshotID
	}
	t.log.Warn("stood down", "snapshot_id", id, "bookmark", mark.String(), "own_bookmark", t.bookmark.String(),
		"hint", "Another process writes this table: an operator, or a second consumer group. Give each table to one group only.")
	return ErrStandDown
}

// reindex rebuilds the index on a head whose files were replaced by another tool, and checks that the keys are still
// the same.
func (t *Table) reindex(ctx context.Context, l *live) error {
	old := t.index
	index, err := t.rebuild(ctx, l)
	if err != nil {
		return err
	}
	if err := errors.Join(sameKeys(old, index), t.sameRows(l)); err != nil {
		return halt.Newf(halt.ForeignRows, "Undo what the other tool did: "+rewindHint(t.meta, t.o.Ref), "snapshot %d says replace, but %w", t.head.SnapshotID, err)
	}
	t.log.Info("caught up with replaced files", "snapshot_id", t.head.SnapshotID, "files", len(l.data))
	t.live, t.index = l, index
	return nil
}

// sameRows compares the number of rows of a changelog, which has no keys to compare.
func (t *Table) sameRows(l *live) error {
	if before, after := t.live.rows(), l.rows(); t.o.Changelog && before != after {
		return fmt.Errorf("the table went from %d rows to %d", before, after)
	}
	return nil
}

func sameKeys(old, index *keyindex.Index) error {
	if old.Len() != index.Len() {
		return fmt.Errorf("the table went from %d keys to %d", old.Len(), index.Len())
	}
	for key := range old.All() {
		if _, ok := index.Get(key); !ok {
			return fmt.Errorf("key %x is gone", key)
		}
	}
	return nil
}
