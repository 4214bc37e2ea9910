package resttest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/apache/iceberg-go"
	iceio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// storedTable is the head of a table: its newest metadata and the file that they stand in.
type storedTable struct {
	location string
	text     json.RawMessage
	metadata table.Metadata
	version  int
}

// answer is the schema CommitTableResponse.
func (t *storedTable) answer() map[string]any {
	return map[string]any{"metadata-location": t.location, "metadata": t.text}
}

// loaded is the schema LoadTableResult.
func (s *Server) loaded(t *storedTable) map[string]any {
	result := t.answer()
	if s.o.StorageCredentials != nil {
		result["storage-credentials"] = s.storageCredentials()
	}
	return result
}

func (s *Server) storageCredentials() []any {
	if s.o.StorageCredentials == nil {
		return []any{}
	}
	return []any{map[string]any{"prefix": s.o.Warehouse, "config": s.o.StorageCredentials()}}
}

// table returns the call's table.
func (s *Server) table(c *call) (*storedTable, error) {
	n := s.namespaces[c.Namespace]
	if n == nil || n.tables[c.Table] == nil {
		return nil, wiretest.Errorf(http.StatusNotFound, NoSuchTableException, "Table does not exist: %s.%s", c.Namespace, c.Table)
	}
	return n.tables[c.Table], nil
}

func (s *Server) listTables(c *call) (*wiretest.Answer, error) {
	if err := c.allow(map[string]string{"pageSize": "*"}); err != nil {
		return nil, err
	}
	n, err := s.namespace(c)
	if err != nil {
		return nil, err
	}
	list := []map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(n.tables)) {
		list = append(list, map[string]any{"namespace": levels(c.Namespace), "name": name})
	}
	return ok(map[string]any{"identifiers": list}), nil
}

func (s *Server) createTable(c *call) (*wiretest.Answer, error) {
	var in struct {
		Name        string                        `json:"name"`
		Location    string                        `json:"location"`
		Schema      *iceberg.Schema               `json:"schema"`
		Spec        *iceberg.UnboundPartitionSpec `json:"partition-spec"`
		Order       *table.UnboundSortOrder       `json:"write-order"`
		StageCreate bool                          `json:"stage-create"`
		Properties  iceberg.Properties            `json:"properties"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	n, err := s.namespace(c)
	switch {
	case err != nil:
		return nil, err
	case in.Name == "" || in.Schema == nil:
		return nil, badRequest("name or schema is missing")
	case in.StageCreate:
		return nil, wiretest.Errorf(http.StatusNotAcceptable, UnsupportedOperationException, "resttest does not model stage-create")
	case n.tables[in.Name] != nil:
		return nil, wiretest.Errorf(http.StatusConflict, AlreadyExistsException, "Table already exists: %s.%s", c.Namespace, in.Name)
	}
	if in.Location == "" {
		in.Location = s.o.Warehouse + "/" + c.Namespace + "/" + in.Name
	}
	spec, order := iceberg.UnpartitionedSpec, table.UnsortedSortOrder
	if in.Spec != nil {
		spec = &in.Spec.PartitionSpec
	}
	if in.Order != nil {
		order = in.Order.SortOrder
	}
	metadata, err := table.NewMetadata(in.Schema, spec, order, in.Location, in.Properties)
	if err != nil {
		return nil, badRequest("create table: %v", err)
	}
	t, err := write(metadata, 0)
	if err != nil {
		return nil, err
	}
	n.tables[in.Name] = t
	return ok(s.loaded(t)), nil
}

func (s *Server) loadTable(c *call) (*wiretest.Answer, error) {
	if err := c.allow(map[string]string{"snapshots": "all"}); err != nil {
		return nil, err
	}
	t, err := s.table(c)
	if err != nil {
		return nil, err
	}
	return ok(s.loaded(t)), nil
}

func (s *Server) loadCredentials(c *call) (*wiretest.Answer, error) {
	if _, err := s.table(c); err != nil {
		return nil, err
	}
	return ok(map[string]any{"storage-credentials": s.storageCredentials()}), nil
}

func (s *Server) tableExists(c *call) (*wiretest.Answer, error) {
	if _, err := s.table(c); err != nil {
		return nil, err
	}
	return noContent(), nil
}

func (s *Server) dropTable(c *call) (*wiretest.Answer, error) {
	if err := c.allow(map[string]string{"purgeRequested": "false"}); err != nil {
		return nil, err
	}
	if _, err := s.table(c); err != nil {
		return nil, err
	}
	delete(s.namespaces[c.Namespace].tables, c.Table)
	return noContent(), nil
}

// updateTable checks all requirements against the head and then applies all updates to it, or does nothing.
func (s *Server) updateTable(c *call) (*wiretest.Answer, error) {
	var in struct {
		Identifier struct {
			Namespace []string `json:"namespace"`
			Name      string   `json:"name"`
		} `json:"identifier"`
		Requirements table.Requirements `json:"requirements"`
		Updates      table.Updates      `json:"updates"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if !slices.Equal(in.Identifier.Namespace, levels(c.Namespace)) || in.Identifier.Name != c.Table {
		return nil, badRequest("the identifier %v is not that of the path, %s.%s", in.Identifier, c.Namespace, c.Table)
	}
	t, err := s.table(c)
	if err != nil {
		return nil, err
	}
	for _, r := range in.Requirements {
		if err := r.Validate(t.metadata); err != nil {
			return nil, wiretest.Errorf(http.StatusConflict, CommitFailedException, "%v", err)
		}
	}
	metadata, err := table.UpdateTableMetadata(t.metadata, in.Updates, t.location)
	if err != nil {
		return nil, badRequest("update table: %v", err)
	}
	next, err := write(metadata, t.version+1)
	if err != nil {
		return nil, err
	}
	*t = *next
	return ok(t.answer()), nil
}

// write puts metadata into a new metadata.json. What the catalog then holds is what stands there.
func write(metadata table.Metadata, version int) (*storedTable, error) {
	if codec := metadata.Properties().Get(table.MetadataCompressionKey, table.MetadataCompressionCodecNone); codec != table.MetadataCompressionCodecNone {
		return nil, badRequest("resttest does not model %s=%s", table.MetadataCompressionKey, codec)
	}
	text, err := json.Marshal(metadata)
	if err != nil {
		return nil, fmt.Errorf("encode metadata: %w", err)
	}
	stored, err := table.ParseMetadataBytes(text)
	if err != nil {
		return nil, badRequest("the metadata would not be valid: %v", err)
	}
	places, err := table.LoadLocationProvider(metadata.Location(), metadata.Properties())
	if err != nil {
		return nil, badRequest("location %s: %v", metadata.Location(), err)
	}
	location, err := places.NewTableMetadataFileLocation(version)
	if err != nil {
		return nil, badRequest("location %s: %v", metadata.Location(), err)
	}
	fs, err := iceio.LoadFS(context.Background(), metadata.Properties(), location) //nolint:forbidigo // What is done does not end with the client.
	if err != nil {
		return nil, fmt.Errorf("open storage of %s: %w", location, err)
	}
	writer, writable := fs.(iceio.WriteFileIO)
	if !writable {
		return nil, fmt.Errorf("storage of %s cannot be written", location)
	}
	if err := writer.WriteFile(location, text); err != nil {
		return nil, fmt.Errorf("write metadata: %w", err)
	}
	return &storedTable{location: location, text: text, metadata: stored, version: version}, nil
}
