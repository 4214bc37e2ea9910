package debezium

import (
	"math/big"

	"github.com/cdcd-project/cdcd/internal/row"
)

// avroObject decodes the record at pos into value n of each of the vectors; on a failure the caller truncates them. The fields come in
// the order of the writer's schema, of which p is made. Columns without a field become null; filled counts the others.
func (s *scanner) avroObject(p *projection, vectors []row.Vector, n int) (filled int, ok bool) {
	p.start(s.limits.Columns)
	for i := range p.fields {
		f := &p.fields[i]
		if p.order != nil {
			f = &p.fields[p.order[i]]
		}
		f.seen = p.objects
		if f.column == none {
			if !s.avroUnwanted(f) {
				return 0, false
			}
			continue
		}
		filled++
		if f.added != notAdded && !s.avroAlsoAdded(f) || !s.avroValue(f, &vectors[f.column], n) {
			return 0, false
		}
	}
	if filled < len(vectors) {
		for i := range vectors {
			if v := &vectors[i]; v.Len() == n {
				v.AppendNull()
			}
		}
	}
	return filled, true
}

// avroValue decodes the value of f into v, which holds n values unless another field of the same column came before.
func (s *scanner) avroValue(f *field, v *row.Vector, n int) bool {
	if v.Len() != n {
		return s.fail(DuplicateMember, "two fields for the column of %q", f.name)
	}
	null, ok := s.isNull(&f.wire)
	switch {
	case !ok:
	case null:
		v.AppendNull()
		return true
	case f.decode(s, f, v):
		return true
	}
	s.err = errorf(s.err.Reason, "column %s: %s", f.name, s.err.Detail)
	return false
}

// avroUnwanted reads over the value of a field that has no column.
func (s *scanner) avroUnwanted(f *field) bool {
	if f.added == notAdded {
		return s.skipAvro(&f.wire)
	}
	return s.avroAdded(f)
}

// avroAlsoAdded reads the value of an added field that is a column as well, and stays in front of it.
func (s *scanner) avroAlsoAdded(f *field) bool {
	start := s.pos
	ok := s.avroAdded(f)
	if ok {
		s.pos = start
	}
	return ok
}

// avroAdded reads the value of an added field.
func (s *scanner) avroAdded(f *field) bool {
	start := s.pos
	null, ok := s.isNull(&f.wire)
	if null || !ok {
		return ok
	}
	t := f.wire.typ
	text := t.kind == avroString || t.kind == avroEnum
	switch {
	case f.added == addedDeleted && t.kind == avroBoolean:
		raw, ok := s.take(1)
		return ok && (raw[0] == 0 && s.setDeleted([]byte("false")) || raw[0] == 1 && s.setDeleted([]byte("true")) || s.short("no boolean"))
	case f.added == addedDeleted && text:
		value, ok := s.avroText(t)
		return ok && s.setDeleted(value)
	case f.added == addedDeleted:
		return s.fail(TypeMismatch, "%s is neither true nor false", deletedField)
	case f.added == addedOp && text:
		value, ok := s.avroText(t)
		return ok && s.setOp(value)
	case f.added == addedOp:
		return s.fail(UnknownOp, "%s is no string", f.name)
	case f.added == addedSourceMs && (t.kind == avroLong || t.kind == avroInt):
		x, ok := s.avroInteger(&field{kind: f.name, source: source{min: -maxTemporalPart * 1000, max: maxTemporalPart * 1000}})
		s.added.sourceMs = x
		return ok
	case f.added == addedSourceMs:
		return s.fail(TypeMismatch, "%s is no integer", f.name)
	case f.added == addedSnapshot && text:
		value, ok := s.avroText(t)
		s.added.snapshot = parseSnapshot(value)
		return ok
	}
	s.pos = start
	return s.skipAvro(&f.wire)
}

// avroStruct decodes a record into a Struct column.
func avroStruct(s *scanner, f *field, v *row.Vector) bool {
	if _, ok := s.avroObject(f.nested, v.Children, v.Len()); !ok {
		return false
	}
	v.EndStruct()
	return true
}

// avroPoint decodes a POINT; see decodePoint.
func avroPoint(s *scanner, f *field, v *row.Vector) bool {
	start, n := s.pos, v.Len()
	if _, ok := s.avroObject(f.nested, v.Children, n); !ok {
		return false
	}
	if wkb := &v.Children[0]; wkb.IsNull(n) {
		end := s.pos
		s.pos = start
		var x, y float64
		found := 0
		ok := s.avroFields(f.wire.typ, func(name string, t *avroType) (ok bool) {
			at := &x
			switch name {
			case "y":
				at = &y
			case "x":
			default:
				return s.skipType(t)
			}
			found++
			*at, ok = s.avroReal(f, t)
			return ok
		})
		if !ok {
			return false
		}
		s.pos = end
		if found == 2 {
			wkb.Truncate(n)
			wkb.AppendBytes(pointWKB(x, y))
		}
	}
	v.EndStruct()
	return true
}

// avroFields calls visit with each field of the record at pos that is not null. visit reads the value.
func (s *scanner) avroFields(t *avroType, visit func(name string, t *avroType) bool) bool {
	for i := range t.fields {
		f := &t.fields[i]
		null, ok := s.isNull(&f.value)
		if !ok || !null && !visit(f.name, f.value.typ) {
			return false
		}
	}
	return true
}

// avroList decodes an array into a List column.
func avroList(s *scanner, f *field, v *row.Vector) bool {
	elements := &v.Children[0]
	for {
		n, ok := s.blockCount()
		if !ok {
			return false
		}
		if n == 0 {
			v.EndList()
			return true
		}
		for range n {
			if !s.avroValue(f.element, elements, elements.Len()) {
				return false
			}
		}
	}
}

// avroTemporal reads a structured temporal; see temporal.
func (s *scanner) avroTemporal(f *field, parts *temporal) bool {
	integer := field{kind: "an integer", source: source{min: -maxTemporalPart, max: maxTemporalPart}}
	return s.avroFields(f.wire.typ, func(name string, t *avroType) (ok bool) {
		part := temporalPart([]byte(name))
		switch {
		case part >= 0 && (t.kind == avroInt || t.kind == avroLong):
			parts.given |= 1 << part
			parts.parts[part], ok = s.avroInteger(&integer)
			return ok
		case name == "precision":
			return s.skipType(t)
		case name == "specialValue":
			parts.special = true
			return s.skipType(t)
		case name == "zoneId" && t.kind == avroString:
			text, ok := s.avroText(t)
			parts.utc = string(text) == "UTC" || string(text) == "Z"
			return ok
		}
		return s.fail(SchemaMismatch, "the field %q is none of %s", name, f.kind)
	})
}

// avroBig decodes a Decimal of more digits than any Iceberg decimal has.
func avroBig(s *scanner, f *field, v *row.Vector) bool {
	raw, ok := s.avroUnscaled(f)
	if !ok {
		return false
	}
	unscaled := new(big.Int)
	setTwosComplement(unscaled, raw)
	return s.appendBigDecimal(unscaled, f, v)
}

// avroUnscaled reads the bytes of a Decimal or of Bits.
func (s *scanner) avroUnscaled(f *field) ([]byte, bool) {
	raw, ok := s.avroRaw(f.wire.typ)
	switch {
	case !ok:
		return nil, false
	case len(raw) > len(s.small):
		return nil, s.fail(OutOfRange, "more bytes than %s has", f.kind)
	case len(raw) == 0:
		return nil, s.fail(TypeMismatch, "no bytes where %s is due", f.kind)
	}
	return raw, true
}
