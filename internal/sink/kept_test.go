package sink

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	iceio "github.com/apache/iceberg-go/io"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/merge"
	"github.com/cdcd-project/cdcd/internal/merge/keyindex"
	"github.com/cdcd-project/cdcd/internal/row"
)

// noise returns text that no codec makes smaller.
func noise(r *rand.Rand, n int) string {
	text := make([]byte, n)
	for i := range text {
		text[i] = byte('!' + r.IntN(90))
	}
	return string(text)
}

// places returns where the rows of some customers stand, in ascending order, and their names.
func (w *writer) places(ids ...int64) (at []keyindex.Location, names []string) {
	w.tb.Helper()
	name := map[keyindex.Location]string{}
	for _, id := range ids {
		l, ok := w.table.index.Get(key(id))
		if !ok {
			w.tb.Fatalf("customer %d has no row", id)
		}
		_, name[l], _ = strings.Cut(w.truth[fmt.Sprint(id)], "|")
		at = append(at, l)
	}
	slices.Sort(at)
	for _, l := range at {
		names = append(names, name[l])
	}
	return at, names
}

// kept reads the names that stand somewhere, and counts the pieces.
func (w *writer) kept(at []keyindex.Location) (names []string, pieces int, err error) {
	err = w.draft.Kept(w.ctx, []int{1}, at, func(first int, values *row.Rows) error {
		if first != len(names) {
			w.tb.Errorf("a piece begins at %d, want %d", first, len(names))
		}
		for i := range values.Len() {
			names = append(names, string(values.Vectors[0].Slice(i)))
		}
		pieces++
		return nil
	})
	return names, pieces, err
}

// A large file has several row groups, is read in parts and only where it must be; values come in pieces of bounded size. Storage that
// fails in between is asked again, for what was not read yet.
func TestKeptValuesOfALargeFile(t *testing.T) {
	memory := iceio.NewMemFS()
	s, _, desk := newTracedSink(t, memory, prometheus.NewRegistry())
	o := customerOptions()
	o.TargetFileBytes = 1 << 30
	w := newWriter(t, s, o)
	r := rand.New(rand.NewPCG(1, 2))
	large := map[int64]bool{}
	for id := range int64(2*rowGroupRows + 1000) {
		name := fmt.Sprint("n", id)
		if id%20_000 == 7 {
			large[id], name = true, noise(r, 2<<20)
		}
		w.upsert(id, name)
		if id%20_000 == 0 {
			w.chunk()
		}
	}
	w.commit()
	size := w.table.live.data[0].file.FileSizeBytes()
	ids := []int64{0, 3, rowGroupRows, rowGroupRows + 1, 2*rowGroupRows + 999}
	for id := range large {
		ids = append(ids, id)
	}
	at, want := w.places(ids...)
	desk.Reset()
	read, reads := int64(0), 0
	w.table.fs = &failingFS{WriteFileIO: memory, read: &read, fail: func() bool {
		reads++
		return reads == 2 || reads == 9 || reads == 25
	}}
	w.table.loaded = nil // The storage is the one above.
	got, pieces, err := w.kept(at)
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("read %d names, want %d: %v", len(got), len(want), err)
	}
	if n := len(large) * 2 << 20 / (keptBytes + 2<<20); pieces < n {
		t.Errorf("got %d pieces, want at least %d", pieces, n)
	}
	if reads < 26 {
		t.Errorf("read %d times only", reads)
	}
	read = 0
	if got, _, err = w.kept(at[len(at)-1:]); err != nil || got[0] != want[len(want)-1] {
		t.Errorf("read %v, want %s: %v", got, want[len(want)-1], err)
	}
	if read > size/3 {
		t.Errorf("read %d bytes for one row of the last row group, of a file of %d", read, size)
	}
}

// failingFS is storage that fails now and then, and counts the bytes that it hands out.
type failingFS struct {
	iceio.WriteFileIO
	read *int64
	fail func() bool
}

func (f *failingFS) Open(name string) (iceio.File, error) {
	file, err := f.WriteFileIO.Open(name)
	return &failingFile{File: file, fs: f}, err
}

type failingFile struct {
	iceio.File
	fs *failingFS
}

func (f *failingFile) ReadAt(p []byte, offset int64) (int, error) {
	if f.fs.fail() {
		return 0, errors.New("the storage fails")
	}
	*f.fs.read += int64(len(p))
	return f.File.ReadAt(p, offset)
}

// Rows of the open batch can be kept as well: the open file ends, and further rows go to the next one.
func TestKeptValuesOfTheDraft(t *testing.T) {
	s, cat := newSink(t)
	w := newWriter(t, s, customerOptions())
	w.upsert(1, "committed")
	w.commit()
	w.upsert(2, "two")
	w.upsert(3, "three")
	w.chunk()
	at, want := w.places(1)
	for id, name := range map[int64]string{2: "two", 3: "three"} {
		from, ok := w.table.Source(w.batch, key(id), false)
		if !ok {
			t.Fatalf("customer %d has no row", id)
		}
		w.keep(id+10, from)
		w.truth[fmt.Sprint(id+10)] = fmt.Sprintf("%d|%s", id+10, name)
	}
	from, _ := w.table.Source(w.batch, key(1), false)
	w.keep(1, from)
	missing, columns := w.batch.Missing()
	if len(missing) != 3 || missing[0] != at[0] || !slices.Equal(columns, []int{1}) {
		t.Fatalf("missing %v in %v, want three with %v", missing, columns, at)
	}
	err := w.draft.Kept(w.ctx, columns, missing, func(first int, values *row.Rows) error {
		file, place, err := w.draft.Write(w.ctx, w.batch.Fill(first, values))
		w.batch.Placed(file, place)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.truth["1"] = "1|" + want[0]
	if done := w.commit(); done.DataFiles != 2 {
		t.Errorf("committed %d data files, want 2", done.DataFiles)
	}
	w.check(cat)
}

// keep folds a customer who keeps the name at from.
func (w *writer) keep(id int64, from merge.Source) {
	rows := w.batch.Rows()
	rows.Vectors[0].AppendInt64(id)
	rows.Vectors[1].AppendNull()
	rows.End()
	w.batch.UpsertPartial(key(id), []int{1}, from)
	w.next++
}

// A file that another tool has taken away is not there when the table is opened again; one of another type is no file of this table.
func TestKeptValuesThatCannotBeRead(t *testing.T) {
	s, _ := newSink(t)
	w := newWriter(t, s, customerOptions())
	w.upsert(1, "one")
	w.commit()
	at, _ := w.places(1)
	if err := w.draft.Kept(t.Context(), []int{0}, at, func(int, *row.Rows) error { return nil }); !isHalt(err, halt.InvalidTable) {
		t.Errorf("a column of another type: %v, want a halt", err)
	}
	for _, f := range w.table.live.data {
		if err := w.table.fs.Remove(f.file.FilePath()); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := w.kept(at); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is gone: %v", err)
	}
}

func isHalt(err error, reason halt.Reason) bool {
	h, ok := errors.AsType[*halt.Error](err)
	return ok && h.Reason == reason
}
