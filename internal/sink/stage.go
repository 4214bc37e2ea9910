package sink

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	icetable "github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/merge"
)

// Change is one step of a table from its head to the next snapshot. Rows, schema and bookmark land together (I1).
type Change struct {
	Batch          *merge.Batch // What the rows do; nil: nothing.
	Draft          *Draft       // The data files of the batch's rows; nil: none.
	Truncate       bool         // All rows go. Such a change has neither batch nor draft.
	Bookmark       bookmark.Bookmark
	ValidThroughMs int64             // Best lower bound of source time that the bookmark stands for, in Unix milliseconds; 0: unknown.
	Summary        map[string]string // Further keys for the snapshot summary.
}

// staged is a Change worked out against one head: everything that CommitTable needs, and what is to be done to the
// in-memory state after it landed. Nothing of the table's state changes before.
type staged struct {
	begun    time.Time // Before the first of its files was written.
	snapshot icetable.Snapshot
	plan     merge.Plan

	files       map[uint32]*dataFile // All data files: the head's, and the change's own.
	live        *live                // The head's files, untouched.
	dead        map[uint32]int64     // Newly dead rows by data file.
	dropData    map[uint32]*dataFile // Live data files without live rows, which leave the table.
	stillborn   map[uint32]*dataFile // Own data files whose rows all died within the batch: they never become live.
	addData     []*dataFile
	addDeletes  []*deleteFile
	dropDeletes map[*deleteFile]bool
	manifests   []*manifest
	retired     []string // Manifests of the head that the snapshot no longer refers to.
	written     []string // Objects of this attempt alone, to be removed if it never landed.
	expired     []int64  // Snapshots that expire with this commit.

	updates      []icetable.Update
	requirements []icetable.Requirement
}

// file returns a data file that is live or comes with this change.
func (st *staged) file(n uint32) *dataFile { return st.files[n] }

// countDead counts the dead rows of each data file, and finds the own files that are stillborn.
func (st *staged) countDead() error {
	for _, l := range st.plan.Dead {
		st.dead[l.File()]++
	}
	for n := range st.dead {
		f := st.file(n)
		if f == nil {
			return fmt.Errorf("plan deletes: data file %d is not live (I4)", n)
		}
		if st.live.data[n] == nil && st.husk(f) {
			st.stillborn[n] = f
		}
	}
	return nil
}

// husk reports whether no row of a data file is live after the commit.
func (st *staged) husk(f *dataFile) bool { return f.dead+st.dead[f.number] == f.file.Count() }

// stays reports whether a data file is live after the commit.
func (st *staged) stays(n uint32) bool {
	return st.file(n) != nil && st.dropData[n] == nil && st.stillborn[n] == nil
}

// needed reports whether a delete file still kills rows of a file that stays.
func (st *staged) needed(d *deleteFile) bool {
	for n := range d.targets {
		if st.stays(n) {
			return true
		}
	}
	return false
}

// stage works a change out against the present head and writes its delete files, manifests and manifest list. The
// snapshot id is the same for all attempts at one change (I5).
func (t *Table) stage(ctx context.Context, id int64, c Change) (*staged, error) {
	if err := t.openStorage(ctx, t.loaded); err != nil {
		return nil, err
	}
	st := &staged{
		begun: time.Now(),
		files: maps.Clone(t.live.data), live: t.live, dead: map[uint32]int64{}, dropData: map[uint32]*dataFile{}, stillborn: map[uint32]*dataFile{},
		dropDeletes: map[*deleteFile]bool{},
	}
	if c.Draft != nil {
		for _, f := range c.Draft.files {
			st.files[f.number] = f
		}
	}
	if c.Batch != nil {
		st.plan = c.Batch.Plan(t.index)
	}
	if err := st.countDead(); err != nil {
		return st, err
	}
	if c.Draft != nil {
		for _, f := range c.Draft.files {
			if st.stillborn[f.number] == nil {
				st.addData = append(st.addData, f)
			}
		}
	}
	var dataManifests []manifestPlan
	if c.Truncate {
		dataManifests = t.planTruncate(st, c)
	} else {
		dataManifests = t.planData(st)
		if err := t.stageDeletes(ctx, st); err != nil {
			return st, err
		}
	}
	st.snapshot = t.nextSnapshot(id)
	if err := t.stageManifests(ctx, st, dataManifests); err != nil {
		return st, err
	}
	st.snapshot.Summary = t.summary(st, c)
	t.stageUpdates(st)
	t.stageExpiry(st)
	return st, t.dryRun(st)
}

// nextSnapshot returns the snapshot to be, still without manifest list and summary. Its time is after the head's, also
// when this machine's clock is behind.
func (t *Table) nextSnapshot(id int64) icetable.Snapshot {
	s := icetable.Snapshot{
		SnapshotID:     id,
		SequenceNumber: t.meta.LastSequenceNumber() + 1,
		TimestampMs:    max(time.Now().UnixMilli(), t.meta.LastUpdatedMillis()+1),
	}
	if t.head != nil {
		s.ParentSnapshotID = new(t.head.SnapshotID)
	}
	return s
}

// tagName is the tag that each commit of cdcd moves to its own snapshot, so that other tools' expiry keeps it.
func tagName(ref string) string {
	if ref == icetable.MainBranch {
		return "cdcd"
	}
	return "cdcd-" + ref
}

// refForever is a tag's longest possible retention, in milliseconds.
const refForever = 1<<63 - 1

// stageUpdates puts together the one request: schema, snapshot, branch and tag, under the pin of the head (I2).
func (t *Table) stageUpdates(st *staged) {
	st.requirements = []icetable.Requirement{
		icetable.AssertTableUUID(t.meta.TableUUID()),
		icetable.AssertRefSnapshotID(t.o.Ref, st.snapshot.ParentSnapshotID),
		icetable.AssertCurrentSchemaID(t.meta.CurrentSchema().ID),
		icetable.AssertDefaultSpecID(t.meta.DefaultPartitionSpec()),
	}
	if t.evolved != nil {
		st.updates = slices.Clone(t.evolved.updates)
		st.requirements = append(st.requirements, icetable.AssertLastAssignedFieldID(t.meta.LastColumnID()))
	}
	branch := refOf(t.meta, t.o.Ref)
	st.updates = append(st.updates,
		icetable.NewAddSnapshotUpdate(&st.snapshot),
		icetable.NewSetSnapshotRefUpdate(t.o.Ref, st.snapshot.SnapshotID, icetable.BranchRef,
			value(branch.MaxRefAgeMs), value(branch.MaxSnapshotAgeMs), value(branch.MinSnapshotsToKeep)),
		icetable.NewSetSnapshotRefUpdate(tagName(t.o.Ref), st.snapshot.SnapshotID, icetable.TagRef, refForever, 0, 0),
	)
}

// stageExpiry lets the snapshots go that retention does not keep.
func (t *Table) stageExpiry(st *staged) {
	if st.expired = t.expired(st.snapshot); len(st.expired) > 0 {
		st.updates = append(st.updates, icetable.NewRemoveSnapshotsUpdate(st.expired, false))
	}
}

// dryRun applies the updates to the metadata as the catalog will: it tells the schema id that the snapshot really
// gets, and it is the last check before anything is sent.
func (t *Table) dryRun(st *staged) error {
	for range 2 {
		meta, err := icetable.UpdateTableMetadata(t.meta, st.updates, "")
		if err != nil {
			return fmt.Errorf("check commit: %w", err)
		}
		id := meta.CurrentSchema().ID
		if st.snapshot.SchemaID != nil && *st.snapshot.SchemaID == id {
			return nil
		}
		st.snapshot.SchemaID = &id
	}
	return nil
}

func refOf(meta icetable.Metadata, name string) icetable.SnapshotRef {
	for n, ref := range meta.Refs() {
		if n == name {
			return ref
		}
	}
	return icetable.SnapshotRef{}
}

func value[T int | int64](p *T) T {
	if p == nil {
		return 0
	}
	return *p
}
