package merge

import (
	"slices"

	"github.com/cdcd-project/cdcd/internal/invariant"
	"github.com/cdcd-project/cdcd/internal/merge/keyindex"
)

// Plan is what a commit of a batch does to the table, apart from the data files that it adds.
//
// Every key that the batch touches is counted once: Inserted + Updated + Deleted + Unknown + Undone is Batch.Len.
type Plan struct {
	// The positions that die with this commit, ascending by file, then position, without duplicates: old rows of keys
	// changed or deleted, and rows of this batch's own files that it superseded.
	Dead []keyindex.Location

	Inserted int64 // Keys that have a row and had none; and rows without a key.
	Updated  int64 // Keys whose row is replaced.
	Deleted  int64 // Keys whose row is removed.
	Unknown  int64 // Keys that were deleted and that neither the table nor this batch knew: no effect.
	Undone   int64 // Keys that the table did not know, upserted and then deleted in this batch: no row is left.
}

// Plan returns what the batch does to the table whose live rows ix knows. It changes neither, so a batch restaged on another
// head is planned again on that head's index. Every row must have been placed.
func (b *Batch) Plan(ix *keyindex.Index) Plan {
	b.checkComplete()
	p := Plan{Dead: slices.Grow(slices.Clone(b.dead), b.Len()), Inserted: b.appended}
	for id, s := range b.states {
		old, had := ix.Get(b.keys.Key(uint32(id)))
		if had {
			if s == placed && uint64(old) == b.places[id] {
				invariant.Check(false, "I4: the row at %v was committed before", old)
			}
			p.Dead = append(p.Dead, old)
		}
		*p.count(s, had)++
	}
	slices.Sort(p.Dead)
	for i := 1; i < len(p.Dead); i++ {
		if p.Dead[i-1] == p.Dead[i] {
			invariant.Check(false, "I4: the row at %v dies twice", p.Dead[i])
		}
	}
	return p
}

// count returns the count that a key belongs to which is left in state s and had a row, or had none.
func (p *Plan) count(s state, had bool) *int64 {
	switch {
	case s == placed && had:
		return &p.Updated
	case s == placed:
		return &p.Inserted
	case had:
		return &p.Deleted
	case s == undone, s == undonePlaced:
		return &p.Undone
	}
	return &p.Unknown
}

// Apply brings ix from the head that the batch was planned on to the commit that landed: every changed key is at its new
// location, deleted keys are gone (I4).
func (b *Batch) Apply(ix *keyindex.Index) {
	b.checkComplete()
	before, p := ix.Len(), Plan{}
	for id, s := range b.states {
		key := b.keys.Key(uint32(id))
		if s != placed {
			_, had := ix.Delete(key)
			*p.count(s, had)++
			continue
		}
		l := keyindex.Location(b.places[id])
		old, had := ix.Put(key, l)
		if had && old == l {
			invariant.Check(false, "I4: the row at %v was applied before", l)
		}
		*p.count(s, had)++
	}
	if want := before + int(p.Inserted-p.Deleted); ix.Len() != want {
		invariant.Check(false, "I4: %d keys after a commit that should leave %d", ix.Len(), want)
	}
}

// checkComplete keeps I1: a batch is committed with all of its rows in files.
func (b *Batch) checkComplete() {
	b.checkPlaced()
	if b.rows.Len() > 0 {
		invariant.Check(false, "I1: %d rows were not sealed", b.rows.Len())
	}
}
