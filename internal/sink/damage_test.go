package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	iceio "github.com/apache/iceberg-go/io"

	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// newDamageableWorld returns a world whose table has rows, dead rows, and each kind of file.
func newDamageableWorld(t *testing.T, kind string) *world {
	w := newWorld(t, kind)
	for id := range int64(300) {
		w.upsert(id, fmt.Sprint("name ", id))
	}
	w.commit()
	for id := range int64(20) {
		w.upsert(id, "again")
		w.delete(100 + id)
	}
	w.commit()
	return w
}

// moment is how long damage is looked at that is read again and again.
const moment = 15 * time.Millisecond

// openedRight opens the table within a time. It reports an error, which is loud; if there is none, the index has to be right.
func (w *world) openedRight(within time.Duration) error {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, within)
	defer cancel()
	opened, err := w.table.s.Open(ctx, w.table.o)
	if err != nil {
		return err
	}
	defer opened.Close()
	if err := sameKeys(w.table.index, opened.index); err != nil {
		w.t.Errorf("the table was opened, and its index is wrong: %v (I4)", err)
	}
	for key, at := range w.table.index.All() {
		path, pos := w.table.pathOf(at.File()), at.Pos()
		if got, _ := opened.index.Get(key); opened.pathOf(got.File()) != path || got.Pos() != pos {
			w.t.Fatalf("the table was opened, and key %x is at %s %d, want %s %d (I4)", key, opened.pathOf(got.File()), got.Pos(), path, pos)
		}
	}
	return nil
}

func (t *Table) pathOf(number uint32) string {
	if f := t.live.data[number]; f != nil {
		return f.file.FilePath()
	}
	return ""
}

// headFiles returns one object of each kind that opening reads, the newest.
func (w *world) headFiles() map[string]string {
	files := map[string]string{"manifest list": w.table.head.ManifestList}
	for _, m := range w.table.live.manifests {
		files["manifest of "+m.file.ManifestContent().String()] = m.file.FilePath()
	}
	for _, f := range w.table.live.data {
		if f.dead > 0 || len(w.table.live.data) == 1 {
			files["data file"] = f.file.FilePath()
		}
	}
	for _, d := range w.table.live.deletes {
		files["delete file"] = d.file.FilePath()
	}
	return files
}

// An object that storage hands out in part is never taken for the whole: the index would lose keys, and the next commit would
// write their rows a second time (I4). What is in memory here comes without the checksums that S3 has.
func TestTruncatedObjectsAreNotReadAsFewerRows(t *testing.T) {
	w := newDamageableWorld(t, "sql")
	w.wantWholeObjects()
	compact(t, w.cat, w.table.ident) // Others' manifests, and a summary that need not say what there is.
	w.reopen()
	w.wantWholeObjects()
}

func (w *world) wantWholeObjects() {
	t, store := w.t, w.base.(*iceio.MemFS)
	for kind, path := range w.headFiles() {
		text := w.object(path)
		for _, size := range cuts(text) {
			if err := store.WriteFile(path, text[:size]); err != nil {
				t.Fatal(err)
			}
			if err := w.openedRight(moment); err == nil {
				t.Errorf("%s of %d bytes: the table was opened with %d of them", kind, len(text), size)
			}
		}
		if err := store.WriteFile(path, text); err != nil {
			t.Fatal(err)
		}
		if err := w.openedRight(time.Minute); err != nil {
			t.Errorf("whole %s: %v", kind, err)
		}
	}
}

// cuts returns sizes to which an object is cut: some evenly spread, and the ends of an Avro file's header and blocks, after which it
// looks whole.
func cuts(text []byte) []int {
	sizes := []int{0, len(text) - 1}
	for n := range 8 {
		sizes = append(sizes, n*len(text)/8)
	}
	if bytes.HasPrefix(text, []byte("Obj\x01")) {
		marker := text[len(text)-16:]
		for at := 0; ; {
			n := bytes.Index(text[at:], marker)
			if n < 0 || at+n+16 == len(text) {
				break
			}
			at += n + 16
			sizes = append(sizes, at)
		}
	}
	return sizes
}

// A byte that has changed in a Parquet file is noticed by its checksums, wherever it stands; or it makes no difference.
func TestCorruptedParquetIsNotReadAsOtherKeys(t *testing.T) {
	w := newDamageableWorld(t, "sql")
	store := w.base.(*iceio.MemFS)
	noticed, tried := 0, 0
	for kind, path := range w.headFiles() {
		if !strings.HasSuffix(path, ".parquet") {
			continue
		}
		text := w.object(path)
		for n := range 60 {
			damaged := slices.Clone(text)
			damaged[n*len(text)/60] ^= 0x10
			if err := store.WriteFile(path, damaged); err != nil {
				t.Fatal(err)
			}
			tried++
			if err := w.openedRight(moment); err != nil {
				noticed++
			}
			if t.Failed() {
				t.Fatalf("%s with byte %d of %d changed", kind, n*len(text)/60, len(text))
			}
		}
		if err := store.WriteFile(path, text); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d of %d changed bytes were noticed", noticed, tried)
	if noticed == 0 {
		t.Error("no changed byte was noticed")
	}
}

// A reply that breaks off, that is shorter than the object, or that has other bytes, is read again.
func TestDamagedRepliesOfS3AreReadAgain(t *testing.T) {
	w := newDamageableWorld(t, "glue")
	for kind, path := range w.headFiles() {
		text := w.object(path)
		other := slices.Clone(text)
		other[len(other)/2] ^= 0x10
		for name, v := range map[string]wiretest.Verdict{
			"breaks off": wiretest.Do().CutAt(len(text) / 2), "is shorter": wiretest.Do().Saying(text[:len(text)/2]), "is empty": wiretest.Do().Saying(nil),
			"has another byte": wiretest.Do().Saying(other),
		} {
			t.Run(kind+" "+name, func(*testing.T) {
				once := wiretest.Meet("GetObject", v)
				w.onCatalog(func(r *wiretest.Request) wiretest.Verdict {
					if "s3://"+r.Bucket+"/"+r.Key != path {
						return wiretest.Do()
					}
					return once(r)
				})
				w.reopen()
				w.heal()
				w.check(w.cat)
			})
		}
	}
}

// An object that has vanished is told by its name, whatever the table is asked for; when it is back, all goes on.
func TestVanishedObjectsAreTold(t *testing.T) {
	w := newDamageableWorld(t, "sql")
	store := w.base.(*iceio.MemFS)
	for kind, path := range w.headFiles() {
		text := w.object(path)
		if err := store.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := w.openedRight(time.Minute); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("without a %s opening ended with %v", kind, err)
		}
		if err := store.WriteFile(path, text); err != nil {
			t.Fatal(err)
		}
	}
	w.reopen()
	w.check(w.cat)
}

var errNoObject = errors.New("no such object")

// object returns what an object holds.
func (w *world) object(path string) []byte {
	w.t.Helper()
	text, err := func() ([]byte, error) {
		if w.aws != nil {
			o, ok := w.aws.Object("lake", strings.TrimPrefix(path, "s3://lake/"))
			if !ok {
				return nil, errNoObject
			}
			return o.Body, nil
		}
		return readFile(w.base, path)
	}()
	if err != nil {
		w.t.Fatalf("%s: %v", path, err)
	}
	return text
}
