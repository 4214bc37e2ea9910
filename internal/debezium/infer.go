package debezium

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/cdcd-project/cdcd/internal/invariant"
	"github.com/cdcd-project/cdcd/internal/row"
)

// newTable returns the SchemaChange that makes the table of the record, of which the envelope was scanned.
func (d *Decoder) newTable() error {
	columns, err := d.imageColumns()
	if err != nil {
		return err
	}
	keyColumns, err := d.keyColumns(d.record.Key)
	if err != nil {
		refused, ok := err.(*Error) //nolint:errorlint // Ours, unwrapped.
		if !d.o.Keyless || !ok || refused.Reason != NullKey {
			return err
		}
		if err := d.keyless(); err != nil {
			return err
		}
		return &SchemaChange{Want: &row.Schema{Columns: columns}, Lossless: true, Detail: fmt.Sprintf("create a table of %d columns, without a key", len(columns))}
	}
	return d.wantTable(columns, keyColumns)
}

// wantTable returns the SchemaChange to a table of these columns, identified by the configured ones or else by those of the
// record key. A routed record has fields in its key that are no column of the row, such as the name of the physical table
// (ByLogicalTableRouter): they become identifier columns, since rows of different tables may agree in all others.
func (d *Decoder) wantTable(columns, keyColumns []row.Column) error {
	names := d.o.Key
	if len(names) == 0 {
		for _, c := range keyColumns {
			names = append(names, c.Name)
		}
	}
	if len(names) == 0 {
		return errorf(InvalidKey, "the record key has no fields")
	}
	if columns == nil {
		columns = keyColumns // A delete that says no more than its key.
	}
	s := &row.Schema{Columns: slices.Clone(columns)}
	shared := 0
	for _, name := range names {
		i := s.Index(name)
		if i < 0 {
			k := slices.IndexFunc(keyColumns, func(c row.Column) bool { return c.Name == name })
			if k < 0 {
				return errorf(InvalidKey, "the identifier column %q is no column of the row", name)
			}
			i = len(s.Columns)
			s.Columns = append(s.Columns, keyColumns[k])
		} else {
			shared++
		}
		s.Columns[i].Required = true
		s.Key = append(s.Key, i)
	}
	if shared == 0 {
		return errorf(InvalidKey, "no field of the record key is a column of the row")
	}
	if len(s.Columns) > d.scan.limits.Columns {
		return errorf(TooLarge, "more than %d columns", d.scan.limits.Columns)
	}
	if err := s.CheckKey(); err != nil {
		return &SchemaChange{Want: s, Detail: err.Error()}
	}
	return &SchemaChange{Want: s, Lossless: true, Detail: fmt.Sprintf("create a table of %d columns", len(s.Columns))}
}

// KeyTable returns the schema of a table of which no more is known than a record key, such as that of a tombstone; nil if the
// key does not tell, and identifier columns are configured, or for a changelog.
func (d *Decoder) KeyTable(r Record) (*row.Schema, error) {
	if d.o.Changelog {
		return nil, nil
	}
	d.record = r
	columns, err := d.keyColumns(r.Key)
	if err != nil || columns == nil {
		return nil, err
	}
	change, ok := errors.AsType[*SchemaChange](d.wantTable(nil, columns))
	if !ok || !change.Lossless {
		return nil, errorf(InvalidKey, "the record key cannot identify a row")
	}
	return change.Want, nil
}

// imageColumns returns the columns of the record's row, from its embedded schema or else from its values; nil if it has none.
func (d *Decoder) imageColumns() ([]row.Column, error) {
	if d.value != nil && d.value.root != nil && d.value.root.literal != "null" {
		fields := d.rowFields()
		if fields == nil {
			return nil, errorf(SchemaMismatch, "the embedded schema has no row, the payload has one")
		}
		return d.typedColumns(fields)
	}
	at := d.env.after
	if !d.env.image {
		if d.env.before == 0 {
			return nil, nil
		}
		at = d.env.before - 1
	}
	d.scan.reset(d.record.Value)
	d.scan.pos = at
	columns, _, err := d.inferColumns(d.env.flattened)
	return columns, err
}

// keyColumns returns the columns of the record key: in key order, under their column names.
func (d *Decoder) keyColumns(key []byte) ([]row.Column, error) {
	e, told, err := d.openKey(key)
	if err != nil || !told {
		return nil, err
	}
	if e != nil && e.root != nil {
		columns, err := d.typedColumns(e.root.fields)
		if err != nil {
			return nil, errorf(InvalidKey, "the record key: %v", err)
		}
		return columns, nil
	}
	columns, nulls, err := d.inferColumns(false)
	if err != nil {
		return nil, errorf(InvalidKey, "the record key: %v", err)
	}
	if nulls > 0 {
		return nil, errorf(InvalidKey, "the record key: %v", row.ErrNullKey)
	}
	return columns, nil
}

func (d *Decoder) typedColumns(fields []*connectSchema) ([]row.Column, error) {
	names, nameErr := fieldNames(fields)
	if nameErr != nil {
		return nil, nameErr
	}
	columns := make([]row.Column, len(fields))
	for i, c := range fields {
		src, err := d.typing.sourceOf(c, names[i])
		if err != nil {
			return nil, errorf(TypeMismatch, "column %s: %v", c.field, err)
		}
		columns[i] = row.Column{Name: names[i], Type: src.typ}
	}
	return columns, nil
}

// newColumns returns the SchemaChange that adds the columns which the row image has and the table has not.
func (d *Decoder) newColumns() error {
	d.scan.reset(d.record.Value)
	d.scan.pos = d.env.after
	columns, _, err := d.inferColumns(d.env.flattened)
	if err != nil {
		return err
	}
	change := newChange(d.bound)
	for _, c := range columns {
		if _, ok := d.columns[c.Name]; !ok {
			change.add(c.Name, c.Type)
		}
	}
	invariant.Check(len(change.details) > 0, "debezium: an unknown column was not found again")
	return change.err()
}

// inferColumns returns the columns of the object at pos, which has no schema, by its values. A column that the table has
// is never inferred; for one with a declared type, that goes before. A null without a declared type is no column yet: nulls
// counts them. What was added to a flattened row is no column, unless it is kept.
func (d *Decoder) inferColumns(flattened bool) (columns []row.Column, nulls int, err error) {
	s := &d.scan
	columns = []row.Column{}
	seen := map[string]bool{}
	ok := s.members(func(spelling []byte) bool {
		if flattened && !d.added.keep && d.added.field(string(spelling)) != notAdded {
			return s.skip()
		}
		name, err := columnName(string(spelling))
		if err != nil {
			s.err = err
			return false
		}
		if seen[name] {
			return s.fail(DuplicateMember, "two members for the column %q", name)
		}
		if len(seen) == s.limits.Columns {
			return s.fail(TooLarge, "more than %d columns", s.limits.Columns)
		}
		seen[name] = true
		if _, ok := d.columns[name]; ok {
			return s.skip()
		}
		if flattened && s.peek() == '{' && memberOf(spelling)&(memberBefore|memberAfter|memberSource) != 0 {
			return s.fail(SchemaMismatch, "an envelope, where flattened records are configured")
		}
		t, ok := d.declared(name)
		if ok {
			ok = s.skip()
		} else {
			t, ok = s.inferType(name)
		}
		if t.Kind == 0 {
			nulls++
			return ok
		}
		columns = append(columns, row.Column{Name: name, Type: t})
		return ok
	})
	if !ok {
		return nil, 0, s.err
	}
	return columns, nulls, nil
}

// declared returns the type that the configuration gives a column.
func (d *Decoder) declared(name string) (row.Type, bool) {
	if t, ok := d.o.Types[name]; ok {
		return t, true
	}
	if d.typing.isUnsigned(name) {
		return row.Type{Kind: row.Decimal, Precision: 20}, true
	}
	return row.Type{}, false
}

// inferType reads a value and returns the only type that is safe to infer from it, or the zero type for a null.
func (s *scanner) inferType(name string) (row.Type, bool) {
	switch s.peek() {
	case 'n':
		return row.Type{}, s.literal("null")
	case 't', 'f':
		return row.Type{Kind: row.Boolean}, s.skip()
	case '"':
		return row.Type{Kind: row.String}, s.skip()
	case '{', '[':
		return row.Type{Kind: row.String}, s.skip() // JSON text.
	}
	token, integer, ok := s.number()
	if !ok {
		return row.Type{}, false
	}
	if integer {
		if _, ok := parseInt64(token); !ok {
			return row.Type{}, s.fail(OutOfRange, "column %s: an integer beyond long: declare the column's type", name)
		}
		return row.Type{Kind: row.Long}, true
	}
	if _, err := strconv.ParseFloat(string(token), 64); err != nil {
		return row.Type{}, s.fail(OutOfRange, "column %s: a number beyond double: declare the column's type", name)
	}
	return row.Type{Kind: row.Double}, true
}
