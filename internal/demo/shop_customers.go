package demo

import "slices"

// nextCustomer returns a number that no customer has; now and then one that a customer had.
func (s *Shop) nextCustomer() int32 {
	if n := len(s.freed); n > 0 && s.rng.IntN(3) == 0 {
		i := s.rng.IntN(n)
		id := s.freed[i]
		s.freed = slices.Delete(s.freed, i, i+1)
		return id
	}
	s.customerMax++
	if s.customerMax == handFirst {
		s.customerMax = handLast + 1
	}
	return s.customerMax
}

func (s *Shop) newCustomer() {
	c := &customer{s.nextCustomer(), s.name(), segmentNames[s.rng.IntN(len(segmentNames))]}
	s.customers = append(s.customers, c)
	s.statement()
	s.insert(c)
}

func (s *Shop) changeCustomer() {
	i := s.pick(len(s.customers))
	if i < 0 {
		return
	}
	c := s.customers[i]
	before := *c
	if s.rng.IntN(2) == 0 {
		c.name = s.name()
	}
	if c.name == before.name { // A row that did not change is not in the binary log.
		at := slices.Index(segmentNames[:], c.segment)
		c.segment = segmentNames[(at+1+s.rng.IntN(len(segmentNames)-1))%len(segmentNames)]
	}
	s.statement()
	s.update(&before, c)
}

func (s *Shop) dropCustomer() {
	i := s.pick(len(s.customers))
	if i < 0 {
		return
	}
	s.statement()
	s.remove(s.customers[i])
	s.freed = remember(s.freed, s.customers[i].id)
	s.customers = takeOut(s.customers, i)
}

func (s *Shop) renumberCustomer() {
	i := s.pick(len(s.customers))
	if i < 0 {
		return
	}
	c := s.customers[i]
	before := *c
	c.id = s.nextCustomer()
	s.freed = remember(s.freed, before.id)
	s.statement()
	s.rekey(&before, c)
}

// comeAndGo inserts a customer and deletes it in the same transaction; half of the time it comes back under its number.
func (s *Shop) comeAndGo() {
	c := &customer{s.nextCustomer(), s.name(), segmentNames[0]}
	s.statement()
	s.insert(c)
	s.statement()
	s.remove(c)
	if s.rng.IntN(2) == 0 {
		s.freed = remember(s.freed, c.id)
		return
	}
	back := &customer{c.id, s.name(), segmentNames[1]}
	s.customers = append(s.customers, back)
	s.statement()
	s.insert(back)
}
