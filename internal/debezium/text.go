package debezium

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// quoted reads the string that starts at pos, which the caller has seen to be a quote. It returns the bytes between the
// quotes as they are written, and whether they hold escapes, which are valid then: appendUnescaped may trust them.
func (s *scanner) quoted() (raw []byte, escaped, ok bool) {
	start := s.pos + 1
	for i := start; ; {
		i = special(s.text, i)
		if i >= len(s.text) {
			s.pos = len(s.text)
			return nil, false, s.syntax("unterminated string")
		}
		switch s.text[i] {
		case '"':
			s.pos = i + 1
			return s.text[start:i], escaped, true
		case '\\':
			n := s.escape(i)
			if n == 0 {
				return nil, false, false
			}
			escaped = true
			i += n
		default:
			s.pos = i
			return nil, false, s.syntax("control character in a string")
		}
	}
}

// special returns the index of the first quote, backslash or control character from i on, or len(text). It looks at
// eight bytes at a time: in each of the three masks the lowest set bit marks a true hit, since only a hit can borrow from
// the byte above it.
func special(text []byte, i int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(text); i += 8 {
		x := binary.LittleEndian.Uint64(text[i:])
		quote := x ^ ones*'"'
		slash := x ^ ones*'\\'
		if hit := ((quote-ones)&^quote | (slash-ones)&^slash | (x-ones*' ')&^x) & tops; hit != 0 {
			return i + bits.TrailingZeros64(hit)>>3
		}
	}
	for ; i < len(text); i++ {
		if c := text[i]; c == '"' || c == '\\' || c < ' ' {
			return i
		}
	}
	return i
}

// escape checks the escape sequence at i and returns its length, or 0. A surrogate must be one of a pair: half a pair is
// no character, and has no UTF-8 form.
func (s *scanner) escape(i int) int {
	s.pos = i
	if i+1 >= len(s.text) {
		s.syntax("unterminated string")
		return 0
	}
	switch s.text[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		r, ok := hex4(s.text, i+2)
		if !ok {
			s.syntax("want four hexadecimal digits")
			return 0
		}
		if !utf16.IsSurrogate(r) {
			return 6
		}
		if i+7 < len(s.text) && s.text[i+6] == '\\' && s.text[i+7] == 'u' {
			if low, ok := hex4(s.text, i+8); ok && utf16.DecodeRune(r, low) != utf8.RuneError {
				return 12
			}
		}
		s.fail(InvalidUTF8, "offset %d: half of a surrogate pair", i)
		return 0
	}
	s.syntax("unknown escape")
	return 0
}

func hex4(text []byte, i int) (r rune, ok bool) {
	if i+4 > len(text) {
		return 0, false
	}
	for _, c := range text[i : i+4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = (c | 0x20) - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// appendUnescaped appends the characters that raw, the checked inside of a JSON string, stands for.
func appendUnescaped(dst, raw []byte) []byte {
	for i := 0; i < len(raw); {
		next := i
		for next < len(raw) && raw[next] != '\\' {
			next++
		}
		dst = append(dst, raw[i:next]...)
		if i = next; i == len(raw) {
			break
		}
		switch c := raw[i+1]; c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, _ := hex4(raw, i+2)
			if utf16.IsSurrogate(r) {
				low, _ := hex4(raw, i+8)
				r = utf16.DecodeRune(r, low)
				i += 6
			}
			dst = utf8.AppendRune(dst, r)
			i += 4
		default:
			dst = append(dst, c)
		}
		i += 2
	}
	return dst
}

// string reads a string value: its characters, valid until the next call, unless they are more than Limits.StringBytes.
func (s *scanner) string(f *field) (text []byte, ok bool) {
	if s.peek() != '"' {
		return nil, s.mismatch(f)
	}
	if text, ok = s.unquoted(); ok && len(text) > s.limits.StringBytes {
		return nil, s.fail(TooLarge, "a string of %d bytes exceeds the limit of %d", len(text), s.limits.StringBytes)
	}
	return text, ok
}

// unquoted reads the string that starts at pos, which the caller has seen to be a quote: its characters, valid until the next call.
func (s *scanner) unquoted() (text []byte, ok bool) {
	raw, escaped, ok := s.quoted()
	if ok && escaped {
		s.scratch = appendUnescaped(s.scratch[:0], raw)
		raw = s.scratch
	}
	return raw, ok
}

// mismatch fails because the value at pos is of a JSON type that field f cannot have.
func (s *scanner) mismatch(f *field) bool {
	kind := "a number"
	switch s.peek() {
	case '"':
		kind = "a string"
	case '{':
		kind = "an object"
	case '[':
		kind = "an array"
	case 't', 'f':
		kind = "a boolean"
	case 'n':
		kind = "null"
	}
	return s.fail(TypeMismatch, "%s where %s is due", kind, f.kind)
}
