package sink

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	icetable "github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/row"
)

func newTarget(s *iceberg.Schema, o TableOptions) (schemaTarget, error) {
	rows, err := rowSchema(s, o)
	if err != nil {
		return schemaTarget{}, err
	}
	arrowSchema, err := icetable.SchemaToArrowSchema(s, nil, true, false)
	if err != nil {
		return schemaTarget{}, fmt.Errorf("map schema: %w", err)
	}
	target := schemaTarget{iceberg: s, rows: rows, arrow: arrowSchema}
	for _, k := range rows.Key {
		f, _ := s.FindFieldByName(rows.Columns[k].Name)
		target.keyIDs = append(target.keyIDs, f.ID)
	}
	return target, nil
}

// Create makes the namespace and the table, with identifier fields, format version 2 and the metadata properties that
// keep commits small, and opens it. A table that exists already is opened as it is: an earlier call may have made it
// without getting its answer.
func (s *Sink) Create(ctx context.Context, o TableOptions, schema *row.Schema) (*Table, error) {
	if err := schema.CheckKey(); err != nil || len(schema.Key) == 0 != o.Changelog {
		return nil, fmt.Errorf("create table %s: %w", o.Name, halt.Newf(halt.InvalidTable,
			"Configure a key for the table.", "no usable key: %w", err))
	}
	log := s.o.Logger.With("table", o.Name)
	ident := strings.Split(o.Name, ".")
	err := s.retry(ctx, log, "create table", func(ctx context.Context) error {
		if err := s.createNamespace(ctx, ident[:1]); err != nil {
			return err
		}
		_, err := s.o.Catalog.CreateTable(ctx, ident, newIcebergSchema(schema), catalog.WithProperties(tableProperties()))
		if errors.Is(err, catalog.ErrTableAlreadyExists) {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("create table %s: %w", o.Name, err)
	}
	log.Info("created table", "columns", len(schema.Columns))
	return s.Open(ctx, o)
}

// createNamespace makes a namespace that is not there: the right to make one is needed only then.
func (s *Sink) createNamespace(ctx context.Context, namespace icetable.Identifier) error {
	exists, err := s.o.Catalog.CheckNamespaceExists(ctx, namespace)
	if err != nil || exists {
		return err
	}
	if err := s.o.Catalog.CreateNamespace(ctx, namespace, nil); !errors.Is(err, catalog.ErrNamespaceAlreadyExists) {
		return err
	}
	return nil
}

// metadataVersions is how many old metadata.json files a table remembers, and therefore keeps.
const metadataVersions = 20

func tableProperties() iceberg.Properties {
	return iceberg.Properties{
		icetable.PropertyFormatVersion:               "2",
		icetable.ParquetCompressionKey:               "zstd",
		icetable.MetadataDeleteAfterCommitEnabledKey: "true",
		icetable.MetadataPreviousVersionsMaxKey:      strconv.Itoa(metadataVersions),
	}
}
