package sink

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/apache/iceberg-go"
	"github.com/google/uuid"
)

// maxManifests is how many manifests of one content and partition spec a commit leaves at most.
const maxManifests = 8

// stageManifests writes the manifests that the commit changes, and the manifest list. Manifests of both contents are
// merged in passing, so that planning a scan costs the same after any number of commits.
func (t *Table) stageManifests(ctx context.Context, st *staged) error {
	gone := map[string]bool{}
	for _, f := range st.dropData {
		gone[f.file.FilePath()] = true
	}
	for d := range st.dropDeletes {
		gone[d.file.FilePath()] = true
	}
	added := map[manifestGroup][]*entry{}
	for _, f := range st.addData {
		g := manifestGroup{iceberg.ManifestContentData, f.file.SpecID()}
		added[g] = append(added[g], &f.entry)
	}
	for _, d := range st.addDeletes {
		g := manifestGroup{iceberg.ManifestContentDeletes, d.file.SpecID()}
		added[g] = append(added[g], &d.entry)
	}
	groups := map[manifestGroup][]*manifest{}
	for _, m := range t.live.manifests {
		g := manifestGroup{m.file.ManifestContent(), m.file.PartitionSpecID()}
		groups[g] = append(groups[g], m)
	}
	for g := range added {
		groups[g] = slices.Clip(groups[g]) // Present, also when the head has no manifest of the group.
	}
	order := slices.SortedFunc(maps.Keys(groups), func(a, b manifestGroup) int {
		return cmp.Or(cmp.Compare(a.content, b.content), cmp.Compare(a.spec, b.spec))
	})
	for _, g := range order {
		if err := t.stageManifestGroup(ctx, st, g, groups[g], added[g], gone); err != nil {
			return err
		}
	}
	return t.writeManifestList(ctx, st)
}

// manifestGroup is what a manifest can hold only one of.
type manifestGroup struct {
	content iceberg.ManifestContent
	spec    int32
}

// stageManifestGroup decides which manifests of a group stay as they are. All others, and the added entries, go into
// one new manifest: those with entries that leave, and the newest run as universal says. The delete manifest is
// rewritten at every commit that adds to it: it never has more than maxDeleteFiles entries a partition.
func (t *Table) stageManifestGroup(ctx context.Context, st *staged, g manifestGroup, present []*manifest, added []*entry, gone map[string]bool) error {
	var rewrite, keep []*manifest
	for _, m := range present {
		switch {
		case len(m.entries) == 0: // Only entries that were deleted by an earlier commit.
			st.retired = append(st.retired, m.file.FilePath())
		case slices.ContainsFunc(m.entries, func(e *entry) bool { return gone[e.file.FilePath()] }),
			g.content == iceberg.ManifestContentDeletes && len(added) > 0:
			rewrite = append(rewrite, m)
		default:
			keep = append(keep, m)
		}
	}
	if len(added) > 0 || len(rewrite) > 0 {
		sizes := make([]int64, len(keep))
		for i, m := range keep {
			sizes[i] = int64(len(m.entries))
		}
		n := universal(sizes, int64(len(added)), maxManifests)
		rewrite = append(rewrite, keep[len(keep)-n:]...)
		keep = keep[:len(keep)-n]
	}
	st.manifests = append(st.manifests, keep...)
	if len(added) == 0 && len(rewrite) == 0 {
		return nil
	}
	m, err := t.writeManifest(ctx, st, g, rewrite, added, gone)
	if err != nil {
		return err
	}
	st.manifests = append(st.manifests, m)
	for _, old := range rewrite {
		st.retired = append(st.retired, old.file.FilePath())
	}
	return nil
}

// writeManifest writes one manifest with the live entries of others, and the added ones. Entries that leave are marked
// deleted: they stand in this snapshot's manifest, and in no later one.
func (t *Table) writeManifest(ctx context.Context, st *staged, g manifestGroup, others []*manifest, added []*entry, gone map[string]bool) (*manifest, error) {
	spec, id := t.meta.PartitionSpecByID(int(g.spec)), st.snapshot.SnapshotID
	var out bytes.Buffer
	w, err := iceberg.NewManifestWriter(t.meta.Version(), &out, *spec, t.target.iceberg, id, iceberg.WithManifestWriterContent(g.content))
	if err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	m := &manifest{}
	for _, old := range others {
		for _, e := range old.entries {
			if gone[e.file.FilePath()] {
				err = w.Delete(iceberg.NewManifestEntry(iceberg.EntryStatusDELETED, &id, &e.sequence, &e.fileSeq, e.file))
			} else {
				m.entries = append(m.entries, e)
				err = w.Existing(iceberg.NewManifestEntry(iceberg.EntryStatusEXISTING, &e.snapshot, &e.sequence, &e.fileSeq, e.file))
			}
			if err != nil {
				return nil, fmt.Errorf("encode manifest: %w", err)
			}
		}
	}
	for _, e := range added {
		m.entries = append(m.entries, e)
		if err := w.Add(iceberg.NewManifestEntry(iceberg.EntryStatusADDED, &id, nil, nil, e.file)); err != nil {
			return nil, fmt.Errorf("encode manifest: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	path := t.locations.NewMetadataLocation(uuid.NewString() + "-m.avro")
	if m.file, err = w.ToManifestFile(path, int64(out.Len())); err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	st.written = append(st.written, path)
	return m, t.write(ctx, "write manifest", path, out.Bytes())
}

func (t *Table) writeManifestList(ctx context.Context, st *staged) error {
	files := make([]iceberg.ManifestFile, len(st.manifests))
	for i, m := range st.manifests {
		files[i] = m.file
	}
	var out bytes.Buffer
	s := &st.snapshot
	if err := iceberg.WriteManifestList(t.meta.Version(), &out, s.SnapshotID, s.ParentSnapshotID, &s.SequenceNumber, 0, files); err != nil {
		return fmt.Errorf("encode manifest list: %w", err)
	}
	s.ManifestList = t.locations.NewMetadataLocation(fmt.Sprintf("snap-%d-%s.avro", s.SnapshotID, uuid.NewString()))
	st.written = append(st.written, s.ManifestList)
	return t.write(ctx, "write manifest list", s.ManifestList, out.Bytes())
}

// assigned returns a manifest file with the sequence numbers that its manifest list gave it, so that later lists can
// carry it on.
func assigned(f iceberg.ManifestFile, sequence int64) iceberg.ManifestFile {
	if f.SequenceNum() >= 0 {
		return f
	}
	lowest := f.MinSequenceNum()
	if lowest < 0 {
		lowest = sequence
	}
	return iceberg.NewManifestFile(f.Version(), f.FilePath(), f.Length(), f.PartitionSpecID(), f.SnapshotID()).
		SequenceNum(sequence, lowest).Content(f.ManifestContent()).
		AddedFiles(f.AddedDataFiles()).ExistingFiles(f.ExistingDataFiles()).DeletedFiles(f.DeletedDataFiles()).
		AddedRows(f.AddedRows()).ExistingRows(f.ExistingRows()).DeletedRows(f.DeletedRows()).
		Partitions(f.Partitions()).Build()
}
