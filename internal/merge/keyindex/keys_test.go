package keyindex

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestKeysAreNumberedInOrderOfArrival(t *testing.T) {
	keys := NewKeys()
	for i, key := range []string{"b", "a", "", "longer than the others", "\x00", "\x00\x00"} {
		if id, added := keys.Add([]byte(key)); id != uint32(i) || !added {
			t.Errorf("Add(%q) = %d, %t, want %d, true", key, id, added, i)
		}
	}
	for i, key := range []string{"b", "a", "", "longer than the others", "\x00", "\x00\x00"} {
		if id, added := keys.Add([]byte(key)); id != uint32(i) || added {
			t.Errorf("second Add(%q) = %d, %t, want %d, false", key, id, added, i)
		}
		if id, ok := keys.Find([]byte(key)); id != uint32(i) || !ok {
			t.Errorf("Find(%q) = %d, %t, want %d, true", key, id, ok, i)
		}
		if got := keys.Key(uint32(i)); string(got) != key {
			t.Errorf("Key(%d) = %q, want %q", i, got, key)
		}
	}
	if _, ok := keys.Find([]byte("c")); ok {
		t.Error("Find of a key that was never added: true")
	}
}

func TestKeysFindNothingWhenEmpty(t *testing.T) {
	keys := NewKeys()
	if _, ok := keys.Find(nil); ok {
		t.Error("Find in an empty Keys: true")
	}
	if keys.Len() != 0 || keys.Bytes() != 0 || keys.Reserved() != 0 {
		t.Errorf("empty Keys: Len %d, Bytes %d, Reserved %d", keys.Len(), keys.Bytes(), keys.Reserved())
	}
}

func TestKeysDoNotShareBytesWithTheCaller(t *testing.T) {
	keys, key := NewKeys(), []byte("abc")
	keys.Add(key)
	key[0] = 'x'
	if got := string(keys.Key(0)); got != "abc" {
		t.Errorf("Key(0) = %q after the caller changed its slice", got)
	}
	_ = append(keys.Key(0), "zzz"...)
	keys.Add([]byte("def"))
	if got := string(keys.Key(1)); got != "def" {
		t.Errorf("Key(1) = %q after an append to Key(0)", got)
	}
}

// All keys are given the same hash, so that only the comparison of whole keys can tell them apart.
func TestKeysWithEqualHashesStayApart(t *testing.T) {
	keys := newKeys(64, 0)
	for i := range 40 {
		key := fmt.Appendf(nil, "key %d", i)
		slot, ok := keys.probe(key, 0xffffffff) // The last home: the search wraps around.
		if ok {
			t.Fatalf("probe(%q) found it before it was added", key)
		}
		keys.slots[slot] = 0xffffffff<<32 | uint64(i+1)
		keys.store(key)
	}
	keys.grow()
	for i := range 40 {
		slot, ok := keys.probe(fmt.Appendf(nil, "key %d", i), 0xffffffff)
		if !ok || uint32(keys.slots[slot])-1 != uint32(i) {
			t.Errorf("key %d: slot %x, found %t", i, keys.slots[slot], ok)
		}
	}
}

func TestKeysAgreeWithAMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	keys := NewKeys()
	for round := range 20 {
		fixed := round%2 == 0
		model, order := map[string]uint32{}, []string{}
		for range 5000 {
			key := randomKey(rng, fixed)
			want, known := model[key]
			if id, ok := keys.Find([]byte(key)); ok != known || ok && id != want {
				t.Fatalf("Find(%x) = %d, %t, want %d, %t", key, id, ok, want, known)
			}
			if !known {
				want = uint32(len(order))
				model[key], order = want, append(order, key)
			}
			if id, added := keys.Add([]byte(key)); id != want || added == known {
				t.Fatalf("Add(%x) = %d, %t, want %d, %t", key, id, added, want, !known)
			}
		}
		if keys.Len() != len(order) {
			t.Fatalf("Len = %d, want %d", keys.Len(), len(order))
		}
		for i, key := range order {
			if got := string(keys.Key(uint32(i))); got != key {
				t.Fatalf("Key(%d) = %x, want %x", i, got, key)
			}
		}
		keys.Reset()
	}
}

func TestResetKeepsMemoryOnlyInProportion(t *testing.T) {
	keys := NewKeys()
	addInts := func(n int) {
		for i := range n {
			keys.Add(binary.BigEndian.AppendUint64(nil, uint64(i)))
		}
	}
	addInts(100_000)
	keys.Reset()
	if keys.Bytes() != 0 || keys.Len() != 0 {
		t.Errorf("after Reset: %d keys, %d bytes", keys.Len(), keys.Bytes())
	}
	held := keys.Reserved()
	if held < 100_000*8 {
		t.Errorf("Reset let go of the memory that the next batch needs: %d bytes are left", held)
	}
	addInts(100)
	keys.Reset()
	if keys.Reserved() >= held/reuseShare {
		t.Errorf("after a small batch %d bytes are still held", keys.Reserved())
	}
	if _, ok := keys.Find(binary.BigEndian.AppendUint64(nil, 7)); ok {
		t.Error("a key outlived Reset")
	}
}

func randomKey(rng *rand.Rand, fixed bool) string {
	x := binary.BigEndian.AppendUint64(nil, uint64(rng.IntN(3000)))
	if fixed {
		return string(x)
	}
	return string(x[8-rng.IntN(9):])
}
