package debezium

import (
	"bytes"
	"encoding/base64"
	"math/big"

	"github.com/cdcd-project/cdcd/internal/row"
)

// maxDecimalBytes bounds an unscaled value: MySQL's largest decimal of 65 digits needs 28 bytes.
const maxDecimalBytes = 64

// decodeDecimal decodes Connect's Decimal: by default the base64 of the unscaled value, big endian in two's complement;
// with decimal.format=NUMERIC a JSON number. The scale is that of the record's own schema.
func decodeDecimal(s *scanner, f *field, v *row.Vector) bool {
	if s.peek() != '"' {
		return decodeDecimalNumber(s, f, v)
	}
	x, ok := s.unscaled(f)
	return ok && s.appendUnscaled(x, f, v)
}

// unscaled reads the base64 of a Decimal's or Bits' bytes.
func (s *scanner) unscaled(f *field) ([]byte, bool) {
	text, ok := s.string(f)
	if !ok {
		return nil, false
	}
	return s.unscaledText(text, f)
}

func (s *scanner) unscaledText(text []byte, f *field) ([]byte, bool) {
	if s.base64.DecodedLen(len(text)) > len(s.small) {
		return nil, s.fail(OutOfRange, "more bytes than %s has", f.kind)
	}
	n, ok := decodeBase64(s.base64, s.small[:], text)
	if !ok || n == 0 {
		return nil, s.fail(InvalidBase64, "no standard base64 of %s", f.kind)
	}
	return s.small[:n], true
}

// decodeBase64 decodes strictly: every character counts, where encoding/base64 would pass over line breaks.
func decodeBase64(e *base64.Encoding, dst, text []byte) (n int, ok bool) {
	if len(text) <= shortBase64 && len(dst) >= shortBase64/4*3 {
		if n = decodeShortBase64(dst, text); n > 0 {
			return n, true
		}
	}
	n, err := e.Decode(dst, text)
	padding := 0
	for padding < len(text) && text[len(text)-1-padding] == '=' {
		padding++
	}
	return n, err == nil && len(text)%4 == 0 && n == len(text)/4*3-padding
}

// shortBase64 is the length of text that decodeShortBase64 takes: most decimals'.
const shortBase64 = 12

// base64Digits holds the value of each character that both alphabets have, or 0xff.
var base64Digits = func() (values [256]byte) { //nolint:gochecknoglobals // A constant table.
	for i := range values {
		values[i] = 0xff
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") {
		values[c] = byte(i)
	}
	return values
}()

// decodeShortBase64 decodes whole groups of four letters and digits without padding. It returns 0 for all other text.
func decodeShortBase64(dst, text []byte) (n int) {
	if len(text)%4 != 0 {
		return 0
	}
	for ; len(text) >= 4; text = text[4:] {
		a, b, c, d := base64Digits[text[0]], base64Digits[text[1]], base64Digits[text[2]], base64Digits[text[3]]
		if a|b|c|d == 0xff {
			return 0
		}
		dst[n], dst[n+1], dst[n+2] = a<<2|b>>4, b<<4|c>>2, c<<6|d
		n += 3
	}
	return n
}

func decodeDecimalNumber(s *scanner, f *field, v *row.Vector) bool {
	if c := s.peek(); c != '-' && c-'0' > 9 {
		return s.mismatch(f)
	}
	token, _, ok := s.number()
	return ok && s.appendDecimalText(token, f, v)
}

// decodeDecimalText decodes a decimal printed as text (decimal.handling.mode=string).
func decodeDecimalText(s *scanner, f *field, v *row.Vector) bool {
	text, ok := s.string(f)
	return ok && s.appendDecimalText(text, f, v)
}

// decodeUnsigned decodes a BIGINT UNSIGNED in bigint.unsigned.handling.mode=long.
func decodeUnsigned(s *scanner, f *field, v *row.Vector) bool {
	x, ok := s.int64(f)
	return ok && s.appendUnsigned(x, f, v)
}

// decodeBits decodes BIT(n): the base64 of ceil(n/8) bytes.
func decodeBits(s *scanner, f *field, v *row.Vector) bool {
	bytes, ok := s.unscaled(f)
	return ok && s.appendBits(bytes, f, v)
}

// decodeBigDecimal decodes a Decimal of more digits than any Iceberg decimal has (MySQL allows 65), as its plain text.
func decodeBigDecimal(s *scanner, f *field, v *row.Vector) bool {
	unscaled := new(big.Int)
	if s.peek() == '"' {
		x, ok := s.unscaled(f)
		if !ok {
			return false
		}
		setTwosComplement(unscaled, x)
	} else if !s.bigNumber(f, unscaled) {
		return false
	}
	return s.appendBigDecimal(unscaled, f, v)
}

// setTwosComplement sets z to the big endian bytes x, of which there is at least one.
func setTwosComplement(z *big.Int, x []byte) {
	z.SetBytes(x)
	if x[0]&0x80 != 0 {
		z.Sub(z, new(big.Int).Lsh(big.NewInt(1), uint(8*len(x))))
	}
}

func (c *converter) appendBigDecimal(unscaled *big.Int, f *field, v *row.Vector) bool {
	if digitCount(unscaled) > int(f.precision) {
		return c.fail(OutOfRange, "more digits than %s has", f.kind)
	}
	v.AppendBytes(plainText(unscaled, int(f.scale)))
	return true
}

// bigNumber reads a JSON number into the unscaled value at f's scale.
func (s *scanner) bigNumber(f *field, unscaled *big.Int) bool {
	if c := s.peek(); c != '-' && c-'0' > 9 {
		return s.mismatch(f)
	}
	token, _, ok := s.number()
	if !ok {
		return false
	}
	mantissa, exponent := token, 0
	if i := bytes.IndexAny(token, "eE"); i >= 0 {
		mantissa = token[:i]
		exponent, _ = parseExponent(token[i+1:])
	}
	whole, fraction, _ := bytes.Cut(mantissa, []byte("."))
	unscaled.SetString(string(whole)+string(fraction), 10)
	shift := exponent - len(fraction) + int(f.scale)
	if max(shift, -shift) > maxNumberBytes {
		return unscaled.Sign() == 0 || s.fail(OutOfRange, "a number beyond %s", f.kind)
	}
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(shift, -shift))), nil)
	if shift >= 0 {
		unscaled.Mul(unscaled, power)
		return true
	}
	rest := new(big.Int)
	unscaled.QuoRem(unscaled, power, rest)
	return rest.Sign() == 0 || s.fail(OutOfRange, "more digits than %s has", f.kind)
}

func digitCount(x *big.Int) int { return len(new(big.Int).Abs(x).String()) }

// plainText writes unscaled * 10^-scale without an exponent.
func plainText(unscaled *big.Int, scale int) []byte {
	text := new(big.Int).Abs(unscaled).Append(nil, 10)
	for len(text) <= scale {
		text = append([]byte{'0'}, text...)
	}
	if scale > 0 {
		whole := len(text) - scale
		text = append(text[:whole:whole], append([]byte{'.'}, text[whole:]...)...)
	}
	if unscaled.Sign() < 0 {
		text = append([]byte{'-'}, text...)
	}
	return text
}
