package debezium

import (
	"encoding/base64"
	"unicode/utf8"
)

// MaxDepth is how deeply the objects and arrays of a record may be nested.
const MaxDepth = 64

// A scanner reads JSON (RFC 8259) from a text that is valid UTF-8, strictly and without allocating. Its methods return
// false once err is set; whoever gets false returns false.
//
// Invariant: err == nil while methods return true; depth counts the objects and arrays that are open around pos.
type scanner struct {
	converter

	text  []byte
	pos   int
	depth int

	names      []byte // An unescaped member name.
	scratch    []byte // An unescaped string value.
	small      [maxDecimalBytes + 3]byte
	base64     *base64.Encoding
	base64URL  *base64.Encoding
	memberSets [MaxDepth + 1]nameSet // The names of the open objects, by their depth.
	added      added                 // What a flattened record has told beside its row.

	// What inOrder tells of the last object that it was asked to decode.
	ordered bool // It did.
	leadEnd int  // Where the value of field projection.lead ends; 0: nowhere.
}

// newScanner returns a scanner of an empty text.
func newScanner(o *Options) scanner {
	s := scanner{base64: base64.StdEncoding.Strict(), base64URL: base64.URLEncoding.Strict()}
	s.limits = o.Limits
	s.setPlaceholder(o.Placeholder)
	return s
}

func (s *scanner) reset(text []byte) { s.text, s.pos, s.depth, s.err = text, 0, 0, nil }

// valid checks the encoding of the text from pos on.
func (s *scanner) valid() bool {
	return utf8.Valid(s.text[s.pos:]) || s.fail(InvalidUTF8, "the text is not UTF-8")
}

func (s *scanner) syntax(problem string) bool {
	return s.fail(InvalidJSON, "offset %d: %s", s.pos, problem)
}

// peek moves to the next byte that is not white space and returns it, or 0 at the end of the text. No token starts
// with a NUL byte, so that callers need not tell the two apart.
func (s *scanner) peek() byte {
	if s.pos < len(s.text) {
		if c := s.text[s.pos]; c > ' ' {
			return c
		}
	}
	return s.space()
}

func (s *scanner) space() byte {
	for ; s.pos < len(s.text); s.pos++ {
		switch c := s.text[s.pos]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// end checks that nothing but white space follows.
func (s *scanner) end() bool {
	s.peek()
	return s.pos == len(s.text) || s.syntax("bytes after the end of the value")
}

// enter reads the bracket that opens an object or array, which the caller has seen.
func (s *scanner) enter() bool {
	s.pos++
	s.depth++
	return s.depth <= MaxDepth || s.fail(InvalidJSON, "offset %d: nested deeper than %d", s.pos, MaxDepth)
}

// leave reads the bracket that closes an object or array, which the caller has seen.
func (s *scanner) leave() { s.pos++; s.depth-- }

// more reads what follows a member of an object: a comma, then more is true, or the closing brace.
func (s *scanner) more() (more, ok bool) {
	if s.pos < len(s.text) && s.text[s.pos] == ',' {
		s.pos++
		return true, true
	}
	return s.moreOrEnd()
}

func (s *scanner) moreOrEnd() (more, ok bool) {
	switch s.peek() {
	case ',':
		s.pos++
		return true, true
	case '}':
		s.leave()
		return false, true
	}
	return false, s.syntax("want a comma or a closing brace")
}

// name reads a member name and its colon. The result is valid until the next call.
func (s *scanner) name() (name []byte, ok bool) {
	t, i := s.text, s.pos
	if i < len(t) && t[i] == '"' { // As JsonConverter prints it: without white space and escapes.
		if j := special(t, i+1); j+1 < len(t) && t[j] == '"' && t[j+1] == ':' {
			s.pos = j + 2
			return t[i+1 : j], true
		}
	}
	return s.anyName()
}

func (s *scanner) anyName() (name []byte, ok bool) {
	if s.peek() != '"' {
		return nil, s.syntax("want a member name")
	}
	raw, escaped, ok := s.quoted()
	if !ok {
		return nil, false
	}
	if escaped {
		s.names = appendUnescaped(s.names[:0], raw)
		raw = s.names
	}
	return raw, s.colon()
}

func (s *scanner) colon() bool {
	if s.peek() != ':' {
		return s.syntax("want a colon")
	}
	s.pos++
	return true
}

// literal reads true, false or null.
func (s *scanner) literal(word string) bool {
	end := s.pos + len(word)
	if end > len(s.text) || string(s.text[s.pos:end]) != word {
		return s.syntax("want a JSON value")
	}
	s.pos = end
	return true
}

// scalar validates and skips the string, number or literal that starts with c.
func (s *scanner) scalar(c byte) bool {
	switch c {
	case '"':
		_, _, ok := s.quoted()
		return ok
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	}
	_, _, ok := s.number()
	return ok
}

// skip validates and skips one value of any kind.
func (s *scanner) skip() bool {
	if c := s.peek(); c != '{' && c != '[' {
		return s.scalar(c)
	}
	return s.skipContainer()
}

// skipContainer skips an object or array. Open containers are kept as bits: 1 for an object, 0 for an array;
// MaxDepth bits are enough.
func (s *scanner) skipContainer() bool {
	var objects uint64
	for base := s.depth; ; {
		switch c := s.peek(); c {
		case '{':
			if !s.enter() {
				return false
			}
			objects = objects<<1 | 1
			s.memberSets[s.depth].reset()
			if s.peek() != '}' {
				if !s.skipName() {
					return false
				}
				continue
			}
		case '[':
			if !s.enter() {
				return false
			}
			objects <<= 1
			if s.peek() != ']' {
				continue
			}
		default:
			if !s.scalar(c) {
				return false
			}
		}
		if done, ok := s.closeContainers(base, &objects); done || !ok {
			return ok
		}
	}
}

// closeContainers reads what follows a value inside of skip: any number of closing brackets, and a comma with the next
// member's name. It is done when the value that skip began with has ended.
func (s *scanner) closeContainers(base int, objects *uint64) (done, ok bool) {
	for s.depth > base {
		object := *objects&1 == 1
		switch c := s.peek(); {
		case c == ',':
			s.pos++
			return false, !object || s.skipName()
		case c == '}' && object, c == ']' && !object:
			s.leave()
			*objects >>= 1
		default:
			return false, s.syntax("want a comma or a closing bracket")
		}
	}
	return true, true
}

// skipName reads a member name, which must be the first of that name in its object.
func (s *scanner) skipName() bool {
	name, ok := s.name()
	return ok && s.unique(name)
}
