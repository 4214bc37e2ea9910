package sink

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/invariant"
	"github.com/cdcd-project/cdcd/internal/merge/keyindex"
	"github.com/cdcd-project/cdcd/internal/row"
)

// readFile reads the places of one file. What it has read before storage failed is not read again.
func (k *kept) readFile(ctx context.Context, f *dataFile, at []keyindex.Location) error {
	begin := k.done()
	err := k.t.s.retry(ctx, k.t.log, "read kept values", func(ctx context.Context) error {
		err := k.scan(ctx, f, at[k.done()-begin:])
		k.values.Drop()
		if err == k.outErr { //nolint:errorlint // Ours, unwrapped: it says nothing about storage.
			err = nil
		}
		return err
	})
	if err = cmp.Or(k.outErr, err); err != nil {
		return fmt.Errorf("read kept values of %s: %w", f.file.FilePath(), err)
	}
	invariant.Check(k.done() == begin+len(at), "I4: %s has %d of the %d rows that are kept", f.file.FilePath(), k.done()-begin, len(at))
	return nil
}

// scan reads the places of one file, row group by row group.
func (k *kept) scan(ctx context.Context, f *dataFile, at []keyindex.Location) error {
	text, closer, err := k.open(ctx, f)
	if err != nil {
		return err
	}
	defer func() { _ = closer.Close() }() // It was only read.
	pf, err := guarded(func() (*file.Reader, error) {
		p := parquet.NewReaderProperties(memory.DefaultAllocator)
		p.BufferedStreamEnabled, p.BufferSize = true, keptStreamBytes
		return file.NewParquetReader(text, file.WithReadProps(p))
	})
	if err != nil {
		return err
	}
	leaves, order := k.leaves(pf)
	start := int64(0)
	for g := range pf.NumRowGroups() {
		end := start + pf.RowGroup(g).NumRows()
		n := 0
		for n < len(at) && at[n].Pos() < end {
			n++
		}
		if n > 0 {
			if err := k.group(ctx, pf, g, leaves, order, start, at[:n]); err != nil {
				return err
			}
		}
		at, start = at[n:], end
	}
	if len(at) > 0 {
		return fmt.Errorf("position %d of a file of %d rows (I4)", at[0].Pos(), start)
	}
	return nil
}

// open opens a file for reading at random. A small one is read at once.
func (k *kept) open(ctx context.Context, f *dataFile) (parquet.ReaderAtSeeker, io.Closer, error) {
	path, size := f.file.FilePath(), f.file.FileSizeBytes()
	if size <= keptWholeBytes {
		text, err := k.t.read(ctx, "read file", path, size)
		return bytes.NewReader(text), io.NopCloser(nil), err
	}
	opened, err := k.t.fs.Open(path)
	if err != nil {
		return nil, nil, err
	}
	if n, err := opened.Seek(0, io.SeekEnd); err != nil || n != size {
		_ = opened.Close() // The other error says more.
		if err == nil {
			err = fmt.Errorf("it has %d bytes, and the table's metadata say %d: the object is damaged", n, size)
		}
		return nil, nil, err
	}
	return opened, opened, nil
}

// leaves returns the leaf columns of a file that are asked for, and for each id the place of its column among them, or -1: the
// file is older than the column.
func (k *kept) leaves(pf *file.Reader) (leaves, order []int) {
	schema := pf.MetaData().Schema
	order = make([]int, len(k.ids))
	for i := range order {
		order[i] = -1
	}
	for leaf := range schema.NumColumns() {
		for i, id := range k.ids {
			if int(schema.Column(leaf).SchemaNode().FieldID()) == id {
				order[i] = len(leaves)
				leaves = append(leaves, leaf)
			}
		}
	}
	return leaves, order
}

// group reads the places of one row group, which begins at a position of the file.
func (k *kept) group(ctx context.Context, pf *file.Reader, g int, leaves, order []int, start int64, at []keyindex.Location) error {
	if len(leaves) == 0 {
		for range at {
			if err := k.take(nil, order, 0); err != nil {
				return err
			}
		}
		return nil
	}
	records, err := guarded(func() (pqarrow.RecordReader, error) {
		reader, err := pqarrow.NewFileReader(pf, pqarrow.ArrowReadProperties{BatchSize: batchRows(pf, g, leaves)}, memory.DefaultAllocator)
		if err != nil {
			return nil, err
		}
		return reader.GetRecordReader(ctx, leaves, []int{g})
	})
	if err != nil {
		return err
	}
	defer records.Release()
	for len(at) > 0 {
		more, err := guarded(func() (bool, error) { return records.Next(), nil })
		if err != nil {
			return err
		}
		if !more {
			return fmt.Errorf("row group %d ends before position %d (I4): %w", g, at[0].Pos(), records.Err())
		}
		batch := records.RecordBatch()
		end := start + batch.NumRows()
		for len(at) > 0 && at[0].Pos() < end {
			if err := k.take(batch, order, int(at[0].Pos()-start)); err != nil {
				return err
			}
			at = at[1:]
		}
		start = end
	}
	return nil
}

// batchRows returns how many rows of a row group are read at once, so that large values do not pile up (I7).
func batchRows(pf *file.Reader, g int, leaves []int) int64 {
	group, size := pf.MetaData().RowGroup(g), int64(0)
	for _, leaf := range leaves {
		if c, err := group.ColumnChunk(leaf); err == nil {
			size += c.TotalUncompressedSize()
		}
	}
	return min(max(keptBatchBytes*group.NumRows()/max(size, 1), 1), keptBatchRows)
}

// take takes the values of one row, and hands out what is there when it is enough.
func (k *kept) take(batch arrow.RecordBatch, order []int, i int) error {
	for c := range k.values.Vectors {
		v := &k.values.Vectors[c]
		if order[c] < 0 {
			v.AppendNull()
			continue
		}
		if !appendKept(v, batch.Column(order[c]), i) {
			return halt.Newf(halt.InvalidTable, "Rebuild the table.", "column %s: stored as %s, which is no %s",
				k.values.Schema.Columns[c].Name, batch.Column(order[c]).DataType(), v.Type)
		}
	}
	k.values.End()
	if k.values.Bytes() < keptBytes {
		return nil
	}
	return k.hand()
}

// appendKept appends value i of a stored column of text or bytes, the only ones that can keep a value, or of instants.
func appendKept(v *row.Vector, column arrow.Array, i int) bool {
	if column.IsNull(i) {
		v.AppendNull()
		return true
	}
	switch a := column.(type) {
	case *array.String:
		v.AppendBytes([]byte(a.Value(i)))
	case *array.Binary:
		v.AppendBytes(a.Value(i))
	case *array.Timestamp:
		v.AppendInt64(micros(a, i))
	default:
		return false
	}
	return true
}
