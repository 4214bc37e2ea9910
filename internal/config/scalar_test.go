package config

import (
	"testing"
	"time"
)

func TestSizeIsReadInItsUnit(t *testing.T) {
	for text, want := range map[string]Size{
		"0B": 0, "1B": 1, "64kB": 64_000, "64MB": 64_000_000, "2GB": 2_000_000_000, "1TB": 1_000_000_000_000,
		"1KiB": 1 << 10, "512MiB": 512 << 20, "1 GiB": 1 << 30, "8388607TiB": 8388607 << 40,
	} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", text, got, err, want)
		}
	}
}

func TestSizeOfAnyOtherFormIsRefused(t *testing.T) {
	for _, text := range []string{
		"", "512", "MiB", "1.5GiB", "-1MiB", "+1MiB", "1mb", "1Mib", "1  MiB", "1_000B", "1PiB", "8388608TiB", "99999999999999999999B", "1MiB ",
	} {
		got := Size(7)
		if err := got.UnmarshalText([]byte(text)); err == nil || got != 7 {
			t.Errorf("%q was read as %d, %v", text, got, err)
		}
	}
}

func TestSizeIsWrittenAsItIsRead(t *testing.T) {
	for _, want := range []string{"0B", "1B", "1023B", "1KiB", "128MiB", "1GiB", "3TiB", "64MB", "1001kB"} {
		var s Size
		if err := s.UnmarshalText([]byte(want)); err != nil || s.String() != want {
			t.Errorf("%s became %s, %v", want, s, err)
		}
	}
}

func TestDurationIsNotNegative(t *testing.T) {
	var d Duration
	if err := d.UnmarshalText([]byte("1h30m")); err != nil || d.Duration != 90*time.Minute {
		t.Errorf("1h30m is %v, %v", d, err)
	}
	for _, text := range []string{"", "60", "-1s", "1d", "60 s"} {
		if err := d.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %v", text, d)
		}
	}
}
