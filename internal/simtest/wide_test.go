package simtest

import (
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	topicWide = "s.wide"

	// unavailable is what Debezium writes in place of a value that the source's log does not have, as it has not changed.
	unavailable = "__debezium_unavailable_value"

	// filler is the name in the rows of fillers, which are none of the source's.
	filler = "filler"
)

// sourceRow is a row of the source: one that is narrow, and one that updates repeat only if they change it.
type sourceRow struct{ name, doc string }

// changeWide changes the table whose updates lack what they do not change: an insert, an update, a delete with its tombstone, a change of
// the key in a pair of events, or a TRUNCATE. Now and then there is an update of a row that nobody has told of.
func (d *database) changeWide() []event {
	id := int(d.zipf.Uint64())
	old, known := d.wide[id]
	switch n := d.rng.IntN(80); {
	case n < 2:
		clear(d.wide)
		return []event{{topic: topicWide, value: fmt.Sprintf(`{"before":null,"after":null,%s,"op":"t","ts_ms":1}`, source)}}
	case n < 5:
		return []event{d.putWide(700+d.rng.IntN(20), d.newRow(), true)}
	case !known:
		d.wide[id] = d.newRow()
		return []event{d.putWide(id, d.wide[id], false)}
	case n < 14:
		delete(d.wide, id)
		return remove(topicWide, keyWide(id), imageWide(id, old, true))
	case n < 26:
		return d.moveWide(id, old)
	}
	row, keeps := d.changed(old)
	d.wide[id] = row
	return []event{d.putWide(id, row, keeps)}
}

// moveWide gives a row another key: a delete, its tombstone, and a create, which name each other's key in headers.
func (d *database) moveWide(id int, old sourceRow) []event {
	to := 100 + d.rng.IntN(60)
	if ids := slices.Sorted(maps.Keys(d.wide)); d.rng.IntN(2) == 0 { // Close to where others are, and were.
		to = ids[d.rng.IntN(len(ids))] + 1
	}
	if _, taken := d.wide[to]; taken {
		to = 1000 + d.rng.IntN(1000)
	}
	row, keeps := d.changed(old)
	delete(d.wide, id)
	d.wide[to] = row
	pair := append(remove(topicWide, keyWide(id), imageWide(id, old, true)), d.putWide(to, row, keeps))
	for i := range pair[:2] {
		pair[i].headers = []kgo.RecordHeader{{Key: newKeyHeader, Value: []byte(keyWide(to))}}
	}
	pair[2].headers = []kgo.RecordHeader{{Key: oldKeyHeader, Value: []byte(keyWide(id))}}
	return pair
}

// The headers of a pair.
const (
	newKeyHeader = "__debezium.newkey"
	oldKeyHeader = "__debezium.oldkey"
)

func (d *database) newRow() sourceRow {
	return sourceRow{name: fmt.Sprint("n", d.rng.IntN(1_000_000)), doc: d.newDoc()}
}

func (d *database) newDoc() string {
	doc := fmt.Sprint("doc ", d.rng.IntN(1_000_000))
	if d.rng.IntN(5) == 0 {
		doc += " " + d.long
	}
	return doc
}

// changed returns what an update makes of a row, and whether it keeps the wide column.
func (d *database) changed(old sourceRow) (row sourceRow, keeps bool) {
	row = sourceRow{name: fmt.Sprint("n", d.rng.IntN(1_000_000)), doc: old.doc}
	if keeps = d.rng.IntN(3) > 0; !keeps {
		row.doc = d.newDoc()
	}
	return row, keeps
}

// putWide is the event after which the row stands.
func (d *database) putWide(id int, r sourceRow, keeps bool) event {
	return d.upsert(topicWide, keyWide(id), imageWide(id, r, keeps))
}

func keyWide(id int) string { return fmt.Sprintf(`{"id":%d}`, id) }

// imageWide is a row as the source's log has it.
func imageWide(id int, r sourceRow, keeps bool) string {
	if keeps {
		r.doc = unavailable
	}
	return fmt.Sprintf(`{"id":%d,"name":%q,"doc":%q}`, id, r.name, r.doc)
}
