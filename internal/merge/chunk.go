package merge

import (
	"github.com/cdcd-project/cdcd/internal/invariant"
	"github.com/cdcd-project/cdcd/internal/merge/keyindex"
	"github.com/cdcd-project/cdcd/internal/row"
)

// Chunk seals the open chunk and returns its live rows, without those superseded, in the order in which they arrived; nil
// if there is none. The open chunk is empty afterwards. The rows are valid until Placed, which must be called before the
// next Chunk, or Reset; changes may be folded in meanwhile.
func (b *Batch) Chunk() *row.Rows {
	b.checkPlaced()
	if b.appended > 0 {
		return b.appendedChunk()
	}
	if b.rows.Len() != len(b.owners) {
		invariant.Check(false, "I6: %d rows ended for %d upserts", b.rows.Len(), len(b.owners))
	}
	b.live = b.live[:0]
	b.chunkOwners = b.chunkOwners[:0]
	for i, id := range b.owners {
		switch s := b.states[id]; {
		case b.places[id] != uint64(i):
		case s == open:
			b.states[id], b.places[id] = sealed, uint64(len(b.live))
			b.live = append(b.live, int32(i))
			b.chunkOwners = append(b.chunkOwners, id)
		case s == undoneOpen:
			b.states[id] = undone
		}
	}
	b.chunk.Reset()
	if len(b.live) == len(b.owners) && len(b.partial.rows) == 0 {
		*b.chunk, *b.rows = *b.rows, *b.chunk // All rows are live: the buffers change roles, and nothing is copied.
	} else {
		b.appendLive()
	}
	b.partial.reset()
	b.rows.Reset()
	b.owners = b.owners[:0]
	if b.waiting = len(b.live) > 0; !b.waiting {
		return nil
	}
	return b.chunk
}

// appendedChunk is Chunk for rows without keys: all of them are live.
func (b *Batch) appendedChunk() *row.Rows {
	if b.rows.Len() == 0 {
		return nil
	}
	b.chunk.Reset()
	*b.chunk, *b.rows = *b.rows, *b.chunk
	b.waiting = true
	return b.chunk
}

// Placed tells where the last Chunk stands: its row i is in file at position first+i.
func (b *Batch) Placed(file uint32, first int64) {
	invariant.Check(b.waiting, "I1: a place for rows that were not sealed")
	n := b.chunk.Len()
	s := span{keyindex.NewLocation(file, first), keyindex.NewLocation(file, first+int64(n))}
	for _, o := range b.spans {
		if s.first < o.end && o.first < s.end {
			invariant.Check(false, "I4: rows at %v to %v, where rows stand already", s.first, s.end)
		}
	}
	b.spans = append(b.spans, s)
	for i, id := range b.chunkOwners {
		l := keyindex.NewLocation(file, first+int64(i))
		if id == noKey {
			b.dead = append(b.dead, l)
			continue
		}
		b.states[id], b.places[id] = placed, uint64(l)
	}
	b.chunk.Reset()
	b.chunkOwners, b.live, b.waiting = b.chunkOwners[:0], b.live[:0], false
}

func (b *Batch) checkPlaced() {
	if b.waiting {
		invariant.Check(false, "I1: %d rows were sealed and their place is not known", b.chunk.Len())
	}
}
