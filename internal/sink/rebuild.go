package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/apache/iceberg-go"

	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/merge/keyindex"
	"github.com/cdcd-project/cdcd/internal/row"
)

// Field ids of the columns of a position delete file (Iceberg specification, "Reserved Field IDs").
const (
	fieldIDFilePath = 2147483546
	fieldIDPos      = 2147483545
)

// rebuild reads the index of live rows from storage: the key columns of each data file, minus the positions that the
// delete files kill. It fills in l's targets and dead counts on the way.
//
// A key that appears twice is nothing that cdcd could have written (I4): the table halts.
func (t *Table) rebuild(ctx context.Context, l *live) (*keyindex.Index, error) {
	dead := map[uint32]map[int64]struct{}{}
	for _, d := range l.deletes {
		if err := t.loadDeletes(ctx, l, d, dead); err != nil {
			return nil, err
		}
	}
	index := keyindex.New()
	if t.o.Changelog {
		return index, nil // No row is ever looked up.
	}
	for _, f := range l.data {
		if err := t.indexFile(ctx, f, dead[f.number], index); err != nil {
			return nil, err
		}
		delete(dead, f.number)
		if err := t.checkBudget(index); err != nil {
			return nil, err
		}
	}
	return index, nil
}

// checkBudget halts the table when the indexes of all tables take more memory than they may (I7).
func (t *Table) checkBudget(index *keyindex.Index) error {
	size := int64(index.Bytes())
	if total, limit := t.account(size), t.s.o.IndexBytes; limit > 0 && total > limit {
		return halt.Newf(halt.IndexOverBudget, "Raise memory.index, or let more pods share the tables.",
			"the key index takes %d bytes for %d keys, and those of all tables %d; memory.index allows %d", size, index.Len(), total, limit)
	}
	return nil
}

// loadDeletes reads one position delete file into dead and counts its targets. Positions in files that are no longer
// live kill nothing.
func (t *Table) loadDeletes(ctx context.Context, l *live, d *deleteFile, dead map[uint32]map[int64]struct{}) error {
	d.targets = map[uint32]int64{}
	return t.positions(ctx, d, func(path string, pos int64) error {
		n := t.number(path)
		d.targets[n]++
		f := l.data[n]
		if f == nil || f.sequence > d.sequence {
			return nil
		}
		positions := dead[n]
		if positions == nil {
			positions = map[int64]struct{}{}
			dead[n] = positions
		}
		if _, twice := positions[pos]; !twice {
			positions[pos] = struct{}{}
			f.dead++
		}
		return nil
	})
}

// positions calls f for each position of a delete file, in the file's order.
func (t *Table) positions(ctx context.Context, d *deleteFile, f func(path string, pos int64) error) error {
	return t.scan(ctx, d.file, []int{fieldIDFilePath, fieldIDPos}, func(columns []arrow.Array) error {
		paths, okPaths := columns[0].(*array.String)
		positions, okPositions := columns[1].(*array.Int64)
		if !okPaths || !okPositions {
			return fmt.Errorf("columns are %s and %s", columns[0].DataType(), columns[1].DataType())
		}
		for i := range paths.Len() {
			if err := f(paths.Value(i), positions.Value(i)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *Table) indexFile(ctx context.Context, f *dataFile, dead map[int64]struct{}, index *keyindex.Index) error {
	var key []byte
	next := int64(0)
	return t.scan(ctx, f.file, t.target.keyIDs, func(columns []arrow.Array) error {
		for i := range columns[0].Len() {
			pos := next
			next++
			if _, gone := dead[pos]; gone {
				continue
			}
			key = key[:0]
			for c, column := range columns {
				var err error
				if key, err = appendKey(key, column, i, t.target.rows.Columns[t.target.rows.Key[c]]); err != nil {
					return err
				}
			}
			if old, had := index.Put(key, keyindex.NewLocation(f.number, pos)); had {
				return halt.Newf(halt.ForeignRows, "Undo what another writer did: "+rewindHint(t.meta, t.o.Ref),
					"one key has two live rows: %s position %d, and file %d position %d (I4)", f.file.FilePath(), pos, old.File(), old.Pos())
			}
		}
		return nil
	})
}

// scan reads the columns with the given field ids of a Parquet file, batch by batch in row order. Storage troubles are
// retried by reading the whole file before the first batch is handed out. A file with another number of rows than the table's
// metadata say is an error.
func (t *Table) scan(ctx context.Context, d iceberg.DataFile, ids []int, f func(columns []arrow.Array) error) error {
	text, err := t.read(ctx, "read file", d.FilePath(), d.FileSizeBytes())
	if err != nil {
		return err
	}
	rows := int64(0)
	err = scanParquet(ctx, text, ids, func(columns []arrow.Array) error {
		rows += int64(columns[0].Len())
		return f(columns)
	})
	if err == nil && rows != d.Count() {
		err = fmt.Errorf("it has %d rows, and the table's metadata say %d", rows, d.Count())
	}
	if err != nil {
		return fmt.Errorf("read file %s: %w", d.FilePath(), err)
	}
	return nil
}

// scanParquet calls f with each batch of the columns with the given field ids.
func scanParquet(ctx context.Context, text []byte, ids []int, f func(columns []arrow.Array) error) error {
	var order []int
	records, err := guarded(func() (pqarrow.RecordReader, error) {
		pf, err := file.NewParquetReader(bytes.NewReader(text), file.WithReadProps(parquet.NewReaderProperties(memory.DefaultAllocator)))
		if err != nil {
			return nil, err
		}
		reader, err := pqarrow.NewFileReader(pf, pqarrow.ArrowReadProperties{BatchSize: 64 << 10}, memory.DefaultAllocator)
		if err != nil {
			return nil, err
		}
		leaves, places, err := leavesByFieldID(pf, ids)
		if err != nil {
			return nil, err
		}
		order = places
		return reader.GetRecordReader(ctx, leaves, nil)
	})
	if err != nil {
		return err
	}
	defer records.Release()
	columns := make([]arrow.Array, len(ids))
	for {
		more, err := guarded(func() (bool, error) { return records.Next(), nil })
		if !more || err != nil {
			return errors.Join(err, records.Err())
		}
		batch := records.RecordBatch()
		for i := range ids {
			columns[i] = batch.Column(order[i])
		}
		if err := f(columns); err != nil {
			return err
		}
	}
}

// guarded calls into the Parquet reader, which panics on some damaged files: that is this table's trouble, not the process's.
func guarded[T any](f func() (T, error)) (v T, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the file is damaged: the reader panicked: %v", r)
		}
	}()
	return f()
}

// leavesByFieldID returns the leaf columns that carry the ids, in file order, and for each id the place of its column
// among them.
func leavesByFieldID(pf *file.Reader, ids []int) (leaves, order []int, err error) {
	order = make([]int, len(ids))
	found := 0
	schema := pf.MetaData().Schema
	for leaf := range schema.NumColumns() {
		for i, id := range ids {
			if int(schema.Column(leaf).SchemaNode().FieldID()) == id {
				order[i] = len(leaves)
				leaves = append(leaves, leaf)
				found++
			}
		}
	}
	if found != len(ids) {
		return nil, nil, fmt.Errorf("found %d of the columns with field ids %v", found, ids)
	}
	return leaves, order, nil
}

// appendKey appends value i of an identifier column to a canonical key. The column may have been written before the
// table's column was widened.
func appendKey(key []byte, column arrow.Array, i int, c row.Column) ([]byte, error) {
	if column.IsNull(i) {
		return key, fmt.Errorf("column %s: %w", c.Name, row.ErrNullKey)
	}
	switch a := column.(type) {
	case *array.Boolean:
		if a.Value(i) {
			return append(key, 1), nil
		}
		return append(key, 0), nil
	case *array.Int32:
		return row.AppendKeyInt(key, int64(a.Value(i))), nil
	case *array.Int64:
		return row.AppendKeyInt(key, a.Value(i)), nil
	case *array.Date32:
		return row.AppendKeyInt(key, int64(a.Value(i))), nil
	case *array.Timestamp:
		return row.AppendKeyInt(key, micros(a, i)), nil
	case *array.Time64:
		return row.AppendKeyInt(key, int64(a.Value(i))), nil
	case *array.Decimal128:
		return row.AppendKeyDecimal(key, decimal(a.Value(i))), nil
	case *array.String:
		return row.AppendKeyBytes(key, []byte(a.Value(i))), nil
	case *array.Binary:
		return row.AppendKeyBytes(key, a.Value(i)), nil
	}
	return key, fmt.Errorf("column %s: stored as %s, which is no key of type %s", c.Name, column.DataType(), c.Type)
}

func decimal(d decimal128.Num) row.Decimal128 {
	return row.Decimal128{Lo: d.LowBits(), Hi: d.HighBits()}
}

// micros converts an instant to microseconds: other engines may write milliseconds.
func micros(a *array.Timestamp, i int) int64 {
	if unit, ok := a.DataType().(*arrow.TimestampType); ok && unit.Unit == arrow.Millisecond {
		return int64(a.Value(i)) * 1000
	}
	return int64(a.Value(i))
}
