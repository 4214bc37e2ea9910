package pipeline

import "testing"

func TestShareIsExceededOnlyByThoseThatHoldMuch(t *testing.T) {
	for _, test := range []struct {
		name   string
		limit  int64
		tables int
		held   []int64
		want   []bool
	}{
		{"within the budget", 100, 2, []int64{50, 50}, []bool{false, false}},
		{"one holds all", 100, 2, []int64{101, 0}, []bool{true, false}},
		{"both hold much", 100, 2, []int64{60, 60}, []bool{true, true}},
		{"one holds little", 100, 2, []int64{90, 20}, []bool{true, false}},
		{"no tables are counted as one", 100, 0, []int64{120}, []bool{true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := &budget{limit: test.limit}
			shares := make([]share, len(test.held))
			for i, n := range test.held {
				shares[i].b = b
				shares[i].set(n / 2)
				shares[i].set(n)
			}
			for i := range shares {
				if got := shares[i].exceeded(test.tables); got != test.want[i] {
					t.Errorf("share %d of %d bytes: exceeded is %v", i, test.held[i], got)
				}
			}
			for i := range shares {
				shares[i].set(0)
			}
			if n := b.used.Load(); n != 0 {
				t.Errorf("%d bytes are left in use", n)
			}
		})
	}
}

// However a used up budget is divided among tables, one of them has to give back: they cannot all wait for each other.
func TestUsedUpBudgetAlwaysFindsAShareThatIsExceeded(t *testing.T) {
	const limit, tables = 1000, 4
	for a := int64(0); a <= limit+1; a += 77 {
		for c := int64(0); a+c <= limit+1; c += 77 {
			b := &budget{limit: limit}
			shares := [tables]share{}
			for i, n := range []int64{a, c, (limit + 1 - a - c) / 2, limit + 1 - a - c - (limit+1-a-c)/2} {
				shares[i].b = b
				shares[i].set(n)
			}
			found := false
			for i := range shares {
				found = found || shares[i].exceeded(tables)
			}
			if !found {
				t.Fatalf("shares %+v: none is exceeded", shares)
			}
		}
	}
}
