package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"github.com/cdcd-project/cdcd/internal/halt"
)

// The runbook has an entry for each reason for which a table can halt, in their order, and none for another one.
func TestRunbookHasEachReason(t *testing.T) {
	text, err := os.ReadFile("../../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, r := range halt.Reasons() {
		want = append(want, string(r))
	}
	sections := strings.Split(string(text), "\n## ")[1:]
	for _, s := range sections {
		name, body, _ := strings.Cut(s, "\n")
		got = append(got, name)
		for _, part := range []string{"**Meaning.** ", "**Check.** ", "**Way out.** "} {
			if strings.Count(body, "\n"+part) != 1 {
				t.Errorf("%s: want one part that begins with %q", name, part)
			}
		}
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(got))); diff != "" {
		t.Errorf("entries (-reasons +runbook):\n%s", diff)
	}
}

// Each command that the runbook names is one that cdcd takes.
func TestRunbooksCommandsParse(t *testing.T) {
	text, err := os.ReadFile("../../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?m)`(cdcd [^`]*)`|^    (cdcd [^#\n]*)").FindAllStringSubmatch(string(text), -1)
	parsed := 0
	for _, f := range found {
		line := strings.TrimSpace(f[1] + f[2])
		if strings.Contains(line, "skip …") || line == "cdcd table snapshots" {
			continue // The text speaks of them in passing.
		}
		line = strings.NewReplacer(`"…"`, "why", " ID", " 12", "@OFFSET", "@12", "PARTITION", "0", "TOPIC", "shop.db.t").Replace(line)
		if !strings.Contains(line, "-config") {
			line += " -config F"
		}
		parser, err := kong.New(&commands{}, kong.Exit(func(int) {}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(goFlags(strings.Fields(line)[1:])); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		parsed++
	}
	if parsed < 20 {
		t.Errorf("found %d commands only", parsed)
	}
}
