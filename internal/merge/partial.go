package merge

import (
	"cmp"
	"math"
	"slices"

	"github.com/cdcd-project/cdcd/internal/invariant"
	"github.com/cdcd-project/cdcd/internal/merge/keyindex"
	"github.com/cdcd-project/cdcd/internal/row"
)

// Source is where a row stands whose values a later row keeps: in the open chunk, or in a file.
type Source struct {
	row int32 // Of the open chunk; inFile: it is in a file.
	at  keyindex.Location
}

const (
	inFile  = -1
	nowhere = keyindex.Location(math.MaxUint64) // NewLocation never returns it.
)

// partial are the rows of the open chunk that keep values of earlier rows. Nothing is copied when they are folded in: a hot key
// would else repeat a large value for each of its changes.
//
// Invariant: rows ascend; the gaps of rows[i] are those from rows[i].gaps to rows[i+1].gaps, in ascending order of their columns.
type partial struct {
	rows []partialRow
	gaps []gap

	order   []int32  // Of Missing: the rows that keep values from files, by where those stand.
	columns []int    // Of Missing.
	place   []int32  // By column of the schema: its place in columns.
	index   [1]int32 // Scratch.
	at      []keyindex.Location
}

type partialRow struct {
	row, gaps uint32
	at        keyindex.Location // Where the row in a file stands that it keeps values of; nowhere: it keeps none of a file.
}

// gap is a column whose value stands in another row: of the open chunk, or, inFile, in the one at partialRow.at.
type gap struct{ column, row int32 }

func (p *partial) reset() {
	p.rows, p.gaps, p.order, p.columns, p.at = p.rows[:0], p.gaps[:0], p.order[:0], p.columns[:0], p.at[:0]
}

func (p *partial) bytes() int {
	return 16*len(p.rows) + 8*len(p.gaps) + 4*(len(p.order)+len(p.place)) + 8*(len(p.columns)+len(p.at))
}

func (p *partial) reserved() int {
	return 16*cap(p.rows) + 8*cap(p.gaps) + 4*(cap(p.order)+cap(p.place)) + 8*(cap(p.columns)+cap(p.at))
}

// gapsOf returns the gaps of a partial row.
func (p *partial) gapsOf(i int) []gap {
	if i+1 < len(p.rows) {
		return p.gaps[p.rows[i].gaps:p.rows[i+1].gaps]
	}
	return p.gaps[p.rows[i].gaps:]
}

// find returns the partial row that is row of the open chunk.
func (p *partial) find(row uint32) (int, bool) {
	return slices.BinarySearchFunc(p.rows, row, func(r partialRow, row uint32) int { return cmp.Compare(r.row, row) })
}

// Source returns where the latest row of key stands, by this batch and the index of the table that it changes; false if it has none.
// With gone, a row that this batch deleted counts, for as long as it can still be read.
func (b *Batch) Source(key []byte, gone bool, ix *keyindex.Index) (Source, bool) {
	id, touched := b.keys.Find(key)
	if !touched || b.states[id] == deleted && gone {
		l, ok := ix.Get(key)
		return Source{inFile, l}, ok
	}
	switch s := b.states[id]; s {
	case open:
		return Source{int32(b.places[id]), nowhere}, true
	case placed:
		return Source{inFile, keyindex.Location(b.places[id])}, true
	case undoneOpen:
		return Source{int32(b.places[id]), nowhere}, gone
	case undonePlaced:
		return Source{inFile, keyindex.Location(b.places[id])}, gone
	case sealed:
		b.checkPlaced()
	case deleted, undone:
	}
	return Source{}, false
}

// UpsertPartial is Upsert for a row that keeps the values that the given columns have in the row at from. They are nulls in
// Rows; Missing and Fill, which must be called before Chunk, put them in.
func (b *Batch) UpsertPartial(key []byte, columns []int, from Source) {
	p := &b.partial
	r := partialRow{row: uint32(len(b.owners)), gaps: uint32(len(p.gaps)), at: from.at}
	if from.row == inFile {
		for _, c := range columns {
			p.gaps = append(p.gaps, gap{int32(c), inFile})
		}
	} else {
		r.at = p.inherit(columns, from.row)
	}
	slices.SortFunc(p.gaps[r.gaps:], func(a, b gap) int { return cmp.Compare(a.column, b.column) })
	p.rows = append(p.rows, r)
	b.Upsert(key)
}

// inherit appends gaps for columns that keep the values of a row of the open chunk, which may keep some of them itself. It returns
// the location of that row's own source.
func (p *partial) inherit(columns []int, from int32) keyindex.Location {
	i, chained := p.find(uint32(from))
	var own []gap
	if chained {
		own = p.gapsOf(i)
	}
	at := nowhere
	for _, c := range columns {
		g := gap{int32(c), from}
		if k, ok := slices.BinarySearchFunc(own, g.column, func(g gap, c int32) int { return cmp.Compare(g.column, c) }); ok {
			g.row = own[k].row
		}
		if g.row == inFile {
			at = p.rows[i].at
		}
		p.gaps = append(p.gaps, g)
	}
	return at
}

// Missing returns where the values stand that live rows of the open chunk keep from files, in ascending order, and in which
// columns. It is valid until Chunk.
func (b *Batch) Missing() (at []keyindex.Location, columns []int) {
	p := &b.partial
	p.order, p.columns, p.at = p.order[:0], p.columns[:0], p.at[:0]
	p.place = slices.Grow(p.place[:0], len(b.rows.Vectors))[:len(b.rows.Vectors)]
	clear(p.place)
	for i, r := range p.rows {
		if r.at == nowhere || !b.isOpen(int(r.row)) {
			continue
		}
		p.order = append(p.order, int32(i))
		for _, g := range p.gapsOf(i) {
			if g.row == inFile {
				p.place[g.column] = 1
			}
		}
	}
	slices.SortStableFunc(p.order, func(i, j int32) int { return cmp.Compare(p.rows[i].at, p.rows[j].at) })
	for _, i := range p.order {
		p.at = append(p.at, p.rows[i].at)
	}
	for c, missing := range p.place {
		if missing == 1 {
			p.place[c] = int32(len(p.columns))
			p.columns = append(p.columns, c)
		}
	}
	return p.at, p.columns
}

// isOpen reports whether row i of the open chunk is the state of its key.
func (b *Batch) isOpen(i int) bool {
	id := b.owners[i]
	return b.states[id] == open && b.places[id] == uint64(i)
}

// Fill seals the rows that keep values from the locations of Missing from first on, as many as there are values, and returns
// them whole. values has the columns that Missing named. Placed must be called before the next Fill or Chunk.
func (b *Batch) Fill(first int, values *row.Rows) *row.Rows {
	b.checkPlaced()
	p := &b.partial
	b.chunk.Reset()
	b.chunkOwners = b.chunkOwners[:0]
	for k, i := range p.order[first : first+values.Len()] {
		r := p.rows[i].row
		id := b.owners[r]
		b.states[id], b.places[id] = sealed, uint64(len(b.chunkOwners))
		b.chunkOwners = append(b.chunkOwners, id)
		b.appendWhole(int(r), p.gapsOf(int(i)), values, k)
	}
	b.waiting = len(b.chunkOwners) > 0
	return b.chunk
}

// appendWhole appends row i of the open chunk to the chunk, with its gaps filled from other rows and from row k of values.
func (b *Batch) appendWhole(i int, gaps []gap, values *row.Rows, k int) {
	p := &b.partial
	for c := range b.rows.Vectors {
		src := &b.rows.Vectors[c]
		p.index[0] = int32(i)
		if len(gaps) > 0 && gaps[0].column == int32(c) {
			if p.index[0] = gaps[0].row; gaps[0].row == inFile {
				src = &values.Vectors[p.place[c]]
				p.index[0] = int32(k)
			}
			gaps = gaps[1:]
		}
		b.chunk.Vectors[c].AppendFrom(src, p.index[:])
	}
	b.chunk.End()
}

// appendLive appends the live rows of the open chunk to the chunk. All that keep values from files were filled.
func (b *Batch) appendLive() {
	p := &b.partial
	if len(p.rows) == 0 {
		b.chunk.AppendFrom(b.rows, b.live)
		return
	}
	next := 0
	for _, i := range b.live {
		for next < len(p.rows) && p.rows[next].row < uint32(i) {
			next++
		}
		if next == len(p.rows) || p.rows[next].row != uint32(i) {
			b.appendWhole(int(i), nil, nil, 0)
			continue
		}
		if p.rows[next].at != nowhere {
			invariant.Check(false, "I4: a row that keeps values of the one at %v was sealed without them", p.rows[next].at)
		}
		b.appendWhole(int(i), p.gapsOf(next), nil, 0)
	}
}
