// Package merge folds events to the last change per key, and plans new rows and dead positions.
//
// Everything here is a pure function of what it was given: no I/O, no clock, no goroutine. The fold keeps offset order
// (I13) by the order of its calls, and a key whatever happened to it is one entry, so a commit cannot give it two rows (I4).
package merge

import (
	"github.com/cdcd-project/cdcd/internal/invariant"
	"github.com/cdcd-project/cdcd/internal/merge/keyindex"
	"github.com/cdcd-project/cdcd/internal/row"
)

// state says what the batch leaves of a key.
type state uint8

const (
	deleted      state = iota // Every change of the key in this batch was a delete.
	undone                    // The key was upserted and then deleted in this batch, and its last row cannot be read any more.
	undoneOpen                // The same, and its last row is in the open chunk, at row place.
	undonePlaced              // The same, and its last row stands in a data file, at Location(place).
	open                      // The key's row is in the open chunk, at row place.
	sealed                    // It is in the last Chunk, at row place, and the sink has not said yet where that stands.
	placed                    // It stands in a data file, at Location(place).
)

// noKey is the owner of a row of the last Chunk that was superseded before it was placed.
const noKey = 1<<32 - 1

// Batch is what one commit will add: the last change of each key, in the order in which changes arrived.
//
// Rows arrive in the open chunk. Chunk seals it and hands its live rows to the sink, and Placed takes back where they
// stand. Any number of chunks makes a batch; then Plan says what the commit kills, and Apply brings the index up to the
// commit that landed. A row superseded in the open chunk is never written; a row superseded after it was handed to the sink is a
// dead position of the same commit, which is legal in format version 2 (a position delete applies to data files of its own
// sequence number: Iceberg specification, "Scan Planning").
//
// Changes of one key arrive in offset order (I13). A Batch is not safe for concurrent use.
type Batch struct {
	keys    *keyindex.Keys
	states  []state  // By key number.
	places  []uint64 // By key number; what it means depends on the state.
	changes int64

	rows   *row.Rows // The open chunk. Invariant: as many rows as owners once Upsert was called for the last one.
	owners []uint32  // By row of the open chunk: the number of the key that it was a state of.

	chunk       *row.Rows // The last Chunk.
	chunkOwners []uint32  // By row of the last Chunk.
	waiting     bool      // The last Chunk was not placed yet.
	live        []int32   // Scratch of Chunk: the rows of the open chunk that are live.

	partial partial // Of the open chunk.

	appended int64 // Rows without a key.

	dead  []keyindex.Location // Rows of this batch's own files that it superseded.
	spans []span              // Where chunks were placed.
}

// span is a run of rows in one file.
type span struct{ first, end keyindex.Location }

// NewBatch returns an empty batch of rows of schema s.
func NewBatch(s *row.Schema) *Batch {
	return &Batch{keys: keyindex.NewKeys(), rows: row.NewRows(s), chunk: row.NewRows(s)}
}

// Reset empties the batch for rows of schema s, and keeps its memory unless the schema is another one. Rows and the last
// Chunk are no longer valid.
func (b *Batch) Reset(s *row.Schema) {
	if b.rows.Schema.Equal(s) {
		b.rows.Reset()
		b.chunk.Reset()
		b.rows.Schema, b.chunk.Schema = s, s
	} else {
		b.rows, b.chunk = row.NewRows(s), row.NewRows(s)
	}
	b.keys.Reset()
	b.states, b.places, b.owners, b.chunkOwners = b.states[:0], b.places[:0], b.owners[:0], b.chunkOwners[:0]
	b.partial.reset()
	b.dead, b.spans = b.dead[:0], b.spans[:0]
	b.changes, b.waiting, b.appended = 0, false, 0
}

// Rows returns the open chunk: the decoder appends and ends one row, then Upsert is called. The pointer is the same until
// Reset.
func (b *Batch) Rows() *row.Rows { return b.rows }

// Upsert makes the last ended row of Rows the state of key. It is called once for each ended row.
func (b *Batch) Upsert(key []byte) {
	if b.rows.Len() != len(b.owners)+1 {
		invariant.Check(false, "I6: %d rows ended for %d upserts", b.rows.Len(), len(b.owners)+1)
	}
	id := b.touch(key)
	b.states[id], b.places[id] = open, uint64(len(b.owners))
	b.owners = append(b.owners, id)
}

// Delete makes key have no row. Deleting it again changes nothing, so a tombstone can be folded as a delete.
func (b *Batch) Delete(key []byte) {
	id := b.touch(key)
	switch b.states[id] { //nolint:exhaustive // In all other states it has no row.
	case open:
		b.states[id] = undoneOpen
	case sealed:
		b.states[id] = undone
	case placed:
		b.states[id] = undonePlaced
	}
}

// Append makes the last ended row of Rows one more row of a table without a key. A batch has either rows with keys or rows without.
func (b *Batch) Append() {
	if len(b.owners) > 0 || b.keys.Len() > 0 {
		invariant.Check(false, "I4: a row without a key among %d rows with keys", b.keys.Len())
	}
	b.changes++
	b.appended++
}

// touch returns the number of the changed key; a row of it that was written already is dead.
func (b *Batch) touch(key []byte) uint32 {
	b.changes++
	id, added := b.keys.Add(key)
	switch {
	case added:
		b.states, b.places = append(b.states, deleted), append(b.places, 0)
	case b.states[id] == sealed:
		b.chunkOwners[b.places[id]] = noKey
	case b.states[id] == placed:
		b.dead = append(b.dead, keyindex.Location(b.places[id]))
	}
	return id
}

// Len returns the number of keys that the batch touches.
func (b *Batch) Len() int { return b.keys.Len() }

// Changes returns the number of changes folded in.
func (b *Batch) Changes() int64 { return b.changes }

// Empty reports whether nothing was folded in.
func (b *Batch) Empty() bool { return b.changes == 0 }

// Bytes returns the bytes of memory that the batch's contents occupy: keys, states, rows not written yet and dead
// positions. It is next to nothing after Reset, so it can decide when to seal a chunk or to commit.
func (b *Batch) Bytes() int {
	return b.keys.Bytes() + len(b.states) + 8*len(b.places) + b.rows.Bytes() + b.chunk.Bytes() + b.partial.bytes() +
		4*(len(b.owners)+len(b.chunkOwners)+len(b.live)) + 8*len(b.dead) + 16*len(b.spans)
}

// Reserved returns the bytes of memory that the batch holds, in use or kept for the next one. That is what a batch costs
// the process (I7); it can be twice Bytes, as slices grow.
func (b *Batch) Reserved() int {
	return b.keys.Reserved() + cap(b.states) + 8*cap(b.places) + b.rows.Reserved() + b.chunk.Reserved() + b.partial.reserved() +
		4*(cap(b.owners)+cap(b.chunkOwners)+cap(b.live)) + 8*cap(b.dead) + 16*cap(b.spans)
}
