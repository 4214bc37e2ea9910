package demo

import (
	"encoding/base64"
	"fmt"
	"time"
)

const secondsPerDay = 24 * 60 * 60

// appendString appends s as Jackson prints a string: quotes, backslashes and control characters escaped, everything else
// as its UTF-8 bytes.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, `\b`...)
		case '\f':
			dst = append(dst, `\f`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			if c < ' ' {
				dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			} else {
				dst = append(dst, c)
			}
		}
	}
	return append(dst, '"')
}

// appendDecimal appends the unscaled value of a Connect Decimal: base64 of the fewest bytes that hold it in big-endian two's complement.
func appendDecimal(dst []byte, unscaled int64) []byte {
	n := 1
	for n < 8 && unscaled != unscaled<<(64-8*n)>>(64-8*n) {
		n++
	}
	var raw [8]byte
	for i := range n {
		raw[i] = byte(unscaled >> (8 * (n - 1 - i)))
	}
	dst = append(dst, '"')
	return append(base64.StdEncoding.AppendEncode(dst, raw[:n]), '"')
}

// appendZoned appends an instant of a TIMESTAMP(6) column. A snapshot prints the fewest digits of a fraction, streaming
// all six.
func appendZoned(dst []byte, micros int64, snapshot bool) []byte {
	layout := `"2006-01-02T15:04:05.000000Z"`
	if snapshot {
		layout = `"2006-01-02T15:04:05.999999Z"`
	}
	return time.UnixMicro(micros).UTC().AppendFormat(dst, layout)
}

// hundredths returns the canonical text of a decimal of scale 2.
func hundredths(x int64) string {
	sign := ""
	if x < 0 {
		sign, x = "-", -x
	}
	return fmt.Sprintf("%s%d.%02d", sign, x/100, x%100)
}

// wallClock returns the canonical text of microseconds since 1970-01-01.
func wallClock(micros int64) string {
	return time.UnixMicro(micros).UTC().Format("2006-01-02T15:04:05.000000")
}

// date returns the canonical text of days since 1970-01-01.
func date(days int32) string {
	return time.Unix(int64(days)*secondsPerDay, 0).UTC().Format(time.DateOnly)
}
