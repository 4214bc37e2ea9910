package keyindex

import (
	"iter"
	"math"
)

const (
	dead           Location = math.MaxUint64 // Marks a key that has no live row; NewLocation never returns it.
	compactDeadMin          = 1 << 10        // Fewer dead keys are not worth a rebuild.
)

// Index maps the canonical key of every live row to the row's location (I4). It holds one location a key, so a key cannot
// have two live rows. An Index is not safe for concurrent use.
//
// A deleted key keeps its number, which a later Put of the same key takes up again. When dead keys outnumber live ones the
// index is rebuilt from the live ones, so that memory follows the table and not its history; while that goes on both copies exist.
type Index struct {
	keys *Keys
	at   []Location // By key number. Invariant: as long as keys; exactly live entries are not dead.
	live int
}

// New returns an index that holds no key.
func New() *Index { return &Index{keys: NewKeys()} }

// Len returns the number of live keys.
func (x *Index) Len() int { return x.live }

// Bytes returns the bytes of memory that the index occupies (I7).
func (x *Index) Bytes() int { return x.keys.Reserved() + 8*cap(x.at) }

// Get returns the location of the row with this key, and whether there is one.
func (x *Index) Get(key []byte) (Location, bool) {
	id, ok := x.keys.Find(key)
	if !ok || x.at[id] == dead {
		return 0, false
	}
	return x.at[id], true
}

// Put sets the location of the row with this key, and returns the one that it replaces. It keeps a copy of the key.
func (x *Index) Put(key []byte, l Location) (old Location, had bool) {
	id, added := x.keys.Add(key)
	if added {
		x.at = append(x.at, dead)
	}
	old, x.at[id] = x.at[id], l
	if old == dead {
		x.live++
		return 0, false
	}
	return old, true
}

// Delete removes the key and returns the location of its row, if it had one.
func (x *Index) Delete(key []byte) (Location, bool) {
	id, ok := x.keys.Find(key)
	if !ok || x.at[id] == dead {
		return 0, false
	}
	old := x.at[id]
	x.at[id] = dead
	x.live--
	if deadKeys := x.keys.Len() - x.live; deadKeys > max(x.live, compactDeadMin) {
		x.compact()
	}
	return old, true
}

// All yields the key and location of every live row, in no order that means anything. The key is valid until the next
// Put or Delete, which must not be called while iterating.
func (x *Index) All() iter.Seq2[[]byte, Location] {
	return func(yield func([]byte, Location) bool) {
		for id, l := range x.at {
			if l != dead && !yield(x.keys.Key(uint32(id)), l) {
				return
			}
		}
	}
}

// compact rebuilds the index from its live keys.
func (x *Index) compact() {
	size := 0
	for key := range x.All() {
		size += len(key)
	}
	keys, at := newKeys(x.live, size), make([]Location, 0, x.live)
	for key, l := range x.All() {
		keys.Add(key)
		at = append(at, l)
	}
	x.keys, x.at = keys, at
}
