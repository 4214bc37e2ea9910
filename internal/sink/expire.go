package sink

import (
	"slices"
	"time"

	icetable "github.com/apache/iceberg-go/table"
)

// expired returns the snapshots that expire when next becomes the head of the branch: its ancestors beyond the newest
// RetainSnapshots, or older than RetainAge. What another branch can reach, and what a tag names, stays: removing it
// would silently drop the ref.
func (t *Table) expired(next icetable.Snapshot) []int64 {
	kept := map[int64]bool{next.SnapshotID: true}
	for name, ref := range t.meta.Refs() {
		if name == t.o.Ref || name == tagName(t.o.Ref) {
			continue // Both move to next.
		}
		kept[ref.SnapshotID] = true
		if ref.SnapshotRefType == icetable.BranchRef {
			for s := t.meta.SnapshotByID(ref.SnapshotID); s != nil; s = parentOf(t.meta, s) {
				kept[s.SnapshotID] = true
			}
		}
	}
	var ids []int64
	oldest := next.TimestampMs - t.o.RetainAge.Milliseconds()
	depth := 1
	for s := t.head; s != nil; s = parentOf(t.meta, s) {
		depth++
		if !kept[s.SnapshotID] && (depth > t.o.RetainSnapshots || s.TimestampMs < oldest) {
			ids = append(ids, s.SnapshotID)
		}
	}
	return ids
}

func parentOf(meta icetable.Metadata, s *icetable.Snapshot) *icetable.Snapshot {
	if s.ParentSnapshotID == nil {
		return nil
	}
	return meta.SnapshotByID(*s.ParentSnapshotID)
}

// superseded are objects that snapshots from a sequence number on no longer refer to; with 0, none does.
type superseded struct {
	sequence int64
	paths    []string
}

// supersede remembers what a landed commit made superfluous for itself and its descendants, and which objects the
// snapshots that expired with it alone referred to.
func (t *Table) supersede(st *staged, before, after icetable.Metadata) {
	paths := slices.Clone(st.retired)
	for _, f := range st.dropData {
		paths = append(paths, f.file.FilePath())
	}
	for d := range st.dropDeletes {
		paths = append(paths, d.file.FilePath())
	}
	if len(paths) > 0 {
		t.garbage = append(t.garbage, superseded{st.snapshot.SequenceNumber, paths})
	}
	if t.expiredByOthers(before, after) {
		t.othersExpired = time.Now()
	}
	for _, id := range st.expired {
		if s := before.SnapshotByID(id); s != nil && after.SnapshotByID(id) == nil && s.ManifestList != "" {
			t.garbage = append(t.garbage, superseded{0, []string{s.ManifestList}})
		}
	}
	for _, f := range st.stillborn {
		t.remove(f.file.FilePath())
	}
	t.removeMetadata(before, after)
	t.collect()
}

// removeMetadata removes the metadata.json files that fell out of the metadata log: CommitTable leaves them behind.
func (t *Table) removeMetadata(before, after icetable.Metadata) {
	kept := map[string]bool{}
	for e := range after.PreviousFiles() {
		kept[e.MetadataFile] = true
	}
	for e := range before.PreviousFiles() {
		if !kept[e.MetadataFile] {
			t.remove(e.MetadataFile)
		}
	}
}

// expiredByOthers reports whether snapshots are gone although somebody else changed the table since this owner last saw
// it: they may have expired them, also those that this commit asked to expire.
func (t *Table) expiredByOthers(before, after icetable.Metadata) bool {
	previous := t.location
	for e := range after.PreviousFiles() {
		previous = e.MetadataFile
	}
	return previous != t.location && slices.ContainsFunc(before.Snapshots(), func(s icetable.Snapshot) bool {
		return after.SnapshotByID(s.SnapshotID) == nil
	})
}

// expiryGrace is how long another tool's expiry may take, from the commit that drops its snapshots to the last object
// that it reads or deletes.
const expiryGrace = time.Hour

// collect removes superseded objects that no snapshot of the table refers to any more. It knows that only while all
// snapshots are of one line: a branch of somebody else's may still hold what our line gave up, and then orphan removal
// has to find it. While another tool's expiry may be at work everything waits: that reads the objects of the snapshots that
// it dropped, and fails on one that is gone.
func (t *Table) collect() {
	if time.Since(t.othersExpired) < expiryGrace {
		return
	}
	line := map[int64]bool{}
	oldest := t.meta.LastSequenceNumber()
	for s := t.head; s != nil; s = parentOf(t.meta, s) {
		line[s.SnapshotID] = true
		oldest = s.SequenceNumber
	}
	oneLine := !slices.ContainsFunc(t.meta.Snapshots(), func(s icetable.Snapshot) bool { return !line[s.SnapshotID] })
	t.garbage = slices.DeleteFunc(t.garbage, func(g superseded) bool {
		if g.sequence > 0 && (!oneLine || g.sequence > oldest) {
			return false
		}
		for _, path := range g.paths {
			t.remove(path)
		}
		return true
	})
}

// remove deletes an object that nothing refers to, if this process may delete. A failure costs space, never rows: it
// is logged, and orphan removal finds the object later.
func (t *Table) remove(path string) {
	if !t.s.o.Delete {
		return
	}
	if err := t.fs.Remove(path); err != nil {
		t.log.Debug("left an orphan", "path", path, "err", err)
	}
}

// fileAgeDefault is a third of the three days after which other tools' removal of orphan files may take a file.
const fileAgeDefault = 24 * time.Hour

// removeSentMetadata removes the metadata.json files of attempts that came to nothing. The table has moved on since they were made,
// and the catalog takes an attempt only on the version of the table that it was made for: none of them can become the table's.
func (t *Table) removeSentMetadata(o outcome) {
	c, ok := t.s.o.Catalog.(*Catalog)
	if !ok {
		return
	}
	kept := map[string]bool{o.location: true}
	for e := range o.meta.PreviousFiles() {
		kept[e.MetadataFile] = true
	}
	for _, location := range c.sentMetadata(t.ident) {
		if !kept[location] {
			t.remove(location)
		}
	}
}

// tooOld reports whether files that were begun at a time, if it is one, may not be committed any more. Both clocks count: the
// monotonic one stands still while a machine sleeps, and the wall clock may be set back.
func (s *Sink) tooOld(begun time.Time) bool {
	return !begun.IsZero() && max(time.Since(begun), time.Since(begun.Round(0))) > s.o.FileAge
}
