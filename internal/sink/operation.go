package sink

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/halt"
)

// Detail is what cdcd.operation.detail records, as compact JSON; docs/format.md specifies it.
type Detail struct {
	Reason   string   `json:"reason,omitempty"`
	By       string   `json:"by,omitempty"`
	Snapshot int64    `json:"snapshot,omitempty"` // Whose rows came back.
	Moved    []Move   `json:"moved,omitempty"`    // Partitions from which reading goes on elsewhere.
	Gaps     []Gap    `json:"gaps,omitempty"`     // Records that the table lacks, or has although the log lost them.
	Skipped  *Skipped `json:"skipped,omitempty"`
	Records  []Place  `json:"records,omitempty"` // That were replayed or dismissed: the first of them.
	Count    int      `json:"count,omitempty"`   // How many those are.
}

// Move says where reading of a partition stood and from where it goes on. From is -1 for a partition that the bookmark did
// not have, and To for one that it no longer has.
type Move struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	From      int64  `json:"from"`
	To        int64  `json:"to"`
}

// Gap is a range of offsets, To excluded. Lost records were never applied; those of a truncated log were, and are gone from it.
type Gap struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Kind      string `json:"kind"` // "lost" or "truncated".
	From      int64  `json:"from"`
	To        int64  `json:"to"`
}

// Place is where a record stands.
type Place struct {
	Topic     string `json:"topic"`
	TopicID   string `json:"topic_id,omitempty"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// Skipped is a record that was left out.
type Skipped struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	SHA256    string `json:"sha256"` // Of its value, in hexadecimal digits.
}

// moves lists the partitions in which two bookmarks differ.
func moves(before, after bookmark.Bookmark) []Move {
	var out []Move
	next := func(b bookmark.Bookmark, topic string, partition int32) int64 {
		if p, ok := b.Partition(topic, partition); ok {
			return p.Next
		}
		return -1
	}
	for _, t := range after.Topics {
		for _, p := range t.Partitions {
			if from := next(before, t.Name, p.Partition); from != p.Next {
				out = append(out, Move{t.Name, p.Partition, from, p.Next})
			}
		}
	}
	for _, t := range before.Topics {
		for _, p := range t.Partitions {
			if next(after, t.Name, p.Partition) < 0 {
				out = append(out, Move{t.Name, p.Partition, p.Next, -1})
			}
		}
	}
	return out
}

// stageOperation works a decision out against the head. Rows that stay are those of the head's manifests, and rows that come
// back are those of an earlier snapshot's: a new manifest list names the same manifests, whose entries keep their sequence
// numbers. Nothing expires with it: the next owner sees to that.
func (t *Table) stageOperation(ctx context.Context, id int64, op Operation, at Standing) (*staged, Operated, error) {
	d, err := op.Decide(ctx, at)
	if err != nil {
		return nil, Operated{}, err
	}
	source, d, err := t.source(at, d)
	if err != nil {
		return nil, Operated{}, err
	}
	if t.live, err = t.loadLive(ctx, source); err != nil {
		return nil, Operated{}, err
	}
	d.Detail.Reason, d.Detail.By, d.Detail.Snapshot, d.Detail.Moved = op.Reason, op.By, d.Snapshot, moves(at.Bookmark, d.Bookmark)
	done := Operated{Parent: at.Head, Before: at.Bookmark, After: d.Bookmark, Detail: d.Detail}
	st := &staged{live: t.live, manifests: t.live.manifests, snapshot: t.nextSnapshot(id)}
	change, err := t.operationSummary(op, at, d, source)
	if err != nil {
		return nil, done, err
	}
	_, done.Paused = change.Summary[keyPaused]
	if !op.DryRun {
		if err := t.writeManifestList(ctx, st); err != nil {
			return st, done, err
		}
	}
	st.snapshot.Summary = t.summary(st, change)
	if d.Snapshot != 0 {
		st.snapshot.Summary.Operation = icetable.OpOverwrite
	}
	t.stageUpdates(st)
	return st, done, t.dryRun(st)
}

// source returns the snapshot whose rows the table has after a decision, and completes the decision with its bookmark.
func (t *Table) source(at Standing, d Decision) (*icetable.Snapshot, Decision, error) {
	if d.Snapshot == 0 {
		return t.head, d, at.Resumable()
	}
	s := t.meta.SnapshotByID(d.Snapshot)
	if s == nil {
		return nil, d, fmt.Errorf("snapshot %d has expired or never was; cdcd table snapshots lists those that are left", d.Snapshot)
	}
	text, ok := summaryOf(s).Properties[keyBookmark]
	if !ok {
		return nil, d, fmt.Errorf("snapshot %d carries no bookmark, so that nobody can tell from where reading goes on; choose one that does", d.Snapshot)
	}
	var err error
	if d.Bookmark, err = bookmark.Parse(text); err != nil {
		return nil, d, fmt.Errorf("snapshot %d: %w", d.Snapshot, err)
	}
	return s, d, nil
}

// operationSummary returns the change that carries the bookmark, the decision, and a pause that goes on.
func (t *Table) operationSummary(op Operation, at Standing, d Decision, source *icetable.Snapshot) (Change, error) {
	detail, err := json.Marshal(d.Detail)
	if err != nil {
		return Change{}, fmt.Errorf("encode detail: %w", err)
	}
	c := Change{Bookmark: d.Bookmark, Summary: map[string]string{keyOperation: string(op.Name), keyDetail: string(detail)}}
	carrier, err := at.carrier()
	if err != nil {
		return Change{}, err
	}
	switch { // It holds for these rows up to this bookmark only.
	case d.Snapshot != 0:
		c.carry(source, keyValidThrough)
	case d.Bookmark.Equal(at.Bookmark):
		c.carry(carrier, keyValidThrough)
	}
	switch op.Name {
	case OperationResume:
	case OperationPause:
		c.Summary[keyPaused] = op.Reason
	case OperationRewind, OperationAcceptGap, OperationRebind, OperationSkip, OperationReplay, OperationDismiss:
		c.carry(carrier, keyPaused)
	}
	return c, nil
}

// carry takes a key over from an earlier snapshot, if that has it.
func (c Change) carry(s *icetable.Snapshot, key string) {
	if s == nil {
		return
	}
	if v, ok := summaryOf(s).Properties[key]; ok {
		c.Summary[key] = v
	}
}

// carrier returns the newest snapshot of cdcd's: the newest ancestor of the head with a bookmark, whatever others put on top; or
// the tag's where nothing tells of the ancestry any more.
func (at Standing) carrier() (*icetable.Snapshot, error) {
	for _, name := range []string{at.ref, tagName(at.ref)} {
		for s := at.history.meta.SnapshotByName(name); s != nil; {
			if _, ok := summaryOf(s).Properties[keyBookmark]; ok {
				return s, nil
			}
			var err error
			if s, err = at.history.parent(s); err != nil {
				return nil, err
			}
		}
	}
	return nil, nil //nolint:nilnil // A table without a snapshot of cdcd's is no error.
}

// markOf returns the bookmark that a snapshot carries. A table that an operator paused is not resumed from it.
func markOf(meta icetable.Metadata, ref string, p iceberg.Properties) (bookmark.Bookmark, error) {
	mark, err := parseBookmark(p[keyBookmark], rewindHint(meta, ref))
	if reason, paused := p[keyPaused]; paused && err == nil {
		err = halt.Newf(halt.Paused, "When the time has come: cdcd table resume TABLE.", "an operator paused the table: %s", reason)
	}
	return mark, err
}

// decidedSince returns an operator's snapshot between the pinned head and the present one; nil: there is none, as far as
// anything tells.
func decidedSince(h *history, ref string, pin *icetable.Snapshot) (*icetable.Snapshot, error) {
	for s := h.meta.SnapshotByName(ref); s != nil && (pin == nil || s.SnapshotID != pin.SnapshotID); {
		if _, ok := summaryOf(s).Properties[keyOperation]; ok {
			return s, nil
		}
		var err error
		if s, err = h.parent(s); err != nil {
			return nil, err
		}
	}
	return nil, nil //nolint:nilnil // No decision is no error.
}
