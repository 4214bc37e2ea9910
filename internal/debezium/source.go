package debezium

import "math"

// sourceMs and snapshot are the members of a source block that are read; all others are only validated.
const (
	sourceMsName = "ts_ms"
	snapshotName = "snapshot"
)

// A known member of an envelope or a source block is one that is read.
type knownMember byte

const (
	anyMember knownMember = iota
	sourceMsMember
	snapshotMember
	opMember
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
	s.memberSets[s.depth].reset()
	for more := true; more; {
		name, ok := s.name()
		if !ok || !s.unique(name) || !d.sourceValue(sourceMember(name)) {
			return false
		}
		if more, ok = s.more(); !ok {
			return false
		}
	}
	return true
}

func sourceMember(name []byte) knownMember {
	switch string(name) {
	case sourceMsName:
		return sourceMsMember
	case snapshotName:
		return snapshotMember
	}
	return anyMember
}

// sourceValue reads the value of a member of the source block.
func (d *Decoder) sourceValue(known knownMember) (ok bool) {
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
	case opMember:
		return d.op()
	case anyMember:
	}
	return s.skip()
}
