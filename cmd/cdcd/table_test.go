package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cdcd-project/cdcd/internal/readback"
)

// table runs a command of cdcd table and returns its lines.
func (w *world) table(config string, args ...string) []string {
	w.t.Helper()
	code, out, log := command(w.t, append(append([]string{"table"}, args...), "-config", config)...)
	if code != exitDone || log.text() != "" {
		w.t.Fatalf("cdcd table %v: exit code %d, standard error %q", args, code, log.text())
	}
	return strings.Split(strings.TrimSuffix(out, "\n"), "\n")
}

// objectsOf decodes lines of JSON, one object each.
func objectsOf[T any](t *testing.T, lines []string) []T {
	t.Helper()
	var all []T
	for _, l := range lines {
		var one T
		if err := json.Unmarshal([]byte(l), &one); err != nil {
			t.Fatalf("%q: %v", l, err)
		}
		all = append(all, one)
	}
	return all
}

// columns returns the cells of each line of a printed table.
func columns(lines []string) [][]string {
	var cells [][]string
	for _, l := range lines {
		cells = append(cells, strings.Fields(l))
	}
	return cells
}

func TestTableCommandsShowTables(t *testing.T) {
	w := newWorld(t, items("shop.item"), stock("shop.stock"))
	config := w.configure("tables", "20ms")
	w.produce(59, 40)
	w.backfill(config)
	w.produce(61, 20)
	w.backfill(config)
	truth := w.mirrors[1].truth
	line := w.lineage("shop.stock")
	head := line[len(line)-1]

	t.Run("list", func(t *testing.T) {
		lines := columns(w.table(config, "list"))
		if len(lines) != 3 || lines[1][0] != "shop.item" || lines[2][0] != "shop.stock" || lines[2][1] != head.Summary["total-records"] {
			t.Errorf("printed %q", lines)
		}
		tables := objectsOf[readback.Table](t, w.table(config, "list", "-json"))
		if len(tables) != 2 || tables[1].Name != "shop.stock" || tables[1].Head == nil || tables[1].Head.ID != head.ID {
			t.Errorf("printed %+v", tables)
		}
	})
	t.Run("show", func(t *testing.T) {
		text := strings.Join(w.table(config, "show", "shop.stock"), "\n")
		for _, want := range []string{"shop.stock", fmt.Sprint(head.ID), head.Summary["cdcd.bookmark"], w.warehouse()} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in:\n%s", want, text)
			}
		}
		shown := objectsOf[readback.Table](t, w.table(config, "show", "shop.stock", "-json"))
		want := []readback.Column{{ID: 1, Name: "place", Type: "string", Required: true}, {ID: 2, Name: "n", Type: "int", Required: true}, {ID: 3, Name: "v", Type: "long"}}
		if diff := cmp.Diff(want, shown[0].Columns); diff != "" {
			t.Errorf("columns (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"place", "n"}, shown[0].Key); diff != "" {
			t.Errorf("key (-want +got):\n%s", diff)
		}
	})
	t.Run("rows", func(t *testing.T) {
		lines := columns(w.table(config, "rows", "shop.stock", "-limit", "0"))
		got := map[string]string{}
		for _, cells := range lines[1:] {
			got[cells[0]+"|"+cells[1]] = strings.ReplaceAll(strings.Join(cells, "|"), "NULL", "∅")
		}
		if diff := cmp.Diff(truth, got); diff != "" || len(lines) != len(truth)+1 {
			t.Errorf("%d lines for %d rows (-oracle +printed):\n%s", len(lines), len(truth), diff)
		}
		clear(got)
		for _, row := range objectsOf[map[string]*string](t, w.table(config, "rows", "shop.stock", "-json", "-limit", "0")) {
			v := "∅"
			if row["v"] != nil {
				v = *row["v"]
			}
			got[*row["place"]+"|"+*row["n"]] = *row["place"] + "|" + *row["n"] + "|" + v
		}
		if diff := cmp.Diff(truth, got); diff != "" {
			t.Errorf("(-oracle +JSON):\n%s", diff)
		}
	})
	t.Run("rows up to a limit", func(t *testing.T) {
		code, out, log := command(t, "table", "rows", "-config", config, "shop.stock", "-limit", "3")
		if code != exitDone || strings.Count(out, "\n") != 4 || !strings.Contains(log.text(), "-limit 0") {
			t.Errorf("exit code %d, standard error %q:\n%s", code, log.text(), out)
		}
	})
	t.Run("files", func(t *testing.T) {
		lines := columns(w.table(config, "files", "shop.stock"))
		files := objectsOf[readback.File](t, w.table(config, "files", "shop.stock", "-json"))
		total := count(head.Summary["total-data-files"]) + count(head.Summary["total-delete-files"])
		if len(files) != total || len(lines) != total+1 || total < 2 {
			t.Errorf("%d files and %d lines, the head counts %d", len(files), len(lines), total)
		}
		var alive int64
		for _, f := range files {
			if f.Content == "data" {
				alive += f.Records
			} else {
				alive -= f.Records
			}
			if !slices.Contains(w.objects("shop.stock", "data/*"), strings.TrimPrefix(f.Path, "file://")) {
				t.Errorf("%s is not there", f.Path)
			}
		}
		if alive != int64(len(truth)) {
			t.Errorf("rows minus dead positions are %d, want %d", alive, len(truth))
		}
	})
	t.Run("snapshots", func(t *testing.T) {
		lines := columns(w.table(config, "snapshots", "shop.stock"))
		snapshots := objectsOf[readback.Snapshot](t, w.table(config, "snapshots", "shop.stock", "-json"))
		slices.Reverse(snapshots)
		if diff := cmp.Diff(line, snapshots); diff != "" || len(lines) != len(line)+1 {
			t.Errorf("%d lines for %d snapshots (-lineage +printed):\n%s", len(lines), len(line), diff)
		}
	})
}

func TestTableCommandsOnWhatIsNotThere(t *testing.T) {
	w := newWorld(t, items("shop.item"))
	config := w.configure("tables", "20ms")
	if lines := w.table(config, "list"); len(lines) != 1 {
		t.Errorf("a catalog without tables is listed as %q", lines)
	}
	for name, want := range map[string]string{"shop.nothing": "does not exist", "nothing": "namespace.table", "a.b.c": "namespace.table"} {
		for _, what := range []string{"show", "rows", "files", "snapshots"} {
			code, out, log := command(t, "table", what, "-config", config, name)
			if code != exitFailed || out != "" || !strings.Contains(log.text(), want) {
				t.Errorf("%s of %s: exit code %d, standard output %q, standard error %q; want %q", what, name, code, out, log.text(), want)
			}
		}
	}
}
