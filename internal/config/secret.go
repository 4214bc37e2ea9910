package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

// Secret is a value that is written as a reference, "${NAME}" to the environment or "${file:/path}" to a file, and is
// never printed. The value sits behind a pointer in an unexported field: even a printer that reaches into unexported
// fields by reflection shows an address. Reveal is the only way out, and easy to search for.
type Secret struct{ value *string }

const (
	secretForm     = `a reference in quotes: "${NAME}" for an environment variable or "${file:/path}" for a file`
	secretMaxBytes = 64 << 10
)

// UnmarshalText implements encoding.TextUnmarshaler. References are followed after the document was parsed, one value at
// a time, so that a quote in a secret cannot change the document. No error repeats the text, which may be a secret
// written out by mistake.
func (s *Secret) UnmarshalText(text []byte) error {
	reference := regexp.MustCompile(`^\$\{(?:file:([^}]+)|([A-Za-z_][A-Za-z0-9_]*))\}$`).FindStringSubmatch(string(text))
	if reference == nil {
		return fmt.Errorf("a secret is not written into the file: write %s", secretForm)
	}
	var value string
	if path, name := reference[1], reference[2]; path != "" {
		content, err := readSmall(path, secretMaxBytes)
		if err != nil {
			return err
		}
		value = strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
		if value == "" {
			return fmt.Errorf("file %s is empty: write the secret into it", path)
		}
	} else {
		value = os.Getenv(name)
		if value == "" {
			return fmt.Errorf("environment variable %s is not set or empty: set it, or write \"${file:/path}\"", name)
		}
	}
	s.value = &value
	return nil
}

// Reveal returns the secret itself, or "" if none was configured.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// String implements fmt.Stringer.
func (s Secret) String() string { return "[redacted]" }

// Format implements fmt.Formatter for every verb and flag.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText implements encoding.TextMarshaler, which JSON and slog honour.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// readSmall reads a regular file of at most limit bytes. A pipe or device could block or never end.
func readSmall(path string, limit int64) ([]byte, error) {
	stat, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: name a file that cdcd may read", err)
	case !stat.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file: name a file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: name a file that cdcd may read", err)
	}
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("file %s is larger than %s: name another file", path, Size(limit))
	}
	return content, nil
}
