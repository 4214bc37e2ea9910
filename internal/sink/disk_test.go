package sink

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	iceio "github.com/apache/iceberg-go/io"
)

// smallDisk is a folder on a disk with so many bytes left. What does not fit is written as far as it does, as a file system does. Somebody
// makes space when it has been full for the third time.
type smallDisk struct {
	dir   string
	left  int64
	full  int
	local iceio.LocalFS
}

const bigDisk = 1 << 40

func (d *smallDisk) path(name string) string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(name, "trace://"), "/")
	return filepath.Join(d.dir, rest)
}

func (d *smallDisk) Open(name string) (iceio.File, error) { return d.local.Open(d.path(name)) }
func (d *smallDisk) Remove(name string) error             { return d.local.Remove(d.path(name)) }

func (d *smallDisk) Create(name string) (iceio.FileWriter, error) {
	f, err := d.local.Create(d.path(name))
	return &smallDiskFile{f, d}, err
}

func (d *smallDisk) WriteFile(name string, text []byte) error {
	f, err := d.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

type smallDiskFile struct {
	iceio.FileWriter
	d *smallDisk
}

func (f *smallDiskFile) Write(p []byte) (int, error) {
	if f.d.left -= int64(len(p)); f.d.left >= 0 {
		return f.FileWriter.Write(p)
	}
	fits := max(0, int64(len(p))+f.d.left)
	if f.d.full++; f.d.full == 3 {
		f.d.left = bigDisk
	}
	n, err := f.FileWriter.Write(p[:fits])
	return n, errors.Join(err, &fs.PathError{Op: "write", Path: "disk", Err: syscall.ENOSPC})
}

func (f *smallDiskFile) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{f}, r)
}

// A warehouse on a full disk: at whatever byte the disk gets full, nothing half-written is ever referred to, and when there is space
// again the commit lands.
func TestFullDisk(t *testing.T) {
	d := &smallDisk{dir: t.TempDir()}
	d.left = bigDisk
	s, cat, _ := newTracedSink(t, d, nil)
	w := &world{t: t, kind: "sql", cat: cat, writer: newWriter(t, s, customerOptions())}
	w.objects = func() (paths []string) { return d.list(t) }
	w.table.o.RetainSnapshots = 100 // Nothing expires: what is left is left by failures.
	w.upsert(1, "a")
	w.commit()
	for round := range 60 {
		w.settled = maps.Clone(w.truth)
		d.left, d.full = int64(300*round), 0 // From the first byte of the data file to the last of metadata.json.
		w.commitOrReadAgain(func() {
			w.upsert(1, fmt.Sprint("name ", round))
			w.upsert(int64(10+round), "new")
		})
		if round < 10 && d.full == 0 {
			t.Fatal("the disk was never full")
		}
	}
	w.check(cat)
	orphans := w.checkFiles()
	for _, kind := range orphans {
		if kind != "metadata.json" { // iceberg-go does not tell where it has put that of a failed attempt.
			t.Errorf("left behind: %v", orphans)
		}
	}
}

// list lists the files, by the names that tables know them by.
func (d *smallDisk) list(t *testing.T) (paths []string) {
	t.Helper()
	host := strings.ToLower(t.Name())
	err := filepath.WalkDir(d.dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			paths = append(paths, "trace://"+host+strings.TrimPrefix(path, d.dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}
