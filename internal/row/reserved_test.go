package row

import "testing"

func TestReservedMemoryOutlivesReset(t *testing.T) {
	r := NewRows(&Schema{Columns: []Column{{Name: "id", Type: Type{Kind: Long}}, {Name: "name", Type: Type{Kind: String}}}})
	for range 100 {
		r.Vectors[0].AppendInt64(1)
		r.Vectors[1].AppendBytes([]byte("0123456789"))
		r.End()
	}
	held := r.Reserved()
	if held < r.Bytes() || r.Bytes() < 100*(8+10+4) {
		t.Errorf("100 rows occupy %d bytes of %d reserved", r.Bytes(), held)
	}
	r.Reset()
	if r.Reserved() != held || r.Bytes() > 4 {
		t.Errorf("after Reset %d bytes of %d reserved, want 4 at most of %d", r.Bytes(), r.Reserved(), held)
	}
}

func TestEndAllocatesNothingPerRow(t *testing.T) {
	r := NewRows(&Schema{Columns: []Column{{Name: "id", Type: Type{Kind: Long}}}})
	allocs := testing.AllocsPerRun(1000, func() {
		r.Reset()
		for range 500 {
			r.Vectors[0].AppendInt64(1)
			r.End()
		}
	})
	if allocs > 5 { // Reset makes one a column.
		t.Errorf("%.1f allocations in 500 rows", allocs)
	}
}

func TestEndOfAnIncompleteRowPanics(t *testing.T) {
	r := NewRows(&Schema{Columns: []Column{{Name: "id", Type: Type{Kind: Long}}, {Name: "n", Type: Type{Kind: Int}}}})
	r.Vectors[0].AppendInt64(1)
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	r.End()
}
