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

// huskShare is the share of a manifest's data files without live rows from which the manifest is rewritten only to be rid of
// them. It bounds what a file's leaving costs to a few manifest entries, however large the manifest is.
const huskShare = 0.25

// manifestGroup is what a manifest can hold only one of.
type manifestGroup struct {
	content iceberg.ManifestContent
	spec    int32
}

// manifestPlan says which manifests of a group stay as they are, and which are rewritten into one together with the
// added entries.
type manifestPlan struct {
	group         manifestGroup
	keep, rewrite []*manifest
	added         []*entry
}

// planData plans the data manifests. Data files without live rows leave the table when their manifest is rewritten: because
// it is merged, or because they are a good share of it. Until then they cost a reader nothing but their positions.
func (t *Table) planData(st *staged) []manifestPlan {
	husks := map[string]uint32{}
	for n, f := range t.live.data {
		if st.husk(f) {
			husks[f.file.FilePath()] = n
		}
	}
	added := map[manifestGroup][]*entry{}
	for _, f := range st.addData {
		g := manifestGroup{iceberg.ManifestContentData, f.file.SpecID()}
		added[g] = append(added[g], &f.entry)
	}
	plans := t.planManifests(st, iceberg.ManifestContentData, added, func(m *manifest) bool {
		n := 0
		if len(husks) > 0 {
			for _, e := range m.entries {
				if _, husk := husks[e.file.FilePath()]; husk {
					n++
				}
			}
		}
		return n > 0 && float64(n) >= huskShare*float64(len(m.entries))
	})
	for _, p := range plans {
		for _, m := range p.rewrite {
			for _, e := range m.entries {
				if n, husk := husks[e.file.FilePath()]; husk {
					st.dropData[n] = t.live.data[n]
				}
			}
		}
	}
	return plans
}

// planDeletes plans the delete manifests. A group that a delete file is added to has its one manifest rewritten at every
// commit: it never has more than maxDeleteFiles entries a partition.
func (t *Table) planDeletes(st *staged) []manifestPlan {
	added := map[manifestGroup][]*entry{}
	for _, d := range st.addDeletes {
		g := manifestGroup{iceberg.ManifestContentDeletes, d.file.SpecID()}
		added[g] = append(added[g], &d.entry)
	}
	gone := map[string]bool{}
	for d := range st.dropDeletes {
		gone[d.file.FilePath()] = true
	}
	return t.planManifests(st, iceberg.ManifestContentDeletes, added, func(m *manifest) bool {
		return len(added[manifestGroup{iceberg.ManifestContentDeletes, m.file.PartitionSpecID()}]) > 0 ||
			slices.ContainsFunc(m.entries, func(e *entry) bool { return gone[e.file.FilePath()] })
	})
}

// planManifests plans the manifests of one content: those that must be rewritten are, and the newest run of the others as
// universal says. Manifests without live entries retire: what they deleted is told already.
func (t *Table) planManifests(st *staged, content iceberg.ManifestContent, added map[manifestGroup][]*entry, must func(*manifest) bool) []manifestPlan {
	groups := map[manifestGroup]*manifestPlan{}
	for g, entries := range added {
		groups[g] = &manifestPlan{group: g, added: entries}
	}
	for _, m := range t.live.manifests {
		g := manifestGroup{m.file.ManifestContent(), m.file.PartitionSpecID()}
		if g.content != content {
			continue
		}
		if groups[g] == nil {
			groups[g] = &manifestPlan{group: g}
		}
		switch p := groups[g]; {
		case len(m.entries) == 0:
			st.retired = append(st.retired, m.file.FilePath())
		case must(m):
			p.rewrite = append(p.rewrite, m)
		default:
			p.keep = append(p.keep, m)
		}
	}
	var plans []manifestPlan
	for _, g := range slices.SortedFunc(maps.Keys(groups), func(a, b manifestGroup) int { return cmp.Compare(a.spec, b.spec) }) {
		p := groups[g]
		if len(p.added) > 0 || len(p.rewrite) > 0 {
			sizes := make([]int64, len(p.keep))
			for i, m := range p.keep {
				sizes[i] = int64(len(m.entries))
			}
			n := len(p.keep) - universal(sizes, int64(len(p.added)), maxManifests)
			p.rewrite = append(p.rewrite, p.keep[n:]...)
			p.keep = p.keep[:n]
		}
		plans = append(plans, *p)
	}
	return plans
}

// stageManifests writes the manifests that the commit changes, and the manifest list. Manifests of both contents are
// merged in passing, so that planning a scan costs the same after any number of commits.
func (t *Table) stageManifests(ctx context.Context, st *staged, data []manifestPlan) error {
	gone := map[string]bool{}
	for _, f := range st.dropData {
		gone[f.file.FilePath()] = true
	}
	for d := range st.dropDeletes {
		gone[d.file.FilePath()] = true
	}
	for _, p := range append(data, t.planDeletes(st)...) {
		st.manifests = append(st.manifests, p.keep...)
		if len(p.added) == 0 && len(p.rewrite) == 0 {
			continue
		}
		m, err := t.writeManifest(ctx, st, p, gone)
		if err != nil {
			return err
		}
		st.manifests = append(st.manifests, m)
		for _, old := range p.rewrite {
			st.retired = append(st.retired, old.file.FilePath())
		}
	}
	return t.writeManifestList(ctx, st)
}

// writeManifest writes one manifest with the live entries of others, and the added ones. Entries that leave are marked
// deleted: they stand in this snapshot's manifest, and in no later one.
func (t *Table) writeManifest(ctx context.Context, st *staged, p manifestPlan, gone map[string]bool) (*manifest, error) {
	spec, id := t.meta.PartitionSpecByID(int(p.group.spec)), st.snapshot.SnapshotID
	var out bytes.Buffer
	w, err := iceberg.NewManifestWriter(t.meta.Version(), &out, *spec, t.target.iceberg, id, iceberg.WithManifestWriterContent(p.group.content))
	if err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	m := &manifest{}
	for _, old := range p.rewrite {
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
	for _, e := range p.added {
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
