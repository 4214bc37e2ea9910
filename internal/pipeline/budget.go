package pipeline

import "sync/atomic"

// budget bounds the memory of all open batches together (I7).
type budget struct {
	limit int64
	used  atomic.Int64
}

// share is one table's part of the budget.
type share struct {
	b    *budget
	mine int64
}

// set says how much the table holds at present.
func (s *share) set(n int64) {
	s.b.used.Add(n - s.mine)
	s.mine = n
}

// exceeded reports whether the table has to give memory back: the budget is used up, and the table holds a good part
// of what it has.
func (s *share) exceeded(tables int) bool {
	return s.b.used.Load() > s.b.limit && s.mine > s.b.limit/int64(2*max(tables, 1))
}
