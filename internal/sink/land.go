package sink

import "context"

// land makes the committed snapshot the table's head. If another attempt's request landed, or others moved the head
// on since, the table is read again instead: what was staged here is not what stands there.
func (t *Table) land(ctx context.Context, st *staged, o outcome, c Change) (Committed, error) {
	done := t.committed(st)
	head := o.meta.SnapshotByName(t.o.Ref)
	if head == nil || head.SnapshotID != st.snapshot.SnapshotID || head.ManifestList != st.snapshot.ManifestList {
		loaded, err := t.load(ctx)
		if err == nil {
			err = t.settle(ctx, loaded)
		}
		if err == nil {
			err = t.wentOn(ctx, st, c)
		}
		return done, err
	}
	before := t.meta
	t.meta, t.head, t.bookmark = o.meta, head, c.Bookmark.Clone()
	if t.evolved != nil || t.target.iceberg.ID != o.meta.CurrentSchema().ID {
		target, err := newTarget(o.meta.CurrentSchema(), t.o)
		if err != nil {
			return done, err
		}
		t.target, t.evolved = target, nil
	}
	t.advance(st)
	t.apply(c)
	t.supersede(st, before, o.meta)
	t.location = o.location
	t.report()
	return done, t.checkBudget(t.index)
}

// advance brings the live files to those of the landed snapshot.
func (t *Table) advance(st *staged) {
	sequence := st.snapshot.SequenceNumber
	for n, dead := range st.dead {
		st.files[n].dead += dead
	}
	for n, f := range st.dropData {
		delete(t.live.data, n)
		delete(t.numbers, f.file.FilePath())
	}
	for _, f := range st.addData {
		f.snapshot, f.sequence, f.fileSeq = st.snapshot.SnapshotID, sequence, sequence
		t.live.data[f.number] = f
	}
	deletes := t.live.deletes[:0]
	for _, d := range t.live.deletes {
		if !st.dropDeletes[d] {
			deletes = append(deletes, d)
		}
	}
	for _, d := range st.addDeletes {
		d.snapshot, d.sequence, d.fileSeq = st.snapshot.SnapshotID, sequence, sequence
		deletes = append(deletes, d)
	}
	t.live.deletes = deletes
	t.live.manifests = st.manifests
	for _, m := range t.live.manifests {
		m.file = assigned(m.file, sequence)
	}
}

func (t *Table) committed(st *staged) Committed {
	done := Committed{
		SnapshotID: st.snapshot.SnapshotID, Operation: string(st.snapshot.Summary.Operation),
		Inserted: st.plan.Inserted, Updated: st.plan.Updated, Deleted: st.plan.Deleted, Unknown: st.plan.Unknown,
		DataFiles: len(st.addData), DeleteFiles: len(st.addDeletes),
	}
	m, name := t.s.metrics, t.o.Name
	for _, f := range st.addData {
		done.Bytes += f.file.FileSizeBytes()
		m.bytes.WithLabelValues(name, "data").Add(float64(f.file.FileSizeBytes()))
	}
	for _, d := range st.addDeletes {
		done.Bytes += d.file.FileSizeBytes()
		m.bytes.WithLabelValues(name, "position_deletes").Add(float64(d.file.FileSizeBytes()))
	}
	m.files.WithLabelValues(name, "data").Add(float64(done.DataFiles))
	m.files.WithLabelValues(name, "position_deletes").Add(float64(done.DeleteFiles))
	m.rows.WithLabelValues(name, "inserted").Add(float64(done.Inserted))
	m.rows.WithLabelValues(name, "updated").Add(float64(done.Updated))
	m.rows.WithLabelValues(name, "deleted").Add(float64(done.Deleted))
	m.rows.WithLabelValues(name, "unknown").Add(float64(done.Unknown))
	return done
}

// wentOn returns ErrStandDown if somebody went on from a commit of ours whose reply was lost (I2), or if an operator has decided
// about the table since.
func (t *Table) wentOn(ctx context.Context, st *staged, c Change) error {
	decided, err := decidedSince(t.historyOf(ctx, t.meta), t.o.Ref, &st.snapshot)
	if err != nil {
		return err
	}
	if decided != nil || !t.bookmark.Equal(c.Bookmark) {
		return t.standDown(t.meta, t.bookmark)
	}
	return nil
}
