package simtest

import (
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// inBubbles reports whether the test was built so that Kafka's client can live in a bubble: its locks must be ones that
// testing/synctest can see through.
func inBubbles() bool { return strings.Contains(setting("-tags"), tag) }

// tag is the build tag for that.
const tag = "synctests"

func setting(key string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// runInBubbles builds the test anew with the tag, and runs it with the same flags. The race detector makes it ten times slower: unless
// seeds are named, it sees a few, and the others run without it, if at all: a short run ends there.
func runInBubbles(t *testing.T) {
	args := []string{}
	flag.Visit(func(f *flag.Flag) {
		if !strings.HasPrefix(f.Name, "test.") || f.Name == "test.failfast" || f.Name == "test.v" && *seeds == 1 {
			args = append(args, "-"+f.Name+"="+f.Value.String())
		}
	})
	race, named := setting("-race") == "true", *firstSeed != 0 || *seeds != 0
	if race && named {
		mustRun(t, build(t, "-race"), args)
		return
	}
	if race {
		mustRun(t, build(t, "-race"), append(slices.Clone(args), "-seed=1", fmt.Sprint("-seeds=", raceSeeds)))
		if testing.Short() {
			return
		}
	}
	mustRun(t, build(t), args)
}

func mustRun(t *testing.T, binary string, args []string) {
	t.Helper()
	out, failed := run(t, binary, args)
	t.Logf("simulation %s\n%s", strings.Join(args, " "), out)
	if failed {
		t.Fail()
	}
}

// build builds the package's tests with the tag, and what else go test is told, and returns the binary.
func build(t *testing.T, args ...string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "simulation")
	args = append([]string{"test", "-c", "-tags", tag, "-ldflags", "-s -w", "-o", binary}, args...) // Linking is half the time.
	if out, err := exec.CommandContext(t.Context(), "go", append(args, ".")...).CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return binary
}

// run runs the simulation that was built.
func run(t *testing.T, binary string, args []string) (out string, failed bool) {
	t.Helper()
	args = append([]string{"-test.run", "TestTables", "-test.timeout", "0"}, args...)
	text, err := exec.CommandContext(t.Context(), binary, args...).CombinedOutput()
	return string(text), err != nil
}
