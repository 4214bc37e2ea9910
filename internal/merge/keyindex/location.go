package keyindex

import (
	"fmt"

	"github.com/cdcd-project/cdcd/internal/invariant"
)

const (
	posBits = 36
	posMax  = 1<<posBits - 1
	fileMax = 1<<28 - 2 // The largest file number is left out: with the largest position it marks a dead key.
)

// Location is the place of a row: a file number and the row's position in that file, packed into 64 bits (28 for the file,
// 36 for the position). Locations order by file, then by position. What a file number stands for is the sink's business.
type Location uint64

// NewLocation returns the location of the row at position pos, counted from 0, of file. The largest file number is
// 2^28-2 and the largest position 2^36-1; no file or table of cdcd comes near.
func NewLocation(file uint32, pos int64) Location {
	if file > fileMax || pos < 0 || pos > posMax { // The test stands here because boxing Check's arguments allocates.
		invariant.Check(false, "I4: file %d, position %d cannot be a location", file, pos)
	}
	return Location(uint64(file)<<posBits | uint64(pos))
}

// File returns the number of the file.
func (l Location) File() uint32 { return uint32(l >> posBits) }

// Pos returns the position in the file, counted from 0.
func (l Location) Pos() int64 { return int64(l & posMax) }

// String returns file:position.
func (l Location) String() string { return fmt.Sprintf("%d:%d", l.File(), l.Pos()) }
