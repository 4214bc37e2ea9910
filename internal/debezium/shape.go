package debezium

import "strings"

// shapeOf returns the shape that an embedded schema tells: an envelope's name ends in .Envelope, also after a router has
// changed its beginning, or it has the fields of one; a flattened record has the schema of a row, whose name ends in .Value.
func (d *Decoder) shapeOf(root *connectSchema) Shape {
	if root == nil || root.literal != "struct" {
		return Auto
	}
	image := root.member("after").isStruct() || root.member("before").isStruct()
	if strings.HasSuffix(root.name, ".Envelope") || image && root.member("source").isStruct() && root.member("op") != nil {
		return Enveloped
	}
	if strings.HasSuffix(root.name, ".Value") || root.member(deletedField) != nil || root.member(d.added.prefix+"op") != nil {
		return Flattened
	}
	return Auto
}

func (c *connectSchema) isStruct() bool { return c != nil && c.literal == "struct" }

// shape returns what is known of the record's shape before its payload is read.
func (d *Decoder) shape() Shape {
	if d.o.Shape != Auto {
		return d.o.Shape
	}
	if d.value != nil && d.value.shape != Auto {
		return d.value.shape
	}
	if d.record.header(d.o.AddedHeaderPrefix, "op") != nil {
		return Flattened
	}
	return Auto
}

// isEnvelope reports whether the scanned record is an envelope, without a doubt: a flattened row may well have columns named
// op, before and after, but hardly of these types.
func (d *Decoder) isEnvelope() bool {
	e := &d.env
	return e.op != 0 && !e.odd && (e.source || e.seen&(memberBefore|memberAfter) != 0)
}

// guess tells the shape of the object at pos, which has no schema that tells, by its members. sound is false if it is none.
func (d *Decoder) guess() (shape Shape, sound bool) {
	s := &d.scan
	marked, envelope, op, images := false, false, false, false
	sound = s.members(func(name []byte) bool {
		c := s.peek()
		switch string(name) {
		case deletedField, d.added.prefix + "op":
			marked = true
		case "source":
			envelope = envelope || c == '{'
		case "before", "after":
			envelope = envelope || c == '{'
			images = images || c == 'n'
		case "op":
			op = true
		}
		return s.skip()
	})
	switch {
	case marked:
		return Flattened, sound
	case envelope || op && images:
		return Enveloped, sound
	}
	return Auto, sound
}
