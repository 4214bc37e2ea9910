package debezium

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
)

// maxNumberBytes bounds a number's digits. Debezium prints no number of more than about 340 characters.
const maxNumberBytes = 1024

// number reads a JSON number and returns it as it is written, and whether it is an integer: without fraction and exponent.
func (s *scanner) number() (token []byte, integer, ok bool) {
	t, i := s.text, s.pos
	if i < len(t) && t[i] == '-' {
		i++
	}
	switch {
	case i < len(t) && t[i] == '0':
		i++
	case i < len(t) && t[i]-'1' <= 8:
		i = digits(t, i)
	default:
		return nil, false, s.syntax("want a JSON value")
	}
	integer = true
	if i < len(t) && t[i] == '.' {
		integer = false
		first := i + 1
		if i = digits(t, first); i == first {
			return nil, false, s.syntax("want a digit after the decimal point")
		}
	}
	if i < len(t) && t[i]|0x20 == 'e' {
		integer = false
		first := i + 1
		if first < len(t) && (t[first] == '+' || t[first] == '-') {
			first++
		}
		if i = digits(t, first); i == first {
			return nil, false, s.syntax("want a digit in the exponent")
		}
	}
	if i-s.pos > maxNumberBytes {
		return nil, false, s.fail(OutOfRange, "offset %d: a number of %d characters", s.pos, i-s.pos)
	}
	token, s.pos = t[s.pos:i], i
	return token, integer, true
}

// digits returns the index of the first byte from i on that is no digit. It looks at eight bytes at a time: digits become 0
// to 9, and adding 0x76 to a larger byte sets its highest bit.
func digits(t []byte, i int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(t); i += 8 {
		x := binary.LittleEndian.Uint64(t[i:]) ^ ones*'0'
		if other := (x&^tops + ones*0x76 | x) & tops; other != 0 {
			return i + bits.TrailingZeros64(other)>>3
		}
	}
	for i < len(t) && t[i]-'0' <= 9 {
		i++
	}
	return i
}

// int64 reads an integer value of field f. A fraction or an exponent is a mismatch, even where it would make a whole
// number: no converter prints integers so.
func (s *scanner) int64(f *field) (int64, bool) {
	if x, end := shortInteger(s.text, s.pos); end > 0 && x >= f.min && x <= f.max {
		s.pos = end
		return x, true
	}
	return s.anyInt64(f)
}

// shortInteger reads an integer of up to 18 digits that starts at i and is followed by a comma or a closing brace. It
// returns an end of 0 for all other text.
func shortInteger(t []byte, i int) (x int64, end int) {
	negative := i < len(t) && t[i] == '-'
	if negative {
		i++
	}
	start := i
	for ; i < len(t); i++ {
		c := t[i] - '0'
		if c > 9 {
			break
		}
		x = x*10 + int64(c)
	}
	n := i - start
	if n == 0 || n > 18 || n > 1 && t[start] == '0' || i == len(t) || t[i] != ',' && t[i] != '}' {
		return 0, 0
	}
	if negative {
		x = -x
	}
	return x, i
}

func (s *scanner) anyInt64(f *field) (int64, bool) {
	c := s.peek()
	if c != '-' && c-'0' > 9 {
		return 0, s.mismatch(f)
	}
	token, integer, ok := s.number()
	if !ok {
		return 0, false
	}
	if !integer {
		if x, err := strconv.ParseFloat(string(token), 64); err != nil || math.Abs(x) >= 1<<63 {
			return 0, s.fail(OutOfRange, "a number beyond %s", f.kind)
		}
		return 0, s.fail(TypeMismatch, "a number with a fraction or an exponent where %s is due", f.kind)
	}
	x, ok := parseInt64(token)
	if !ok || x < f.min || x > f.max {
		return 0, s.fail(OutOfRange, "an integer beyond %s", f.kind)
	}
	return x, true
}

// parseInt64 converts an integer token. It reports false if the number is beyond int64.
func parseInt64(token []byte) (int64, bool) {
	negative := token[0] == '-'
	if negative {
		token = token[1:]
	}
	if len(token) > 19 { // Nineteen digits fit into a uint64.
		return 0, false
	}
	var x uint64
	for _, c := range token {
		x = x*10 + uint64(c-'0')
	}
	if negative {
		return -int64(x), x <= 1<<63
	}
	return int64(x), x <= math.MaxInt64
}

// float reads a floating point value of field f, correctly rounded from the decimal text.
func (s *scanner) float(f *field, bitSize int) (float64, bool) {
	c := s.peek()
	if c != '-' && c-'0' > 9 {
		return 0, s.mismatch(f)
	}
	token, _, ok := s.number()
	if !ok {
		return 0, false
	}
	x, err := strconv.ParseFloat(string(token), bitSize)
	if err != nil {
		return 0, s.fail(OutOfRange, "a number beyond %s", f.kind)
	}
	return x, true
}

// shortDecimal reads a number of up to 15 digits, with or without a fraction, that starts at i and is followed by a comma or a
// closing brace. Digits and power of ten are exact as doubles, so that one division rounds correctly. It returns an end of 0 for all
// other text.
func shortDecimal(t []byte, i int) (x float64, end int) {
	negative := i < len(t) && t[i] == '-'
	if negative {
		i++
	}
	start, point, digits := i, 0, int64(0)
	for ; i < len(t); i++ {
		c := t[i] - '0'
		if c > 9 {
			if t[i] != '.' || point > 0 || i == start {
				break
			}
			point = i
			continue
		}
		digits = digits*10 + int64(c)
	}
	n := i - start
	if n == 0 || n > 15 || i == len(t) || t[i] != ',' && t[i] != '}' || t[i-1] == '.' || t[start] == '0' && n > 1 && point != start+1 {
		return 0, 0
	}
	x = float64(digits)
	if point > 0 {
		x /= float64(powersOfTen[i-point-1].lo)
	}
	if negative {
		x = -x
	}
	return x, i
}
