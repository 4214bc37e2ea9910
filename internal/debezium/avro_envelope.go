package debezium

import (
	"math"

	"github.com/cdcd-project/cdcd/internal/row"
)

// avroEnvelope scans the envelope at pos; see envelope.
func (d *Decoder) avroEnvelope(rows *row.Rows) bool {
	s, t := &d.scan, d.value.root.wire.typ
	d.env = envelope{}
	for i := range t.fields {
		f := &t.fields[i]
		if f.member == 0 {
			d.env.unknown++
		}
		d.env.seen |= f.member
		null, ok := s.isNull(&f.value)
		if !ok || !null && !d.avroMember(f.member, f.value.typ, rows) {
			return false
		}
	}
	return true
}

// avroMember reads a member of the envelope that is not null.
func (d *Decoder) avroMember(m uint32, t *avroType, rows *row.Rows) bool {
	s := &d.scan
	switch m {
	case memberAfter:
		d.env.image, d.env.after = true, s.pos
		if d.bound != nil && d.startRow(rows) {
			return true
		}
	case memberBefore:
		d.env.before = s.pos + 1
	case memberSource:
		return d.avroSource(t)
	case memberOp:
		if t.kind != avroString && t.kind != avroEnum {
			return s.fail(UnknownOp, "op is no string")
		}
		text, ok := s.avroText(t)
		if !ok {
			return false
		}
		if d.env.op, ok = parseOp(text); !ok {
			return s.fail(UnknownOp, "op %.16q is none of c, r, u, d, t, m", text)
		}
		return true
	case memberData:
		d.env.dataObject = t.kind == avroRecord
	}
	return s.skipType(t)
}

// avroSource reads the commit time and the snapshot marker from Debezium's source block.
func (d *Decoder) avroSource(t *avroType) bool {
	s := &d.scan
	if t.kind != avroRecord {
		return s.fail(TypeMismatch, "the source block is no record")
	}
	d.env.source = true
	for i := range t.fields {
		f := &t.fields[i]
		null, ok := s.isNull(&f.value)
		if !ok {
			return false
		}
		if null {
			continue
		}
		typ := f.value.typ
		switch {
		case f.known == sourceMsMember && (typ.kind == avroLong || typ.kind == avroInt):
			d.env.sourceMs, ok = s.avroInteger(&field{kind: "source.ts_ms", source: source{min: math.MinInt64, max: math.MaxInt64}})
		case f.known == sourceMsMember:
			ok = s.fail(TypeMismatch, "source.ts_ms is no integer")
		case f.known == snapshotMember && (typ.kind == avroString || typ.kind == avroEnum):
			var text []byte
			text, ok = s.avroText(typ)
			d.env.snapshot = parseSnapshot(text)
		default:
			ok = s.skipType(typ)
		}
		if !ok {
			return false
		}
	}
	return true
}

// avroFlattened scans the record at pos as a row; see flattened.
func (d *Decoder) avroFlattened(rows *row.Rows) bool {
	s, t := &d.scan, d.value.root.wire.typ
	d.env = envelope{flattened: true, image: true, after: s.pos}
	s.added = added{}
	if d.bound != nil && d.startRow(rows) {
		return d.tellOp()
	}
	s.added = added{}
	for i := range t.fields {
		f := &t.fields[i]
		if !s.avroUnwanted(&field{name: f.name, added: d.added.field(f.name), wire: f.value}) {
			return false
		}
	}
	return d.tellOp()
}
