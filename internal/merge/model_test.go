package merge

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cdcd-project/cdcd/internal/merge/keyindex"
	"github.com/cdcd-project/cdcd/internal/row"
)

// table simulates what readers see: files of rows, and the positions that are dead.
type table struct {
	files map[uint32][]pair
	dead  map[keyindex.Location]bool
}

// live returns the rows that are not dead, and where they stand. It fails if a key has two of them (I4).
func (b *table) live(t *testing.T) (map[string]string, map[string]keyindex.Location) {
	t.Helper()
	rows, at := map[string]string{}, map[string]keyindex.Location{}
	for file, pairs := range b.files {
		for pos, p := range pairs {
			l := keyindex.NewLocation(file, int64(pos))
			if b.dead[l] {
				continue
			}
			if other, twice := at[p.k]; twice {
				t.Fatalf("I4: %s stands at %v and at %v", p.k, other, l)
			}
			rows[p.k], at[p.k] = p.v, l
		}
	}
	return rows, at
}

// Random changes, with chunk and commit borders at random places, must leave the table equal to the model, each key once,
// and the index equal to a rebuild from the files (I4).
func TestTableEqualsModelAfterEveryCommit(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(seed)
			for range 30 {
				w.fill(t)
				if w.rng.IntN(10) == 0 {
					w.drop()
				} else {
					w.commit(t)
				}
			}
		})
	}
}

type world struct {
	rng              *rand.Rand
	keys             int
	batch            *Batch
	index            *keyindex.Index
	table            table
	written          map[uint32][]pair // Files of the open batch.
	model, committed map[string]string
	file             uint32
	version          int
}

func newWorld(seed uint64) *world {
	rng := rand.New(rand.NewPCG(seed, 7))
	return &world{
		rng: rng, keys: 1 + rng.IntN(200), batch: NewBatch(pairSchema()), index: keyindex.New(),
		table: table{map[uint32][]pair{}, map[keyindex.Location]bool{}}, written: map[uint32][]pair{},
		model: map[string]string{}, committed: map[string]string{},
	}
}

// fill folds random changes into the batch and seals chunks now and then; the last one always.
func (w *world) fill(t *testing.T) {
	for range w.rng.IntN(400) {
		w.change()
		if w.rng.IntN(40) == 0 {
			w.chunk(t)
		}
	}
	w.chunk(t)
}

func (w *world) change() {
	w.version++
	k, v := fmt.Sprint("k", w.rng.IntN(w.keys)), fmt.Sprint(w.version)
	switch w.rng.IntN(6) {
	case 0, 1:
		w.batch.Delete([]byte(k))
		delete(w.model, k)
	case 2: // The key of a row changes.
		other := fmt.Sprint("k", w.rng.IntN(w.keys))
		w.batch.Delete([]byte(other))
		delete(w.model, other)
		fallthrough
	default:
		upsert(w.batch, k, v)
		w.model[k] = v
	}
}

func (w *world) chunk(t *testing.T) {
	t.Helper()
	rows := pairs(w.batch.Chunk())
	if len(rows) == 0 {
		return
	}
	seen := map[string]bool{}
	for _, p := range rows {
		if seen[p.k] {
			t.Fatalf("%s twice in one chunk", p.k)
		}
		seen[p.k] = true
	}
	if w.rng.IntN(3) == 0 {
		w.change() // The sink is writing.
	}
	if w.rng.IntN(2) == 0 {
		w.file++
	}
	w.batch.Placed(w.file, int64(len(w.written[w.file])))
	w.written[w.file] = append(w.written[w.file], rows...)
	if w.batch.Rows().Len() > 0 {
		w.chunk(t)
	}
}

// drop gives the batch up, as after a lost race: neither its changes nor its files ever were.
func (w *world) drop() {
	w.batch.Reset(pairSchema())
	w.model = maps.Clone(w.committed)
	clear(w.written)
	w.file++
}

func (w *world) commit(t *testing.T) {
	t.Helper()
	before := dump(w.index)
	p := w.batch.Plan(w.index)
	if again := w.batch.Plan(w.index); !cmp.Equal(p, again) {
		t.Fatalf("the same plan twice: %s", cmp.Diff(p, again))
	}
	if !maps.Equal(before, dump(w.index)) {
		t.Fatal("Plan changed the index")
	}
	w.checkPlan(t, p)
	maps.Copy(w.table.files, w.written)
	clear(w.written)
	for _, l := range p.Dead {
		if w.table.dead[l] {
			t.Fatalf("%v dies twice", l)
		}
		w.table.dead[l] = true
	}
	w.batch.Apply(w.index)
	w.batch.Reset(pairSchema())
	w.file++

	rows, at := w.table.live(t)
	if !maps.Equal(rows, w.model) {
		t.Fatalf("table (-) and model (+): %s", cmp.Diff(rows, w.model))
	}
	if !maps.Equal(at, dump(w.index)) {
		t.Fatalf("table (-) and index (+): %s", cmp.Diff(at, dump(w.index)))
	}
	w.committed = maps.Clone(w.model)
}

// checkPlan compares the plan's counts with the model before and after.
func (w *world) checkPlan(t *testing.T, p Plan) {
	t.Helper()
	if !slices.IsSorted(p.Dead) {
		t.Errorf("dead positions are not sorted: %v", p.Dead)
	}
	if sum := p.Inserted + p.Updated + p.Deleted + p.Unknown + p.Undone; sum != int64(w.batch.Len()) {
		t.Errorf("%+v adds up to %d keys of %d", p, sum, w.batch.Len())
	}
	var inserted, updated, deleted int64
	for k, v := range w.model {
		switch old, had := w.committed[k]; {
		case !had:
			inserted++
		case old != v: // Versions are never used twice.
			updated++
		}
	}
	for k := range w.committed {
		if _, has := w.model[k]; !has {
			deleted++
		}
	}
	if p.Inserted != inserted || p.Updated != updated || p.Deleted != deleted {
		t.Errorf("plan %+v, want %d inserted, %d updated, %d deleted", p, inserted, updated, deleted)
	}
}

// A commit that lost its race is planned again on the index of the head that won, where the rows stand elsewhere.
func TestPlanOfAnotherIndexFollowsThatIndex(t *testing.T) {
	b := NewBatch(pairSchema())
	upsert(b, "a", "2")
	b.Delete([]byte("b"))
	b.Chunk()
	b.Placed(9, 0)
	ours, compacted := keyindex.New(), keyindex.New()
	ours.Put([]byte("a"), keyindex.NewLocation(1, 7))
	ours.Put([]byte("b"), keyindex.NewLocation(2, 3))
	compacted.Put([]byte("b"), keyindex.NewLocation(5, 0))
	compacted.Put([]byte("a"), keyindex.NewLocation(5, 1))
	for _, test := range []struct {
		ix   *keyindex.Index
		want Plan
	}{
		{ours, Plan{Dead: []keyindex.Location{keyindex.NewLocation(1, 7), keyindex.NewLocation(2, 3)}, Updated: 1, Deleted: 1}},
		{compacted, Plan{Dead: []keyindex.Location{keyindex.NewLocation(5, 0), keyindex.NewLocation(5, 1)}, Updated: 1, Deleted: 1}},
		{keyindex.New(), Plan{Dead: []keyindex.Location{}, Inserted: 1, Unknown: 1}},
		{ours, Plan{Dead: []keyindex.Location{keyindex.NewLocation(1, 7), keyindex.NewLocation(2, 3)}, Updated: 1, Deleted: 1}},
	} {
		if got := b.Plan(test.ix); !cmp.Equal(got, test.want) {
			t.Errorf("plan (-) and want (+): %s", cmp.Diff(got, test.want))
		}
	}
}

// I4: an index that has two keys at one place is wrong, and no commit may be made from it.
func TestPlanRefusesAnIndexWithTwoKeysAtOnePlace(t *testing.T) {
	b, ix := NewBatch(pairSchema()), keyindex.New()
	for _, k := range []string{"a", "b"} {
		ix.Put([]byte(k), keyindex.NewLocation(1, 1))
		b.Delete([]byte(k))
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	b.Plan(ix)
}

func TestResetTakesAnotherSchema(t *testing.T) {
	b := NewBatch(pairSchema())
	upsert(b, "a", "1")
	b.Reset(&row.Schema{Columns: []row.Column{{Name: "id", Type: row.Type{Kind: row.Long}}}, Key: []int{0}})
	if !b.Empty() || b.Len() != 0 || len(b.Rows().Vectors) != 1 || b.Rows().Len() != 0 {
		t.Errorf("after Reset: %d keys, %d changes, %d columns, %d rows", b.Len(), b.Changes(), len(b.Rows().Vectors), b.Rows().Len())
	}
}

// I7: the figures that decide about commits and budgets follow what is really there.
func TestBytesFollowTheContents(t *testing.T) {
	b := NewBatch(pairSchema())
	const rows, value = 1000, 200
	text := string(make([]byte, value))
	for i := range rows {
		upsert(b, fmt.Sprint(i), text)
	}
	full := b.Bytes()
	if full < rows*value || full > 2*rows*value {
		t.Errorf("%d rows of %d bytes: Bytes = %d", rows, value, full)
	}
	b.Chunk()
	if sealed := b.Bytes(); sealed < rows*value {
		t.Errorf("a chunk being written is not counted: Bytes = %d", sealed)
	}
	b.Placed(1, 0)
	keys := b.Bytes()
	if keys < rows*(1+8+8+1) || keys > full-rows*value {
		t.Errorf("the keys of %d rows written: Bytes = %d", rows, keys)
	}
	b.Reset(pairSchema())
	if empty := b.Bytes(); empty > 100 {
		t.Errorf("after Reset: Bytes = %d", empty)
	}
	if b.Reserved() < full {
		t.Errorf("after Reset: %d bytes are reserved, and %d were in use", b.Reserved(), full)
	}
}

const benchEvents, benchKeys = 1_000_000, 100_000

// BenchmarkFold folds a million upserts over a hundred thousand keys, 10 % of them deletes, in chunks of 64 Ki rows and
// commits of 250,000 events, as a table far behind would. Allocations an event are reported; 0.1 is too many.
func BenchmarkFold(b *testing.B) {
	schema := &row.Schema{
		Columns: []row.Column{{Name: "id", Type: row.Type{Kind: row.Long}}, {Name: "name", Type: row.Type{Kind: row.String}}},
		Key:     []int{0},
	}
	batch, ix, key := NewBatch(schema), keyindex.New(), make([]byte, 0, 8)
	name := []byte("a name of twenty-odd bytes")
	file := uint32(0)
	seal := func() {
		if chunk := batch.Chunk(); chunk != nil {
			file++
			batch.Placed(file, 0)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		rng := rand.New(rand.NewPCG(1, 1))
		for i := range benchEvents {
			id := rng.Int64N(benchKeys)
			key = binary.BigEndian.AppendUint64(key[:0], uint64(id))
			if i%10 == 0 {
				batch.Delete(key)
			} else {
				r := batch.Rows()
				r.Vectors[0].AppendInt64(id)
				r.Vectors[1].AppendBytes(name)
				r.End()
				batch.Upsert(key)
			}
			if batch.Rows().Len() == 1<<16 {
				seal()
			}
			if (i+1)%250_000 == 0 {
				seal()
				batch.Plan(ix)
				batch.Apply(ix)
				batch.Reset(schema)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchEvents, "ns/event")
}
