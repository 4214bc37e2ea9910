package sink

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
	"github.com/google/uuid"

	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/row"
)

// rowGroupRows bounds a row group, and with it the memory of an open writer.
const rowGroupRows = 128 << 10

// codecOf returns the codec in which a table wants its files, by the property that all Iceberg writers read.
func codecOf(properties iceberg.Properties) (compress.Compression, error) {
	switch name := properties.Get(table.ParquetCompressionKey, "zstd"); strings.ToLower(name) {
	case "zstd":
		return compress.Codecs.Zstd, nil
	case "snappy":
		return compress.Codecs.Snappy, nil
	case "gzip":
		return compress.Codecs.Gzip, nil
	case "uncompressed", "none":
		return compress.Codecs.Uncompressed, nil
	default:
		return 0, halt.Newf(halt.InvalidTable, "Set "+table.ParquetCompressionKey+" to zstd, snappy, gzip or uncompressed.",
			"the table wants its files in the codec %q, which cdcd does not write", name)
	}
}

// Draft collects the data files of one batch until they are committed. It belongs to the table that made it, and to
// the schema that the table had, or was about to have, at that moment.
type Draft struct {
	t       *Table
	target  schemaTarget
	started time.Time
	open    *dataWriter
	files   []*dataFile
	sent    bool // A commit request that names the files may still land, or has landed (I5).
}

// Draft returns an empty draft.
func (t *Table) Draft() *Draft { return &Draft{t: t, target: t.target} }

// Write appends rows, whose schema is the table's, to the open data file and returns the place of the first one: row i
// stands in file at position first+i. Files end near the target file size. After an error the draft is worthless, and
// the batch must be read again: its rows may be gone with the file that was open.
func (d *Draft) Write(ctx context.Context, rows *row.Rows) (file uint32, first int64, err error) {
	if d.open == nil {
		if d.started.IsZero() {
			d.started = time.Now()
		}
		if err := d.t.openStorage(ctx, d.t.loaded); err != nil {
			return 0, 0, err
		}
		if d.open, err = d.t.createDataFile(d.target); err != nil {
			return 0, 0, err
		}
	}
	file, first = d.open.number, d.open.rows
	if err := d.open.write(rows); err != nil {
		return 0, 0, err
	}
	if d.open.size() >= d.t.o.TargetFileBytes {
		err = d.finish(ctx)
	}
	return file, first, err
}

// finish closes the open data file, if there is one.
func (d *Draft) finish(context.Context) error {
	if d.open == nil {
		return nil
	}
	w := d.open
	d.open = nil
	f, err := w.finish(d.t, d.target)
	if err != nil {
		d.t.remove(w.path) // It may have been written all the same.
		return err
	}
	d.files = append(d.files, f)
	return nil
}

// stale reports whether the draft, which may be nil, has files that are too old to be committed.
func (d *Draft) stale() bool { return d != nil && d.t.s.tooOld(d.started) }

// Discard gives the draft up. Its files are deleted, unless a commit request that names them may still land: then they
// are left to orphan removal (I5).
func (d *Draft) Discard() {
	if d.sent {
		return
	}
	if d.open != nil {
		d.open.abort()
		d.t.remove(d.open.path)
	}
	for _, f := range d.files {
		d.t.remove(f.file.FilePath())
	}
	d.open, d.files = nil, nil
}

// dataWriter writes one Parquet data file.
type dataWriter struct {
	number uint32
	path   string
	rows   int64
	schema *arrow.Schema
	out    *countingWriter
	pq     *pqarrow.FileWriter
}

func (t *Table) createDataFile(target schemaTarget) (*dataWriter, error) {
	path := t.locations.NewDataLocation(uuid.NewString() + ".parquet")
	f, err := t.fs.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create data file: %w", err)
	}
	w := &dataWriter{number: t.number(path), path: path, schema: target.arrow, out: &countingWriter{w: f}}
	properties := []parquet.WriterProperty{
		parquet.WithCompression(t.codec), parquet.WithCompressionLevel(1), parquet.WithMaxRowGroupLength(rowGroupRows),
		parquet.WithDataPageSize(256 << 10), parquet.WithStoreDecimalAsInteger(true), parquet.WithCreatedBy("cdcd " + t.s.o.Version),
		parquet.WithStats(true),
	}
	for _, k := range target.rows.Key { // Distinct values fill a dictionary for nothing.
		properties = append(properties, parquet.WithDictionaryFor(target.rows.Columns[k].Name, false))
	}
	w.pq, err = pqarrow.NewFileWriter(target.arrow, w.out, parquet.NewWriterProperties(properties...), pqarrow.DefaultWriterProps())
	if err != nil {
		w.abort()
		t.remove(path)
		return nil, fmt.Errorf("create data file %s: %w", path, err)
	}
	return w, nil
}

func (w *dataWriter) write(rows *row.Rows) error {
	batch := recordBatch(w.schema, rows)
	defer batch.Release()
	if err := w.pq.WriteBuffered(batch); err != nil {
		return fmt.Errorf("write data file %s: %w", w.path, err)
	}
	w.rows += int64(rows.Len())
	return nil
}

// size returns the bytes written out so far, and those that wait in the open row group.
func (w *dataWriter) size() int64 { return w.out.n + w.pq.RowGroupTotalCompressedBytes() }

func (w *dataWriter) finish(t *Table, target schemaTarget) (*dataFile, error) {
	if err := w.pq.Close(); err != nil { // Closes the file as well.
		return nil, fmt.Errorf("close data file %s: %w", w.path, err)
	}
	metadata, err := w.pq.FileMetadata()
	if err != nil {
		return nil, fmt.Errorf("close data file %s: %w", w.path, err)
	}
	f, err := table.DataFileFromMetadata(table.DataFileArgs{
		Schema: target.iceberg, Spec: t.meta.PartitionSpec(), Format: iceberg.ParquetFile, Metadata: metadata,
		FilePath: w.path, FileSize: w.out.n, Content: iceberg.EntryContentData, Properties: t.meta.Properties(), FormatVersion: t.meta.Version(),
	})
	if err != nil {
		return nil, fmt.Errorf("describe data file %s: %w", w.path, err)
	}
	return &dataFile{entry: entry{file: f}, number: w.number}, nil
}

func (w *dataWriter) abort() {
	if c, ok := w.out.w.(io.Closer); ok {
		_ = c.Close() // The file is given up; what its Close has to say changes nothing.
	}
}

// countingWriter counts the bytes of a file while they are written: its size is needed before the file can be asked.
type countingWriter struct {
	w io.Writer
	n int64
}

// Write implements io.Writer.
func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// Close implements io.Closer, so that the Parquet writer closes the file and reports what closing says.
func (c *countingWriter) Close() error {
	if closer, ok := c.w.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}
