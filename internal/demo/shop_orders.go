package demo

import "slices"

// nextOrder returns a number that no order has; now and then one that an order had.
func (s *Shop) nextOrder() int64 {
	if n := len(s.freedOrders); n > 0 && s.rng.IntN(8) == 0 {
		i := s.rng.IntN(n)
		id := s.freedOrders[i]
		s.freedOrders = slices.Delete(s.freedOrders, i, i+1)
		return id
	}
	s.orderMax++
	return s.orderMax
}

// makeOrder adds an order with some items to the shop and emits nothing.
func (s *Shop) makeOrder(items int) *order {
	o := &order{
		id: s.nextOrder(), total: s.total(), customer: 1 + s.rng.Int32N(max(1, s.customerMax)), status: statusNames[0],
		orderedAt: s.conn.micros, updatedAt: s.conn.micros,
	}
	if s.rng.IntN(4) == 0 {
		o.note, o.hasNote = s.note(), true
	}
	for line := range int32(items) {
		o.items = append(o.items, &item{
			order: o.id, line: line + 1, qty: 1 + s.rng.Int32N(12), sku: s.sku(), price: s.rng.Int64N(1_000_00) - 50_00,
			isGift: s.rng.IntN(5) == 0,
		})
	}
	s.orders = append(s.orders, o)
	return o
}

func (s *Shop) placeOrder() {
	o := s.makeOrder(1 + s.rng.IntN(4))
	s.statement()
	s.insert(o)
	s.statement() // One INSERT of several rows.
	for _, i := range o.items {
		s.insert(i)
	}
}

func (s *Shop) advanceOrder() {
	if i := s.pick(len(s.orders)); i >= 0 {
		s.statement()
		s.advance(s.orders[i])
	}
}

// advanceRepeatedly changes one row several times in a transaction.
func (s *Shop) advanceRepeatedly() {
	if i := s.pick(len(s.orders)); i >= 0 {
		for range 2 + s.rng.IntN(4) {
			s.conn.micros++
			s.statement()
			s.advance(s.orders[i])
		}
	}
}

func (s *Shop) advance(o *order) {
	before := *o
	o.updatedAt = s.conn.micros // Later than ever before, so the row does change.
	o.status = statusNames[s.rng.IntN(len(statusNames))]
	switch s.rng.IntN(8) {
	case 0:
		o.total = s.total()
	case 1:
		o.total = -o.total // Paid back.
	case 2:
		o.note, o.hasNote = s.note(), true
	case 3:
		o.note, o.hasNote = "", false
	}
	s.update(&before, o)
}

// dropOrder deletes the items of an order and the order.
func (s *Shop) dropOrder() {
	i := s.pick(len(s.orders))
	if i < 0 {
		return
	}
	o := s.orders[i]
	s.statement()
	for _, it := range o.items {
		s.remove(it)
	}
	s.statement()
	s.remove(o)
	s.freedOrders = remember(s.freedOrders, o.id)
	s.orders = takeOut(s.orders, i)
}

// pickItem returns an order and which of its items; nil if the order that was picked has none.
func (s *Shop) pickItem() (o *order, at int) {
	i := s.pick(len(s.orders))
	if i < 0 || len(s.orders[i].items) == 0 {
		return nil, 0
	}
	return s.orders[i], s.rng.IntN(len(s.orders[i].items))
}

func (s *Shop) changeItem() {
	o, at := s.pickItem()
	if o == nil {
		return
	}
	it := o.items[at]
	before := *it
	switch s.rng.IntN(4) {
	case 0:
		it.qty++
	case 1:
		it.isGift = !it.isGift
	case 2:
		it.price++
	default:
		it.isShipped = !it.isShipped
		it.shipped = int32(s.conn.micros / dayMicros)
	}
	s.statement()
	s.update(&before, it)
}

func (s *Shop) renumberItem() {
	o, at := s.pickItem()
	if o == nil {
		return
	}
	it := o.items[at]
	before := *it
	it.line = s.freeLine(o)
	s.statement()
	s.rekey(&before, it)
}

// freeLine returns a line number that no item of the order has.
func (s *Shop) freeLine(o *order) int32 {
	for line := 1 + s.rng.Int32N(9); ; line++ {
		if !slices.ContainsFunc(o.items, func(i *item) bool { return i.line == line }) {
			return line
		}
	}
}

func (s *Shop) dropItem() {
	o, at := s.pickItem()
	if o == nil {
		return
	}
	s.statement()
	s.remove(o.items[at])
	o.items = takeOut(o.items, at)
}
