package debezium

import "github.com/cdcd-project/cdcd/internal/row"

// errUnknownColumn stands for an *Error while a row is decoded; the row is then looked at again to find all its columns.
var errUnknownColumn = errorf(SchemaMismatch, "a column that the table does not have")

// object decodes the object at pos into one started row of rows, which the caller ends or drops. Members may come in any
// order; the one that follows in p is tried first. Columns without a member become null; filled counts the others.
func (d *Decoder) object(p *projection, rows *row.Rows) (filled int, ok bool) {
	s := &d.scan
	if s.peek() != '{' {
		return 0, s.mismatch(&field{kind: "an object"})
	}
	if !s.enter() {
		return 0, false
	}
	p.start(s.limits.Columns)
	n, members := rows.Len(), 0
	more := s.peek() != '}'
	if !more {
		s.leave()
	}
	for next := 0; more; next++ {
		if next, ok = d.member(p, next); !ok {
			return 0, false
		}
		f := &p.fields[next]
		if f.seen == p.objects {
			return 0, s.fail(DuplicateMember, "two members %q", f.name)
		}
		f.seen = p.objects
		if members++; members > s.limits.Columns {
			return 0, s.fail(TooLarge, "more than %d members", s.limits.Columns)
		}
		if f.column == none {
			ok = d.unwanted(p, f)
		} else {
			filled++
			ok = s.value(f, &rows.Vectors[f.column], n)
		}
		if !ok {
			return 0, false
		}
		if more, ok = s.more(); !ok {
			return 0, false
		}
	}
	if p.unknown == refuseUnknown && members < len(p.fields) {
		return 0, s.fail(SchemaMismatch, "the field %q of the embedded schema is absent", p.absent())
	}
	if filled < len(rows.Vectors) {
		for i := range rows.Vectors {
			if v := &rows.Vectors[i]; v.Len() == n {
				v.AppendNull()
			}
		}
	}
	return filled, true
}

// member reads a member name and its colon and returns the index of its field.
func (d *Decoder) member(p *projection, next int) (int, bool) {
	s := &d.scan
	if next < len(p.fields) {
		token := p.fields[next].token
		if end := s.pos + len(token); end <= len(s.text) && string(s.text[s.pos:end]) == token {
			s.pos = end
			return next, true
		}
	}
	name, ok := s.name()
	if !ok {
		return none, false
	}
	if i, ok := p.byName[string(name)]; ok {
		return i, true
	}
	if p.unknown == refuseUnknown {
		return none, s.fail(SchemaMismatch, "the member %q is not in the embedded schema", name)
	}
	i, err := p.learn(string(name))
	if err != nil {
		s.err = err
		return none, false
	}
	return i, true
}

// value decodes the value of f into v, which holds n values unless another spelling of the column came before.
func (s *scanner) value(f *field, v *row.Vector, n int) bool {
	if v.Len() != n {
		return s.fail(DuplicateMember, "two members for the column of %q", f.name)
	}
	if s.peek() == 'n' {
		if !s.literal("null") {
			return false
		}
		if !f.optional {
			return s.fail(NullInRequired, "column %s: null in a field that is not optional", f.name)
		}
		v.AppendNull()
		return true
	}
	if f.decode(s, f, v) {
		return true
	}
	s.err = errorf(s.err.Reason, "column %s: %s", f.name, s.err.Detail)
	return false
}

// unwanted reads over the value of a field that has no column. A null in an unknown column is passed over: it has no type
// yet, and the column will be null for this row whenever it is added.
func (d *Decoder) unwanted(p *projection, f *field) bool {
	s := &d.scan
	switch p.unknown {
	case evolveUnknown:
		if s.peek() != 'n' {
			s.err = errUnknownColumn
			return false
		}
	case foreignInKey:
		return d.foreignKeyField(f.name)
	case refuseUnknown, skipUnknown:
	}
	return s.skip()
}

// absent returns the name of a field that the last object did not have.
func (p *projection) absent() string {
	for i := range p.fields {
		if p.fields[i].seen != p.objects {
			return p.fields[i].name
		}
	}
	return ""
}
