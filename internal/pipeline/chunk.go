package pipeline

import (
	"context"
	"fmt"

	"github.com/cdcd-project/cdcd/internal/merge"
	"github.com/cdcd-project/cdcd/internal/row"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// chunkBytes is when the rows of the open chunk are written to the open data file: small enough to bound memory,
// large enough that columns compress.
const chunkBytes = 8 << 20

// writeChunk writes the live rows of a batch's open chunk to the draft's open data file, tells the batch where they stand, and returns
// their bytes. Those that keep values of rows in files come first: files are read once for a chunk, however many of its rows need them.
func writeChunk(ctx context.Context, b *merge.Batch, d *sink.Draft) (bytes int64, err error) {
	write := func(rows *row.Rows) error {
		file, first, err := d.Write(ctx, rows)
		if err != nil {
			return fmt.Errorf("write rows: %w", err)
		}
		bytes += int64(rows.Bytes())
		b.Placed(file, first)
		return nil
	}
	if at, columns := b.Missing(); len(at) > 0 {
		err := d.Kept(ctx, columns, at, func(first int, values *row.Rows) error { return write(b.Fill(first, values)) })
		if err != nil {
			return bytes, fmt.Errorf("fill rows: %w", err)
		}
	}
	if rows := b.Chunk(); rows != nil {
		err = write(rows)
	}
	return bytes, err
}
