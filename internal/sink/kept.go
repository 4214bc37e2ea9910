package sink

import (
	"context"

	"github.com/cdcd-project/cdcd/internal/invariant"
	"github.com/cdcd-project/cdcd/internal/merge"
	"github.com/cdcd-project/cdcd/internal/merge/keyindex"
	"github.com/cdcd-project/cdcd/internal/row"
)

const (
	keptBytes       = 8 << 20 // How much is handed out at once, give or take one batch of a file.
	keptBatchBytes  = 1 << 20 // Of a file's batch, where its values are of average size.
	keptBatchRows   = 4 << 10
	keptStreamBytes = 1 << 20 // One request for a part of a large file.
	keptWholeBytes  = 4 << 20 // A file of this size is read in one request.
)

// Source returns where the latest row of key stands, by the open batch and the table: see merge.Batch.Source.
func (t *Table) Source(b *merge.Batch, key []byte, gone bool) (merge.Source, bool) {
	return b.Source(key, gone, t.index)
}

// Kept reads the values of some columns in rows that stand at the given places, in ascending order: in data files of the head, or in
// files of the draft. It hands them out in pieces of bounded size (I7): f gets the number of the first place and one row for each. Each
// file is read once, and of it only these columns, and only the row groups that hold a place.
func (d *Draft) Kept(ctx context.Context, columns []int, at []keyindex.Location, f func(first int, values *row.Rows) error) error {
	if err := d.settle(ctx, at); err != nil {
		return err
	}
	schema := &row.Schema{}
	k := kept{t: d.t, out: f}
	for _, c := range columns {
		column := d.target.rows.Columns[c]
		schema.Columns = append(schema.Columns, row.Column{Name: column.Name, Type: column.Type})
		field, _ := d.target.iceberg.FindFieldByName(column.Name)
		k.ids = append(k.ids, field.ID)
	}
	k.values = row.NewRows(schema)
	for len(at) > k.done() {
		here := at[k.done():]
		n := 1
		for n < len(here) && here[n].File() == here[0].File() {
			n++
		}
		if err := k.readFile(ctx, d.dataFile(here[0].File()), here[:n]); err != nil {
			return err
		}
	}
	return k.hand()
}

// settle ends the open file if one of the places is in it: a file can be read only when it is whole.
func (d *Draft) settle(ctx context.Context, at []keyindex.Location) error {
	for _, l := range at {
		if d.open != nil && d.open.number == l.File() {
			return d.finish(ctx)
		}
	}
	return nil
}

// dataFile returns a data file of the head, or of the draft.
func (d *Draft) dataFile(number uint32) *dataFile {
	for _, f := range d.files {
		if f.number == number {
			return f
		}
	}
	f := d.t.live.data[number]
	invariant.Check(f != nil, "I4: data file %d is neither live nor the draft's", number)
	return f
}

// kept collects the values of rows in the order of their places.
type kept struct {
	t      *Table
	ids    []int
	values *row.Rows // Those that were not handed out.
	first  int       // The place of the first one.
	out    func(first int, values *row.Rows) error
	outErr error
}

// done returns how many places were read.
func (k *kept) done() int { return k.first + k.values.Len() }

// hand hands out what was read.
func (k *kept) hand() error {
	if k.values.Len() == 0 {
		return nil
	}
	k.outErr = k.out(k.first, k.values)
	k.first += k.values.Len()
	k.values.Reset()
	return k.outErr
}
