package debezium

import (
	"math/bits"

	"github.com/cdcd-project/cdcd/internal/row"
)

// uint128 is the magnitude of a decimal's unscaled value.
type uint128 struct{ hi, lo uint64 }

// powersOfTen holds 10^0 to 10^38, all below 2^127.
var powersOfTen = func() (powers [row.MaxPrecision + 1]uint128) { //nolint:gochecknoglobals // A constant table.
	powers[0] = uint128{lo: 1}
	for i := 1; i < len(powers); i++ {
		powers[i], _ = powers[i-1].times(10)
	}
	return powers
}()

// times returns x*y, and false if that exceeds 128 bits.
func (x uint128) times(y uint64) (uint128, bool) {
	carry, lo := bits.Mul64(x.lo, y)
	over, hi := bits.Mul64(x.hi, y)
	hi, c := bits.Add64(hi, carry, 0)
	return uint128{hi, lo}, over == 0 && c == 0
}

// plus returns x+y, and false if that exceeds 128 bits.
func (x uint128) plus(y uint64) (uint128, bool) {
	lo, c := bits.Add64(x.lo, y, 0)
	hi, c := bits.Add64(x.hi, 0, c)
	return uint128{hi, lo}, c == 0
}

// dividedBy returns the quotient and the remainder of x/y.
func (x uint128) dividedBy(y uint64) (uint128, uint64) {
	hi, rest := x.hi/y, x.hi%y
	lo, rest := bits.Div64(rest, x.lo, y)
	return uint128{hi, lo}, rest
}

func (x uint128) less(y uint128) bool { return x.hi < y.hi || x.hi == y.hi && x.lo < y.lo }

// shift returns x * 10^n, for a negative n only if that is a whole number.
func (x uint128) shift(n int) (uint128, bool) {
	if x == (uint128{}) {
		return x, true
	}
	if n > row.MaxPrecision || n < -row.MaxPrecision {
		return x, false
	}
	const step = 19 // 10^19 is the largest power in a uint64.
	for up := n; up > 0; up -= step {
		product, ok := x.times(powersOfTen[min(up, step)].lo)
		if !ok {
			return x, false
		}
		x = product
	}
	for down := -n; down > 0; down -= step {
		quotient, rest := x.dividedBy(powersOfTen[min(down, step)].lo)
		if rest != 0 {
			return x, false
		}
		x = quotient
	}
	return x, true
}

// decimal is a number: unscaled magnitude, sign and scale.
type decimal struct {
	magnitude uint128
	negative  bool
	scale     int
}

// signed returns the unscaled value in two's complement. The magnitude is below 2^127.
func (d decimal) signed() row.Decimal128 {
	if !d.negative {
		return row.Decimal128{Lo: d.magnitude.lo, Hi: int64(d.magnitude.hi)}
	}
	lo, borrow := bits.Sub64(0, d.magnitude.lo, 0)
	hi, _ := bits.Sub64(0, d.magnitude.hi, borrow)
	return row.Decimal128{Lo: lo, Hi: int64(hi)}
}

// fits reports whether the unscaled value has at most precision digits.
func (d decimal) fits(precision uint8) bool { return d.magnitude.less(powersOfTen[precision]) }

// rescaled returns the same number at another scale. It reports false if that would lose digits.
func (d decimal) rescaled(scale uint8) (decimal, bool) {
	magnitude, ok := d.magnitude.shift(int(scale) - d.scale)
	return decimal{magnitude, d.negative, int(scale)}, ok
}

// fromTwosComplement converts the big-endian bytes of Java's BigInteger.toByteArray. It reports false if the value needs
// more than 16 bytes, which is more than 38 digits.
func fromTwosComplement(x []byte, scale int) (decimal, bool) {
	negative := x[0]&0x80 != 0
	sign := byte(0)
	if negative {
		sign = 0xff
	}
	for len(x) > 16 && x[0] == sign && x[1]&0x80 == sign&0x80 {
		x = x[1:]
	}
	if len(x) > 16 {
		return decimal{}, false
	}
	var m uint128
	if negative {
		m = uint128{^uint64(0), ^uint64(0)}
	}
	if len(x) <= 8 {
		lo := uint64(int64(int8(x[0])))
		for _, b := range x[1:] {
			lo = lo<<8 | uint64(b)
		}
		if negative {
			lo = -lo
		}
		return decimal{uint128{lo: lo}, negative, scale}, true
	}
	for _, b := range x {
		m = uint128{m.hi<<8 | m.lo>>56, m.lo<<8 | uint64(b)}
	}
	if negative {
		lo, borrow := bits.Sub64(0, m.lo, 0)
		hi, _ := bits.Sub64(0, m.hi, borrow)
		m = uint128{hi, lo}
	}
	return decimal{m, negative, scale}, true
}

// maxExponent bounds the exponents that are looked at; a larger one shifts any digit out of every decimal.
const maxExponent = 10_000

// parseDecimal converts a number as JSON writes it. well is false if the text is no number; fits is false if its digits
// exceed 128 bits. Nothing of the size of the exponent is ever computed or allocated.
func parseDecimal(text []byte) (d decimal, well, fits bool) {
	i := 0
	if i < len(text) && text[i] == '-' {
		d.negative = true
		i++
	}
	fits = true
	first, point := i, -1
	for ; i < len(text); i++ {
		switch c := text[i]; {
		case c-'0' <= 9 && fits:
			var ok1, ok2 bool
			d.magnitude, ok1 = d.magnitude.times(10)
			d.magnitude, ok2 = d.magnitude.plus(uint64(c - '0'))
			fits = ok1 && ok2
		case c-'0' <= 9:
		case c == '.' && point < 0 && i > first:
			point = i
		case c|0x20 == 'e' && i > first && text[i-1] != '.':
			exponent, ok := parseExponent(text[i+1:])
			d.scale = scaleOf(i, point) - exponent
			return d, ok, fits
		default:
			return d, false, fits
		}
	}
	d.scale = scaleOf(len(text), point)
	return d, i > first && text[i-1] != '.', fits
}

// scaleOf returns the digits between the decimal point, which stands at point unless that is negative, and end.
func scaleOf(end, point int) int {
	if point < 0 {
		return 0
	}
	return end - point - 1
}

func parseExponent(text []byte) (exponent int, ok bool) {
	negative := len(text) > 0 && text[0] == '-'
	if negative || len(text) > 0 && text[0] == '+' {
		text = text[1:]
	}
	for _, c := range text {
		if c-'0' > 9 {
			return 0, false
		}
		exponent = min(exponent*10+int(c-'0'), maxExponent)
	}
	if negative {
		exponent = -exponent
	}
	return exponent, len(text) > 0
}
