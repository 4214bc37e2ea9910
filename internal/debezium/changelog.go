package debezium

import (
	"fmt"
	"math"
	"slices"

	"github.com/cdcd-project/cdcd/internal/row"
)

// ChangelogColumns returns the columns that a changelog has beside those of the row image, in their order: what happened, when the
// source database committed it, and where the record stands. Their values are their caller's to put in.
func ChangelogColumns() []row.Column {
	return []row.Column{
		{Name: "_op", Type: row.Type{Kind: row.String}},
		{Name: "_source_ts", Type: row.Type{Kind: row.TimestampTZ}},
		{Name: "_topic", Type: row.Type{Kind: row.String}},
		{Name: "_partition", Type: row.Type{Kind: row.Int}},
		{Name: "_offset", Type: row.Type{Kind: row.Long}},
	}
}

// logChange ends the row of a change event: its row image after, or before of a delete. Record keys mean nothing here.
func (d *Decoder) logChange(rows *row.Rows, ev *Event) error {
	if d.env.op == Delete && !d.env.flattened {
		if d.env.image {
			return errorf(SchemaMismatch, "op d with a row image after")
		}
		d.deletedImage(rows)
	}
	switch {
	case !d.env.image:
		return errorf(MissingAfter, "op %s without a row image", d.env.op)
	case d.bound == nil:
		return d.newChangelog()
	case d.env.rowErr == errUnknownColumn: //nolint:errorlint // A sentinel that is never wrapped.
		return d.newColumns()
	case d.env.rowErr != nil:
		return d.env.rowErr
	case len(d.scan.unchanged) > 0:
		return errorf(SchemaMismatch, "the value is Debezium's placeholder for an unavailable one, and a changelog has no old row: set binlog_row_image=FULL")
	}
	for _, i := range d.logColumns {
		if !rows.Vectors[i].IsNull(rows.Len()) {
			return errorf(DuplicateMember, "the row has a column %s, which the changelog has itself", d.bound.Columns[i].Name)
		}
	}
	if ms := ev.SourceMs; ms > math.MaxInt64/1000 || ms < math.MinInt64/1000 {
		return errorf(OutOfRange, "source.ts_ms is no instant that a table can hold")
	}
	rows.End()
	d.env.row = false
	ev.Logged = true
	return nil
}

// checkChangelog finds the changelog's own columns in the bound schema.
func (d *Decoder) checkChangelog() error {
	d.logColumns = d.logColumns[:0]
	if len(d.bound.Key) > 0 {
		return errorf(SchemaMismatch, "the table has identifier columns: it is no changelog")
	}
	for _, c := range ChangelogColumns() {
		i, ok := d.columns[c.Name]
		if !ok || d.bound.Columns[i].Type != c.Type {
			return errorf(SchemaMismatch, "the table has no column %s %s: it is no changelog", c.Name, c.Type)
		}
		d.logColumns = append(d.logColumns, i)
	}
	return nil
}

// deletedImage makes the row image before the one that the event has.
func (d *Decoder) deletedImage(rows *row.Rows) {
	if d.env.before == 0 {
		return
	}
	d.env.image, d.env.after = true, d.env.before-1
	if d.bound == nil {
		return
	}
	s := &d.scan
	s.unchanged = s.unchanged[:0]
	p, err := d.rowProjection()
	if err == nil && d.value != nil {
		err = d.value.sameImages()
	}
	if err != nil {
		d.env.rowErr = err
		return
	}
	d.reopen()
	s.pos = d.env.after
	if _, ok := d.object(p, rows.Vectors, rows.Len()); !ok {
		d.env.rowErr = s.err
		rows.Drop()
		return
	}
	d.env.row = true
}

// newChangelog returns the SchemaChange to a changelog of the record's row image.
func (d *Decoder) newChangelog() error {
	columns, err := d.imageColumns()
	if err != nil {
		return err
	}
	own := ChangelogColumns()
	for _, c := range columns {
		if slices.ContainsFunc(own, func(o row.Column) bool { return o.Name == c.Name }) {
			return errorf(DuplicateMember, "the row has a column %s, which the changelog has itself", c.Name)
		}
	}
	columns = append(slices.Clone(columns), own...)
	if len(columns) > d.scan.limits.Columns {
		return errorf(TooLarge, "more than %d columns", d.scan.limits.Columns)
	}
	return &SchemaChange{Want: &row.Schema{Columns: columns}, Lossless: true, Detail: fmt.Sprintf("create a changelog of %d columns", len(columns))}
}
