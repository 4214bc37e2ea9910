package debezium

import (
	"bytes"
	"slices"

	"github.com/cdcd-project/cdcd/internal/row"
)

// flattened scans the object at pos as a row, beside which ExtractNewRecordState may have added members.
func (d *Decoder) flattened(rows *row.Rows) bool {
	s := &d.scan
	d.env = envelope{flattened: true}
	s.added = added{}
	if s.peek() != '{' {
		return s.notAnObject()
	}
	d.env.image, d.env.after = true, s.pos
	if d.bound != nil && d.startRow(rows) {
		return d.tellOp()
	}
	s.added = added{}
	return d.passAdded() && d.tellOp()
}

// passAdded reads the added members alone: of a row that is not wanted, or that needs another schema.
func (d *Decoder) passAdded() bool {
	s := &d.scan
	return s.members(func(name []byte) bool {
		f := field{name: string(name), added: d.added.field(string(name))}
		if f.added != notAdded {
			return s.addedValue(&f)
		}
		return s.skip()
	})
}

// tellOp finds out what happened to the flattened row: from its added members, or else from the record's headers.
func (d *Decoder) tellOp() bool {
	s, a := &d.scan, &d.scan.added
	if a.op == 0 {
		if text := d.record.header(d.o.AddedHeaderPrefix, "op"); text != nil {
			text, ok := d.headerText(text)
			if !ok || !s.setOp(text) {
				return s.fail(UnknownOp, "the header %sop is none of c, r, u, d, t, m", d.o.AddedHeaderPrefix)
			}
		}
	}
	d.env.op, d.env.sourceMs, d.env.snapshot = a.op, a.sourceMs, a.snapshot
	if a.sourceMs == 0 {
		d.env.sourceMs = d.headerMillis()
	}
	switch {
	case a.deleted == isDeleted && (a.op == 0 || a.op == Delete):
		d.env.op = Delete
	case a.deleted == isDeleted, a.deleted == isKept && a.op == Delete:
		return s.fail(SchemaMismatch, "%s contradicts the op %s", deletedField, a.op)
	case a.op == 0:
		d.env.op = Upsert
	}
	return true
}

// headerMillis returns the source time from the record's headers, or 0.
func (d *Decoder) headerMillis() int64 {
	value := d.record.header(d.o.AddedHeaderPrefix, "source_ts_ms")
	if value == nil {
		return 0
	}
	text, ok := d.headerText(value)
	if !ok {
		return 0
	}
	unsigned := bytes.TrimPrefix(text, []byte("-"))
	if len(unsigned) == 0 || digits(unsigned, 0) != len(unsigned) {
		return 0
	}
	x, _ := parseInt64(text)
	return x
}

// headerText returns the text of a header's value: SimpleHeaderConverter prints it as it is, StringConverter too, and
// JsonConverter as JSON, with or without a schema around it.
func (d *Decoder) headerText(value []byte) (text []byte, ok bool) {
	if len(value) == 0 || value[0] != '"' && value[0] != '{' {
		return value, true
	}
	if len(value) > maxHeaderBytes {
		return nil, false
	}
	if d.headers == nil {
		d.headers = NewDecoder(Options{})
	}
	h := d.headers
	s := &h.scan
	if value[0] == '"' {
		s.reset(value)
		h.braces = 0
	} else if _, ok := h.unwrap(&h.keys, value); !ok {
		return nil, false
	}
	if s.peek() != '"' {
		start := s.pos
		_, _, ok := s.number()
		return s.text[start:s.pos], ok && h.finish()
	}
	text, ok = s.string(&field{})
	return text, ok && h.finish()
}

// maxHeaderBytes bounds the headers that are looked into.
const maxHeaderBytes = 4 << 10

// rowMembers are the columns of a flattened record's schema.
func (d *Decoder) rowMembers(root *connectSchema) []*connectSchema {
	if d.added.keep {
		return root.fields
	}
	return slices.DeleteFunc(slices.Clone(root.fields), func(c *connectSchema) bool { return d.added.field(c.field) != notAdded })
}
