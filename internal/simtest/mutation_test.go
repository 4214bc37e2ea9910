package simtest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// mutation is a fault of ours that the simulation must notice: some places of the program, written wrongly.
type mutation struct {
	name  string
	edits []edit
	flags []string // What makes the simulation meet the place often.
}

type edit struct {
	file     string // Below internal/.
	old, new string // old stands in the file exactly once.
}

// mutationSeeds is within how many seeds each mutation is noticed.
const mutationSeeds = "200"

// The simulation is only worth something if it fails for a program that is wrong. Each case builds the simulation with
// a place of the program changed (go test -overlay), and expects an assertion to fail.
func TestSimulationCatchesMutations(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the simulation anew for each mutation")
	}
	if inBubbles() {
		t.Skip("is run by the test without the build tag")
	}
	for _, m := range mutations() {
		t.Run(m.name, func(t *testing.T) {
			began := time.Now()
			out, failed := mutate(t, m)
			complaint := complaint(out)
			switch {
			case !failed:
				t.Fatalf("the simulation did not notice:\n%s", out)
			case complaint == "":
				t.Fatalf("the mutated simulation did not run:\n%s", out)
			}
			t.Logf("noticed after %v: %s", time.Since(began).Round(time.Second), complaint)
		})
	}
}

// mutate runs the simulation on the mutated program.
func mutate(t *testing.T, m mutation) (out string, failed bool) {
	t.Helper()
	dir, texts := t.TempDir(), map[string]string{}
	for _, e := range m.edits {
		original, err := filepath.Abs(filepath.Join("..", e.file))
		if err != nil {
			t.Fatal(err)
		}
		if texts[original] == "" {
			text, err := os.ReadFile(original)
			if err != nil {
				t.Fatal(err)
			}
			texts[original] = string(text)
		}
		if n := strings.Count(texts[original], e.old); n != 1 {
			t.Fatalf("%s has %q %d times, want once: bring the mutation up to date", e.file, e.old, n)
		}
		texts[original] = strings.Replace(texts[original], e.old, e.new, 1)
	}
	replace := map[string]string{}
	for original, text := range texts {
		replace[original] = filepath.Join(dir, filepath.Base(original))
		if err := os.WriteFile(replace[original], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	return run(t, build(t, "-overlay", file), append([]string{"-test.failfast", "-seed", "1", "-seeds", mutationSeeds}, m.flags...))
}

// complaint returns the line that says what a failed simulation saw: an assertion of its own, or of the program.
func complaint(out string) string {
	return strings.TrimSpace(regexp.MustCompile(`(?m)^.*(seed \d+: |invariant broken).*$`).FindString(out))
}
