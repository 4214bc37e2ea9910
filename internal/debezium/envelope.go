package debezium

import "github.com/cdcd-project/cdcd/internal/row"

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

// An envelope is what one pass over a record's value has found.
type envelope struct {
	seen       uint32 // Bits of memberOf.
	unknown    int    // How many members memberOf does not know.
	op         Op     // Zero if the member op is absent or null.
	image      bool   // There is a row image, after or flattened.
	after      int    // Where it begins in the text.
	leadEnd    int    // Where its leading identifier columns end, if it was decoded in order; 0: elsewhere.
	before     int    // One more than where the old row image begins; 0 if it is null or absent.
	row        bool   // The row image is a started row.
	rowErr     error  // Why it is not.
	sourceMs   int64
	snapshot   Snapshot
	source     bool // The member source is an object.
	dataObject bool // The member data is an object.
	odd        bool // A member is of a type that no envelope's has.
	flattened  bool // There is no envelope: the row image is the whole record.
	restAt     int  // Where the members behind the row images begin; 0 if something else is between them.
	restSeen   uint32
	restDepth  int
	braces     int // Decoder.braces at that place.
}

// envelope scans the object at pos. The row image is decoded in passing, since op comes after it: whether it is wanted
// shows at the end.
func (d *Decoder) envelope(rows *row.Rows) bool {
	s := &d.scan
	d.env = envelope{}
	if s.peek() != '{' {
		return s.notAnObject()
	}
	if !s.enter() {
		return false
	}
	s.memberSets[s.depth].reset()
	if s.peek() == '}' {
		s.leave()
		return true
	}
	for more := true; more; {
		m, ok := d.envelopeName()
		if !ok || !d.envelopeMember(m, rows) {
			return false
		}
		if more, ok = s.more(); !ok {
			return false
		}
		if m == memberAfter && more {
			if d.restLike() {
				return true
			}
			d.env.restAt, d.env.restSeen, d.env.restDepth, d.env.braces = s.pos, d.env.seen, s.depth, d.braces
		}
	}
	return true
}

// noBefore is how the payload of most envelopes begins, behind its brace: without an old row image.
const noBefore = `"before":null,"after":`

// envelopeName reads the name of the next member, which must be the first of that name.
func (d *Decoder) envelopeName() (m uint32, ok bool) {
	s := &d.scan
	if end := s.pos + len(noBefore); d.env.seen == 0 && end <= len(s.text) && string(s.text[s.pos:end]) == noBefore {
		s.pos = end
		d.env.seen = memberBefore | memberAfter
		return memberAfter, true
	}
	name, ok := s.name()
	if !ok {
		return 0, false
	}
	m = memberOf(name)
	return m, d.once(m, name)
}

// notAnObject refuses a payload that is something else: valid JSON, or not even that.
func (s *scanner) notAnObject() bool {
	return s.skip() && s.fail(NotAnObject, "the payload is no JSON object")
}

// once checks that no member of that name came before.
func (d *Decoder) once(m uint32, name []byte) bool {
	if m == 0 {
		d.env.unknown++
		return d.scan.unique(name)
	}
	if d.env.seen&m != 0 {
		return d.scan.fail(DuplicateMember, "two members %q", name)
	}
	d.env.seen |= m
	return true
}

func (d *Decoder) envelopeMember(m uint32, rows *row.Rows) bool {
	s := &d.scan
	switch m {
	case memberAfter:
		return d.afterImage(rows)
	case memberBefore:
		return d.beforeImage()
	case memberSource:
		return d.source()
	case memberOp:
		return d.op()
	case memberData:
		d.env.dataObject = s.peek() == '{'
	}
	return s.skip()
}

// beforeImage reads over the old row image, which only events without a sufficient record key need.
func (d *Decoder) beforeImage() bool {
	s := &d.scan
	switch s.peek() {
	case 'n':
		return s.literal("null")
	case '{':
	default:
		d.env.odd = true
	}
	d.env.before = s.pos + 1
	if d.bound == nil || d.env.image {
		return s.skip()
	}
	p, _ := d.rowProjection() // Without a projection the image is only validated.
	return s.passOver(p)
}

// afterImage decodes the row image, if a schema is bound, and in any case reads to its end. What is wrong with the row is
// kept for later: an error of the envelope goes before it, and a record that is no upsert has no use for the row.
func (d *Decoder) afterImage(rows *row.Rows) bool {
	s := &d.scan
	c := s.peek()
	if c == 'n' {
		return s.literal("null")
	}
	d.env.image, d.env.after = true, s.pos
	d.env.odd = d.env.odd || c != '{'
	if d.bound == nil {
		return s.skip()
	}
	return d.startRow(rows) || s.skip()
}

// startRow decodes the row image at pos into a started row. If that fails, it stays in front of the image, and rowErr says why.
func (d *Decoder) startRow(rows *row.Rows) bool {
	s := &d.scan
	s.unchanged = s.unchanged[:0]
	p, err := d.rowProjection()
	if err == nil {
		start, depth := s.pos, s.depth
		s.leadEnd = 0
		if _, ok := d.object(p, rows.Vectors, rows.Len()); ok {
			d.env.row, d.env.leadEnd = true, s.leadEnd
			return true
		}
		err = s.err
		s.err, s.pos, s.depth = nil, start, depth
		rows.Drop()
	}
	d.env.rowErr = err
	return false
}

// object decodes the object at pos, in the format of the text at hand.
func (d *Decoder) object(p *projection, vectors []row.Vector, n int) (filled int, ok bool) {
	if d.avro {
		return d.scan.avroObject(p, vectors, n)
	}
	return d.scan.object(p, vectors, n)
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
	text, ok := s.unquoted()
	if !ok {
		return false
	}
	if d.env.op, ok = parseOp(text); !ok {
		return s.fail(UnknownOp, "op %.16q is none of c, r, u, d, t, m", text)
	}
	return true
}

// parseOp reads Debezium's letter.
func parseOp(text []byte) (Op, bool) {
	if len(text) != 1 {
		return 0, false
	}
	switch op := Op(text[0]); op {
	case Create, Read, Update, Delete, Truncate, Message:
		return op, true
	case Tombstone, Upsert:
	}
	return 0, false
}
