package debezium

import (
	"fmt"
	"strconv"

	"github.com/cdcd-project/cdcd/internal/invariant"
	"github.com/cdcd-project/cdcd/internal/row"
)

// newTable returns the SchemaChange that makes the table of the record, of which the envelope was scanned.
func (d *Decoder) newTable(key, value []byte) error {
	columns, err := d.imageColumns(value)
	if err != nil {
		return err
	}
	names := d.configured
	keyColumns, err := d.keyColumns(key)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		for _, c := range keyColumns {
			names = append(names, c.Name)
		}
	}
	if d.env.after == 0 && d.env.before == 0 && columns == nil {
		columns = keyColumns // A delete that says no more than its key.
	}
	return wantTable(columns, names)
}

// wantTable returns the SchemaChange to a table of these columns, identified by those of the given names.
func wantTable(columns []row.Column, names []string) error {
	s := &row.Schema{Columns: columns}
	if len(names) == 0 {
		return errorf(InvalidKey, "the record key has no fields")
	}
	for _, name := range names {
		i := s.Index(name)
		if i < 0 {
			return errorf(InvalidKey, "the identifier column %q is no column of the row", name)
		}
		s.Columns[i].Required = true
		s.Key = append(s.Key, i)
	}
	if err := s.CheckKey(); err != nil {
		return &SchemaChange{Want: s, Detail: err.Error()}
	}
	return &SchemaChange{Want: s, Lossless: true, Detail: fmt.Sprintf("create a table of %d columns", len(columns))}
}

// imageColumns returns the columns of the record's row, from its embedded schema or else from its values.
func (d *Decoder) imageColumns(value []byte) ([]row.Column, error) {
	if d.value != nil && d.value.root != nil {
		fields := d.value.rowFields()
		if fields == nil {
			return nil, errorf(SchemaMismatch, "the embedded schema has no row image, the payload has one")
		}
		return typedColumns(fields)
	}
	at := d.env.after
	if at == 0 {
		at = d.env.before
	}
	if at == 0 {
		return nil, nil
	}
	d.scan.reset(value)
	d.scan.pos = at
	columns, _, err := d.inferColumns()
	return columns, err
}

// keyColumns returns the columns of the record key: in key order, under their column names.
func (d *Decoder) keyColumns(key []byte) ([]row.Column, error) {
	e, told, err := d.openKey(key)
	if err != nil || !told {
		return nil, err
	}
	if e != nil && e.root != nil {
		columns, err := typedColumns(e.root.fields)
		if err != nil {
			return nil, errorf(InvalidKey, "the record key: %v", err)
		}
		return columns, nil
	}
	columns, nulls, err := d.inferColumns()
	if err != nil {
		return nil, errorf(InvalidKey, "the record key: %v", err)
	}
	if nulls > 0 {
		return nil, errorf(InvalidKey, "the record key: %v", row.ErrNullKey)
	}
	return columns, nil
}

func typedColumns(fields []*connectSchema) ([]row.Column, error) {
	names, nameErr := fieldNames(fields)
	if nameErr != nil {
		return nil, nameErr
	}
	columns := make([]row.Column, len(fields))
	for i, c := range fields {
		src, err := sourceOf(c)
		if err != nil {
			return nil, errorf(TypeMismatch, "column %s: %v", c.field, err)
		}
		columns[i] = row.Column{Name: names[i], Type: src.typ}
	}
	return columns, nil
}

// newColumns returns the SchemaChange that adds the columns which the row image has and the table has not.
func (d *Decoder) newColumns(value []byte) error {
	d.scan.reset(value)
	d.scan.pos = d.env.after
	columns, _, err := d.inferColumns()
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
// counts them.
func (d *Decoder) inferColumns() (columns []row.Column, nulls int, err error) {
	s := &d.scan
	seen := map[string]bool{}
	ok := s.members(func(spelling []byte) bool {
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
		t, ok := d.types[name]
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
		return row.Type{}, s.fail(TypeMismatch, "column %s: an object or array tells no type: declare the column's type", name)
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
