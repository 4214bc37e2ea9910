// Package demo is an embedded broker and a small shop that changes all the time.
package demo

import (
	"cmp"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cdcd-project/cdcd/internal/invariant"
)

// Message is a Kafka record as Debezium's MySQL connector and Kafka Connect's JsonConverter write it. A nil Value is a
// tombstone. The bytes belong to the receiver and are never written to again.
type Message struct {
	Topic      string
	Key, Value []byte
}

// Customer numbers from handFirst to handLast are left to InsertCustomer.
const (
	handFirst = 8000
	handLast  = 9999
)

// Shop is the database salesdb of a small shop, with three tables, and the Debezium connector that captures it. It yields
// messages in commit order and keeps the rows that they must lead to, as plain values, from which both the messages and
// the Truth are written. A seed always gives the same messages. A Shop is not safe for concurrent use.
type Shop struct {
	// Schemaless writes payloads only (schemas.enable=false). By default each key and value carries its schema.
	Schemaless bool

	// Now is the clock of the source database. Nil is a clock that moves with the traffic only, by half a millisecond a
	// transaction on average, so that runs can be repeated.
	Now func() time.Time

	rng    *rand.Rand
	tables [3]table
	conn   connector
	out    []Message // Of the transaction in progress.

	customers   []*customer // In no order, so that one is taken out in constant time.
	orders      []*order    // Likewise; each with its items.
	hand        []*customer // The customers inserted by hand, which the traffic leaves alone.
	customerMax int32
	orderMax    int64
	freed       []int32 // Numbers of customers that are gone; some come back.
	freedOrders []int64
}

// NewShop returns a shop without rows. The tables of Truth and Tables are customer, orders and order_item.
func NewShop(seed uint64) *Shop {
	return &Shop{
		rng:      rand.New(rand.NewPCG(seed, 0x73686f70)), //nolint:gosec // Reproducible on purpose.
		tables:   newTables(),
		conn:     newConnector(),
		orderMax: 5_000_000_000, // A long that is no int.
	}
}

// Snapshot fills the empty shop with the given number of rows in all, and returns the messages of Debezium's initial
// snapshot of them. It is called once, first, and read to its end before anything changes.
func (s *Shop) Snapshot(rows int) iter.Seq[Message] {
	invariant.Check(len(s.customers)+len(s.orders)+len(s.hand) == 0, "demo: a snapshot of a shop that has rows already")
	s.fill(rows)
	return func(yield func(Message) bool) {
		emitted := 0
		for t := range s.tables {
			n, of := 0, s.count(t)
			for e := range s.entities(t) {
				n, emitted = n+1, emitted+1
				s.conn.snapshot = snapshotMarker(n == 1, n == of, emitted == 1, emitted == rows)
				if !yield(s.message(opRead, nil, e)) {
					s.conn.snapshot = ""
					return
				}
			}
		}
		s.conn.snapshot = ""
	}
}

// Change makes one random source transaction and returns its messages, one at least.
func (s *Shop) Change() []Message {
	s.begin()
	for len(s.out) == 0 {
		s.act(s.rng.IntN(100))
	}
	return s.out
}

// InsertCustomer inserts a customer by hand; the number is one of 8000 to 9999, which random traffic never uses.
func (s *Shop) InsertCustomer(id int32, name, segment string) []Message {
	invariant.Check(id >= handFirst && id <= handLast, "demo: customer %d is not for hand-made changes", id)
	i, found := s.findHand(id)
	invariant.Check(!found, "demo: customer %d exists", id)
	c := &customer{id, name, segment}
	s.hand = slices.Insert(s.hand, i, c)
	s.begin()
	s.insert(c)
	return s.out
}

// UpdateCustomer updates a customer that was inserted by hand.
func (s *Shop) UpdateCustomer(id int32, name, segment string) []Message {
	i, found := s.findHand(id)
	invariant.Check(found, "demo: customer %d was not inserted by hand", id)
	before := *s.hand[i]
	s.hand[i].name, s.hand[i].segment = name, segment
	s.begin()
	s.update(&before, s.hand[i])
	return s.out
}

// DeleteCustomer deletes a customer that was inserted by hand: a delete and its tombstone.
func (s *Shop) DeleteCustomer(id int32) []Message {
	i, found := s.findHand(id)
	invariant.Check(found, "demo: customer %d was not inserted by hand", id)
	c := s.hand[i]
	s.hand = slices.Delete(s.hand, i, i+1)
	s.begin()
	s.remove(c)
	return s.out
}

func (s *Shop) findHand(id int32) (int, bool) {
	return slices.BinarySearchFunc(s.hand, id, func(c *customer, id int32) int { return cmp.Compare(c.id, id) })
}

// Tables describes the tables of the shop.
func (s *Shop) Tables() []Table {
	all := make([]Table, len(s.tables))
	for t := range s.tables {
		all[t] = s.tables[t].Table
	}
	return all
}

// Rows returns the number of rows of the named table.
func (s *Shop) Rows(table string) int { return s.count(s.find(table)) }

// Truth yields what the named table must hold: its rows in key order, each as the canonical text of its columns in the
// order of Tables. Integers and decimals are plain, with exact scale; dates are YYYY-MM-DD, timestamps
// YYYY-MM-DDTHH:MM:SS.ffffff with Z appended if they are instants; SQL NULL is Null. The slice is reused.
func (s *Shop) Truth(table string) iter.Seq[[]string] {
	t := s.find(table)
	return func(yield func([]string) bool) {
		var text []string
		for e := range s.entities(t) {
			if text = e.appendText(text[:0]); !yield(text) {
				return
			}
		}
	}
}

func (s *Shop) find(name string) int {
	t := slices.IndexFunc(s.tables[:], func(t table) bool { return t.Name == name })
	invariant.Check(t >= 0, "demo: the shop has no table %s", name)
	return t
}

func (s *Shop) count(t int) int {
	switch t {
	case tableCustomer:
		return len(s.customers) + len(s.hand)
	case tableOrders:
		return len(s.orders)
	}
	n := 0
	for _, o := range s.orders {
		n += len(o.items)
	}
	return n
}

// entities yields the rows of a table in key order.
func (s *Shop) entities(t int) iter.Seq[entity] {
	return func(yield func(entity) bool) {
		if t == tableCustomer {
			all := slices.Concat(s.customers, s.hand)
			slices.SortFunc(all, func(a, b *customer) int { return cmp.Compare(a.id, b.id) })
			for _, c := range all {
				if !yield(c) {
					return
				}
			}
			return
		}
		orders := slices.SortedFunc(slices.Values(s.orders), func(a, b *order) int { return cmp.Compare(a.id, b.id) })
		for _, o := range orders {
			if t == tableOrders && !yield(o) {
				return
			}
			if t == tableItem && !yieldItems(o, yield) {
				return
			}
		}
	}
}

func yieldItems(o *order, yield func(entity) bool) bool {
	items := slices.SortedFunc(slices.Values(o.items), func(a, b *item) int { return cmp.Compare(a.line, b.line) })
	for _, i := range items {
		if !yield(i) {
			return false
		}
	}
	return true
}
