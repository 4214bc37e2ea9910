package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration written "60s" or "1h30m". It is never negative.
type Duration struct{ time.Duration }

const durationForm = `a duration in quotes, such as "60s", "15m" or "24h"`

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil || parsed < 0 {
		return fmt.Errorf("%q is not a duration: write %s", text, durationForm)
	}
	d.Duration = parsed
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Size is a number of bytes written "512MiB" or "64MB".
type Size int64

// The binary units of a Size.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
	TiB Size = 1 << 40
)

const sizeForm = `a whole number and a unit in quotes, such as "512MiB" or "64MB"`

// units are all that a Size may be written in.
func units() []sizeUnit {
	return []sizeUnit{
		{"TiB", TiB},
		{"GiB", GiB},
		{"MiB", MiB},
		{"KiB", KiB},
		{"TB", 1e12},
		{"GB", 1e9},
		{"MB", 1e6},
		{"kB", 1e3},
		{"B", 1},
	}
}

type sizeUnit struct {
	name  string
	bytes Size
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(text []byte) error {
	digits := strings.TrimRight(string(text), "BGKMTik")
	name := string(text[len(digits):])
	count, err := strconv.ParseUint(strings.TrimSuffix(digits, " "), 10, 63)
	for _, u := range units() {
		if u.name != name || errors.Is(err, strconv.ErrSyntax) {
			continue
		}
		if err != nil || count > math.MaxInt64/uint64(u.bytes) {
			return fmt.Errorf("%q is more than cdcd can count: write at most 8388607TiB", text)
		}
		*s = Size(count) * u.bytes
		return nil
	}
	return fmt.Errorf("%q is not a size: write %s; the units are B, kB, MB, GB, TB, KiB, MiB, GiB and TiB", text, sizeForm)
}

// String returns the size exactly, in the unit that leaves the smallest whole number.
func (s Size) String() string {
	best := sizeUnit{"B", 1}
	for _, u := range units() {
		if s != 0 && s%u.bytes == 0 && u.bytes > best.bytes {
			best = u
		}
	}
	return strconv.FormatInt(int64(s/best.bytes), 10) + best.name
}

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
