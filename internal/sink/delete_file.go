package sink

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
	"github.com/google/uuid"
)

// maxDeleteFiles is K of I10: how many live delete files apply to any data file at most, as a planner counts them, which
// is by partition spec and partition.
const maxDeleteFiles = 8

// Columns of a position delete file (Iceberg specification, "Position Delete Files").
const (
	columnFilePath  = "file_path"
	columnDeletePos = "pos"
)

// position is one dead row, by the path of its data file.
type position struct {
	path string
	pos  int64
}

// partitionKey groups files as planners do: a delete file applies only to data files of its own spec and partition.
func partitionKey(f iceberg.DataFile) string { return fmt.Sprint(f.SpecID(), f.Partition()) }

// stageDeletes plans the delete files of a commit: it writes one for each touched spec and partition (I10), absorbing older ones
// as universal says, and drops those that nothing needs any more.
func (t *Table) stageDeletes(ctx context.Context, st *staged) error {
	groups := map[string][]position{}
	for _, l := range st.plan.Dead { // Ascending by file and position.
		if f := st.file(l.File()); st.stays(f.number) {
			key := partitionKey(f.file)
			groups[key] = append(groups[key], position{f.file.FilePath(), l.Pos()})
		}
	}
	for key, positions := range groups {
		if err := t.stageGroup(ctx, st, key, positions); err != nil {
			return err
		}
	}
	for _, d := range t.live.deletes {
		if !st.dropDeletes[d] && !st.needed(d) {
			st.dropDeletes[d] = true
		}
	}
	return nil
}

// stageGroup writes the delete file of one spec and partition.
func (t *Table) stageGroup(ctx context.Context, st *staged, key string, positions []position) error {
	var present []*deleteFile
	var sizes []int64
	for _, d := range t.live.deletes {
		if partitionKey(d.file) == key && st.needed(d) {
			present = append(present, d)
			sizes = append(sizes, d.file.Count())
		}
	}
	n := universal(sizes, int64(len(positions)), maxDeleteFiles)
	for _, d := range present[len(present)-n:] {
		older, err := t.livePositions(ctx, st, d)
		if err != nil {
			return err
		}
		positions = append(positions, older...)
		st.dropDeletes[d] = true
	}
	slices.SortFunc(positions, func(a, b position) int { return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.pos, b.pos)) })
	positions = slices.Compact(positions)
	d, err := t.writeDeletes(ctx, st, positions)
	if err != nil {
		return err
	}
	st.addDeletes = append(st.addDeletes, d)
	return nil
}

// livePositions returns the positions of a delete file whose data files stay in the table.
func (t *Table) livePositions(ctx context.Context, st *staged, d *deleteFile) ([]position, error) {
	var out []position
	err := t.positions(ctx, d, func(path string, pos int64) error {
		if n, known := t.numbers[path]; known && st.stays(n) {
			out = append(out, position{path, pos})
		}
		return nil
	})
	return out, err
}

// writeDeletes writes one position delete file. All positions are of one spec and partition, which the file carries
// too: with any other, readers would skip it in silence and dead rows would come back.
func (t *Table) writeDeletes(ctx context.Context, st *staged, positions []position) (*deleteFile, error) {
	d := &deleteFile{targets: map[uint32]int64{}}
	for _, p := range positions {
		d.targets[t.number(p.path)]++
	}
	text, writer, err := encodeDeletes(positions, t.codec, t.s.o.Version)
	if err != nil {
		return nil, fmt.Errorf("encode delete file: %w", err)
	}
	metadata, err := writer.FileMetadata()
	if err != nil {
		return nil, fmt.Errorf("encode delete file: %w", err)
	}
	path := t.locations.NewDataLocation(uuid.NewString() + "-deletes.parquet")
	target := st.file(t.number(positions[0].path)).file
	args := icetable.DataFileArgs{
		Schema: iceberg.PositionalDeleteSchema, Spec: *t.meta.PartitionSpecByID(int(target.SpecID())), PartitionValues: target.Partition(),
		Format: iceberg.ParquetFile, Metadata: metadata, FilePath: path, FileSize: int64(len(text)), Content: iceberg.EntryContentPosDeletes,
		FormatVersion: t.meta.Version(),
		// Full bounds let readers tell which data files a delete file is about: truncated ones match every file.
		Properties: iceberg.Properties{
			icetable.MetricsModeColumnConfPrefix + "." + columnFilePath:  "full",
			icetable.MetricsModeColumnConfPrefix + "." + columnDeletePos: "full",
		},
	}
	if d.file, err = icetable.DataFileFromMetadata(args); err != nil {
		return nil, fmt.Errorf("describe delete file: %w", err)
	}
	st.written = append(st.written, path)
	return d, t.write(ctx, "write delete file", path, text)
}

// encodeDeletes encodes sorted positions as Parquet. Positions are PLAIN: every reader knows it.
func encodeDeletes(positions []position, codec compress.Compression, version string) ([]byte, *pqarrow.FileWriter, error) {
	paths, places := array.NewStringBuilder(memory.DefaultAllocator), array.NewInt64Builder(memory.DefaultAllocator)
	defer paths.Release()
	defer places.Release()
	for _, p := range positions {
		paths.Append(p.path)
		places.Append(p.pos)
	}
	columns := []arrow.Array{paths.NewArray(), places.NewArray()}
	batch := array.NewRecordBatch(icetable.PositionalDeleteArrowSchema, columns, int64(len(positions)))
	defer batch.Release()
	var out bytes.Buffer
	w, err := pqarrow.NewFileWriter(icetable.PositionalDeleteArrowSchema, &out, parquet.NewWriterProperties(
		parquet.WithCompression(codec), parquet.WithCompressionLevel(1), parquet.WithMaxRowGroupLength(rowGroupRows),
		parquet.WithDictionaryFor(columnDeletePos, false), parquet.WithCreatedBy("cdcd "+version),
		parquet.WithMaxStatsSize(64<<10),
	), pqarrow.DefaultWriterProps())
	if err != nil {
		return nil, nil, err
	}
	if err := w.WriteBuffered(batch); err != nil {
		return nil, nil, err
	}
	if err := w.Close(); err != nil {
		return nil, nil, err
	}
	return out.Bytes(), w, nil
}
