// Package readback reads tables back with iceberg-go's own scan, which applies position deletes, sharing nothing
// with cdcd's bookkeeping. Tests, the demo and cdcd table rows use it.
package readback

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"
)

// Rows calls f with each row of a table at the head of ref, as canonical text by column: integers and decimals plain, dates
// YYYY-MM-DD, timestamps YYYY-MM-DDTHH:MM:SS.ffffff (with Z for timestamptz), binary "hex:…", times HH:MM:SS.ffffff, structs and
// lists as JSON of such text, and nil for null.
// names are the columns, in the order of values. values is reused between calls.
func Rows(ctx context.Context, cat catalog.Catalog, name, ref string, f func(names []string, values []*string) error) error {
	t, err := load(ctx, cat, name)
	if err != nil {
		return err
	}
	if t.Metadata().SnapshotByName(ref) == nil {
		return nil
	}
	scan, err := t.Scan().UseRef(ref)
	if err != nil {
		return fmt.Errorf("scan table %s: %w", name, err)
	}
	schema, batches, err := scan.ToArrowRecords(ctx)
	if err != nil {
		return fmt.Errorf("scan table %s: %w", name, err)
	}
	names := make([]string, schema.NumFields())
	for i := range names {
		names[i] = schema.Field(i).Name
	}
	values := make([]*string, len(names))
	for batch, err := range batches {
		if err != nil {
			return fmt.Errorf("scan table %s: %w", name, err)
		}
		err = batchRows(batch, values, func() error { return f(names, values) })
		batch.Release()
		if err != nil {
			return err
		}
	}
	return nil
}

func batchRows(batch arrow.RecordBatch, values []*string, f func() error) error {
	for i := range int(batch.NumRows()) {
		for c := range values {
			values[c] = nil
			if column := batch.Column(c); !column.IsNull(i) {
				text, err := text(column, i)
				if err != nil {
					return err
				}
				values[c] = &text
			}
		}
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

func text(column arrow.Array, i int) (string, error) {
	switch a := column.(type) {
	case *array.Boolean, *array.Int32, *array.Int64, *array.Float32, *array.Float64, *array.String, *array.LargeString:
		return a.ValueStr(i), nil
	case *array.Date32:
		return a.Value(i).FormattedString(), nil
	case *array.Decimal128:
		return a.Value(i).ToString(a.DataType().(*arrow.Decimal128Type).Scale), nil //nolint:forcetypeassert // A decimal array has a decimal type.
	case *array.Timestamp:
		t := a.DataType().(*arrow.TimestampType) //nolint:forcetypeassert // A timestamp array has a timestamp type.
		layout := "2006-01-02T15:04:05.000000"
		if t.TimeZone != "" {
			layout += "Z"
		}
		return a.Value(i).ToTime(t.Unit).UTC().Format(layout), nil
	case *array.Binary:
		return fmt.Sprintf("hex:%x", a.Value(i)), nil
	case *array.LargeBinary:
		return fmt.Sprintf("hex:%x", a.Value(i)), nil
	}
	return nestedText(column, i)
}

// nestedText writes times, and structs and lists as JSON: their values are strings of canonical text, or null.
func nestedText(column arrow.Array, i int) (string, error) {
	var parts []string
	switch a := column.(type) {
	case *array.Time64:
		return a.Value(i).ToTime(a.DataType().(*arrow.Time64Type).Unit).Format("15:04:05.000000"), nil //nolint:forcetypeassert // A time array has a time type.
	case *array.List:
		start, end := a.ValueOffsets(i)
		for k := start; k < end; k++ {
			part, err := jsonText(a.ListValues(), int(k))
			if err != nil {
				return "", err
			}
			parts = append(parts, part)
		}
		return "[" + strings.Join(parts, ",") + "]", nil
	case *array.Struct:
		for k, f := range a.DataType().(*arrow.StructType).Fields() { //nolint:forcetypeassert // A struct array has a struct type.
			part, err := jsonText(a.Field(k), i)
			if err != nil {
				return "", err
			}
			name, err := json.Marshal(f.Name)
			if err != nil {
				return "", err
			}
			parts = append(parts, string(name)+":"+part)
		}
		return "{" + strings.Join(parts, ",") + "}", nil
	}
	return "", fmt.Errorf("no canonical text for %s", column.DataType())
}

func jsonText(column arrow.Array, i int) (string, error) {
	if column.IsNull(i) {
		return "null", nil
	}
	s, err := text(column, i)
	switch column.(type) {
	case *array.List, *array.Struct:
		return s, err
	}
	if err != nil {
		return "", err
	}
	quoted, err := json.Marshal(s)
	return string(quoted), err
}

// Map returns the rows of a table as a map from the values of the key columns to the values of all columns, each joined
// with "|", null written as ∅. A key that appears twice is an error: the table is broken.
func Map(ctx context.Context, cat catalog.Catalog, name string, key ...string) (map[string]string, error) {
	rows := map[string]string{}
	err := Rows(ctx, cat, name, table.MainBranch, func(names []string, values []*string) error {
		var keys, all []string
		for i, v := range values {
			s := "∅"
			if v != nil {
				s = *v
			}
			all = append(all, s)
			for _, k := range key {
				if names[i] == k {
					keys = append(keys, s)
				}
			}
		}
		k := strings.Join(keys, "|")
		if _, twice := rows[k]; twice {
			return fmt.Errorf("table %s: key %s has two rows", name, k)
		}
		rows[k] = strings.Join(all, "|")
		return nil
	})
	return rows, err
}
