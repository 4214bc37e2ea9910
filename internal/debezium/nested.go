package debezium

import (
	"encoding/binary"
	"math"

	"github.com/cdcd-project/cdcd/internal/row"
)

// decodeStruct decodes an object into a Struct column.
func decodeStruct(s *scanner, f *field, v *row.Vector) bool {
	if s.peek() != '{' {
		return s.mismatch(f)
	}
	if _, ok := s.object(f.nested, v.Children, v.Len()); !ok {
		return false
	}
	v.EndStruct()
	return true
}

// decodePoint decodes a POINT, whose wkb repeats its coordinates. Where only x and y are given, they make the wkb.
func decodePoint(s *scanner, f *field, v *row.Vector) bool {
	if s.peek() != '{' {
		return s.mismatch(f)
	}
	start, depth, n := s.pos, s.depth, v.Len()
	if _, ok := s.object(f.nested, v.Children, n); !ok {
		return false
	}
	if wkb := &v.Children[0]; wkb.IsNull(n) {
		end := s.pos
		s.pos, s.depth = start, depth
		x, y, known, ok := s.coordinates()
		if !ok {
			return false
		}
		s.pos, s.depth = end, depth
		if known {
			wkb.Truncate(n)
			wkb.AppendBytes(pointWKB(x, y))
		}
	}
	v.EndStruct()
	return true
}

// coordinates reads x and y of a point.
func (s *scanner) coordinates() (x, y float64, known, ok bool) {
	found := 0
	f := &field{kind: "double"}
	ok = s.members(func(name []byte) (ok bool) {
		if s.peek() == 'n' {
			return s.literal("null")
		}
		switch string(name) {
		case "x":
			found++
			x, ok = s.float(f, 64)
		case "y":
			found++
			y, ok = s.float(f, 64)
		default:
			ok = s.skip()
		}
		return ok
	})
	return x, y, found == 2, ok
}

// pointWKB writes a point in well-known binary (OGC 06-103r4, section 8), little endian as Debezium does.
func pointWKB(x, y float64) []byte {
	wkb := []byte{1, 1, 0, 0, 0}
	wkb = binary.LittleEndian.AppendUint64(wkb, math.Float64bits(x))
	return binary.LittleEndian.AppendUint64(wkb, math.Float64bits(y))
}

// decodeList decodes an array into a List column.
func decodeList(s *scanner, f *field, v *row.Vector) bool {
	if s.peek() != '[' {
		return s.mismatch(f)
	}
	if !s.enter() {
		return false
	}
	if s.peek() == ']' {
		s.leave()
		v.EndList()
		return true
	}
	for elements := &v.Children[0]; ; {
		if !s.value(f.element, elements, elements.Len()) {
			return false
		}
		switch s.peek() {
		case ',':
			s.pos++
		case ']':
			s.leave()
			v.EndList()
			return true
		default:
			return s.syntax("want a comma or a closing bracket")
		}
	}
}
