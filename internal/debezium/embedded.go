package debezium

import (
	"bytes"
	"slices"

	"github.com/cdcd-project/cdcd/internal/row"
)

// An embedded schema is what precedes the payload of a record: {"schema":...,"payload":. JsonConverter prints it in
// front of every record, byte for byte the same until the schema changes. Avro's frame names it instead: see writer.
type embedded struct {
	prefix []byte
	avro   bool
	root   *connectSchema // Nil for "schema":null: the payload has no schema.
	shape  Shape          // What root tells.

	row    projected // The row image to the bound schema.
	key    projected // The record key to the bound schema's identifier columns.
	before projected // The row image to the bound schema's identifier columns.
}

// projected remembers a projection, or why there is none, for one bound schema and shape.
type projected struct {
	bound     *row.Schema
	flattened bool
	p         *projection
	err       error
	foreign   bool // Of record keys: they have a field that is no identifier column.
}

// rowFields returns the columns of the record's schema, or nil if it has none for its shape.
func (d *Decoder) rowFields() []*connectSchema {
	e := d.value
	if d.env.flattened {
		if e.root.literal != "struct" || e.shape == Enveloped {
			return nil
		}
		return d.rowMembers(e.root)
	}
	image := e.root.member("after")
	if image == nil {
		image = e.root.member("before")
	}
	if image == nil || image.literal != "struct" {
		return nil
	}
	return image.fields
}

// schemaCacheSize is how many prefixes are remembered. Two are in use while a schema changes; a few more keep topics
// apart that are merged into one table.
const schemaCacheSize = 4

// A schemaCache remembers parsed prefixes, the most recently used first.
type schemaCache struct {
	entries   []*embedded
	unwrapped []byte // How the last record without a schema begins: with its brace and first member name.
}

// startsUnwrapped reports whether text has no schema, since it begins as the last one without.
func (c *schemaCache) startsUnwrapped(text []byte) bool {
	return len(c.unwrapped) > 0 && bytes.HasPrefix(text, c.unwrapped)
}

// noteUnwrapped remembers how text begins, unless its first member is one that may be part of a schema's wrapping.
func (c *schemaCache) noteUnwrapped(text []byte) {
	const longest = 128
	c.unwrapped = c.unwrapped[:0]
	if len(text) < 2 || text[1] != '"' {
		return
	}
	if end := special(text, 2); end < min(len(text), longest) && text[end] == '"' {
		if name := string(text[2:end]); name != "schema" && name != "payload" {
			c.unwrapped = append(c.unwrapped, text[:end+1]...)
		}
	}
}

// lookup returns the embedded schema with which text begins, or nil. The whole prefix is compared: int32 and int64
// have the same length.
func (c *schemaCache) lookup(text []byte) *embedded {
	for i, e := range c.entries {
		if bytes.HasPrefix(text, e.prefix) {
			if i > 0 {
				copy(c.entries[1:i+1], c.entries[:i])
				c.entries[0] = e
			}
			return e
		}
	}
	return nil
}

func (c *schemaCache) add(e *embedded) {
	c.entries = slices.Insert(c.entries, 0, e)
	if len(c.entries) > schemaCacheSize {
		c.entries = c.entries[:schemaCacheSize]
	}
}

// unwrap starts to scan text and stops in front of the payload. Without {"schema":...,"payload":...} around it, that is
// the text itself, and there is no embedded schema.
func (d *Decoder) unwrap(c *schemaCache, text []byte) (*embedded, bool) {
	s := &d.scan
	s.reset(text)
	d.braces = 0
	if e := c.lookup(text); e != nil {
		s.pos, s.depth, d.braces = len(e.prefix), 1, 1
		return e, s.valid()
	}
	if s.peek() != '{' {
		if s.peek() == 'n' {
			return nil, true
		}
		if framed := d.record.framing(text); framed != "" {
			return nil, s.fail(InvalidJSON, "%s, where JSON is due: set the table's format, and the registry", framed)
		}
		if s.skip() && s.end() {
			s.fail(NotAnObject, "the record is no JSON object")
		}
		return nil, false
	}
	if !s.valid() {
		return nil, false
	}
	if c.startsUnwrapped(text) {
		return nil, true
	}
	start := s.pos
	e, ok := d.wrapper()
	if !ok {
		return nil, false
	}
	if e != nil {
		e.shape = d.shapeOf(e.root)
	}
	if e == nil {
		s.pos, s.depth = start, 0
		c.noteUnwrapped(text)
		return nil, true
	}
	if e.prefix != nil {
		c.add(e)
	}
	return e, true
}

// wrapper parses the object at pos if its first two members are schema and payload, in either order, and moves to the
// payload. Nil: they are not.
func (d *Decoder) wrapper() (*embedded, bool) {
	s := &d.scan
	if !s.enter() {
		return nil, false
	}
	if s.peek() != '"' {
		return nil, true // An empty object, or a syntax error that the next scan will find.
	}
	name, ok := s.name()
	if !ok {
		return nil, false
	}
	switch string(name) {
	case "schema":
		return d.schemaFirst()
	case "payload":
		return d.payloadFirst()
	}
	return nil, true
}

func (d *Decoder) schemaFirst() (*embedded, bool) {
	s := &d.scan
	e := &embedded{}
	if ok, done := d.schemaMember(e); done || !ok {
		return nil, ok
	}
	if s.peek() != ',' {
		return nil, true
	}
	s.pos++
	name, ok := s.name()
	if !ok || string(name) != "payload" {
		return nil, ok
	}
	if s.pos > s.limits.SchemaBytes {
		return nil, s.fail(TooLarge, "an embedded schema of %d bytes exceeds the limit of %d", s.pos, s.limits.SchemaBytes)
	}
	e.prefix = bytes.Clone(s.text[:s.pos])
	d.braces = 1
	return e, true
}

// payloadFirst handles a payload that precedes its schema, which no converter prints: it is not remembered.
func (d *Decoder) payloadFirst() (*embedded, bool) {
	s := &d.scan
	e := &embedded{}
	start := s.pos
	if !s.skip() {
		return nil, false
	}
	end := s.pos
	if s.peek() != ',' {
		return nil, true
	}
	s.pos++
	name, ok := s.name()
	if !ok || string(name) != "schema" {
		return nil, ok
	}
	if ok, done := d.schemaMember(e); done || !ok {
		return nil, ok
	}
	if s.peek() != '}' {
		return nil, true
	}
	s.leave()
	if !s.end() {
		return nil, false
	}
	s.text, s.pos, s.depth = s.text[:end], start, 1
	return e, true
}

// schemaMember parses the value of the member schema. It is done if that can be no schema: the member is a column then.
func (d *Decoder) schemaMember(e *embedded) (ok, done bool) {
	s := &d.scan
	switch s.peek() {
	case '{':
		e.root, ok = s.connectSchema()
		return ok, false
	case 'n':
		return s.literal("null"), false
	}
	return true, true
}

// besidePayload refuses a third member. Only {"schema":...,"payload":...} wraps a payload.
func (d *Decoder) besidePayload() bool {
	s := &d.scan
	s.pos++
	name, ok := s.name()
	if !ok {
		return false
	}
	if text := string(name); text == "schema" || text == "payload" {
		return s.fail(DuplicateMember, "two members %q", text)
	}
	return s.fail(MissingOp, "no envelope: members beside schema and payload")
}

// finish checks that the record ends after its payload.
func (d *Decoder) finish() bool {
	s := &d.scan
	if d.avro {
		return s.pos == len(s.text) || s.short("%d bytes after the end of the body", len(s.text)-s.pos)
	}
	for ; d.braces > 0; d.braces-- {
		switch s.peek() {
		case '}':
			s.leave()
		case ',':
			return d.besidePayload()
		default:
			return s.syntax("want a closing brace")
		}
	}
	return s.end()
}
