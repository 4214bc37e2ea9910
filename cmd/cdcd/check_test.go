package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/apache/iceberg-go/catalog"
)

// check runs cdcd check and holds its lines against those wanted, in order: each holds the parts of one entry.
func (w *world) check(code int, config string, want ...[]string) {
	w.t.Helper()
	got, out, log := command(w.t, "check", "-config", config, "-timeout", "2s")
	if got != code {
		w.t.Errorf("exit code %d, want %d; standard error %q", got, code, log.text())
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != len(want) {
		w.t.Fatalf("%d lines, want %d:\n%s", len(lines), len(want), out)
	}
	for i, parts := range want {
		for _, part := range parts {
			if !strings.Contains(lines[i], part) {
				w.t.Errorf("line %d is %q, want it to say %q", i+1, lines[i], part)
			}
		}
	}
}

func TestCheckTellsWhatRunWouldDo(t *testing.T) {
	w := newWorld(t, items("shop.item"), stock("shop.stock"))
	config := w.configure("check", "20ms")
	sound := [][]string{{"ok", "configuration", "2 tables"}, {"ok", "kafka"}, {"ok", "catalog"}, {"ok", "write access"}}
	w.check(exitDone, config, append(sound,
		[]string{"ok", "table shop.item: would be created, from topic t.shop.item with 3 partitions; 0 records wait"},
		[]string{"ok", "table shop.stock: would be created"})...)
	if w.cluster.GroupInfo("check") != nil {
		t.Error("the check has joined the group")
	}
	if found := w.objects("shop.item", "*"); len(found) > 0 {
		t.Errorf("the check has made %v", found)
	}

	w.produce(43, 10)
	w.backfill(config)
	n := 0
	rng := rand.New(rand.NewPCG(43, 43))
	for range 5 {
		records := w.mirrors[0].source.Change(rng)
		w.send(records...)
		n += len(records)
	}
	w.check(exitDone, config, append(sound,
		[]string{"ok", "table shop.item: exists with", fmt.Sprintf("; %d records wait", n)}, []string{"ok", "table shop.stock: exists", "; 0 records wait"})...)
}

func TestCheckFindsWhatWouldKeepTablesFromRunning(t *testing.T) {
	w := newWorld(t, items("shop.item"), stock("shop.stock"), stock("shop.lost"), items("shop.late"))
	config := w.configure("check", "20ms")
	w.produce(47, 10)
	w.backfill(config)
	w.damageBookmark("shop.item")
	for _, topic := range []string{"t.shop.lost", "t.shop.late"} {
		if err := w.cluster.DeleteTopic(topic); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.cluster.CreateTopic("t.shop.late", partitions, nil); err != nil {
		t.Fatal(err)
	}
	w.check(exitFailed, config, []string{"ok", "configuration"}, []string{"ok", "kafka"}, []string{"ok", "catalog"}, []string{"ok", "write access"},
		[]string{"FAIL", "table shop.item", "bookmark_invalid"}, []string{"hint: ", "Run a version of cdcd at least as new"},
		[]string{"ok", "table shop.stock"},
		[]string{"FAIL", "table shop.lost", "topic_missing"}, []string{"hint: ", "Create the topic"},
		[]string{"FAIL", "table shop.late", "topic_recreated"}, []string{"hint: ", "cdcd table rebind"})
}

func TestCheckRefusesAnIncompleteStart(t *testing.T) {
	w := newWorld(t, items("shop.item"))
	config := w.configure("check", "20ms")
	w.produce(53, 50)
	if err := w.cluster.DeleteRecords("t.shop.item", 1, 5); err != nil {
		t.Fatal(err)
	}
	w.check(exitFailed, config, []string{"ok", "configuration"}, []string{"ok", "kafka"}, []string{"ok", "catalog"}, []string{"ok", "write access"},
		[]string{"FAIL", "table shop.item", "incomplete_start", "t.shop.item/1"}, []string{"hint: ", `start = "earliest"`})

	w.mirrors[0].settings = `start = "earliest"`
	w.check(exitDone, w.configure("earliest", "20ms"), []string{"ok", "configuration"}, []string{"ok", "kafka"}, []string{"ok", "catalog"}, []string{"ok", "write access"},
		[]string{"ok", "table shop.item: would be created without its beginning"})
}

func TestCheckWithoutBrokerOrCatalog(t *testing.T) {
	w := newWorld(t, items("shop.item"))
	config := w.configure("check", "20ms")
	w.cluster.Close()
	began := time.Now()
	w.check(exitFailed, config, []string{"ok", "configuration"}, []string{"FAIL", "kafka"}, []string{"ok", "catalog"}, []string{"ok", "write access"})
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("a check with a timeout of 2 s took %s", took)
	}

	blocked := newWorld(t, items("shop.item"))
	config = blocked.configure("check", "20ms")
	blocked.write("catalog", "a file where the catalog's folder should be")
	blocked.check(exitFailed, config, []string{"ok", "configuration"}, []string{"ok", "kafka"}, []string{"FAIL", "catalog"})
}

// damageBookmark makes the bookmark of a table's head one that only a later version could read.
func (w *world) damageBookmark(table string) {
	w.t.Helper()
	w.inCatalog(func(cat catalog.Catalog) error {
		t, err := cat.LoadTable(w.t.Context(), strings.Split(table, "."))
		if err != nil {
			return err
		}
		path := strings.TrimPrefix(t.MetadataLocation(), "file://")
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		damaged := strings.ReplaceAll(string(text), `{\"v\":1,`, `{\"v\":99,`)
		if damaged == string(text) {
			w.t.Fatal("the metadata have no bookmark")
		}
		return os.WriteFile(path, []byte(damaged), 0o600)
	})
}

// What would halt a table for want of order among several partitions is told beforehand.
func TestCheckTellsWhatNeedsOnePartition(t *testing.T) {
	w := newWorld(t, items("shop.item"))
	config := w.configure("check", "20ms")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "name = \"shop.item\"", "name = \"shop.item\"\ntruncate = \"apply\"\nkey = [\"item_id\"]", 1)
	if err := os.WriteFile(config, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	w.check(exitDone, config, []string{"ok"}, []string{"ok"}, []string{"ok"}, []string{"ok"},
		[]string{"ok", "with 3 partitions", "; a record key with another column than item_id would halt it; a TRUNCATE would halt it"})
}
