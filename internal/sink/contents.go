package sink

// Version returns cdcd's own version, as it is recorded in each snapshot's summary.
func (s *Sink) Version() string { return s.o.Version }

// Has reports whether the table has a row with a canonical key (row.Rows.AppendKey).
func (t *Table) Has(key []byte) bool {
	_, ok := t.index.Get(key)
	return ok
}
