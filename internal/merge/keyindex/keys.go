// Package keyindex finds the place of a row by its key, in memory and off the garbage collector's books.
//
// It keeps I4 (every live row's key is in the index at exactly its file and position, and no key has two live rows) by
// holding one entry a key and comparing keys whole: a hash only leads to candidates, it never decides.
package keyindex

import (
	"bytes"
	"hash/maphash"
	"math"

	"github.com/cdcd-project/cdcd/internal/invariant"
)

const (
	slotsMin   = 16            // Slots of the smallest table.
	keysMax    = math.MaxInt32 // Keys of one Keys: the 32 bits of hash in a slot still spread that many.
	reuseShare = 8             // Reset keeps a table unless less than this share of it was needed.
)

// Keys numbers byte strings densely: the first distinct key is 0, the next one 1, and so on. It is an open-addressing
// table with linear probing over one arena of key bytes; all of it is flat slices without pointers. The hash has a
// random seed, so that nobody can choose keys that collide. A Keys is not safe for concurrent use.
type Keys struct {
	seed  maphash.Seed
	arena []byte // The bytes of all keys in the order of their numbers.

	// The length of every key while all keys are equally long, which a table with integer keys never leaves;
	// -1 once they are not, and then key i ends in the arena at ends[i].
	width int
	ends  []uint64

	n int

	// A slot is the low 32 bits of the key's hash above the key's number plus one; zero is an empty slot.
	// Invariant: a key stands at or after its home, with no empty slot in between, where homes ascend with the
	// hash. So a larger table is filled from the smaller one in nearly sequential order, without hashing again.
	slots []uint64
}

// NewKeys returns a Keys that holds no key.
func NewKeys() *Keys { return &Keys{seed: maphash.MakeSeed()} }

// newKeys returns an empty Keys with room for n keys of size bytes altogether.
func newKeys(n, size int) *Keys {
	k := NewKeys()
	k.arena = make([]byte, 0, size)
	k.slots = make([]uint64, max(slotsMin, n+n/2))
	return k
}

// Len returns the number of keys.
func (k *Keys) Len() int { return k.n }

// Find returns the number of key, and whether it was added before.
func (k *Keys) Find(key []byte) (id uint32, ok bool) {
	if len(k.slots) == 0 {
		return 0, false
	}
	slot, ok := k.probe(key, k.hash(key))
	if !ok {
		return 0, false
	}
	return uint32(k.slots[slot]) - 1, true
}

// Add returns the number of key, giving it the next one if it was not there. It keeps a copy of the bytes.
func (k *Keys) Add(key []byte) (id uint32, added bool) {
	if k.n >= len(k.slots)/5*4 {
		k.grow()
	}
	hash := k.hash(key)
	slot, ok := k.probe(key, hash)
	if ok {
		return uint32(k.slots[slot]) - 1, false
	}
	id = uint32(k.n)
	k.slots[slot] = uint64(hash)<<32 | uint64(id+1)
	k.store(key)
	return id, true
}

// Key returns the bytes of the key with number id. The caller does not change them; they are valid until Reset.
func (k *Keys) Key(id uint32) []byte {
	if k.width >= 0 {
		start, end := int(id)*k.width, (int(id)+1)*k.width
		return k.arena[start:end:end]
	}
	start, end := uint64(0), k.ends[id]
	if id > 0 {
		start = k.ends[id-1]
	}
	return k.arena[start:end:end]
}

// Bytes returns the bytes of memory that the keys need, 0 if there are none.
func (k *Keys) Bytes() int {
	return len(k.arena) + 8*len(k.ends) + 8*min(len(k.slots), 2*k.n)
}

// Reserved returns the bytes of memory held, whether they are in use or kept for later.
func (k *Keys) Reserved() int { return cap(k.arena) + 8*cap(k.ends) + 8*cap(k.slots) }

// Reset forgets all keys. It keeps the memory for the next ones, but for a table far larger than what was in it:
// one large batch must not make every small one after it pay for clearing.
func (k *Keys) Reset() {
	if len(k.slots) > max(1<<12, reuseShare*k.n) {
		*k = Keys{seed: k.seed}
		return
	}
	clear(k.slots)
	k.arena, k.ends, k.width, k.n = k.arena[:0], k.ends[:0], 0, 0
}

func (k *Keys) hash(key []byte) uint32 { return uint32(maphash.Bytes(k.seed, key)) }

// home returns where the search for a hash starts in a table of n slots.
func home(hash uint32, n int) int { return int(uint64(hash) * uint64(n) >> 32) }

// probe returns the slot of key, or with false the empty slot where it belongs. There is always an empty slot.
func (k *Keys) probe(key []byte, hash uint32) (slot int, ok bool) {
	for slot = home(hash, len(k.slots)); ; {
		s := k.slots[slot]
		if s == 0 {
			return slot, false
		}
		if uint32(s>>32) == hash && bytes.Equal(k.Key(uint32(s)-1), key) {
			return slot, true
		}
		if slot++; slot == len(k.slots) {
			slot = 0
		}
	}
}

// store appends the bytes of the key with the next number.
func (k *Keys) store(key []byte) {
	if k.n == 0 {
		k.width = len(key)
	}
	if k.width >= 0 && k.width != len(key) {
		for i := range k.n {
			k.ends = append(k.ends, uint64((i+1)*k.width))
		}
		k.width = -1
	}
	k.arena = append(k.arena, key...)
	if k.width < 0 {
		k.ends = append(k.ends, uint64(len(k.arena)))
	}
	k.n++
}

// grow moves the slots into a table half as large again.
func (k *Keys) grow() {
	if k.n >= keysMax {
		invariant.Check(false, "I7: %d keys in one index or batch; the most is %d", k.n, keysMax)
	}
	slots := make([]uint64, max(slotsMin, len(k.slots)+len(k.slots)/2))
	for _, s := range k.slots {
		if s == 0 {
			continue
		}
		slot := home(uint32(s>>32), len(slots))
		for slots[slot] != 0 {
			if slot++; slot == len(slots) {
				slot = 0
			}
		}
		slots[slot] = s
	}
	k.slots = slots
}
