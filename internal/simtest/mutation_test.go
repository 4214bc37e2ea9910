package simtest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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

// edit is one place. MUTATED in what is written there is whether the mutation is the one that is tried: all of them are built
// together, since building takes longer than noticing. An edit stands on what those before it have left.
type edit struct {
	file     string // Below internal/.
	old, new string // old stands in the file exactly once.
}

const (
	// mutationSeeds is within how many seeds each mutation is noticed.
	mutationSeeds = "200"
	// soundSeeds is how many seeds the program passes that has all mutations built in, and tries none.
	soundSeeds = "20"
	// mutationVariable names the mutation that is tried.
	mutationVariable = "CDCD_MUTATION"
)

// switches is a file of each package that has a mutation.
const switches = `package %s

import "os"

var tried = os.Getenv(%q)

func mutated(name string) bool { return tried == name }

func one(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}
`

// The simulation is only worth something if it fails for a program that is wrong. The program is built with places of it changed
// (go test -overlay), and each case expects an assertion to fail.
func TestSimulationCatchesMutations(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the simulation anew")
	}
	if inBubbles() {
		t.Skip("is run by the test without the build tag")
	}
	binary := build(t, "-overlay", mutate(t, mutations()))
	args := []string{"-test.failfast", "-seed", "1", "-seeds"}
	if out, failed := run(t, binary, append(args, soundSeeds)); failed {
		t.Fatalf("the simulation fails without a mutation:\n%s", out)
	}
	for _, m := range mutations() {
		t.Run(m.name, func(t *testing.T) {
			t.Setenv(mutationVariable, m.name)
			began := time.Now()
			out, failed := run(t, binary, append(append(args, mutationSeeds), m.flags...))
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

// mutate writes the mutated files, and returns the overlay that puts them in place of the program's.
func mutate(t *testing.T, mutations []mutation) string {
	t.Helper()
	texts := map[string]string{}
	for _, m := range mutations {
		if !slices.ContainsFunc(m.edits, func(e edit) bool { return strings.Contains(e.new, "MUTATED") }) {
			t.Fatalf("%s: nothing turns it on and off", m.name)
		}
		for _, e := range m.edits {
			original := filepath.Join("..", e.file)
			if texts[original] == "" {
				text, err := os.ReadFile(original)
				if err != nil {
					t.Fatal(err)
				}
				texts[original] = string(text)
			}
			if n := strings.Count(texts[original], e.old); n != 1 {
				t.Fatalf("%s: %s has %q %d times, want once: bring the mutation up to date", m.name, e.file, e.old, n)
			}
			texts[original] = strings.Replace(texts[original], e.old, strings.ReplaceAll(e.new, "MUTATED", fmt.Sprintf("mutated(%q)", m.name)), 1)
			dir := filepath.Dir(original)
			texts[filepath.Join(dir, "mutated.go")] = fmt.Sprintf(switches, filepath.Base(dir), mutationVariable)
		}
	}
	dir, replace := t.TempDir(), map[string]string{}
	for original, text := range texts {
		path, err := filepath.Abs(original)
		if err != nil {
			t.Fatal(err)
		}
		replace[path] = filepath.Join(dir, fmt.Sprint(len(replace), ".go"))
		if err := os.WriteFile(replace[path], []byte(text), 0o600); err != nil {
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
	return file
}

// complaint returns the line that says what a failed simulation saw: an assertion of its own, or of the program.
func complaint(out string) string {
	return strings.TrimSpace(regexp.MustCompile(`(?m)^.*(seed \d+: |invariant broken).*$`).FindString(out))
}
