package debezium

import (
	"encoding/binary"
	"math/bits"
)

// A rest is what follows the row images in the last record that was scanned member by member: the source block, the op, times.
// The records of a topic have the same members there in the same order, and most of them with the same value. Bytes that equal those
// of the rest, around values that are scanned, are as valid and mean the same, and need not be scanned.
type rest struct {
	text   []byte
	slots  []slot
	varied []int    // The slots that vary, by their index: they are scanned, and all between them is compared.
	braces int      // Decoder.braces of that record: text ends with them.
	before uint32   // envelope.seen in front of the text.
	env    envelope // Of that record, for what is not of the row.
	gate   gate
}

// A slot is where a value stands in rest.text.
type slot struct {
	start, end int
	depth      int
	known      knownMember
	varies     bool // Its value has changed since.
}

// restLike scans what follows the row images, up to the end of the record, if it is like the last one. Otherwise it returns false and
// has done nothing: what is different, or wrong, is for envelope to say.
func (d *Decoder) restLike() bool {
	m, s := &d.rest, &d.scan
	if len(m.slots) == 0 || m.before != d.env.seen || m.braces != d.braces || d.env.odd || d.env.unknown > 0 || !m.gate.open() {
		return false
	}
	start, depth := s.pos, s.depth
	e := &d.env
	e.op, e.sourceMs, e.snapshot = m.env.op, m.env.sourceMs, m.env.snapshot
	if !m.gate.result(d.restValues(m)) {
		s.pos, s.depth, s.err = start, depth, nil
		e.op, e.sourceMs, e.snapshot = 0, 0, Streaming
		return false
	}
	e.seen, e.unknown, e.source = m.env.seen, m.env.unknown, m.env.source
	s.pos, s.depth, d.braces = len(s.text), 0, 0
	return true
}

// restValues compares what is known to stay, and scans the values between.
func (d *Decoder) restValues(m *rest) bool {
	t, pos, from := d.scan.text, d.scan.pos, 0
	start := pos
	for _, k := range m.varied {
		at := &m.slots[k]
		end := pos + at.start - from
		if end > len(t) || string(t[pos:end]) != string(m.text[from:at.start]) {
			return d.restChanges(m, start)
		}
		var ok bool
		if pos, ok = d.restValue(at, end); !ok {
			return false
		}
		from = at.end
	}
	return string(t[pos:]) == string(m.text[from:]) || d.restChanges(m, start)
}

// restValue scans the value of a slot, which begins at pos, and returns its end.
func (d *Decoder) restValue(at *slot, pos int) (end int, ok bool) {
	s := &d.scan
	switch at.known {
	case anyMember:
		if end := plainNumber(s.text, pos); end > 0 {
			return end, true
		}
	case sourceMsMember:
		if x, end := shortInteger(s.text, pos); end > 0 {
			d.env.sourceMs = x
			return end, true
		}
	case snapshotMember, opMember:
	}
	s.pos, s.depth = pos, at.depth
	ok = d.sourceValue(at.known)
	return s.pos, ok
}

// restChanges finds out which values have changed, and scans those.
func (d *Decoder) restChanges(m *rest, pos int) bool {
	t, from := d.scan.text, 0
	for k := 0; ; k++ {
		same := commonPrefix(t[pos:], m.text[from:])
		stop := from + same
		for k < len(m.slots) && m.slots[k].end < stop { // Equal, and what ends it is equal as well.
			k++
		}
		if k == len(m.slots) {
			m.vary()
			return stop == len(m.text) && pos+same == len(t)
		}
		at := &m.slots[k]
		if stop < at.start {
			return false
		}
		at.varies = true
		var ok bool
		if pos, ok = d.restValue(at, pos+at.start-from); !ok {
			return false
		}
		from = at.end
	}
}

// vary lists the slots that vary.
func (m *rest) vary() {
	m.varied = m.varied[:0]
	for k := range m.slots {
		if m.slots[k].varies {
			m.varied = append(m.varied, k)
		}
	}
}

// plainNumber returns the end of an unsigned integer that starts at i, or 0.
func plainNumber(t []byte, i int) (end int) {
	if i >= len(t) || t[i]-'1' > 8 {
		return 0
	}
	if end = digits(t, i); end == len(t) || end-i > maxNumberBytes || t[end] != ',' && t[end] != '}' {
		return 0
	}
	return end
}

// maxRestBytes bounds what is remembered (I11): the source block may hold a whole statement.
const maxRestBytes = 64 << 10

// learnRest remembers what follows the row images, in an envelope that was scanned to its end.
func (d *Decoder) learnRest() {
	m, e, s := &d.rest, &d.env, &d.scan
	m.slots, m.varied = m.slots[:0], m.varied[:0]
	m.before = e.seen & (memberBefore | memberAfter)
	if e.restAt == 0 || len(s.text)-e.restAt > maxRestBytes || e.restSeen != m.before || e.odd || e.seen&memberData != 0 || e.seen&memberSource != 0 && !e.source {
		return
	}
	end := s.pos
	s.pos, s.depth = e.restAt, e.restDepth
	ok := d.learnMembers(m, e.restAt)
	s.pos, s.depth, s.err = end, 0, nil
	if !ok {
		m.slots = m.slots[:0]
		return
	}
	m.text = append(m.text[:0], s.text[e.restAt:]...)
	m.braces, m.env = e.braces, *e
}

// learnMembers notes where the values of an object stand, and those of the source block in it.
func (d *Decoder) learnMembers(m *rest, origin int) bool {
	s := &d.scan
	for more := true; more; {
		name, ok := s.name()
		if !ok {
			return false
		}
		at := slot{depth: s.depth}
		switch {
		case s.depth > d.env.restDepth:
			at.known = sourceMember(name)
		case string(name) == "op":
			at.known = opMember
		case string(name) == "source":
			s.peek()
			s.pos++
			if s.depth++; s.peek() == '}' || !d.learnMembers(m, origin) {
				return false
			}
			if more, ok = s.more(); !ok {
				return false
			}
			continue
		}
		s.peek()
		at.start = s.pos - origin
		if !s.skip() {
			return false
		}
		at.end = s.pos - origin
		m.slots = append(m.slots, at)
		if more, ok = s.more(); !ok {
			return false
		}
	}
	return true
}

// commonPrefix returns how many bytes a and b begin with in common.
func commonPrefix(a, b []byte) int {
	i, n := 0, min(len(a), len(b))
	for ; i+8 <= n; i += 8 {
		if x := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); x != 0 {
			return i + bits.TrailingZeros64(x)>>3
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}
