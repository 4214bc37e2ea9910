package debezium

import (
	"strings"

	"github.com/cdcd-project/cdcd/internal/row"
)

// errUnknownColumn stands for an *Error while a row is decoded; the row is then looked at again to find all its columns.
var errUnknownColumn = errorf(SchemaMismatch, "a column that the table does not have")

// object decodes the object at pos into value n of each of the vectors; on a failure the caller truncates them. Members may
// come in any order; the one that follows in p is tried first. Columns without a member become null; filled counts the others.
func (s *scanner) object(p *projection, vectors []row.Vector, n int) (filled int, ok bool) {
	if s.peek() != '{' {
		return 0, s.mismatch(&field{kind: "an object"})
	}
	if filled, ok = s.inOrder(p, vectors, n); !ok {
		filled, ok = s.anyOrder(p, vectors, n)
	}
	if ok && filled < len(vectors) {
		for i := range vectors {
			if v := &vectors[i]; v.Len() == n {
				v.AppendNull()
			}
		}
	}
	return filled, ok
}

// anyOrder decodes the object at pos member by member.
func (s *scanner) anyOrder(p *projection, vectors []row.Vector, n int) (filled int, ok bool) {
	if !s.enter() {
		return 0, false
	}
	p.start(s.limits.Columns)
	members, extra := 0, 0
	more := s.peek() != '}'
	if !more {
		s.leave()
	}
	for next := 0; more; next++ {
		if next, ok = s.member(p, next); !ok {
			return 0, false
		}
		f := &p.fields[next]
		if f.seen == p.objects {
			return 0, s.fail(DuplicateMember, "two members %q", f.name)
		}
		f.seen = p.objects
		if f.added != notAdded {
			extra++
		}
		if members++; members-extra > s.limits.Columns {
			return 0, s.fail(TooLarge, "more than %d members", s.limits.Columns)
		}
		if f.column != none {
			filled++
		}
		if !s.fieldValue(p, f, vectors, n) {
			return 0, false
		}
		if more, ok = s.more(); !ok {
			return 0, false
		}
	}
	if p.unknown == refuseUnknown && members < len(p.fields) {
		return 0, s.fail(SchemaMismatch, "the field %q of the embedded schema is absent", p.absent())
	}
	return filled, true
}

// fieldValue reads the value of f: into its column, or over it.
func (s *scanner) fieldValue(p *projection, f *field, vectors []row.Vector, n int) bool {
	if f.column == none {
		return s.unwanted(p, f)
	}
	return (f.added == notAdded || s.alsoAdded(f)) && s.value(f, &vectors[f.column], n)
}

// member reads a member name and its colon and returns the index of its field.
func (s *scanner) member(p *projection, next int) (int, bool) {
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
func (s *scanner) unwanted(p *projection, f *field) bool {
	if f.added != notAdded {
		return s.addedValue(f)
	}
	switch p.unknown {
	case evolveUnknown:
		if s.peek() != 'n' {
			s.err = errUnknownColumn
			return false
		}
	case foreignInKey:
		return s.foreignKeyField(p, f.name)
	case foreignInPart:
		if f.kind == "" && s.peek() != 'n' {
			return s.fail(SchemaMismatch, "the member %q is no field of the column", f.name)
		}
	case refuseUnknown, skipUnknown:
	}
	return s.skip()
}

// alsoAdded reads the value of an added member that is a column as well, and stays in front of it.
func (s *scanner) alsoAdded(f *field) bool {
	start := s.pos
	ok := s.addedValue(f)
	if ok {
		s.pos = start
	}
	return ok
}

// foreignKeyField refuses a field of the record key that is no identifier column.
func (s *scanner) foreignKeyField(p *projection, name string) bool {
	if _, ok := p.others[strings.ToLower(name)]; ok {
		return s.fail(SchemaMismatch, "the field %q is a column, but not one that identifies the table's rows", name)
	}
	return s.fail(SchemaMismatch, "the field %q is no column of the table", name)
}

// passOver reads over a row image that is not wanted: it has to be sound, and no member may occur twice.
func (s *scanner) passOver(p *projection) bool {
	if p == nil || s.peek() != '{' {
		return s.skip()
	}
	if s.passInOrder(p) {
		return true
	}
	if !s.enter() {
		return false
	}
	p.start(s.limits.Columns)
	more, members := s.peek() != '}', 0
	if !more {
		s.leave()
	}
	for next := 0; more; next++ {
		var ok bool
		if next, ok = s.member(p, next); !ok {
			return false
		}
		f := &p.fields[next]
		if f.seen == p.objects {
			return s.fail(DuplicateMember, "two members %q", f.name)
		}
		f.seen = p.objects
		if members++; members > s.limits.Columns+addedMembers {
			return s.fail(TooLarge, "more than %d members", s.limits.Columns)
		}
		if !s.skip() {
			return false
		}
		if more, ok = s.more(); !ok {
			return false
		}
	}
	return true
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
