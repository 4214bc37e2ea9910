package sink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	iceio "github.com/apache/iceberg-go/io"
	icetable "github.com/apache/iceberg-go/table"
)

// history looks up snapshots of a table, expired ones too: expiry takes a snapshot out of the table's metadata, but the
// metadata.json files before it still tell its parent and its summary, and the metadata log names them (Iceberg
// specification, "Table Metadata Fields": metadata-log). They never change, so what they tell is as certain as the
// metadata itself. Older files are read only when they are needed, the newest first.
type history struct {
	meta  icetable.Metadata
	read  func(location string) (icetable.Metadata, error)
	older []string // The metadata.json files that have not been read yet, the newest first.
	known map[int64]*icetable.Snapshot
}

// historyOf returns the history of the table as meta has it.
func (t *Table) historyOf(ctx context.Context, meta icetable.Metadata) *history {
	h := &history{meta: meta, known: map[int64]*icetable.Snapshot{}}
	for e := range meta.PreviousFiles() {
		h.older = append(h.older, e.MetadataFile)
	}
	slices.Reverse(h.older)
	h.read = func(location string) (old icetable.Metadata, err error) {
		err = t.s.retry(ctx, t.log, "read old metadata", func(ctx context.Context) error {
			loaded, err := icetable.NewFromLocation(ctx, t.ident, location, func(context.Context) (iceio.IO, error) { return t.fs, nil }, nil)
			if err == nil {
				old = loaded.Metadata()
			}
			return err
		})
		return old, err
	}
	return h
}

// snapshot returns the snapshot with an id, or nil if nothing tells about it any more: the metadata.json files that knew
// it have fallen out of the metadata log, or were removed. Everything else that keeps from looking is an error.
func (h *history) snapshot(id int64) (*icetable.Snapshot, error) {
	if s := h.meta.SnapshotByID(id); s != nil {
		return s, nil
	}
	for h.known[id] == nil && len(h.older) > 0 {
		location := h.older[0]
		h.older = h.older[1:]
		old, err := h.read(location)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read old metadata %s: %w", location, err)
		}
		if old.TableUUID() != h.meta.TableUUID() {
			continue // A table that was registered anew over another one's files.
		}
		for _, s := range old.Snapshots() {
			h.known[s.SnapshotID] = &s
		}
	}
	return h.known[id], nil
}

// parent returns the snapshot before s. It is nil if s is the first one, or if nothing tells any more.
func (h *history) parent(s *icetable.Snapshot) (*icetable.Snapshot, error) {
	if s.ParentSnapshotID == nil {
		return nil, nil //nolint:nilnil // The first snapshot has no parent, which is no error.
	}
	return h.snapshot(*s.ParentSnapshotID)
}

// descends reports whether ancestor is known to be the snapshot id or one of its ancestors.
func (h *history) descends(id, ancestor int64) (bool, error) {
	for {
		if id == ancestor {
			return true, nil
		}
		s, err := h.snapshot(id)
		if s == nil || err != nil || s.ParentSnapshotID == nil {
			return false, err
		}
		id = *s.ParentSnapshotID
	}
}
