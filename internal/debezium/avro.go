package debezium

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// An avroKind is how a type is written (Avro specification, "Binary Encoding").
type avroKind uint8

const (
	avroNull avroKind = iota + 1
	avroBoolean
	avroInt
	avroLong
	avroFloat
	avroDouble
	avroBytes
	avroString
	avroFixed
	avroEnum
	avroRecord
	avroArray
	avroMap
	avroUnion // Of several types other than null.
)

// An avroType is how values are written in Avro.
type avroType struct {
	kind     avroKind
	size     int         // Of fixed.
	symbols  [][]byte    // Of enums.
	fields   []avroField // Of records.
	items    avroValue   // Of arrays, and the values of maps.
	branches []avroValue // Of unions.
}

// An avroField is a field of a record, in the order in which they are written.
type avroField struct {
	name   string
	member uint32      // Of memberOf.
	known  knownMember // Of a source block.
	value  avroValue
}

// An avroValue is a type, or a union of it and null.
type avroValue struct {
	typ      *avroType
	union    bool
	null     int64 // The branch of null, or none.
	branches int64 // How many there are: one or two.
}

// The scanner reads Avro's binary encoding as it reads JSON: from text at pos, with one error. A body that cannot be read is
// refused as a whole: its lengths say where the next value begins.

// short refuses a body that ends early, or that was not written with its schema.
func (s *scanner) short(format string, args ...any) bool { return s.fail(ShortBody, format, args...) }

// varint reads an int or long.
func (s *scanner) varint() (int64, bool) {
	t, i := s.text, s.pos
	if i < len(t) && t[i] < 0x80 {
		s.pos++
		return int64(t[i]>>1) ^ -int64(t[i]&1), true
	}
	var x uint64
	for shift := uint(0); shift < 64; shift += 7 {
		if i >= len(t) {
			return 0, s.short("the body ends within a number")
		}
		b := t[i]
		i++
		x |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if shift == 63 && b > 1 {
				break
			}
			s.pos = i
			return int64(x>>1) ^ -int64(x&1), true
		}
	}
	return 0, s.short("offset %d: a number of more than 64 bits", s.pos)
}

// take returns the next n bytes.
func (s *scanner) take(n int) ([]byte, bool) {
	if n > len(s.text)-s.pos {
		return nil, s.short("%d bytes are due, and %d are left", n, len(s.text)-s.pos)
	}
	s.pos += n
	return s.text[s.pos-n : s.pos], true
}

// block reads the bytes that follow their length.
func (s *scanner) block() ([]byte, bool) {
	n, ok := s.varint()
	if !ok {
		return nil, false
	}
	if n < 0 || n > int64(len(s.text)-s.pos) {
		return nil, s.short("%d bytes are due, and %d are left", n, len(s.text)-s.pos)
	}
	return s.take(int(n))
}

// isNull reads which branch of a union follows. It reports whether that is null.
func (s *scanner) isNull(v *avroValue) (null, ok bool) {
	if !v.union {
		return v.typ.kind == avroNull, true
	}
	branch, ok := s.varint()
	if !ok {
		return false, false
	}
	if branch < 0 || branch >= v.branches {
		return false, s.short("branch %d of a union of %d", branch, v.branches)
	}
	return branch == v.null || v.typ.kind == avroNull, true
}

// avroText reads a string or an enum's symbol.
func (s *scanner) avroText(t *avroType) (text []byte, ok bool) {
	if t.kind == avroEnum {
		i, ok := s.varint()
		if !ok {
			return nil, false
		}
		if i < 0 || i >= int64(len(t.symbols)) {
			return nil, s.short("symbol %d of an enum of %d", i, len(t.symbols))
		}
		return t.symbols[i], true
	}
	if text, ok = s.block(); !ok {
		return nil, false
	}
	if !utf8.Valid(text) {
		return nil, s.fail(InvalidUTF8, "the text is not UTF-8")
	}
	return text, s.inLimit(text)
}

// avroRaw reads bytes.
func (s *scanner) avroRaw(t *avroType) (raw []byte, ok bool) {
	if t.kind == avroFixed {
		raw, ok = s.take(t.size)
	} else {
		raw, ok = s.block()
	}
	return raw, ok && s.inLimit(raw)
}

func (s *scanner) inLimit(value []byte) bool {
	return len(value) <= s.limits.StringBytes || s.fail(TooLarge, "a value of %d bytes exceeds the limit of %d", len(value), s.limits.StringBytes)
}

// avroInteger reads an integer of field f.
func (s *scanner) avroInteger(f *field) (int64, bool) {
	x, ok := s.varint()
	if ok && (x < f.min || x > f.max) {
		return 0, s.fail(OutOfRange, "an integer beyond %s", f.kind)
	}
	return x, ok
}

// avroReal reads a float or a double. MySQL has no number that is none, and JSON cannot write one: such a value is refused.
func (s *scanner) avroReal(f *field, t *avroType) (x float64, ok bool) {
	if t.kind == avroFloat {
		raw, ok := s.take(4)
		if !ok {
			return 0, false
		}
		x = float64(math.Float32frombits(binary.LittleEndian.Uint32(raw)))
	} else {
		raw, ok := s.take(8)
		if !ok {
			return 0, false
		}
		x = math.Float64frombits(binary.LittleEndian.Uint64(raw))
	}
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0, s.fail(OutOfRange, "%v where %s is due: MySQL has no such number", x, f.kind)
	}
	return x, true
}

// items reads the items of an array, or the entries of a map, one by one: each starts at pos when visit is called.
func (s *scanner) items(visit func() bool) bool {
	for {
		n, ok := s.blockCount()
		if n == 0 || !ok {
			return ok
		}
		for range n {
			if !visit() {
				return false
			}
		}
	}
}

// blockCount reads how many items follow, and, if it is there, the size of their block. There are no more items than bytes: even
// an item that takes none must not make a loop of any length.
func (s *scanner) blockCount() (n int64, ok bool) {
	if n, ok = s.varint(); !ok {
		return 0, false
	}
	if n < 0 {
		n = -n
		if _, ok = s.varint(); !ok {
			return 0, false
		}
	}
	if n < 0 || n > int64(len(s.text)-s.pos) {
		return 0, s.short("%d items are due, and %d bytes are left", n, len(s.text)-s.pos)
	}
	return n, true
}

// skipAvro reads over a value.
func (s *scanner) skipAvro(v *avroValue) (ok bool) {
	null, ok := s.isNull(v)
	if null || !ok {
		return ok
	}
	return s.skipType(v.typ)
}

func (s *scanner) skipType(t *avroType) (ok bool) {
	switch t.kind {
	case avroNull:
		return true
	case avroBoolean:
		_, ok = s.take(1)
	case avroInt, avroLong, avroEnum:
		_, ok = s.varint()
	case avroFloat:
		_, ok = s.take(4)
	case avroDouble:
		_, ok = s.take(8)
	case avroBytes, avroString:
		_, ok = s.block()
	case avroFixed:
		_, ok = s.take(t.size)
	case avroRecord:
		for i := range t.fields {
			if !s.skipAvro(&t.fields[i].value) {
				return false
			}
		}
		return true
	case avroArray:
		return s.items(func() bool { return s.skipAvro(&t.items) })
	case avroMap:
		return s.items(func() bool {
			_, ok := s.block()
			return ok && s.skipAvro(&t.items)
		})
	case avroUnion:
		branch, ok := s.varint()
		if !ok || branch < 0 || branch >= int64(len(t.branches)) {
			return ok && s.short("branch %d of a union of %d", branch, len(t.branches))
		}
		return s.skipType(t.branches[branch].typ)
	}
	return ok
}
