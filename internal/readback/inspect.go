package readback

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"
)

// Tables returns the names of all tables of a catalog, sorted.
func Tables(ctx context.Context, cat catalog.Catalog) ([]string, error) {
	namespaces, err := cat.ListNamespaces(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	var names []string
	for _, namespace := range namespaces {
		for ident, err := range cat.ListTables(ctx, namespace) {
			if err != nil {
				return nil, fmt.Errorf("list tables of %s: %w", strings.Join(namespace, "."), err)
			}
			names = append(names, strings.Join(ident, "."))
		}
	}
	slices.Sort(names)
	return names, nil
}

// Table describes a table at its head.
type Table struct {
	Name        string            `json:"name"`
	Location    string            `json:"location"`
	Metadata    string            `json:"metadata"`
	Columns     []Column          `json:"columns"`
	Key         []string          `json:"key"`
	Partitioned string            `json:"partition_spec,omitempty"`
	Properties  map[string]string `json:"properties"`
	Head        *Snapshot         `json:"head,omitempty"`
}

// Column is one column of a table.
type Column struct {
	ID       int    `json:"id"`
	Name     string `json:"name"`
	Type     string `json:"type"`
	Required bool   `json:"required"`
}

// Snapshot is one snapshot of a table with its summary.
type Snapshot struct {
	ID        int64             `json:"snapshot_id"`
	Parent    *int64            `json:"parent_id,omitempty"`
	Sequence  int64             `json:"sequence_number"`
	Time      time.Time         `json:"time"`
	Operation string            `json:"operation"`
	Refs      []string          `json:"refs,omitempty"`
	Summary   map[string]string `json:"summary"`
}

// Show returns the description of a table.
func Show(ctx context.Context, cat catalog.Catalog, name string) (Table, error) {
	t, err := load(ctx, cat, name)
	if err != nil {
		return Table{}, err
	}
	meta := t.Metadata()
	out := Table{Name: name, Location: meta.Location(), Metadata: t.MetadataLocation(), Properties: meta.Properties(), Key: []string{}}
	schema := meta.CurrentSchema()
	for _, f := range schema.Fields() {
		out.Columns = append(out.Columns, Column{ID: f.ID, Name: f.Name, Type: f.Type.String(), Required: f.Required})
		if slices.Contains(schema.IdentifierFieldIDs, f.ID) {
			out.Key = append(out.Key, f.Name)
		}
	}
	if spec := meta.PartitionSpec(); !spec.IsUnpartitioned() {
		out.Partitioned = spec.String()
	}
	if s := meta.SnapshotByName(table.MainBranch); s != nil {
		out.Head = new(describe(meta, *s))
	}
	return out, nil
}

// Snapshots returns all snapshots of a table, newest first.
func Snapshots(ctx context.Context, cat catalog.Catalog, name string) ([]Snapshot, error) {
	t, err := load(ctx, cat, name)
	if err != nil {
		return nil, err
	}
	out := []Snapshot{}
	for _, s := range t.Metadata().Snapshots() {
		out = append(out, describe(t.Metadata(), s))
	}
	slices.SortStableFunc(out, func(a, b Snapshot) int { return int(b.Sequence - a.Sequence) })
	return out, nil
}

func describe(meta table.Metadata, s table.Snapshot) Snapshot {
	out := Snapshot{ID: s.SnapshotID, Parent: s.ParentSnapshotID, Sequence: s.SequenceNumber, Time: time.UnixMilli(s.TimestampMs).UTC()}
	if s.Summary != nil {
		out.Operation, out.Summary = string(s.Summary.Operation), s.Summary.Properties
	}
	for name, ref := range meta.Refs() {
		if ref.SnapshotID == s.SnapshotID {
			out.Refs = append(out.Refs, name)
		}
	}
	slices.Sort(out.Refs)
	return out
}

// File is one live file of a table.
type File struct {
	Path     string `json:"path"`
	Content  string `json:"content"` // "data", "position-deletes" or "equality-deletes".
	Records  int64  `json:"records"`
	Bytes    int64  `json:"bytes"`
	Sequence int64  `json:"sequence_number"`
	SpecID   int32  `json:"spec_id"`
}

// Files returns the live files of a table at its head, oldest first.
func Files(ctx context.Context, cat catalog.Catalog, name string) ([]File, error) {
	t, err := load(ctx, cat, name)
	if err != nil {
		return nil, err
	}
	out := []File{}
	head := t.Metadata().SnapshotByName(table.MainBranch)
	if head == nil {
		return out, nil
	}
	fs, err := t.FS(ctx)
	if err != nil {
		return nil, fmt.Errorf("open storage: %w", err)
	}
	manifests, err := head.Manifests(fs)
	if err != nil {
		return nil, fmt.Errorf("read manifests: %w", err)
	}
	for _, m := range manifests {
		for e, err := range m.Entries(fs, true) {
			if err != nil {
				return nil, fmt.Errorf("read manifest: %w", err)
			}
			f := e.DataFile()
			out = append(out, File{
				Path: f.FilePath(), Content: content(f.ContentType()), Records: f.Count(), Bytes: f.FileSizeBytes(),
				Sequence: e.SequenceNum(), SpecID: f.SpecID(),
			})
		}
	}
	slices.SortStableFunc(out, func(a, b File) int { return int(a.Sequence - b.Sequence) })
	return out, nil
}

func content(c iceberg.ManifestEntryContent) string {
	switch c {
	case iceberg.EntryContentData:
		return "data"
	case iceberg.EntryContentPosDeletes:
		return "position-deletes"
	case iceberg.EntryContentEqDeletes:
		return "equality-deletes"
	}
	return "unknown"
}

func load(ctx context.Context, cat catalog.Catalog, name string) (*table.Table, error) {
	if strings.Count(name, ".") != 1 {
		return nil, fmt.Errorf("table name %q: write namespace.table", name)
	}
	t, err := cat.LoadTable(ctx, strings.Split(name, "."))
	if errors.Is(err, catalog.ErrNoSuchTable) {
		return nil, fmt.Errorf("table %s does not exist; cdcd table list shows those that do", name)
	}
	if err != nil {
		return nil, fmt.Errorf("load table %s: %w", name, err)
	}
	return t, nil
}
