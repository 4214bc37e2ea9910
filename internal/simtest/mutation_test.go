package simtest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// mutation is a fault of ours that the simulation must notice: one place of the program, written wrongly.
type mutation struct {
	file     string // Below internal/.
	old, new string // old stands in the file exactly once.
}

// The simulation is only worth something if it fails for a program that is wrong. Each case builds the simulation with
// one line of the program changed (go test -overlay), and expects it to fail.
func TestSimulationCatchesMutations(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the simulation anew for each mutation")
	}
	mutations := map[string]mutation{
		"the head is not pinned": {
			"sink/stage.go",
			"icetable.AssertRefSnapshotID(t.o.Ref, st.snapshot.ParentSnapshotID),", "",
		},
		"group offsets are committed before the table": {
			"pipeline/commit.go",
			"done, err := t.sink.Commit(ctx, change)",
			"t.d.o.Kafka.CommitOffsets(t.position)\n\tdone, err := t.sink.Commit(ctx, change)",
		},
	}
	for name, m := range mutations {
		t.Run(name, func(t *testing.T) {
			out, failed := simulate(t, m)
			if !failed {
				t.Fatalf("the simulation did not notice:\n%s", out)
			}
			t.Logf("noticed: %s", firstComplaint(out))
		})
	}
}

// simulate runs the simulation on the mutated program and reports whether it failed as a test does.
func simulate(t *testing.T, m mutation) (out string, failed bool) {
	t.Helper()
	original, err := filepath.Abs(filepath.Join("..", m.file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), m.old); n != 1 {
		t.Fatalf("%s has %q %d times, want once: bring the mutation up to date", m.file, m.old, n)
	}
	mutated := filepath.Join(t.TempDir(), "mutated.go")
	if err := os.WriteFile(mutated, []byte(strings.Replace(string(text), m.old, m.new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {original: mutated}})
	if err != nil {
		t.Fatal(err)
	}
	overlayFile := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-overlay", overlayFile, "-run", "TestTables", "-failfast", "-timeout", (10 * time.Minute).String(), ".", "-seeds", "200")
	text, err = cmd.CombinedOutput()
	if err != nil && !strings.Contains(string(text), "--- FAIL: TestTablesEqualTheOracleUnderFaults/seeds/") && !strings.Contains(string(text), "invariant broken") {
		t.Fatalf("the mutated simulation did not run: %v\n%s", err, text)
	}
	return string(text), err != nil
}

// firstComplaint returns the line that says what a failed simulation saw.
func firstComplaint(out string) string {
	if line := regexp.MustCompile(`(?m)^.*(seed \d+: |invariant broken).*$`).FindString(out); line != "" {
		return strings.TrimSpace(line)
	}
	return out
}
