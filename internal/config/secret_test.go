package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const word = "hunter2"

func TestSecretComesFromTheEnvironmentOrAFile(t *testing.T) {
	t.Setenv("CDCD_TEST_SECRET", word)
	path := filepath.Join(t.TempDir(), "secret")
	for content, want := range map[string]string{word: word, word + "\n": word, word + "\r\n": word, word + "\n\n": word + "\n", "a\"b#c": "a\"b#c"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		var s Secret
		if err := s.UnmarshalText([]byte("${file:" + path + "}")); err != nil || s.Reveal() != want {
			t.Errorf("file with %q gives %q, %v; want %q", content, s.Reveal(), err, want)
		}
	}
	var s Secret
	if err := s.UnmarshalText([]byte("${CDCD_TEST_SECRET}")); err != nil || s.Reveal() != word {
		t.Errorf("variable gives %q, %v", s.Reveal(), err)
	}
}

func TestSecretThatIsNoReferenceIsRefusedWithoutRepeatingIt(t *testing.T) {
	t.Setenv("EMPTY", "")
	empty := filepath.Join(t.TempDir(), "empty")
	huge := filepath.Join(t.TempDir(), "huge")
	for path, size := range map[string]int{empty: 1, huge: secretMaxBytes + 1} {
		if err := os.WriteFile(path, bytes.Repeat([]byte("\n"), size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{
		word, "", "$HOME", "${HOME", "${" + word + "}x", "x${HOME}", "${HOME}${HOME}", "${file:}", "${1}", "${EMPTY}",
		"${file:" + empty + "}", "${file:" + huge + "}", "${file:/dev/zero}",
	} {
		var s Secret
		err := s.UnmarshalText([]byte(text))
		if err == nil || s.Reveal() != "" {
			t.Errorf("%q gives %q, %v", text, s.Reveal(), err)
		}
		if strings.Contains(errorText(err), word) {
			t.Errorf("error repeats the secret: %v", err)
		}
	}
}

func TestSecretCannotBePrinted(t *testing.T) {
	t.Setenv("CDCD_TEST_SECRET", word)
	c := mustLoad(t, minimal+`
[kafka.sasl]
mechanism = "plain"
username = "u"
password = "${CDCD_TEST_SECRET}"
`)
	if got := c.Kafka.SASL.Password.Reveal(); got != word {
		t.Fatalf("password = %q", got)
	}
	password := c.Kafka.SASL.Password
	hidden := struct{ password Secret }{password} // fmt reaches unexported fields without calling their methods.
	for _, value := range []any{c, *c, c.Kafka.SASL, *c.Kafka.SASL, password, &password, hidden, []Secret{password}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p"} {
			if out := fmt.Sprintf(verb, value); leaks(out) {
				t.Errorf("%s of %T prints %s", verb, value, out)
			}
		}
		var out bytes.Buffer
		slog.New(slog.NewTextHandler(&out, nil)).Info("config", "value", value)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("config", "value", value)
		if leaks(out.String()) {
			t.Errorf("slog of %T prints %s", value, out.String())
		}
		encoded, err := json.Marshal(value)
		if err != nil || leaks(string(encoded)) {
			t.Errorf("json of %T is %s, %v", value, encoded, err)
		}
	}
}

func leaks(out string) bool {
	lower := strings.ToLower(out)
	return strings.Contains(lower, word) || strings.Contains(lower, fmt.Sprintf("%x", word))
}
