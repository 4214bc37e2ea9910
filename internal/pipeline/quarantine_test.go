package pipeline_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/apache/iceberg-go/table"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/readback"
)

// lenient is mirror for tables that set bad records aside, at most so many of a batch.
func lenient(name string, limit int64, topics ...string) pipeline.Table {
	t := mirror(name, topics...)
	t.BadRecords = pipeline.BadRecords{Quarantine: true, QuarantineConflicts: true, Max: limit}
	t.Decoder.Limits.StringBytes = 1000
	return t
}

// files are rows (id, name, data).
func files(topic string) events {
	return events{topic: topic, key: []string{"id"}, columns: []column{{"id", connectInt}, {"name", connectString}, {"data", `"type":"bytes"`}}, schemas: true}
}

// everyBadRecord returns a record of each reason that JSON can raise, by reason.
func everyBadRecord(e events) map[string]*kgo.Record {
	after := func(after string) *kgo.Record {
		return e.record([]string{"7", `"x"`, `null`}, `{"before":null,"after":`+after+`,`+sourceBlock+`,"op":"c","ts_ms":1}`)
	}
	out := map[string]*kgo.Record{
		"schema_mismatch":  after(`{"id":7,"name":"x","data":null,"more":1}`),
		"null_in_required": after(`{"id":null,"name":"x","data":null}`),
		"invalid_base64":   after(`{"id":7,"name":"x","data":"%%"}`),
		"duplicate_member": after(`{"id":7,"name":"x","name":"x","data":null}`),
		"invalid_utf8":     after("{\"id\":7,\"name\":\"\xff\",\"data\":null}"),
		"too_large":        after(`{"id":7,"name":"` + strings.Repeat("x", 1001) + `","data":null}`),
		"schema_conflict":  events{topic: e.topic, key: e.key, columns: []column{e.columns[0], {"name", connectInt}, e.columns[2]}, schemas: true}.upsert("c", "7", "7", "null"),
	}
	for _, bad := range badRecords(customers(e.topic)) {
		if bad.name != "null in the key" { // The reason is another one where a schema says that it is required.
			out[bad.reason] = bad.record
		}
	}
	return out
}

// headers are names that repeat, bytes that are no text, an empty value and none.
func headers() []kgo.RecordHeader {
	return []kgo.RecordHeader{{Key: "b", Value: []byte{0xff, 0}}, {Key: "a", Value: nil}, {Key: "b", Value: []byte{}}, {Key: "\xfe", Value: []byte("x")}}
}

// expectQuarantined compares a quarantine table with the records that Kafka holds, by reason, byte for byte, each once.
func (w *world) expectQuarantined(target string, want map[string]*kgo.Record) {
	w.t.Helper()
	got, expected := w.quarantined(target), map[string]string{}
	for reason, r := range want {
		reason, _, _ = strings.Cut(reason, "#")
		id := w.cluster.TopicInfo(r.Topic).TopicID
		at := fmt.Sprintf("%s|%s|%d|%d", r.Topic, base64.RawURLEncoding.EncodeToString(id[:]), r.Partition, r.Offset)
		expected[at] = strings.Join([]string{
			reason, r.Timestamp.UTC().Format("2006-01-02T15:04:05.000000Z"), hexText(r.Key), hexText(r.Value), headersText(w.t, r.Headers), "unresolved",
		}, "|")
	}
	if diff := cmp.Diff(expected, got); diff != "" {
		w.t.Errorf("quarantine of %s (-want +got):\n%s", target, diff)
	}
}

// quarantined returns what a quarantine table says about each coordinate.
func (w *world) quarantined(target string) map[string]string {
	w.t.Helper()
	got := map[string]string{}
	name := target + pipeline.QuarantineSuffix
	if !w.exists(name) {
		return got
	}
	err := readback.Rows(w.t.Context(), w.catalog, name, table.MainBranch, func(names []string, values []*string) error {
		v := map[string]string{}
		for i, n := range names {
			v[n] = "∅"
			if values[i] != nil {
				v[n] = *values[i]
			}
		}
		at := strings.Join([]string{v["topic"], v["topic_id"], v["partition"], v["offset"]}, "|")
		if got[at] != "" {
			return fmt.Errorf("%s stands there twice", at)
		}
		if v["cdcd_version"] != "test" || v["quarantined_at"] == "∅" || v["detail"] == "∅" {
			return fmt.Errorf("%s: version %q at %q: %s", at, v["cdcd_version"], v["quarantined_at"], v["detail"])
		}
		state := "unresolved"
		if v["resolved_at"] != "∅" {
			state = "resolved"
		}
		got[at] = strings.Join([]string{v["reason"], v["record_time"], v["key"], v["value"], v["headers"], state}, "|")
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

func hexText(b []byte) string {
	if b == nil {
		return "∅"
	}
	return fmt.Sprintf("hex:%x", b)
}

func headersText(t testing.TB, all []kgo.RecordHeader) string {
	t.Helper()
	parts := []string{}
	for _, h := range all {
		value := "null"
		if h.Value != nil {
			value = `"` + hexText(h.Value) + `"`
		}
		parts = append(parts, `{"key":"`+hexText([]byte(h.Key))+`","value":`+value+`}`)
	}
	text := "[" + strings.Join(parts, ",") + "]"
	if !json.Valid([]byte(text)) {
		t.Fatal(text)
	}
	return text
}

// addsUp checks that every consumed record was applied, ignored, quarantined or refused (I6), and how many were consumed.
func (p *process) addsUp(tableName string, consumed float64) {
	p.w.t.Helper()
	label := "table=" + tableName
	all := p.metric("cdcd_records_consumed_total", label)
	parts := p.metric("cdcd_change_events_total", label) + p.metric("cdcd_records_ignored_total", label) +
		p.metric("cdcd_records_quarantined_total", label) + p.metric("cdcd_decode_errors_total", label)
	if all != consumed || parts != consumed {
		p.w.t.Errorf("consumed %v, applied, ignored, quarantined and refused %v, want %v", all, parts, consumed)
	}
}

// Bad records of every reason among good ones: the good rows are right, and each bad record is in the quarantine table as Kafka holds
// it, once (I6). A second run reads nothing again.
func TestEveryBadRecordIsSetAside(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := files("shop")
	bad := everyBadRecord(e)
	w.produce(e.upsert("c", "1", `"Ann"`, `"aGk="`))
	for _, r := range bad {
		r.Headers = headers()
		w.produce(r, e.upsert("u", "1", fmt.Sprintf(`"after %d"`, r.Offset), "null"))
	}
	w.produce(e.upsert("c", "2", `"Bob"`, "null"), e.upsert("u", "1", `"Ann"`, "null"), message(e))
	for reason := range reasonsOfJSON() {
		if bad[reason] == nil {
			t.Errorf("no record of the reason %s", reason)
		}
	}
	target := lenient("d.shop", 100, "shop")
	p := w.mustSetAside(target)
	w.expect("d.shop", []string{"id"}, map[string]string{"1": "1|Ann|∅", "2": "2|Bob|∅"})
	w.expectQuarantined("d.shop", bad)
	p.addsUp("d.shop", float64(2*len(bad)+4))
	for reason := range bad {
		if n := p.metric("cdcd_records_quarantined_total", "reason="+reason); n != 1 {
			t.Errorf("counted %v records of %s, want 1", n, reason)
		}
	}
	for _, entry := range p.log.entries("quarantined record") {
		if text := fmt.Sprint(entry); strings.Contains(text, "xxx") {
			t.Errorf("the log repeats a value: %s", text)
		}
	}
	if n := len(p.log.entries("quarantined record")); n != len(bad) {
		t.Errorf("the log tells of %d reasons, want %d", n, len(bad))
	}
	w.mustRunToEnd(target)
	if n := len(w.snapshots("d.shop_quarantine")); n != 1 {
		t.Errorf("%d commits of the quarantine table, want 1", n)
	}
}

// reasonsOfJSON returns the reasons that need no registry.
func reasonsOfJSON() map[string]bool {
	out := map[string]bool{pipeline.SchemaConflict: true}
	for _, r := range debezium.Reasons() {
		out[string(r)] = true
	}
	for _, r := range []debezium.Reason{debezium.ShortFrame, debezium.UnknownMagic, debezium.ShortBody, debezium.UnknownSchema} {
		delete(out, string(r))
	}
	return out
}

// So many bad records are a bad setting: the table halts, and neither it nor its quarantine table gets anything of the batch.
func TestTooManyBadRecordsHaltTheTable(t *testing.T) {
	for _, test := range []struct {
		name         string
		good, bad    int
		max, percent int64
		halts        bool
	}{
		{"one more than the limit", 10, 4, 3, 0, true},
		{"as many as the limit", 10, 3, 3, 0, false},
		{"less than the share", 400, 8, 3, 2, false},
		{"more than the share", 400, 9, 3, 2, true},
		{"none allowed", 10, 1, 0, 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "shop")
			e := customers("shop")
			want := map[string]string{}
			for i := range test.good {
				w.produce(e.upsert("c", fmt.Sprint(i+100), `"x"`))
				want[fmt.Sprint(i+100)] = fmt.Sprint(i+100) + "|x"
			}
			bad := map[string]*kgo.Record{}
			for i := range test.bad {
				r := e.upsert("c", fmt.Sprint(i), `5`)
				bad[fmt.Sprint("type_mismatch#", i)] = r
				w.produce(r)
			}
			target := lenient("d.shop", test.max, "shop")
			target.BadRecords.Percent = test.percent
			_, err := w.runToEnd([]pipeline.Table{target}, nil)
			if got := err != nil && strings.Contains(err.Error(), "bad_records:"); got != test.halts {
				t.Fatalf("got %v", err)
			}
			if test.halts {
				if n := len(w.snapshots("d.shop")) + len(w.snapshots("d.shop_quarantine")); n != 0 {
					t.Errorf("%d commits, want none", n)
				}
				target.BadRecords.Max = 1000
				w.mustSetAside(target)
			}
			w.expect("d.shop", []string{"id"}, want)
			w.expectQuarantined("d.shop", bad)
		})
	}
}

// Bad records before there is a table are kept as well; a restart, which reads them again, finds them.
func TestBadRecordsBeforeTheTableAreSetAside(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	bad := badRecords(e)[0].record
	w.produce(bad)
	target := lenient("d.shop", 1, "shop")
	for range 3 {
		p := w.mustSetAside(target)
		p.addsUp("d.shop", 1)
	}
	p := w.start(soon(target), nil)
	w.eventually("it is read", func() bool { return p.metric("cdcd_records_quarantined_total") == 1 })
	w.expectQuarantined("d.shop", map[string]*kgo.Record{"invalid_json": bad})
	if n := len(w.snapshots("d.shop_quarantine")); n != 1 || w.exists("d.shop") {
		t.Errorf("%d commits of the quarantine table, and there is a table: %v", n, w.exists("d.shop"))
	}
	w.produce(e.upsert("c", "1", `"Ann"`))
	w.reaches("d.shop", 1)
}

// A daemon commits what it has set aside on time, although nothing else comes.
func TestBadRecordsAreCommittedOnTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	w.produce(e.upsert("c", "1", `"Ann"`))
	p := w.start(soon(lenient("d.shop", 10, "shop")), nil)
	w.reaches("d.shop", 1)
	bad := badRecords(e)[0].record
	w.produce(bad)
	w.eventually("the bookmark has moved", func() bool { return w.next("d.shop", "shop", 0) == 2 })
	w.expectQuarantined("d.shop", map[string]*kgo.Record{"invalid_json": bad})
	p.addsUp("d.shop", 2)
}

// A TRUNCATE is committed by itself: what was set aside before it is committed first.
func TestBadRecordBeforeATruncateIsSetAside(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	w.produce(e.upsert("c", "1", `"Ann"`))
	target := truncating(lenient("d.shop", 10, "shop"), debezium.TruncateApply)
	w.mustRunToEnd(target)
	bad := badRecords(e)[0].record
	w.produce(bad, e.truncated(), e.upsert("c", "2", `"Bob"`))
	p := w.mustSetAside(target)
	w.expect("d.shop", []string{"id"}, map[string]string{"2": "2|Bob"})
	w.expectQuarantined("d.shop", map[string]*kgo.Record{"invalid_json": bad})
	p.addsUp("d.shop", 3)
}

// Large bad records are written out as they come, and the batch is committed before it takes more memory than it may (I7).
func TestQuarantineStaysWithinTheBudget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	const n = 300
	for i := range n {
		w.produce(e.upsert("c", fmt.Sprint(i), `"`+strings.Repeat("x", 64<<10)+`"`)) // Longer than StringBytes.
	}
	p, err := w.runToEnd([]pipeline.Table{lenient("d.shop", n, "shop")}, func(o *pipeline.Options) { o.BatchBytes = 2 << 20 })
	if !errors.Is(err, pipeline.ErrQuarantined) {
		t.Fatal(err)
	}
	if got := len(w.quarantined("d.shop")); got != n {
		t.Errorf("%d records are in quarantine, want %d", got, n)
	}
	if commits := len(w.snapshots("d.shop_quarantine")); commits < 3 {
		t.Errorf("%d commits, want several", commits)
	}
	p.addsUp("d.shop", n)
}

// A record of a recreated topic stands at the coordinates of another one but for the topic's id: it is not taken for it.
func TestRecordsOfARecreatedTopicAreOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	w.produce(e.upsert("c", "1", `"Ann"`), badRecords(e)[0].record, e.upsert("c", "2", `"Bob"`))
	target := lenient("d.shop", 10, "shop")
	w.mustSetAside(target)
	old := w.quarantined("d.shop")
	w.recreate("shop")
	w.rebind(target)
	other := badRecords(e)[2].record
	w.produce(e.upsert("c", "3", `"Cid"`), other)
	w.mustSetAside(target)
	got := w.quarantined("d.shop")
	for at := range old {
		if got[at] != old[at] {
			t.Errorf("%s is gone", at)
		}
		delete(got, at)
	}
	if len(got) != 1 || other.Offset != 1 {
		t.Errorf("%d records of the recreated topic are in quarantine, want the one at offset 1", len(got))
	}
}

// Troubles of the quarantine table are its target's, but that it was dropped is none.
func TestQuarantineTableThatOthersTouch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	w.produce(e.upsert("c", "1", `"Ann"`))
	target := lenient("d.shop", 10, "shop")
	p := w.start(soon(target), nil)
	w.produce(badRecords(e)[0].record)
	w.eventually("the first is set aside", func() bool { return len(w.quarantined("d.shop")) == 1 })
	if err := w.catalog.DropTable(t.Context(), table.Identifier{"d", "shop_quarantine"}); err != nil {
		t.Fatal(err)
	}
	second := badRecords(e)[1].record
	w.produce(second)
	w.eventually("the bookmark has moved", func() bool { return w.next("d.shop", "shop", 0) == 3 })
	w.expectQuarantined("d.shop", map[string]*kgo.Record{"invalid_json": second})
	p.notHalted()
	deleteAll(t, w, table.Identifier{"d", "shop_quarantine"})
	w.produce(badRecords(e)[2].record)
	entry := p.halted("d.shop", "foreign_rows")
	if hint := fmt.Sprint(entry["hint"]); !strings.Contains(hint, "quarantine table d.shop_quarantine") {
		t.Errorf("the hint is %q", hint)
	}
	if next := w.next("d.shop", "shop", 0); next != 3 {
		t.Errorf("the bookmark stands at %d, want 3", next)
	}
	if err := w.catalog.DropTable(t.Context(), table.Identifier{"d", "shop_quarantine"}); err != nil {
		t.Fatal(err)
	}
	w.eventually("it goes on by itself", func() bool { return w.next("d.shop", "shop", 0) == 4 })
	time.Sleep(10 * time.Millisecond)
	if n := len(w.quarantined("d.shop")); n != 1 {
		t.Errorf("%d records in quarantine, want 1", n)
	}
}

// A changelog has a quarantine table as any other: that one has a key.
func TestChangelogSetsBadRecordsAside(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	bad := badRecords(e)[0].record
	w.produce(e.upsert("c", "1", `"Ann"`), bad, e.upsert("u", "1", `"An"`))
	target := lenient("d.shop", 10, "shop")
	target.Sink.Changelog, target.Decoder.Changelog = true, true
	for range 2 {
		p := w.settle(target)
		p.addsUp("d.shop", p.metric("cdcd_records_consumed_total", "table=d.shop"))
	}
	w.expectQuarantined("d.shop", map[string]*kgo.Record{"invalid_json": bad})
}
