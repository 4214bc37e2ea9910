package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"
	"github.com/google/go-cmp/cmp"

	"github.com/cdcd-project/cdcd/internal/demo"
	"github.com/cdcd-project/cdcd/internal/readback"
)

// output is a writer that several goroutines may use, and that can act on what is written.
type output struct {
	mu    sync.Mutex
	text  bytes.Buffer
	wrote func(all string) // Called after each write, by the writer. May be nil.
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	o.text.Write(p)
	all := o.text.String()
	o.mu.Unlock()
	if o.wrote != nil {
		o.wrote(all)
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// once returns a function that calls act the first time that the text holds what.
func once(what string, act func()) func(string) {
	var o sync.Once
	return func(all string) {
		if strings.Contains(all, what) {
			o.Do(act)
		}
	}
}

// runDemo runs the command, and returns its exit code and the JSON line, if there is one.
func runDemo(ctx context.Context, t *testing.T, out, err *output, args ...string) (int, *demo.Result) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("the test has no more patience"))
	defer cancel()
	code := execute(&console{ctx: ctx, out: out, err: err}, append([]string{"demo"}, args...))
	if t.Failed() || testing.Verbose() {
		t.Log(err.String())
	}
	if out.String() == "" {
		return code, nil
	}
	var r demo.Result
	d := json.NewDecoder(strings.NewReader(out.String()))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatalf("standard output %q: %v", out, err)
	}
	if !strings.HasSuffix(out.String(), "}\n") || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("standard output is not one line: %q", out)
	}
	return code, &r
}

func withDemoCatalog(t *testing.T, dir string, f func(catalog.Catalog) error) {
	t.Helper()
	if err := (catalogFlags{Dir: dir}).with(&console{ctx: t.Context()}, f); err != nil {
		t.Fatal(err)
	}
}

func TestDemoMirrorsTheShop(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	out, messages := &output{}, &output{}
	code, result := runDemo(t.Context(), t, out, messages, "-events", "3000", "-seed", "7", "-dir", dir, "-exit")
	if code != exitDone || result == nil {
		t.Fatalf("exit code %d, standard output %q, standard error:\n%s", code, out, messages)
	}
	if result.Events < 3000 || result.Commits < 3+3 || result.Mismatches != 0 {
		t.Errorf("result %+v", result)
	}
	if want := []string{"salesdb.customer", "salesdb.orders", "salesdb.order_item"}; len(result.Rows) != len(want) {
		t.Errorf("rows of %v, want %v", result.Rows, want)
	}
	text := messages.String()
	for _, want := range []string{"DELETE FROM customer WHERE cust_id = 8887", "8889     Alan Turing  ", "9000     Edsger Dijkstra", "table list -dir " + dir, "all equal"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if strings.Contains(text, "\x1b") {
		t.Errorf("control characters without a terminal: %q", text)
	}
	withDemoCatalog(t, dir, func(cat catalog.Catalog) error {
		for name, rows := range result.Rows {
			got, err := readback.Map(t.Context(), cat, name, map[string][]string{
				"salesdb.customer": {"cust_id"}, "salesdb.orders": {"order_id"}, "salesdb.order_item": {"order_id", "line"},
			}[name]...)
			if err != nil {
				return err
			}
			if int64(len(got)) != rows || rows == 0 {
				t.Errorf("%s: %d keys read back, the result says %d rows", name, len(got), rows)
			}
		}
		customers, err := readback.Map(t.Context(), cat, "salesdb.customer", "cust_id")
		if err != nil {
			return err
		}
		want := []string{"", "8888|Ada King|FURNITURE", "8889|Alan Turing|HOUSEHOLD", "9000|Edsger Dijkstra|MACHINERY"}
		if diff := cmp.Diff(want, []string{customers["8887"], customers["8888"], customers["8889"], customers["9000"]}); diff != "" {
			t.Errorf("customers by hand (-want +got):\n%s", diff)
		}
		return nil
	})
	for _, args := range [][]string{{"list"}, {"rows", "salesdb.orders"}} {
		var printed output
		if code := execute(&console{ctx: t.Context(), out: &printed, err: messages}, append([]string{"table", args[0], "-dir", dir}, args[1:]...)); code != exitDone {
			t.Errorf("cdcd table %v: exit code %d", args, code)
		}
	}
}

// Somebody takes back the last commit of a table before the comparison: the customer that it brought is missing.
func TestDemoFailsIfATableIsNotEqual(t *testing.T) {
	dir := t.TempDir()
	out, messages := &output{}, &output{}
	messages.wrote = once("read back by", func() {
		withDemoCatalog(t, dir, func(cat catalog.Catalog) error {
			ident := table.Identifier{"salesdb", "customer"}
			customers, err := cat.LoadTable(t.Context(), ident)
			if err != nil {
				return err
			}
			before := *customers.CurrentSnapshot().ParentSnapshotID
			_, _, err = cat.CommitTable(t.Context(), ident, nil,
				[]table.Update{table.NewSetSnapshotRefUpdate(table.MainBranch, before, table.BranchRef, -1, -1, -1)})
			return err
		})
	})
	code, result := runDemo(t.Context(), t, out, messages, "-events", "1000", "-dir", dir)
	if code != exitFailed || result == nil || result.Mismatches != 1 {
		t.Errorf("exit code %d, result %+v; want %d and one mismatch", code, result, exitFailed)
	}
	if want := "missing    cust_id=9000  name=Edsger Dijkstra  mktsegment=MACHINERY"; !strings.Contains(messages.String(), want) {
		t.Errorf("no %q in:\n%s", want, messages)
	}
}

func TestDemoGoesOnUntilItIsInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	out, messages := &output{}, &output{}
	var served string
	messages.wrote = once("The shop goes on", func() {
		go func() {
			defer interrupt()
			time.Sleep(700 * time.Millisecond)
			served = get(t, regexp.MustCompile(`http://127\.0\.0\.1:\d+/metrics`).FindString(messages.String()))
		}()
	})
	code, result := runDemo(ctx, t, out, messages, "-events", "1000", "-dir", t.TempDir())
	if code != exitDone || result == nil || result.Mismatches != 0 {
		t.Errorf("exit code %d, result %+v, standard error:\n%s", code, result, messages)
	}
	consumed := 0
	for _, line := range regexp.MustCompile(`(?m)^cdcd_records_consumed_total\{.*\} (\d+)$`).FindAllStringSubmatch(served, -1) {
		n := 0
		if _, err := fmt.Sscan(line[1], &n); err != nil {
			t.Fatal(err)
		}
		consumed += n
	}
	if int64(consumed) <= result.Events {
		t.Errorf("%d events consumed while the shop went on, want more than the %d of the comparison", consumed, result.Events)
	}
}

func get(t *testing.T, url string) string {
	r, err := http.Get(url)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	return string(body)
}

func TestInterruptEndsADemo(t *testing.T) {
	for _, test := range []struct {
		name, events string
		code         int
		compared     bool
	}{
		{"before the comparison it fails", "100000000", exitFailed, false},
		{"without a number of events it leads to the comparison", "0", exitDone, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			out, messages := &output{}, &output{}
			messages.wrote = once("commits: ", interrupt) // In the first line of progress.
			code, result := runDemo(ctx, t, out, messages, "-events", test.events, "-dir", t.TempDir())
			if code != test.code || (result != nil) != test.compared {
				t.Errorf("exit code %d, result %+v, standard error:\n%s", code, result, messages)
			}
			if test.compared && (result.Mismatches != 0 || result.Events == 0) {
				t.Errorf("result %+v", result)
			}
			if !test.compared && !strings.Contains(messages.String(), "stopped before the tables were compared") {
				t.Errorf("standard error does not say what happened:\n%s", messages)
			}
		})
	}
}

func TestDemoRefusesWhatItCannotDo(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "somebody's")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, want string
		args       []string
	}{
		{"a folder with something in it", "not empty", []string{"-dir", dir}},
		{"a file as the folder", "somebody's", []string{"-dir", file}},
		{"a path that breaks URIs", "without ?", []string{"-dir", filepath.Join(dir, "a#b")}},
		{"too few events", "at least 1000", []string{"-events", "999"}},
		{"a negative number of events", "at least 1000", []string{"-events=-1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, messages := &output{}, &output{}
			code, result := runDemo(t.Context(), t, out, messages, append(test.args, "-exit")...)
			if code != exitUsage || result != nil || !strings.Contains(messages.String(), test.want) {
				t.Errorf("exit code %d, standard error %q; want %d and %q", code, messages, exitUsage, test.want)
			}
		})
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v (%v), want only the file that was there", entries, err)
	}
}
