package keyindex

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLocationKeepsFileAndPosition(t *testing.T) {
	tests := []struct {
		file uint32
		pos  int64
	}{{0, 0}, {1, 0}, {0, 1}, {fileMax, posMax}, {fileMax, 0}, {7, 1 << 33}}
	for _, test := range tests {
		l := NewLocation(test.file, test.pos)
		if l.File() != test.file || l.Pos() != test.pos || l == dead {
			t.Errorf("NewLocation(%d, %d) = %v", test.file, test.pos, l)
		}
	}
	if NewLocation(1, posMax) >= NewLocation(2, 0) || NewLocation(2, 0) >= NewLocation(2, 1) {
		t.Error("locations do not order by file, then position")
	}
}

func TestLocationOutOfRangePanics(t *testing.T) {
	tests := map[string]func(){
		"negative position":  func() { NewLocation(0, -1) },
		"position too large": func() { NewLocation(0, posMax+1) },
		"file too large":     func() { NewLocation(fileMax+1, 0) },
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}

func TestIndexHoldsOneLocationAKey(t *testing.T) {
	x, key := New(), []byte("k")
	if _, had := x.Put(key, NewLocation(1, 5)); had {
		t.Error("first Put replaced something")
	}
	if old, had := x.Put(key, NewLocation(2, 0)); !had || old != NewLocation(1, 5) {
		t.Errorf("second Put replaced %v, %t", old, had)
	}
	if l, ok := x.Get(key); !ok || l != NewLocation(2, 0) || x.Len() != 1 {
		t.Errorf("Get = %v, %t, Len %d", l, ok, x.Len())
	}
	if l, had := x.Delete(key); !had || l != NewLocation(2, 0) {
		t.Errorf("Delete = %v, %t", l, had)
	}
	if _, had := x.Delete(key); had || x.Len() != 0 {
		t.Errorf("second Delete found the key; Len %d", x.Len())
	}
	if _, ok := x.Get(key); ok {
		t.Error("Get of a deleted key: true")
	}
	if _, had := x.Put(key, NewLocation(3, 1)); had || x.Len() != 1 || x.keys.Len() != 1 {
		t.Errorf("Put of a deleted key: had %t, Len %d, %d keys", had, x.Len(), x.keys.Len())
	}
}

// The workload moves between growing and shrinking tables, so that rebuilds happen, and keys of all lengths occur.
func TestIndexAgreesWithAMap(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 0))
			x, model, fixed := New(), map[string]Location{}, seed%2 == 0
			for step := range 40_000 {
				key := randomKey(rng, fixed)
				before, known := model[key]
				want := answered(before, known)
				var got answer
				switch shrink := step/5000%2 == 1; {
				case rng.IntN(4) == 0:
					got = answered(x.Get([]byte(key)))
				case rng.IntN(4) == 0 != shrink:
					got = answered(x.Delete([]byte(key)))
					delete(model, key)
				default:
					l := NewLocation(rng.Uint32N(1000), rng.Int64N(1<<20))
					got = answered(x.Put([]byte(key), l))
					model[key] = l
				}
				if got != want {
					t.Fatalf("step %d, key %x: got %v, want %v", step, key, got, want)
				}
				if x.Len() != len(model) {
					t.Fatalf("step %d: Len = %d, want %d", step, x.Len(), len(model))
				}
			}
			got := map[string]Location{}
			for key, l := range x.All() {
				if _, twice := got[string(key)]; twice {
					t.Errorf("I4: All yields %x twice", key)
				}
				got[string(key)] = l
			}
			if !maps.Equal(got, model) {
				t.Error(cmp.Diff(model, got))
			}
		})
	}
}

// answer is what Get, Put and Delete return, with nothing in place of a location that means nothing.
type answer struct {
	at    Location
	known bool
}

func answered(at Location, known bool) answer {
	if !known {
		return answer{}
	}
	return answer{at, true}
}

// I7: a table whose keys come and go for ever must not fill the memory with the dead ones.
func TestIndexMemoryFollowsLiveKeys(t *testing.T) {
	x, key := New(), make([]byte, 8)
	const window = 10_000
	for i := range uint64(50 * window) {
		binary.BigEndian.PutUint64(key, i)
		x.Put(key, NewLocation(0, int64(i)))
		if i >= window {
			binary.BigEndian.PutUint64(key, i-window)
			x.Delete(key)
		}
	}
	if x.Len() != window || x.keys.Len() > 2*window+compactDeadMin {
		t.Errorf("%d live keys, %d keys held", x.Len(), x.keys.Len())
	}
	if perKey := x.Bytes() / window; perKey > 100 {
		t.Errorf("%d bytes a live key", perKey)
	}
	for key, l := range x.All() {
		if uint64(l.Pos()) != binary.BigEndian.Uint64(key) {
			t.Fatalf("key %x at %v", key, l)
		}
	}
}

func TestAllCanBeStopped(t *testing.T) {
	x := New()
	for i := range 10 {
		x.Put([]byte{byte(i)}, NewLocation(0, int64(i)))
	}
	seen := 0
	for range x.All() {
		if seen++; seen == 3 {
			break
		}
	}
	if seen != 3 {
		t.Errorf("saw %d keys", seen)
	}
}

const benchKeys = 1_000_000

// benchKey writes the canonical key of an integer: spread, so that neighbours in time are not neighbours in memory.
func benchKey(dst []byte, i int) []byte {
	return binary.BigEndian.AppendUint64(dst[:0], uint64(i)*0x9e3779b97f4a7c15)
}

func benchIndex() *Index {
	x, key := New(), make([]byte, 0, 8)
	for i := range benchKeys {
		key = benchKey(key, i)
		x.Put(key, NewLocation(1, int64(i)))
	}
	return x
}

func BenchmarkInsert(b *testing.B) {
	b.ReportAllocs()
	var x *Index
	for b.Loop() {
		x = benchIndex()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchKeys, "ns/key")
	b.ReportMetric(float64(x.Bytes())/benchKeys, "bytes/key")
}

func BenchmarkInsertText(b *testing.B) {
	b.ReportAllocs()
	var x *Index
	for b.Loop() {
		x = New()
		var key []byte
		for i := range benchKeys {
			key = fmt.Appendf(key[:0], "customer-%0*d", 3+i%9, i)
			x.Put(key, NewLocation(1, int64(i)))
		}
	}
	b.ReportMetric(float64(x.Bytes())/benchKeys, "bytes/key")
}

func BenchmarkGetHit(b *testing.B) {
	x, rng, key := benchIndex(), rand.New(rand.NewPCG(1, 1)), make([]byte, 0, 8)
	b.ReportAllocs()
	for b.Loop() {
		key = benchKey(key, rng.IntN(benchKeys))
		if _, ok := x.Get(key); !ok {
			b.Fatal("not found")
		}
	}
}

func BenchmarkGetMiss(b *testing.B) {
	x, rng, key := benchIndex(), rand.New(rand.NewPCG(1, 1)), bytes.Repeat([]byte{0}, 8)
	b.ReportAllocs()
	for b.Loop() {
		key = benchKey(key, benchKeys+rng.IntN(benchKeys))
		if _, ok := x.Get(key); ok {
			b.Fatal("found")
		}
	}
}
