package sink

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/iceberg-go"

	"github.com/cdcd-project/cdcd/internal/merge/keyindex"
	"github.com/cdcd-project/cdcd/internal/row"
)

// Version returns cdcd's own version, as it is recorded in each snapshot's summary.
func (s *Sink) Version() string { return s.o.Version }

// Has reports whether the table has a row with a canonical key (row.Rows.AppendKey).
func (t *Table) Has(key []byte) bool {
	_, ok := t.index.Get(key)
	return ok
}

// Digest stands for the binary values of one row: two rows with the same digest have the same values.
type Digest [sha256.Size]byte

// DigestOf returns the digest of binary values, of which nil is a null.
func DigestOf(values ...[]byte) (d Digest) {
	h := sha256.New()
	for _, v := range values {
		digest(h, v, v == nil)
	}
	h.Sum(d[:0])
	return d
}

func digest(h hash.Hash, v []byte, null bool) {
	length := uint64(len(v)) + 1
	if null {
		length = 0
	}
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, length))
	_, _ = h.Write(v)
}

// Digests are those of the rows of one data file, by position.
type Digests struct {
	file uint32
	rows []Digest
}

// Digest returns the digest of some binary columns of the row with a canonical key, which the table has. It reads the row's whole data
// file, and leaves what it has learned in known for the next call, which may be about the same file; the columns must be the same.
func (t *Table) Digest(ctx context.Context, key []byte, known *Digests, columns ...string) (Digest, error) {
	at, ok := t.index.Get(key)
	f := t.live.data[at.File()]
	if !ok || f == nil {
		return Digest{}, fmt.Errorf("digest row: the table has none of this key")
	}
	if known.rows == nil || known.file != at.File() {
		rows, err := t.digests(ctx, f, columns)
		if err != nil {
			return Digest{}, err
		}
		*known = Digests{file: at.File(), rows: rows}
	}
	if at.Pos() >= int64(len(known.rows)) {
		return Digest{}, fmt.Errorf("digest row: position %d of %s, which has %d rows", at.Pos(), f.file.FilePath(), len(known.rows))
	}
	return known.rows[at.Pos()], nil
}

func (t *Table) digests(ctx context.Context, f *dataFile, columns []string) ([]Digest, error) {
	ids, err := t.fieldIDs(columns...)
	if err != nil {
		return nil, err
	}
	out := []Digest{}
	err = t.scan(ctx, f.file, ids, func(all []arrow.Array) error {
		for i := range all[0].Len() {
			h := sha256.New()
			for _, column := range all {
				a, ok := column.(*array.Binary)
				if !ok {
					return fmt.Errorf("a column is stored as %s", column.DataType())
				}
				digest(h, a.Value(i), a.IsNull(i))
			}
			var d Digest
			h.Sum(d[:0])
			out = append(out, d)
		}
		return nil
	})
	return out, err
}

// fieldIDs returns the ids of some columns.
func (t *Table) fieldIDs(columns ...string) ([]int, error) {
	var ids []int
	for _, name := range columns {
		field, ok := t.target.iceberg.FindFieldByName(name)
		if !ok {
			return nil, fmt.Errorf("read rows: the table has no column %s", name)
		}
		ids = append(ids, field.ID)
	}
	return ids, nil
}

// Values calls f with some columns of text, bytes or instants of each row whose canonical key want wants, in the order of files. A piece
// of bounded size is read at once (I7): row i of values is that of key, and valid until f returns.
func (t *Table) Values(ctx context.Context, columns []string, want func(key []byte) bool, f func(key []byte, values *row.Rows, i int) error) error {
	var places []int
	for _, name := range columns {
		c := t.target.rows.Index(name)
		if c < 0 {
			return fmt.Errorf("read rows: the table has no column %s", name)
		}
		places = append(places, c)
	}
	keys, at := map[keyindex.Location][]byte{}, []keyindex.Location(nil)
	for key, l := range t.index.All() {
		if want(key) {
			keys[l], at = key, append(at, l)
		}
	}
	slices.Sort(at)
	return t.Draft().Kept(ctx, places, at, func(first int, values *row.Rows) error {
		for i := range values.Len() {
			if err := f(keys[at[first+i]], values, i); err != nil {
				return err
			}
		}
		return nil
	})
}

// Places calls f with the values of three columns, of text, int and long, of each row that has them and whose long lies from least to
// most. Files without such a row, by their bounds, are not read.
func (t *Table) Places(ctx context.Context, text, number, long string, least, most int64, f func(text string, number int32, long int64)) error {
	ids, err := t.fieldIDs(text, number, long)
	if err != nil {
		return err
	}
	for _, file := range t.live.data {
		if beyond(file.file, ids[2], least, most) {
			continue
		}
		err := t.scan(ctx, file.file, ids, func(columns []arrow.Array) error {
			texts, ok0 := columns[0].(*array.String)
			numbers, ok1 := columns[1].(*array.Int32)
			longs, ok2 := columns[2].(*array.Int64)
			if !ok0 || !ok1 || !ok2 {
				return fmt.Errorf("columns are %s, %s and %s", columns[0].DataType(), columns[1].DataType(), columns[2].DataType())
			}
			for i := range longs.Len() {
				if at := longs.Value(i); at >= least && at <= most && longs.IsValid(i) && numbers.IsValid(i) && texts.IsValid(i) {
					f(texts.Value(i), numbers.Value(i), at)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// beyond reports whether all values of a column of longs, by the bounds of its file, lie outside of a range.
func beyond(f iceberg.DataFile, id int, least, most int64) bool {
	lower, upper := f.LowerBoundValues()[id], f.UpperBoundValues()[id]
	return len(lower) == 8 && int64(binary.LittleEndian.Uint64(lower)) > most || len(upper) == 8 && int64(binary.LittleEndian.Uint64(upper)) < least
}
