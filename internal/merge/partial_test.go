package merge

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cdcd-project/cdcd/internal/merge/keyindex"
	"github.com/cdcd-project/cdcd/internal/row"
)

// wideRow is a row (k, a, b, c), whose values but the first may be kept.
type wideRow [4]string

func wideSchema() *row.Schema {
	s := &row.Schema{Key: []int{0}}
	for _, name := range []string{"k", "a", "b", "c"} {
		s.Columns = append(s.Columns, row.Column{Name: name, Type: row.Type{Kind: row.String}})
	}
	return s
}

// keeper folds rows of which some keep values, as the pipeline and the sink do together.
type keeper struct {
	t         *testing.T
	rng       *rand.Rand
	batch     *Batch
	index     *keyindex.Index
	files     map[uint32][]wideRow
	file      uint32
	truth     map[string]wideRow
	deleted   map[string]wideRow // The last row of each key that the open batch has deleted, while it can be read.
	version   int
	internals int // How often a deleted row of the open chunk was kept.
}

// Random changes, many of which keep values, with borders of chunks, files and batches at random places: the table equals the model.
func TestKeptValuesEqualTheModel(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 9))
			k := &keeper{
				t: t, rng: rng, batch: NewBatch(wideSchema()), index: keyindex.New(), files: map[uint32][]wideRow{}, truth: map[string]wideRow{},
				deleted: map[string]wideRow{},
			}
			for range 20 {
				for range rng.IntN(200) {
					k.change(fmt.Sprint(rng.IntN(20)))
					if rng.IntN(25) == 0 {
						k.chunk()
					}
				}
				k.commit()
			}
			if k.internals == 0 {
				t.Error("no deleted row was kept")
			}
		})
	}
}

func (k *keeper) change(key string) {
	_, known := k.batch.Source([]byte(key), false, k.index)
	if _, want := k.truth[key]; known != want {
		k.t.Fatalf("the batch says that %s has a row: %v, want %v", key, known, want)
	}
	switch {
	case k.rng.IntN(5) == 0:
		if known {
			k.deleted[key] = k.truth[key]
		}
		delete(k.truth, key)
		k.batch.Delete([]byte(key))
	case known && k.rng.IntN(4) > 0:
		k.keep(key, key, k.truth[key], false)
	case k.rng.IntN(3) == 0 && len(k.deleted) > 0:
		old := slices.Sorted(maps.Keys(k.deleted))[k.rng.IntN(len(k.deleted))]
		if _, again := k.truth[old]; !again { // Else the key has another row by now.
			k.internals++
			k.keep(key, old, k.deleted[old], true)
		}
	default:
		k.upsert(key, [3]string{k.value(), k.value(), k.value()})
		k.batch.Upsert([]byte(key))
	}
}

// keep folds a row of key that keeps values of the latest row of old.
func (k *keeper) keep(key, old string, values wideRow, gone bool) {
	from, ok := k.batch.Source([]byte(old), gone, k.index)
	if !ok {
		k.t.Fatalf("nothing tells where the row of %s is", old)
	}
	var columns []int
	row := [3]string{k.value(), k.value(), k.value()}
	whole := row
	for _, c := range k.rng.Perm(3)[:1+k.rng.IntN(3)] {
		columns = append(columns, c+1)
		row[c], whole[c] = "", values[c+1]
	}
	k.upsert(key, row)
	k.batch.UpsertPartial([]byte(key), columns, from)
	k.truth[key] = wideRow{key, whole[0], whole[1], whole[2]}
}

func (k *keeper) upsert(key string, values [3]string) {
	r := k.batch.Rows()
	r.Vectors[0].AppendBytes([]byte(key))
	for i, v := range values {
		if v == "" {
			r.Vectors[i+1].AppendNull()
		} else {
			r.Vectors[i+1].AppendBytes([]byte(v))
		}
	}
	r.End()
	k.truth[key] = wideRow{key, values[0], values[1], values[2]}
}

func (k *keeper) value() string {
	k.version++
	return fmt.Sprint("v", k.version)
}

// chunk seals the open chunk as the pipeline does: first what keeps values of files, in pieces.
func (k *keeper) chunk() {
	at, columns := k.batch.Missing()
	if !slices.IsSorted(at) || !slices.IsSorted(columns) {
		k.t.Fatalf("missing %v in columns %v: not in ascending order", at, columns)
	}
	for first := 0; first < len(at); {
		values := row.NewRows(&row.Schema{Columns: make([]row.Column, len(columns))})
		for i := range columns {
			values.Schema.Columns[i].Type = row.Type{Kind: row.String}
			values.Vectors[i] = row.NewVector(row.Type{Kind: row.String})
		}
		n := min(1+k.rng.IntN(5), len(at)-first)
		for _, l := range at[first : first+n] {
			for i, c := range columns {
				values.Vectors[i].AppendBytes([]byte(k.files[l.File()][l.Pos()][c]))
			}
			values.End()
		}
		k.place(k.batch.Fill(first, values))
		first += n
	}
	if rows := k.batch.Chunk(); rows != nil {
		k.place(rows)
	}
	for key := range k.deleted { // Rows that were superseded in the chunk are gone; those in files may go as well.
		if _, ok := k.batch.Source([]byte(key), true, k.index); !ok {
			delete(k.deleted, key)
		}
	}
}

func (k *keeper) place(rows *row.Rows) {
	if k.rng.IntN(3) == 0 {
		k.file++
	}
	first := len(k.files[k.file])
	for i := range rows.Len() {
		var r wideRow
		for c := range r {
			if !rows.Vectors[c].IsNull(i) {
				r[c] = string(rows.Vectors[c].Slice(i))
			}
		}
		k.files[k.file] = append(k.files[k.file], r)
	}
	k.batch.Placed(k.file, int64(first))
}

func (k *keeper) commit() {
	k.t.Helper()
	k.chunk()
	k.batch.Plan(k.index)
	k.batch.Apply(k.index)
	k.batch.Reset(wideSchema())
	clear(k.deleted)
	k.file++
	got := map[string]wideRow{}
	for key, l := range k.index.All() {
		got[string(key)] = k.files[l.File()][l.Pos()]
	}
	if diff := cmp.Diff(k.truth, got); diff != "" {
		k.t.Fatalf("(-model +table):\n%s", diff)
	}
}

// Rows that keep values cost memory as any others do (I7).
func TestKeptValuesCountAsMemory(t *testing.T) {
	b, ix := NewBatch(wideSchema()), keyindex.New()
	ix.Put([]byte("1"), keyindex.NewLocation(1, 1))
	before := b.Bytes()
	k := &keeper{t: t, rng: rand.New(rand.NewPCG(1, 1)), batch: b, index: ix, truth: map[string]wideRow{}}
	for range 100 {
		k.keep("1", "1", wideRow{}, false)
	}
	if grown := b.Bytes() - before; grown < 100*(16+8) {
		t.Errorf("100 rows that keep values take %d bytes", grown)
	}
	if b.Reserved() < b.Bytes() {
		t.Errorf("reserved %d bytes, of which %d are in use", b.Reserved(), b.Bytes())
	}
}

func TestRowThatKeepsValuesIsNotSealedWithoutThem(t *testing.T) {
	b, ix := NewBatch(wideSchema()), keyindex.New()
	ix.Put([]byte("1"), keyindex.NewLocation(1, 1))
	k := &keeper{t: t, rng: rand.New(rand.NewPCG(1, 1)), batch: b, index: ix, truth: map[string]wideRow{}}
	k.keep("1", "1", wideRow{}, false)
	defer func() {
		if recover() == nil {
			t.Error("the chunk was sealed")
		}
	}()
	b.Chunk()
}
