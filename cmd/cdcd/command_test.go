package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// without removes an environment variable for the time of the test.
func without(t *testing.T, name string) {
	t.Helper()
	t.Setenv(name, "") // Restores it at the end.
	if err := os.Unsetenv(name); err != nil {
		t.Fatal(err)
	}
}

// What cannot be right is refused with exit code 2 before anything is touched.
func TestWrongUsageTouchesNothing(t *testing.T) {
	without(t, "CDCD_CONFIG")
	w := newWorld(t, items("shop.item"))
	good := w.configure("good", "20ms")
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), "[admin]\n", "[admin]\nlisten_to = 1\n", 1) + "commit_interval = \"1 minute\"\n")
	bad := w.write("bad.toml", string(text))
	place := func(key string) string { // Of a key at the beginning of its line.
		return fmt.Sprintf("%s:%d:1: ", bad, 1+strings.Count(string(text[:strings.LastIndex(string(text), key)]), "\n"))
	}
	for _, test := range []struct {
		name string
		args []string
		want []string
	}{
		{"an unknown command", []string{"rum", "-config", good}, []string{"rum"}},
		{"an unknown flag", []string{"run", "-config", good, "-backfil"}, []string{"backfil"}},
		{"a flag of another command", []string{"check", "-config", good, "-backfill"}, []string{"backfill"}},
		{"a flag without its value", []string{"run", "-config"}, []string{"config"}},
		{"an argument too many", []string{"run", "-config", good, "more"}, []string{"more"}},
		{"nothing at all", nil, []string{"--config"}},
		{"run without a configuration", []string{"run"}, []string{"--config"}},
		{"check without a configuration", []string{"check"}, []string{"--config"}},
		{"table without a catalog", []string{"table", "list"}, []string{"--config", "--dir"}},
		{"table with two catalogs", []string{"table", "list", "-config", good, "-dir", w.dir}, []string{"--config", "--dir"}},
		{"table without a command", []string{"table"}, []string{"list", "snapshots"}},
		{"a table without its name", []string{"table", "rows", "-config", good}, []string{"name"}},
		{"a configuration that does not exist", []string{"run", "-config", filepath.Join(w.dir, "none.toml")}, []string{"none.toml"}},
		{"a wrong configuration, all of it", []string{"run", "-config", bad}, []string{place("listen_to"), "admin.listen_to", place("commit_interval"), "1 minute"}},
		{"check of a wrong configuration", []string{"check", "-config", bad}, []string{place("listen_to")}},
		{"a table of a wrong configuration", []string{"table", "list", "-config", bad}, []string{place("listen_to")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := w.everything()
			code, out, log := command(t, test.args...)
			if code != exitUsage || out != "" {
				t.Errorf("exit code %d and standard output %q, want %d and nothing", code, out, exitUsage)
			}
			for _, want := range test.want {
				if !strings.Contains(log.text(), want) {
					t.Errorf("no %q in standard error:\n%s", want, log.text())
				}
			}
			if diff := cmp.Diff(before, w.everything()); diff != "" {
				t.Errorf("files (-before +after):\n%s", diff)
			}
		})
	}
	if info := w.cluster.GroupInfo("good"); info != nil {
		t.Errorf("the group is %+v, want none", info)
	}
}

func TestHelpAndVersion(t *testing.T) {
	without(t, "CDCD_CONFIG")
	for _, test := range []struct {
		name string
		args []string
		want []string
	}{
		{"help", []string{"--help"}, []string{"run", "check", "demo", "decode", "table", "version"}},
		{"short help", []string{"-h"}, []string{"run", "check", "demo", "decode", "table", "version"}},
		{"help with one dash", []string{"-help"}, []string{"run", "check"}},
		{"help of a command", []string{"run", "--help"}, []string{"--config", "--backfill"}},
		{"help of a group of commands", []string{"table", "--help"}, []string{"list", "show", "rows", "files", "snapshots"}},
		{"version", []string{"version"}, []string{buildVersion() + "\n"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, out, log := command(t, test.args...)
			if code != exitDone || log.text() != "" {
				t.Errorf("exit code %d, standard error %q; want %d and nothing", code, log.text(), exitDone)
			}
			for _, want := range test.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in:\n%s", want, out)
				}
			}
		})
	}
}

// The configuration may be named in each of the usual ways, and "cdcd" alone means "cdcd run".
func TestConfigFlagAndDefaultCommand(t *testing.T) {
	without(t, "CDCD_CONFIG")
	w := newWorld(t, items("shop.item"))
	w.produce(41, 10)
	config := w.configure("flags", "20ms")
	for _, args := range [][]string{
		{"run", "-config", config, "-backfill"},
		{"run", "--backfill", "--config", config},
		{"run", "-config=" + config, "-backfill=true"},
		{"-config", config, "-backfill"},
		{"--backfill", "--config=" + config},
	} {
		if code, _, log := command(t, args...); code != exitDone {
			t.Errorf("%v: exit code %d:\n%s", args, code, log.text())
		}
	}
	w.compare()
	t.Setenv("CDCD_CONFIG", config)
	if code, _, log := command(t, "-backfill"); code != exitDone {
		t.Errorf("with CDCD_CONFIG: exit code %d:\n%s", code, log.text())
	}
	p := startProcess(t, "cdcd alone", "-config", config)
	p.await(1, says("resumed from bookmark", "shop.item"))
	p.stop(syscall.SIGTERM)
}
