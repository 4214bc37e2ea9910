package pipeline_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/iceberg-go/table"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/readback"
	"github.com/cdcd-project/cdcd/internal/sink"
)

const longBytes = 1001

// long is a name that a table with the limit of lenient refuses.
func long() string { return `"` + strings.Repeat("x", longBytes) + `"` }

// mended returns a table whose limit was raised.
func mended(t pipeline.Table) pipeline.Table {
	t.Decoder.Limits.StringBytes = 1 << 20
	return t
}

// replay replays all records of a quarantine table, and returns the outcomes by place. change may be nil.
func (w *world) replay(target pipeline.Table, change func(*pipeline.ReplayOptions)) map[string]string {
	w.t.Helper()
	log := slog.New(slog.NewTextHandler(w.t.Output(), nil))
	client, err := kafka.Open(kafka.Options{Brokers: w.cluster.ListenAddrs(), Group: "cdcd", Logger: log})
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	o := pipeline.ReplayOptions{
		Kafka: client, Sink: w.sink(w.catalog, log, nil), Table: target, Records: w.set(target.Sink.Name), Logger: log,
	}
	if change != nil {
		change(&o)
	}
	done, err := pipeline.Replay(w.t.Context(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]string{}
	for _, r := range done {
		at := fmt.Sprintf("%s/%d@%d", r.Record.Topic, r.Record.Partition, r.Record.Offset)
		out[at] = r.Outcome
		w.t.Logf("%s: %s: %s", at, r.Outcome, r.Detail)
	}
	return out
}

// set reads a quarantine table.
func (w *world) set(target string) []pipeline.Quarantined {
	w.t.Helper()
	var out []pipeline.Quarantined
	err := readback.Rows(w.t.Context(), w.catalog, target+pipeline.QuarantineSuffix, table.MainBranch, func(names []string, values []*string) error {
		var r pipeline.Quarantined
		v := map[string]*string{}
		for i, n := range names {
			v[n] = values[i]
		}
		partition, _ := strconv.Atoi(*v["partition"])
		offset, _ := strconv.Atoi(*v["offset"])
		r.Topic, r.TopicID, r.Partition, r.Offset = *v["topic"], *v["topic_id"], int32(partition), int64(offset)
		r.Time, _ = time.Parse(time.RFC3339Nano, *v["record_time"])
		r.At, _ = time.Parse(time.RFC3339Nano, *v["quarantined_at"])
		r.Key, r.Value = unhex(w.t, v["key"]), unhex(w.t, v["value"])
		var all []struct{ Key, Value *string }
		if err := json.Unmarshal([]byte(*v["headers"]), &all); err != nil {
			return err
		}
		for _, h := range all {
			r.Headers = append(r.Headers, debezium.Header{Key: string(unhex(w.t, h.Key)), Value: unhex(w.t, h.Value)})
		}
		r.Reason, r.Detail, r.Version = *v["reason"], *v["detail"], *v["cdcd_version"]
		out = append(out, r)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func unhex(t testing.TB, text *string) []byte {
	t.Helper()
	if text == nil {
		return nil
	}
	b, err := hex.DecodeString(strings.TrimPrefix(*text, "hex:"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// resolved counts the rows of a quarantine table that are resolved.
func (w *world) resolved(target string) int {
	n := 0
	for _, r := range w.quarantined(target) {
		if strings.HasSuffix(r, "|resolved") {
			n++
		}
	}
	return n
}

// After the configuration was mended the table equals the fold of the whole log: what no later event superseded is applied, with the
// schema that it needs, and what is still bad is refused.
func TestReplayMakesTheTableWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e, wide := customers("shop"), files("shop")
	still := badRecords(e)[0].record
	records := []*kgo.Record{e.upsert("c", "1", `"Ann"`)}
	records = append(records, wide.upsert("c", "7", long(), `"aGk="`), // 1: applied, with a column that nobody else has.
		e.upsert("c", "8", long()), e.upsert("c", "9", long()), e.upsert("u", "1", long()), // 2, 3, 4
		still, // 5
		e.upsert("u", "8", `"Hal"`))
	records = append(records, e.remove("9", `"x"`)...)                               // 7, 8
	records = append(records, e.upsert("u", "1", long()), message(e))                // 9: supersedes 4.
	records = append(records, e.remove("3", long())[0], e.upsert("c", "4", `"Dan"`)) // A delete whose before is too long.
	records[1].Headers = headers()
	w.produce(records...)
	target := lenient("d.shop", 100, "shop")
	w.settle(target)
	before := w.rows("d.shop", "id")

	want := map[string]string{"shop/0@1": "applied", "shop/0@2": "superseded", "shop/0@3": "superseded", "shop/0@4": "applied", "shop/0@5": "refused", "shop/0@9": "applied"}
	dry := w.replay(mended(target), func(o *pipeline.ReplayOptions) { o.DryRun = true })
	if diff := cmp.Diff(want, dry); diff != "" {
		t.Errorf("dry run (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, w.rows("d.shop", "id")); diff != "" || w.resolved("d.shop") != 0 {
		t.Errorf("the dry run has committed:\n%s", diff)
	}
	w.replay(mended(target), nil)
	name := strings.Trim(long(), `"`)
	whole := map[string]string{"1": "1|" + name + "|∅", "4": "4|Dan|∅", "7": "7|" + name + "|hex:6869", "8": "8|Hal|∅"}
	w.expect("d.shop", []string{"id"}, whole)
	if n := w.resolved("d.shop"); n != 3 {
		t.Errorf("%d records are resolved, want 3", n)
	}
	snapshots := w.snapshots("d.shop")
	head, parent := snapshots[len(snapshots)-1], snapshots[len(snapshots)-2]
	if head.Summary["cdcd.operation"] != "replay" || head.Summary["cdcd.bookmark"] != parent.Summary["cdcd.bookmark"] || head.Summary["cdcd.valid-through-ms"] != parent.Summary["cdcd.valid-through-ms"] {
		t.Errorf("the head is %+v", head.Summary)
	}
	w.replay(mended(target), nil) // Again, as after a crash before they were marked.
	w.expect("d.shop", []string{"id"}, whole)
	if got := w.replay(target, func(o *pipeline.ReplayOptions) {
		o.Dismiss = true
		o.Records = slices.DeleteFunc(o.Records, func(r pipeline.Quarantined) bool { return r.Offset != 2 })
	}); got["shop/0@2"] != "dismissed" {
		t.Errorf("dismissed: %v", got)
	}
	if n := w.resolved("d.shop"); n != 4 {
		t.Errorf("%d records are resolved, want 4", n)
	}
	w.expect("d.shop", []string{"id"}, whole)
	w.mustRunToEnd(mended(target))
}

// What cannot be judged is refused.
func TestReplayRefuses(t *testing.T) {
	refused := func(t *testing.T, w *world, target pipeline.Table, want string) {
		t.Helper()
		before := w.rows("d.shop", "id")
		if got := w.replay(mended(target), nil); len(got) != 1 || slices.Collect(maps.Values(got))[0] != want {
			t.Errorf("got %v, want %s", got, want)
		}
		if diff := cmp.Diff(before, w.rows("d.shop", "id")); diff != "" || w.resolved("d.shop") != 0 {
			t.Errorf("something was committed:\n%s", diff)
		}
	}
	start := func(t *testing.T, partitions int32, topics ...string) (*world, pipeline.Table) {
		t.Helper()
		w := newPartitionedWorld(t, partitions, topics...)
		e := customers("shop")
		w.produce(e.upsert("c", "1", `"Ann"`), e.upsert("c", "7", long()), e.upsert("c", "2", `"Bob"`))
		target := lenient("d.shop", 100, topics...)
		w.settle(target)
		return w, target
	}
	t.Run("what retention has taken", func(t *testing.T) {
		t.Parallel()
		w, target := start(t, 1, "shop")
		w.trim("shop", 2)
		refused(t, w, target, "refused")
	})
	t.Run("a record of another topic", func(t *testing.T) {
		t.Parallel()
		w, target := start(t, 1, "shop")
		w.recreate("shop")
		w.rebind(target)
		w.produce(customers("shop").upsert("c", "1", `"x"`), customers("shop").upsert("c", "7", long()), customers("shop").upsert("c", "2", `"Bob"`))
		w.mustRunToEnd(mended(target))
		refused(t, w, target, "refused")
	})
	t.Run("what the table has not come past", func(t *testing.T) {
		t.Parallel()
		w, target := start(t, 1, "shop")
		w.decide(target, sink.Operation{Name: sink.OperationRewind, Decide: func(_ context.Context, at sink.Standing) (sink.Decision, error) {
			p, _ := at.Bookmark.Partition("shop", 0)
			p.Next, p.Epoch = 1, -1
			at.Bookmark.Set("shop", "", p)
			return sink.Decision{Bookmark: at.Bookmark}, nil
		}})
		refused(t, w, target, "refused")
	})
	t.Run("bytes that differ", func(t *testing.T) {
		t.Parallel()
		w, target := start(t, 1, "shop")
		got := w.replay(mended(target), func(o *pipeline.ReplayOptions) { o.Records[0].Value = []byte("other") })
		if got["shop/0@1"] != "refused" {
			t.Errorf("got %v", got)
		}
	})
	t.Run("keys that may stand in several topics", func(t *testing.T) {
		t.Parallel()
		w, target := start(t, 1, "shop", "shop2")
		refused(t, w, target, "refused")
		if got := w.replay(mended(target), func(o *pipeline.ReplayOptions) { o.AcceptDisorder = true }); got["shop/0@1"] != "applied" {
			t.Errorf("got %v", got)
		}
	})
}

// A record that was applied, and that the present configuration cannot read, may be of any key.
func TestReplayRefusesBeforeWhatItCannotRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	padded := e.upsert("u", "1", `"Ann"`)
	padded.Value = append(padded.Value, strings.Repeat(" ", 2*longBytes)...)
	w.produce(e.upsert("c", "2", `"Bob"`), e.upsert("c", "1", long()), e.upsert("c", "3", long()), padded)
	target := lenient("d.shop", 100, "shop")
	w.settle(target)
	want := w.rows("d.shop", "id")
	narrow := mended(target)
	narrow.Decoder.Limits.RecordBytes = 2 * longBytes
	if diff := cmp.Diff(map[string]string{"shop/0@1": pipeline.Refused, "shop/0@2": pipeline.Refused}, w.replay(narrow, nil)); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, w.rows("d.shop", "id")); diff != "" {
		t.Errorf("rows (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"shop/0@1": pipeline.Superseded, "shop/0@2": pipeline.Applied}, w.replay(mended(target), nil)); diff != "" {
		t.Errorf("outcomes with a configuration that reads all (-want +got):\n%s", diff)
	}
}

// A running owner goes on by itself; and what it commits between the look at the log and the commit of the replay is looked at as well.
func TestReplayBesideARunningOwner(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	target := lenient("d.shop", 100, "shop")
	w.produce(e.upsert("c", "1", `"Ann"`), e.upsert("c", "7", long()), e.upsert("c", "8", long()))
	p := w.start(soon(target), nil)
	w.eventually("the bookmark has moved", func() bool { return w.next("d.shop", "shop", 0) == 3 })
	late := &wire{Catalog: w.catalog}
	overtaken := 0
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	ahead := &overtaker{wire: late, before: func() {
		if overtaken++; overtaken == 1 {
			w.produce(e.upsert("u", "8", `"Hal"`))
			w.eventually("the owner's commit comes first", func() bool { return w.next("d.shop", "shop", 0) == 4 })
		}
	}}
	got := w.replay(mended(target), func(o *pipeline.ReplayOptions) { o.Sink = w.sink(ahead, log, nil) })
	if diff := cmp.Diff(map[string]string{"shop/0@1": "applied", "shop/0@2": "superseded"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.produce(e.upsert("c", "2", `"Bob"`), e.upsert("c", "9", long()))
	w.eventually("the owner goes on", func() bool { return w.next("d.shop", "shop", 0) == 6 })
	w.expect("d.shop", []string{"id"}, map[string]string{"1": "1|Ann", "2": "2|Bob", "7": "7|" + strings.Trim(long(), `"`), "8": "8|Hal"})
	if n := len(w.quarantined("d.shop")); n != 3 || w.resolved("d.shop") != 1 {
		t.Errorf("%d records in quarantine, %d resolved; want 3 and 1", n, w.resolved("d.shop"))
	}
	p.notHalted()
}

// overtaker calls before before each commit.
type overtaker struct {
	*wire

	before func()
}

func (c *overtaker) CommitTable(ctx context.Context, ident table.Identifier, reqs []table.Requirement, updates []table.Update) (table.Metadata, string, error) {
	c.before()
	return c.wire.CommitTable(ctx, ident, reqs, updates)
}
