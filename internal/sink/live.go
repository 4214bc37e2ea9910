package sink

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/apache/iceberg-go"
	iceio "github.com/apache/iceberg-go/io"
	icetable "github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/halt"
)

// entry is one live manifest entry: a file and how it came into the table (Iceberg specification, "Manifests").
type entry struct {
	file              iceberg.DataFile
	snapshot          int64 // The snapshot that added the file.
	sequence, fileSeq int64 // Data and file sequence number.
}

// dataFile is a data file, live or about to be.
type dataFile struct {
	entry
	number uint32 // As in keyindex.Location.
	dead   int64  // How many of its rows live delete files kill.
}

// deleteFile is a live position delete file.
type deleteFile struct {
	entry
	targets map[uint32]int64 // Positions by number of the data file that they are in.
}

// manifest is a manifest of the head with its live entries, so that a commit reads no manifest back.
type manifest struct {
	file    iceberg.ManifestFile
	entries []*entry
}

// live is what one snapshot refers to. It is read once, and then kept equal to the head by each commit of ours.
type live struct {
	manifests []*manifest
	data      map[uint32]*dataFile
	deletes   []*deleteFile // In the order in which they were added, oldest first.
}

// loadLive reads the manifests of a snapshot. Targets and dead rows are filled in by the rebuild of the index, which
// reads the delete files anyway.
func (t *Table) loadLive(ctx context.Context, snapshot *icetable.Snapshot) (*live, error) {
	l := &live{data: map[uint32]*dataFile{}}
	if snapshot == nil {
		return l, nil
	}
	list, err := t.read(ctx, "read manifest list", snapshot.ManifestList, sizeUnknown)
	if err != nil {
		return nil, err
	}
	files, err := iceberg.ReadManifestList(bytes.NewReader(list))
	if err != nil {
		return nil, fmt.Errorf("read manifest list %s: %w", snapshot.ManifestList, err)
	}
	for _, f := range files {
		m, err := t.loadManifest(ctx, f)
		if err != nil {
			return nil, err
		}
		l.manifests = append(l.manifests, m)
		for _, e := range m.entries {
			if err := l.add(t, e); err != nil {
				return nil, err
			}
		}
	}
	slices.SortStableFunc(l.deletes, func(a, b *deleteFile) int { return int(a.sequence - b.sequence) })
	return l, l.checkTotals(snapshot)
}

// checkTotals compares the live files with what a snapshot of ours says about them. Nothing else tells that a manifest list is
// whole: one that was cut off between two blocks reads as a shorter one, and the index would lose all keys of what is missing (I4).
func (l *live) checkTotals(snapshot *icetable.Snapshot) error {
	summary := summaryOf(snapshot).Properties
	if summary[keyBookmark] == "" && len(l.manifests) > 0 {
		return nil // Others need not count, nor count right; but what they count is not nothing.
	}
	for key, n := range map[string]int{"total-data-files": len(l.data), "total-delete-files": len(l.deletes)} {
		if want := cmp.Or(summary[key], "0"); want != strconv.Itoa(n) {
			return fmt.Errorf("read manifest list %s: it leads to %s = %d, and the summary of snapshot %d says %s: the object is damaged",
				snapshot.ManifestList, key, n, snapshot.SnapshotID, want)
		}
	}
	return nil
}

func (t *Table) loadManifest(ctx context.Context, f iceberg.ManifestFile) (*manifest, error) {
	text, err := t.read(ctx, "read manifest", f.FilePath(), f.Length())
	if err != nil {
		return nil, err
	}
	entries, err := iceberg.ReadManifest(f, bytes.NewReader(text), true)
	if err != nil {
		return nil, fmt.Errorf("read manifest %s: %w", f.FilePath(), err)
	}
	m := &manifest{file: f}
	for _, e := range entries {
		fileSeq := e.SequenceNum()
		if s := e.FileSequenceNum(); s != nil {
			fileSeq = *s
		}
		m.entries = append(m.entries, &entry{file: e.DataFile(), snapshot: e.SnapshotID(), sequence: e.SequenceNum(), fileSeq: fileSeq})
	}
	return m, nil
}

func (l *live) add(t *Table, e *entry) error {
	switch content := e.file.ContentType(); {
	case e.file.FileFormat() != iceberg.ParquetFile:
		return halt.Newf(halt.InvalidTable, "Rewrite the table as Parquet, or let cdcd create it anew.",
			"file %s is %s; cdcd reads Parquet only", e.file.FilePath(), e.file.FileFormat())
	case content == iceberg.EntryContentData:
		n := t.number(e.file.FilePath())
		l.data[n] = &dataFile{entry: *e, number: n}
	case content == iceberg.EntryContentPosDeletes:
		l.deletes = append(l.deletes, &deleteFile{entry: *e})
	default:
		return halt.Newf(halt.ForeignRows, "Undo what the engine did that wrote them: "+rewindHint(t.meta, t.o.Ref),
			"%s holds equality deletes, which cdcd does not write", e.file.FilePath())
	}
	return nil
}

// rows returns the number of live rows.
func (l *live) rows() int {
	n := int64(0)
	for _, f := range l.data {
		n += f.file.Count() - f.dead
	}
	return int(n)
}

// sameFiles reports whether both refer to the same data and delete files.
func (l *live) sameFiles(o *live) bool {
	if len(l.data) != len(o.data) || len(l.deletes) != len(o.deletes) {
		return false
	}
	for n := range l.data {
		if o.data[n] == nil {
			return false
		}
	}
	paths := map[string]bool{}
	for _, d := range l.deletes {
		paths[d.file.FilePath()] = true
	}
	for _, d := range o.deletes {
		if !paths[d.file.FilePath()] {
			return false
		}
	}
	return true
}

// number returns the number of a data file: the same path has the same number for as long as the table is open, so
// that locations stay valid when a head is read again.
func (t *Table) number(path string) uint32 {
	n, ok := t.numbers[path]
	if !ok {
		n = t.nextNumber
		t.nextNumber++
		t.numbers[path] = n
	}
	return n
}

// sizeUnknown is the size of a file that nothing tells the size of.
const sizeUnknown = -1

// read returns the contents of a file of the table, retrying for as long as ctx lives. Contents of another size than the table's
// metadata say are no contents: a part of a file may well read as a whole one.
func (t *Table) read(ctx context.Context, stage, path string, size int64) (text []byte, err error) {
	err = t.s.retry(ctx, t.log, stage, func(context.Context) error {
		text, err = readFile(t.fs, path)
		if err == nil && size != sizeUnknown && int64(len(text)) != size {
			err = fmt.Errorf("got %d bytes, and the table's metadata say %d: the object is damaged, or was cut off on its way", len(text), size)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", stage, path, err)
	}
	return text, nil
}

func readFile(fs iceio.IO, path string) ([]byte, error) {
	if r, ok := fs.(iceio.ReadFileIO); ok {
		return r.ReadFile(path)
	}
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err = b.ReadFrom(f)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return b.Bytes(), err
}

// write puts a small immutable file of the table, retrying for as long as ctx lives: a repetition writes the same bytes.
func (t *Table) write(ctx context.Context, stage, path string, text []byte) error {
	return t.s.retry(ctx, t.log, stage, func(context.Context) error {
		if err := t.fs.WriteFile(path, text); err != nil {
			return fmt.Errorf("%s %s: %w", stage, path, err)
		}
		return nil
	})
}
