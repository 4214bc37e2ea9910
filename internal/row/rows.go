package row

import "github.com/cdcd-project/cdcd/internal/invariant"

// Rows is a growing set of rows of one schema: one vector a column, all of the same length.
//
// A row is appended by appending one value to each vector and calling End; until then Drop takes the started row back.
type Rows struct {
	Schema  *Schema
	Vectors []Vector

	n int
}

// NewRows returns an empty set of rows.
func NewRows(s *Schema) *Rows {
	r := &Rows{Schema: s, Vectors: make([]Vector, len(s.Columns))}
	for i, c := range s.Columns {
		r.Vectors[i] = NewVector(c.Type)
	}
	return r
}

// Len returns the number of ended rows.
func (r *Rows) Len() int { return r.n }

// Bytes returns the bytes that the rows occupy in memory.
func (r *Rows) Bytes() int {
	total := 0
	for i := range r.Vectors {
		total += r.Vectors[i].size()
	}
	return total
}

// End ends the row to which one value was appended in each vector.
func (r *Rows) End() {
	r.n++
	for i := range r.Vectors {
		if r.Vectors[i].n != r.n { // The test stands here because boxing Check's arguments allocates, at every row.
			invariant.Check(false, "row: column %s has %d values in row %d", r.Schema.Columns[i].Name, r.Vectors[i].n, r.n)
		}
	}
}

// Drop takes back the values of a row that was started and not ended.
func (r *Rows) Drop() { r.Truncate(r.n) }

// Truncate keeps the first n rows.
func (r *Rows) Truncate(n int) {
	for i := range r.Vectors {
		r.Vectors[i].Truncate(n)
	}
	r.n = n
}

// Reset removes all rows and keeps the memory for the next ones.
func (r *Rows) Reset() { r.Truncate(0) }

// AppendFrom appends the rows of src at the given indexes. Both have the same schema.
func (r *Rows) AppendFrom(src *Rows, indexes []int32) {
	for i := range r.Vectors {
		r.Vectors[i].AppendFrom(&src.Vectors[i], indexes)
	}
	r.n += len(indexes)
}
