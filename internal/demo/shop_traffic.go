package demo

import "slices"

const (
	freedKept  = 64        // So many numbers of deleted rows are remembered, to come back.
	recentRows = 64        // Half of all changes go to the most recent rows.
	totalMax   = 1e12 - 1  // The largest decimal(12,2), in hundredths.
	totalUsual = 2_000_00  // In hundredths.
	dayMicros  = 86_400e6  // Microseconds of a day.
	historyMin = -30 * 365 // Days from 1970 to the oldest order.
)

// act makes one random statement or a few; none if there is no row to change. The dice have 100 sides.
func (s *Shop) act(dice int) {
	switch {
	case dice < 6:
		s.newCustomer()
	case dice < 15:
		s.changeCustomer()
	case dice < 17:
		s.dropCustomer()
	case dice < 19:
		s.renumberCustomer()
	case dice < 21:
		s.comeAndGo()
	case dice < 39:
		s.placeOrder()
	case dice < 72:
		s.advanceOrder()
	case dice < 76:
		s.dropOrder()
	case dice < 79:
		s.advanceRepeatedly()
	case dice < 94:
		s.changeItem()
	case dice < 97:
		s.renumberItem()
	default:
		s.dropItem()
	}
}

// pick returns the index of a random row out of n, or -1; the last rows are favoured.
func (s *Shop) pick(n int) int {
	if n == 0 {
		return -1
	}
	if n > recentRows && s.rng.IntN(2) == 0 {
		return n - 1 - s.rng.IntN(recentRows)
	}
	return s.rng.IntN(n)
}

// remember notes that a number is free again.
func remember[N int32 | int64](numbers []N, id N) []N {
	if len(numbers) == freedKept {
		numbers = slices.Delete(numbers, 0, 1)
	}
	return append(numbers, id)
}

// fill makes the rows that are there before the snapshot: a tenth are customers, the others orders with their items.
func (s *Shop) fill(rows int) {
	for range min(rows, max(1, rows/10)) {
		s.customers = append(s.customers, &customer{s.nextCustomer(), s.name(), segmentNames[s.rng.IntN(len(segmentNames))]})
		rows--
	}
	for rows > 0 {
		o := s.makeOrder(min(rows-1, 1+s.rng.IntN(4)))
		rows -= 1 + len(o.items)
		o.orderedAt -= s.rng.Int64N(1000 * dayMicros)
		if s.rng.IntN(100) == 0 { // Before 1970, where time is negative.
			o.orderedAt = s.rng.Int64N(-historyMin*dayMicros) + historyMin*dayMicros
		}
		o.updatedAt -= s.rng.Int64N(1000) * 1000 // Few digits of a fraction.
		for _, it := range o.items {
			if it.isShipped = s.rng.IntN(2) == 0; it.isShipped {
				it.shipped = int32(o.orderedAt/dayMicros) + s.rng.Int32N(10)
			}
		}
	}
}

// takeOut removes element i and keeps no order.
func takeOut[E any](all []E, i int) []E {
	last := len(all) - 1
	all[i] = all[last]
	clear(all[last:])
	return all[:last]
}
