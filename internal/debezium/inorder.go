package debezium

import "github.com/cdcd-project/cdcd/internal/row"

// maxMisses is how often in a row a short cut may fail before it is left alone for a while: a failed one costs its time twice.
const maxMisses = 16

// A gate says whether a short cut that has failed lately is worth another try.
//
// Invariant: it never decides what a record means, only which code reads it.
type gate struct{ misses uint32 }

// open reports whether to try. Behind maxMisses failures without a success between them only each sixty-fourth try is made.
func (g *gate) open() bool {
	if g.misses < maxMisses {
		return true
	}
	g.misses++
	return g.misses&63 == 0
}

// result notes how a try has ended.
func (g *gate) result(ok bool) bool {
	if ok {
		g.misses = 0
	} else {
		g.misses++
	}
	return ok
}

// inOrder decodes the object at pos like members, if it has exactly the fields of p, in their order and as JsonConverter prints
// them: without white space, and without escapes in names. Otherwise it returns false and has done nothing: what is different, or
// wrong, is for members to say.
func (s *scanner) inOrder(p *projection, vectors []row.Vector, n int) (filled int, ok bool) {
	s.ordered, s.leadEnd = false, 0
	if len(p.fields) == 0 || len(p.fields) > s.limits.Columns || s.depth >= MaxDepth || !p.ordered.open() {
		return 0, false
	}
	start, unchanged, added := s.pos, len(s.unchanged), s.added
	s.depth++
	p.objects++
	filled, ok = s.fieldsInOrder(p, vectors, n)
	s.depth--
	if s.ordered = p.ordered.result(ok); !ok {
		s.leadEnd = 0
		s.pos, s.err, s.added, s.unchanged = start, nil, added, s.unchanged[:unchanged]
		for i := range vectors {
			vectors[i].Truncate(n)
		}
	}
	return filled, ok
}

func (s *scanner) fieldsInOrder(p *projection, vectors []row.Vector, n int) (filled int, ok bool) {
	t, pos, last := s.text, s.pos+1, len(p.fields)-1
	for i := range p.fields {
		f := &p.fields[i]
		end := pos + len(f.token)
		if end >= len(t) || string(t[pos:end]) != f.token {
			return 0, false
		}
		f.seen = p.objects
		if s.pos = end; f.plain {
			filled++
			ok = s.plainValue(f, &vectors[f.column], n)
		} else {
			if f.column != none {
				filled++
			}
			ok = s.fieldValue(p, f, vectors, n)
		}
		if pos = s.pos + 1; !ok || pos > len(t) {
			return 0, false
		}
		if i == p.lead {
			s.leadEnd = s.pos
		}
		if c := t[pos-1]; c == '}' && i == last {
			s.pos = pos
			return filled, true
		} else if c != ',' {
			return 0, false
		}
	}
	return 0, false
}

// passInOrder reads over the object at pos under the conditions of inOrder.
func (s *scanner) passInOrder(p *projection) bool {
	if len(p.fields) == 0 || len(p.fields) > s.limits.Columns || s.depth >= MaxDepth || !p.passed.open() {
		return false
	}
	start := s.pos
	s.depth++
	ok := p.passed.result(s.passFields(p))
	s.depth--
	if !ok {
		s.pos, s.err = start, nil
	}
	return ok
}

func (s *scanner) passFields(p *projection) bool {
	t, pos, last := s.text, s.pos+1, len(p.fields)-1
	for i := range p.fields {
		f := &p.fields[i]
		end := pos + len(f.token)
		if end >= len(t) || string(t[pos:end]) != f.token {
			return false
		}
		if pos = s.passScalar(end); pos == 0 {
			s.pos = end
			if !s.skip() {
				return false
			}
			pos = s.pos
		}
		if pos >= len(t) {
			return false
		}
		if c := t[pos]; c == '}' && i == last {
			s.pos = pos + 1
			return true
		} else if c != ',' {
			return false
		}
		pos++
	}
	return false
}

// passScalar returns the end of a string without escapes, or of an unsigned integer, that starts at pos; 0 for all else.
func (s *scanner) passScalar(pos int) (end int) {
	t := s.text
	if t[pos] != '"' {
		return plainNumber(t, pos)
	}
	if end = special(t, pos+1); end < len(t) && t[end] == '"' {
		return end + 1
	}
	return 0
}

// plainValue decodes the value at pos into v, by short cuts for what most values are.
func (s *scanner) plainValue(f *field, v *row.Vector, n int) bool {
	t, pos := s.text, s.pos
	if v.Len() != n {
		return false
	}
	switch f.short {
	case shortLong, shortInt:
		x, end := shortInteger(t, pos)
		if end == 0 || x < f.min || x > f.max {
			break
		}
		if s.pos = end; f.short == shortLong {
			v.AppendInt64(x)
			return true
		}
		v.AppendInt32(int32(x)) // f.min and f.max are within an int32.
		return true
	case shortText:
		if t[pos] != '"' {
			break
		}
		end := special(t, pos+1)
		if end >= len(t) || t[end] != '"' || end-pos > s.limits.StringBytes || s.isPlaceholder(t[pos+1:end]) {
			break
		}
		v.AppendBytes(t[pos+1 : end])
		s.pos = end + 1
		return true
	case shortDouble:
		if x, end := shortDecimal(t, pos); end > 0 {
			v.AppendFloat64(x)
			s.pos = end
			return true
		}
	case noShort:
		if t[pos] != 'n' {
			return f.decode(s, f, v)
		}
	}
	return s.value(f, v, n)
}

// A short says which short cut reads most values of a field.
type short uint8

const (
	noShort short = iota
	shortLong
	shortInt
	shortText
	shortDouble
)

// shortCut returns the short cut for values of the given meaning in a column of type t.
func (f *field) shortCut(t row.Type) short {
	switch f.means { //nolint:exhaustive // All others have none.
	case asInteger, asBoolean, asLong:
		if t.Kind == row.Long || t.Kind == row.Timestamp {
			return shortLong
		}
		if (t.Kind == row.Int || t.Kind == row.Date) && f.min == int64(int32(f.min)) && f.max == int64(int32(f.max)) {
			return shortInt
		}
	case asUntypedDate:
		return shortInt
	case asText, asUntypedText:
		if t.Kind == row.String {
			return shortText
		}
	case asDouble:
		if t.Kind == row.Double {
			return shortDouble
		}
	}
	return noShort
}
