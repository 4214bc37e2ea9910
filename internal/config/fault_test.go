package config

import (
	"os"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// A test case of testdata/faults.txt is a file, followed by what Load says about it. The argument with=minimal puts the
// four lines with the required keys before it.
func TestEveryFaultIsReportedWithPlaceAndRemedy(t *testing.T) {
	t.Setenv("TEST_SECRET", "hunter2")
	datadriven.RunTest(t, "testdata/faults.txt", func(t *testing.T, d *datadriven.TestData) string {
		text := d.Input
		if d.HasArg("with") {
			text = strings.TrimSpace(minimal) + "\n" + text
		}
		if _, err := load(t, text); err != nil {
			return err.Error()
		}
		return "no fault"
	})
}

func seedFiles(f *testing.F) {
	cases, err := os.ReadFile("testdata/faults.txt")
	if err != nil {
		f.Fatal(err)
	}
	for one := range strings.SplitSeq(string(cases), "\n\n") {
		f.Add([]byte(strings.TrimPrefix(one, "load\n")))
	}
}
