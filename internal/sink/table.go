package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	iceio "github.com/apache/iceberg-go/io"
	icetable "github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/merge/keyindex"
	"github.com/cdcd-project/cdcd/internal/row"
)

// TableOptions are the settings of one table. There are no defaults.
type TableOptions struct {
	Name            string // namespace.table
	Key             []string
	Changelog       bool          // The table has no identifier fields, and rows are only ever added. Key is empty then.
	Ref             string        // The branch that is written: "main".
	TargetFileBytes int64         // Where a data file ends.
	RetainSnapshots int           // How many snapshots of the branch are kept, the head included; at least 1.
	RetainAge       time.Duration // Older snapshots expire even if there are fewer; the head never does.
}

// ErrNoTable is returned by Open for a table that does not exist yet.
var ErrNoTable = errors.New("table does not exist")

// Table is one Iceberg table as its owner sees it: the value (head, bookmark, index). It belongs to one goroutine.
//
// Invariant: live, index and bookmark are those of head. Between commits head is the newest snapshot that this owner
// has seen; Commit pins it (I2).
type Table struct {
	s         *Sink
	o         TableOptions
	log       *slog.Logger
	ident     icetable.Identifier
	fs        iceio.WriteFileIO
	loaded    *icetable.Table // What fs came from.
	locations icetable.LocationProvider

	meta     icetable.Metadata
	location string             // Of meta's metadata.json.
	head     *icetable.Snapshot // nil: the branch has no snapshot yet.
	bookmark bookmark.Bookmark
	target   schemaTarget
	codec    compress.Compression
	evolved  *schemaChange // What the next commit does to the schema; nil: nothing.
	live     *live
	index    *keyindex.Index
	indexed  int64 // The index's part of the budget.

	numbers    map[string]uint32
	nextNumber uint32
	garbage    []superseded

	othersExpired time.Time // When an expiry by another tool was last noticed.
}

// schemaTarget is a schema in the three forms in which files are written.
type schemaTarget struct {
	iceberg *iceberg.Schema
	rows    *row.Schema
	arrow   *arrow.Schema
	keyIDs  []int // Field ids of the identifier columns, in key order.
}

// Open loads a table, finds its bookmark and builds its index. It returns ErrNoTable, a *halt.Error, or ctx's cause;
// everything else is retried for as long as ctx lives. ctx is also the one in which storage is used later on.
func (s *Sink) Open(ctx context.Context, o TableOptions) (*Table, error) {
	t := &Table{
		s: s, o: o, ident: strings.Split(o.Name, "."), numbers: map[string]uint32{},
		log: s.o.Logger.With("table", o.Name),
	}
	s.metrics.start(o.Name)
	started := time.Now()
	loaded, err := t.load(ctx)
	if noTable(err) {
		return nil, fmt.Errorf("open table %s: %w", o.Name, ErrNoTable)
	}
	if err == nil {
		err = t.settle(ctx, loaded)
	}
	if err != nil {
		t.Close()
		return nil, fmt.Errorf("open table %s: %w", o.Name, err)
	}
	t.log.Info("built index", "rows", t.Rows(), "files", len(t.live.data), "bytes", t.index.Bytes(),
		"duration_ms", time.Since(started).Milliseconds())
	t.report()
	return t, nil
}

// noTable reports whether the catalog says that there is no such table.
func noTable(err error) bool {
	return errors.Is(err, catalog.ErrNoSuchTable) || errors.Is(err, catalog.ErrNoSuchNamespace)
}

// Close gives the index's memory back to the budget. The table must not be used any more.
func (t *Table) Close() { t.account(0) }

// account sets the index's part of the budget of all tables' indexes, and returns how much of that is in use.
func (t *Table) account(size int64) int64 {
	total := t.s.indexed.Add(size - t.indexed)
	t.indexed = size
	return total
}

// load reads the table from the catalog.
func (t *Table) load(ctx context.Context) (loaded *icetable.Table, err error) {
	err = t.s.retry(ctx, t.log, "load table", func(ctx context.Context) error {
		loaded, err = t.s.o.Catalog.LoadTable(ctx, t.ident)
		return err
	})
	switch {
	case err == nil:
		t.s.watch.see(t.o, version(loaded.Metadata(), t.o.Ref))
	case errors.Is(err, catalog.ErrNoSuchTable), errors.Is(err, catalog.ErrNoSuchNamespace):
		t.s.watch.see(t.o, "")
	}
	return loaded, err
}

// settle makes the loaded table the value that t stands for.
func (t *Table) settle(ctx context.Context, loaded *icetable.Table) error {
	if err := t.adoptMetadata(ctx, loaded); err != nil {
		return err
	}
	mark, err := resume(t.historyOf(ctx, t.meta), t.o.Ref)
	if err != nil {
		return err
	}
	l, err := t.loadLive(ctx, t.head)
	if err != nil {
		return err
	}
	if t.index, err = t.rebuild(ctx, l); err != nil {
		return err
	}
	t.live, t.bookmark = l, mark
	return nil
}

// adoptMetadata takes over metadata and schema of a loaded table, and the storage that it names.
func (t *Table) adoptMetadata(ctx context.Context, loaded *icetable.Table) error {
	meta := loaded.Metadata()
	if v := meta.Version(); v != 2 {
		return halt.Newf(halt.InvalidTable, "Let cdcd create the table, or use a table of format version 2.", "format version %d is not supported", v)
	}
	if spec := meta.PartitionSpec(); !spec.IsUnpartitioned() {
		return halt.Newf(halt.InvalidTable, "Use a table without partition spec.", "the table is partitioned by %s, which this version does not write", spec)
	}
	if err := t.openStorage(ctx, loaded); err != nil {
		return err
	}
	locations, err := loaded.LocationProvider()
	if err != nil {
		return fmt.Errorf("read table location: %w", err)
	}
	codec, err := codecOf(meta.Properties())
	if err != nil {
		return err
	}
	target, err := newTarget(meta.CurrentSchema(), t.o)
	if err != nil {
		return err
	}
	t.codec = codec
	t.meta, t.head, t.locations, t.target, t.evolved = meta, meta.SnapshotByName(t.o.Ref), locations, target, nil
	t.location = loaded.MetadataLocation()
	return nil
}

// openStorage gets the storage of a loaded table. A REST catalog may vend credentials for it, which expire: loaded knows
// when, and renews them.
func (t *Table) openStorage(ctx context.Context, loaded *icetable.Table) error {
	fs, err := loaded.FS(ctx)
	if err != nil {
		return fmt.Errorf("open storage: %w", err)
	}
	writer, ok := fs.(iceio.WriteFileIO)
	if !ok {
		return halt.Newf(halt.InvalidTable, "Move the table to storage that can be written.", "storage of %s cannot be written", loaded.Location())
	}
	t.loaded, t.fs = loaded, writer
	return nil
}

// Bookmark returns the position that the table's rows stand for. It is zero for a table without a commit.
func (t *Table) Bookmark() bookmark.Bookmark { return t.bookmark.Clone() }

// HeadIsForeign reports whether another tool's snapshot is the head. Its next expiry may then take ours: a commit of the
// bookmark alone brings it back to the head.
func (t *Table) HeadIsForeign() bool {
	if t.head == nil {
		return false
	}
	_, ours := summaryOf(t.head).Properties[keyBookmark]
	return !ours
}

// Schema returns the schema of the rows that Draft takes: the table's, or the one that Evolve asked for.
func (t *Table) Schema() *row.Schema { return t.target.rows }

// Rows returns the number of live rows.
func (t *Table) Rows() int {
	if t.o.Changelog {
		return t.live.rows()
	}
	return t.index.Len()
}

// report sets the gauges that describe the table's present state.
func (t *Table) report() {
	m := t.s.metrics
	m.index.WithLabelValues(t.o.Name).Set(float64(t.index.Bytes()))
	m.live.WithLabelValues(t.o.Name, "data").Set(float64(len(t.live.data)))
	m.live.WithLabelValues(t.o.Name, "position_deletes").Set(float64(len(t.live.deletes)))
}
