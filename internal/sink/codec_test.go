package sink

import (
	"bytes"
	"errors"
	"testing"

	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/halt"
)

// wantCodec sets the property by which a table tells its writers how to compress.
func wantCodec(t *testing.T, cat catalog.Catalog, ident table.Identifier, name string) {
	t.Helper()
	loaded, err := cat.LoadTable(t.Context(), ident)
	if err != nil {
		t.Fatal(err)
	}
	tx := loaded.NewTransaction()
	if err := tx.SetProperties(iceberg.Properties{table.ParquetCompressionKey: name}); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestFilesAreCompressedAsTheTableWants(t *testing.T) {
	for name, want := range map[string]compress.Compression{
		"zstd": compress.Codecs.Zstd, "snappy": compress.Codecs.Snappy, "gzip": compress.Codecs.Gzip, "uncompressed": compress.Codecs.Uncompressed,
	} {
		t.Run(name, func(t *testing.T) {
			s, cat := newSink(t)
			w := newWriter(t, s, customerOptions())
			w.upsert(1, "a")
			w.upsert(2, "a")
			w.commit()
			wantCodec(t, cat, w.table.ident, name)
			w.reopen(w.truth)
			w.upsert(1, "b")
			w.commit()
			paths := []string{}
			for _, d := range w.table.live.deletes {
				paths = append(paths, d.file.FilePath())
			}
			for _, f := range w.table.live.data {
				if f.sequence == w.table.meta.LastSequenceNumber() {
					paths = append(paths, f.file.FilePath())
				}
			}
			if len(paths) != 2 {
				t.Fatalf("the commit added %d files, want a data file and a delete file", len(paths))
			}
			for _, path := range paths {
				if got := codecIn(t, w.table, path); got != want {
					t.Errorf("%s is compressed with %s, want %s", path, got, want)
				}
			}
			w.check(cat)
		})
	}
}

func codecIn(t *testing.T, table *Table, path string) compress.Compression {
	t.Helper()
	text, err := readFile(table.fs, path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := file.NewParquetReader(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	chunk, err := r.MetaData().RowGroup(0).ColumnChunk(0)
	if err != nil {
		t.Fatal(err)
	}
	return chunk.Compression()
}

func TestUnknownCodecHaltsTheTable(t *testing.T) {
	s, cat := newSink(t)
	w := newWriter(t, s, customerOptions())
	wantCodec(t, cat, w.table.ident, "lzo")
	_, err := s.Open(t.Context(), w.table.o)
	if h, ok := errors.AsType[*halt.Error](err); !ok || h.Reason != halt.InvalidTable {
		t.Errorf("opening ended with %v, want invalid_table", err)
	}
}
