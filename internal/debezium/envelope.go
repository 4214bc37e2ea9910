package debezium

import (
	"bytes"

	"github.com/cdcd-project/cdcd/internal/row"
)

// The members of envelopes and of the records of side topics, as a set of bits.
const (
	memberBefore uint32 = 1 << iota
	memberAfter
	memberSource
	memberTransaction
	memberOp
	memberTsMs
	memberTsUs
	memberTsNs
	memberStatus
	memberID
	memberEventCount
	memberDataCollections
	memberDatabaseName
	memberDDL
	memberType
	memberData
)

func memberOf(name []byte) uint32 {
	switch string(name) {
	case "before":
		return memberBefore
	case "after":
		return memberAfter
	case "source":
		return memberSource
	case "transaction":
		return memberTransaction
	case "op":
		return memberOp
	case "ts_ms":
		return memberTsMs
	case "ts_us":
		return memberTsUs
	case "ts_ns":
		return memberTsNs
	case "status":
		return memberStatus
	case "id":
		return memberID
	case "event_count":
		return memberEventCount
	case "data_collections":
		return memberDataCollections
	case "databaseName":
		return memberDatabaseName
	case "ddl":
		return memberDDL
	case "type":
		return memberType
	case "data":
		return memberData
	}
	return 0
}

// maxUnknownMembers bounds the members of an envelope that memberOf does not know.
const maxUnknownMembers = 64

// An envelope is what one pass over a record's value has found.
type envelope struct {
	seen       uint32 // Bits of memberOf.
	op         Op     // Zero if the member op is absent or null.
	after      int    // Where the row image begins in the text; 0 if it is null or absent.
	before     int
	row        bool  // The row image after is a started row.
	rowErr     error // Why it is not.
	sourceMs   int64
	snapshot   Snapshot
	dataObject bool // The member data is an object.
}

// envelope scans the object at pos. The row image is decoded in passing, since op comes after it: whether it is wanted
// shows at the end.
func (d *Decoder) envelope(rows *row.Rows) bool {
	s := &d.scan
	d.env = envelope{}
	d.others = d.others[:0]
	if s.peek() != '{' {
		return s.fail(NotAnObject, "the payload is no JSON object; flattened messages are not supported")
	}
	if !s.enter() {
		return false
	}
	if s.peek() == '}' {
		s.leave()
		return true
	}
	for more := true; more; {
		name, ok := s.name()
		if !ok {
			return false
		}
		m := memberOf(name)
		if !d.once(m, name) || !d.envelopeMember(m, rows) {
			return false
		}
		if more, ok = s.more(); !ok {
			return false
		}
	}
	return true
}

// once checks that no member of that name came before.
func (d *Decoder) once(m uint32, name []byte) bool {
	if m == 0 {
		return d.onceUnknown(name)
	}
	if d.env.seen&m != 0 {
		return d.scan.fail(DuplicateMember, "two members %q", name)
	}
	d.env.seen |= m
	return true
}

func (d *Decoder) onceUnknown(name []byte) bool {
	for _, other := range d.others {
		if bytes.Equal(name, other) {
			return d.scan.fail(DuplicateMember, "two members %q", name)
		}
	}
	if len(d.others) == maxUnknownMembers {
		return d.scan.fail(TooLarge, "more than %d unknown members in the envelope", maxUnknownMembers)
	}
	if names := d.scan.names; len(name) > 0 && len(names) > 0 && &name[0] == &names[0] {
		name = bytes.Clone(name) // The unescaped name is overwritten by the next one.
	}
	d.others = append(d.others, name)
	return true
}

func (d *Decoder) envelopeMember(m uint32, rows *row.Rows) bool {
	s := &d.scan
	switch m {
	case memberAfter:
		return d.afterImage(rows)
	case memberBefore:
		if s.peek() != 'n' {
			d.env.before = s.pos
		}
	case memberSource:
		return d.source()
	case memberOp:
		return d.op()
	case memberData:
		d.env.dataObject = s.peek() == '{'
	}
	return s.skip()
}

// afterImage decodes the row image, if a schema is bound, and in any case reads to its end. What is wrong with the row is
// kept for later: an error of the envelope goes before it, and a record that is no upsert has no use for the row.
func (d *Decoder) afterImage(rows *row.Rows) bool {
	s := &d.scan
	c, start := s.peek(), s.pos
	if c == 'n' {
		return s.literal("null")
	}
	d.env.after = start
	if d.bound == nil {
		return s.skip()
	}
	p, err := d.rowProjection()
	if err == nil {
		depth := s.depth
		if _, ok := d.object(p, rows); ok {
			d.env.row = true
			return true
		}
		err = s.err
		s.err, s.pos, s.depth = nil, start, depth
		rows.Drop()
	}
	d.env.rowErr = err
	return s.skip()
}

func (d *Decoder) op() bool {
	s := &d.scan
	c := s.peek()
	if c == 'n' {
		return s.literal("null")
	}
	if c != '"' {
		return s.fail(UnknownOp, "op is no string")
	}
	text, _, ok := s.quoted()
	if !ok {
		return false
	}
	if len(text) == 1 {
		switch op := Op(text[0]); op {
		case Create, Read, Update, Delete, Truncate, Message:
			d.env.op = op
			return true
		case Tombstone:
		}
	}
	return s.fail(UnknownOp, "op %.16q is none of c, r, u, d, t, m", text)
}
