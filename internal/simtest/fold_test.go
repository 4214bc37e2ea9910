package simtest

import (
	"maps"

	"github.com/twmb/franz-go/pkg/kgo"
)

// position is a place in a topic's partition.
type position struct {
	topic     string
	partition int32
}

// truth is what a table's rows are after the records before the limits, by canonical key.
type truth struct {
	names []string // The key's columns.
	rows  map[string]*state
	sour  map[position]int64     // Where the first record stands that cannot be applied.
	bad   map[string]*kgo.Record // By coordinate: what must be in quarantine.
	open  map[string]*kgo.Record // What may be.

	gone   map[string]*state // The last row of keys that have none.
	parted map[string]bool   // Keys whose row is not the source's: a record of it could not be applied.
	doubts map[doubt]bool    // Keys of which a record was set aside: true until an event with all values came.

	truncates, kept int
}

// doubt is about the row of a key, in the order of a partition.
type doubt struct {
	position

	key string
}

// state is what a key's row is.
type state struct {
	row  rowText
	open bool // It hangs on what cannot be known: it is this row, another, or none.
}

// folding is what the fold of a table's records has to know beside them.
type folding struct {
	w     *world
	limit func(position) int64
	aside map[string]string // What stands in quarantine.
}

// fold applies the log's records in order.
func (f folding) fold(log map[string][]logged, topics []string) truth {
	t := truth{
		rows: map[string]*state{}, sour: map[position]int64{}, bad: map[string]*kgo.Record{}, open: map[string]*kgo.Record{},
		gone: map[string]*state{}, parted: map[string]bool{}, doubts: map[doubt]bool{},
	}
	for _, topic := range topics {
		for _, l := range log[topic] {
			at := position{topic, l.Partition}
			if l.sour {
				if _, again := t.sour[at]; !again {
					t.sour[at] = l.Offset
				}
			}
			if l.sour || l.Offset >= f.limit(at) {
				continue
			}
			f.apply(&t, &l)
		}
	}
	return t
}

// apply applies one record.
func (f folding) apply(t *truth, l *logged) {
	if l.names != nil {
		t.names = l.names
	}
	switch {
	case l.bad:
		t.setAside(f, l)
		t.parted[l.key] = true
	case l.truncate:
		t.truncates++
		clear(t.rows)
		clear(t.gone)
		clear(t.parted)
		for d := range t.doubts {
			t.doubts[d] = false
		}
	case l.row == nil:
		if s := t.rows[l.key]; s != nil {
			t.gone[l.key] = s
		}
		delete(t.rows, l.key)
		delete(t.parted, l.key)
	case l.keeps == "":
		t.rows[l.key] = &state{row: l.row}
		delete(t.parted, l.key)
		t.settle(l)
	default:
		f.keep(t, l)
	}
}

func doubtOf(l *logged, key string) doubt {
	return doubt{position{l.Topic, l.Partition}, key}
}

// setAside notes a record that must be in quarantine: the row of its key is in doubt from there on.
func (t *truth) setAside(f folding, l *logged) {
	t.bad[f.w.coordinate(l.Record)] = l.Record
	t.doubts[doubtOf(l, l.key)] = true
}

// settle notes an event after which the row of its key is known.
func (t *truth) settle(l *logged) {
	if d := doubtOf(l, l.key); t.doubts[d] {
		t.doubts[d] = false
	}
}

// keep applies a record that keeps a value of the row before: that of its own key, or else, if it tells that the key has changed, of
// the old one. That row was deleted just before, and can be read until this was committed. So whether such a record can be applied hangs on
// where commits are, and quarantine tells; but not after a rollback, since rows stay there that were set aside on another line.
//
// Where the row is in doubt the record is set aside. Where it was, a session that began later may set it aside all the same, and another that
// knows better may come before it.
func (f folding) keep(t *truth, l *logged) {
	at := f.w.coordinate(l.Record)
	from, own, key := t.rows[l.key], true, l.key
	if from == nil && l.old != "" {
		from, own, key = t.rows[l.old], t.rows[l.old] != nil, l.old
		if from == nil {
			from = t.gone[l.old]
		}
	}
	inDoubt, ever := t.doubts[doubtOf(l, key)]
	if lost, once := t.doubts[doubtOf(l, l.key)]; once { // The move may be one that was set aside before.
		inDoubt, ever = inDoubt || lost, true
	}
	_, aside := f.aside[at]
	may := !own || ever
	switch {
	case from == nil || inDoubt && !from.open:
		t.setAside(f, l)
		t.parted[l.key] = true
		return
	case from.open || may:
		t.open[at] = l.Record
		if own := doubtOf(l, l.key); aside && !t.doubts[own] {
			t.doubts[own] = false // Later sessions read that it was set aside.
		}
		if !from.open && aside && !ever && !f.w.plan.has(actRollback) {
			t.doubts[doubtOf(l, l.key)] = true
			t.parted[l.key] = true
			return
		}
	}
	row := maps.Clone(l.row)
	row[l.keeps] = from.row[l.keeps]
	t.rows[l.key] = &state{row: row, open: from.open || may && aside}
	t.parted[l.key] = t.parted[l.key] || own && l.old != "" && t.parted[l.old]
	t.settle(l)
	t.kept++
}
