package debezium

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// sourceMs and snapshot are the members of a source block that are read; all others are only validated.
const (
	sourceMsName = "ts_ms"
	snapshotName = "snapshot"
)

// A sourceMemo is the last source block that was scanned member by member. The blocks of a topic have the same members in
// the same order, and most of them with the same value: bytes that equal those of the memo, from the start of a member to
// the end of one, are as valid and mean the same, and need not be scanned.
type sourceMemo struct {
	text     []byte // Without the opening brace; empty: nothing is remembered.
	members  []sourceMember
	sourceMs int64
	snapshot Snapshot
}

type sourceMember struct {
	name  int // Where the value begins in text.
	end   int // Where the member ends in text, with its comma or the closing brace.
	known byte
}

// The members that are read, as sourceMember.known.
const (
	anyMember byte = iota
	sourceMsMember
	snapshotMember
)

// source reads the commit time and the snapshot marker from Debezium's source block.
func (d *Decoder) source() bool {
	s := &d.scan
	switch s.peek() {
	case 'n':
		return s.literal("null")
	case '{':
	default:
		d.env.odd = true
		return s.mismatch(&field{kind: "the source block"})
	}
	d.env.source = true
	if !s.enter() {
		return false
	}
	if s.peek() == '}' {
		s.leave()
		return true
	}
	start, depth := s.pos, s.depth
	if like, ok := d.sourceLike(&d.sources); like || !ok {
		return ok
	}
	s.pos, s.depth = start, depth
	return d.anySource(&d.sources)
}

// sourceLike scans a block that is like the memo: the same members in the same order. like is false if it is not.
func (d *Decoder) sourceLike(m *sourceMemo) (like, ok bool) {
	s := &d.scan
	d.env.sourceMs, d.env.snapshot = m.sourceMs, m.snapshot
	differing := 0
	for k, from := 0, 0; k < len(m.members); k++ {
		same := from + commonPrefix(s.text[s.pos:], m.text[from:])
		for k < len(m.members) && m.members[k].end <= same {
			s.pos += m.members[k].end - from
			from = m.members[k].end
			k++
		}
		if k == len(m.members) {
			s.depth--
			return true, true
		}
		member := &m.members[k]
		if same < member.name {
			return false, true
		}
		s.pos += member.name - from
		from = member.end
		if !d.sourceValue(member.known) {
			return false, false
		}
		more, ok := s.more()
		if !ok {
			return false, false
		}
		if last := k == len(m.members)-1; more == last {
			return false, true
		}
		differing++
	}
	if differing > len(m.members)/2 {
		m.members = m.members[:0] // Most values have changed for good: learn them with the next block.
	}
	return differing > 0, true
}

// anySource scans a block member by member, and remembers it.
func (d *Decoder) anySource(m *sourceMemo) bool {
	s := &d.scan
	start := s.pos
	m.members = m.members[:0]
	d.env.sourceMs, d.env.snapshot = 0, Streaming
	s.memberSets[s.depth].reset()
	for more := true; more; {
		name, ok := s.name()
		if !ok || !s.unique(name) {
			m.members = m.members[:0]
			return false
		}
		member := sourceMember{name: s.pos - start}
		switch string(name) {
		case sourceMsName:
			member.known = sourceMsMember
		case snapshotName:
			member.known = snapshotMember
		}
		if ok = d.sourceValue(member.known); ok {
			more, ok = s.more()
		}
		if !ok {
			m.members = m.members[:0]
			return false
		}
		member.end = s.pos - start
		m.members = append(m.members, member)
	}
	m.text = append(m.text[:0], s.text[start:s.pos]...)
	m.sourceMs, m.snapshot = d.env.sourceMs, d.env.snapshot
	return true
}

// sourceValue reads the value of a member of the source block.
func (d *Decoder) sourceValue(known byte) (ok bool) {
	s := &d.scan
	switch known {
	case sourceMsMember:
		d.env.sourceMs = 0
		if s.peek() != 'n' {
			d.env.sourceMs, ok = s.int64(&field{kind: "source.ts_ms", source: source{min: math.MinInt64, max: math.MaxInt64}})
			return ok
		}
	case snapshotMember:
		d.env.snapshot = Streaming
		switch s.peek() {
		case '"':
			text, ok := s.unquoted()
			d.env.snapshot = parseSnapshot(text)
			return ok
		case 't': // Debezium's documentation shows a boolean; no version is known to print it.
			d.env.snapshot = SnapshotTrue
		}
	}
	return s.skip()
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
