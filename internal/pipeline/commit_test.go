package pipeline_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/readback"
)

const mib = 1 << 20

// large returns n records of new rows, each of size bytes, which do not compress to nothing.
func large(e events, from, n, size int) []*kgo.Record {
	var out []*kgo.Record
	for i := range n {
		out = append(out, e.upsert("c", fmt.Sprint(from+i), `"`+noise(uint64(from+i), size)+`"`))
	}
	return out
}

func TestCommitsOnTimeAndAnIdleTableNotAtAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop", "idle")
	e := customers("shop")
	p := w.start(soon(mirror("d.t", "shop"), mirror("d.idle", "idle")), nil)
	for n := 1; n <= 3; n++ {
		w.produce(e.upsert("c", fmt.Sprint(n), `"x"`))
		w.eventually("the row is committed", func() bool { return len(w.rows("d.t", "id")) == n })
	}
	time.Sleep(300 * time.Millisecond) // Many commit intervals.
	if n := len(w.snapshots("d.t")); n != 3 {
		t.Errorf("%d commits, want 3", n)
	}
	if n := p.metric("cdcd_commits_total", "table=d.idle"); n != 0 || w.snapshots("d.idle") != nil {
		t.Errorf("the idle table has %v commits, want none", n)
	}
	if got := p.metric("cdcd_last_commit_timestamp_seconds", "table=d.t"); time.Since(time.Unix(int64(got), 0)) > time.Minute {
		t.Errorf("the last commit was at %v", got)
	}
}

// Rows count when they were decoded, whether they still wait in memory or were written out meanwhile.
func TestCommitsOnBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	w.produce(large(customers("shop").schemaless(), 0, 64, 512<<10)...) // 32 MiB.
	o := mirror("d.t", "shop")
	o.CommitBytes = 15 * mib // More than waits in memory at any time.
	w.mustRunToEnd(o)
	if n := len(w.snapshots("d.t")); n < 2 || n > 3 {
		t.Errorf("%d commits of 32 MiB, want 2 or 3", n)
	}
	if n := len(w.rows("d.t", "id")); n != 64 {
		t.Errorf("%d rows, want 64", n)
	}
}

func TestLargeBatchHasSeveralDataFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	w.produce(large(customers("shop").schemaless(), 0, 40, 512<<10)...) // 20 MiB.
	o := mirror("d.t", "shop")
	o.Sink.TargetFileBytes = 1 * mib
	w.mustRunToEnd(o)
	if n := len(w.snapshots("d.t")); n != 1 {
		t.Errorf("%d commits, want 1", n)
	}
	files, err := readback.Files(t.Context(), w.catalog, "d.t")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 2 {
		t.Errorf("%d data files, want several", len(files))
	}
	if n := len(w.rows("d.t", "id")); n != 40 {
		t.Errorf("%d rows, want 40", n)
	}
}

// The budget is for all open batches together (I7): they stay near it, however much comes.
func TestOpenBatchesStayWithinTheBudget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "one", "two")
	const traffic, budget = 64 * mib, 1 * mib
	for _, topic := range []string{"one", "two"} {
		w.produce(large(customers(topic).schemaless(), 0, traffic/2/(64<<10), 64<<10)...)
	}
	p := w.start([]pipeline.Table{mirror("d.one", "one"), mirror("d.two", "two")}, func(o *pipeline.Options) {
		o.Bounded, o.BatchBytes = true, budget
	})
	highest := 0.0
	for running := true; running; {
		select {
		case err := <-p.done:
			if p.ended = true; err != nil {
				t.Fatal(err)
			}
			running = false
		case <-time.After(5 * time.Millisecond):
			highest = max(highest, p.metric("cdcd_buffered_bytes"))
		}
	}
	// One poll of each table may come on top, about 4 MiB.
	if limit := float64(budget + 2*5*mib); highest > limit || highest == 0 {
		t.Errorf("open batches took up to %v bytes, want at most %v", highest, limit)
	}
	for _, name := range []string{"d.one", "d.two"} {
		if n := len(w.snapshots(name)); n < 3 {
			t.Errorf("%s has %d commits, want several", name, n)
		}
		if n := len(w.rows(name, "id")); n != traffic/2/(64<<10) {
			t.Errorf("%s has %d rows", name, n)
		}
	}
	if left := p.metric("cdcd_buffered_bytes"); left != 0 {
		t.Errorf("%v bytes are said to be buffered after the end", left)
	}
}

// message is a record that a named rule ignores.
func message(e events) *kgo.Record {
	return e.schemaless().record(nil, `{`+sourceBlock+`,"op":"m","ts_ms":1,"message":{"transactional":true,"prefix":"p","content":"aGk="}}`)
}

// The bookmark moves over records and offsets that change no row, alone, and not often (I8).
func TestBookmarkMovesAloneOnAQuietTable(t *testing.T) {
	for _, test := range []struct {
		name string
		move func(w *world)
		next int64
	}{
		{"ignored records", func(w *world) { w.produce(message(customers("shop")), message(customers("shop"))) }, 3},
		{"transaction markers", func(w *world) { w.abort("shop", 2) }, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "shop")
			w.produce(customers("shop").upsert("c", "1", `"Ann"`))
			w.mustRunToEnd(mirror("d.t", "shop"))
			p := w.start(soon(mirror("d.t", "shop")), func(o *pipeline.Options) { o.QuietInterval = 500 * time.Millisecond })
			w.eventually("the table is open", func() bool { return len(p.log.entries("resumed from bookmark")) == 1 })
			test.move(w)
			w.eventually("the bookmark moves", func() bool { return w.next("d.t", "shop", 0) == test.next })
			all := w.snapshots("d.t")
			if len(all) > 3 { // The records may have come in two pieces.
				t.Errorf("%d commits, want one with the row and one for the bookmark", len(all))
			}
			if quiet := all[1].Time.Sub(all[0].Time); quiet < 400*time.Millisecond {
				t.Errorf("the bookmark was committed alone after %v, before the quiet interval", quiet)
			}
			time.Sleep(1200 * time.Millisecond)
			if n := len(w.snapshots("d.t")); n != len(all) {
				t.Errorf("%d commits after two more quiet intervals in which nothing moved, want %d", n, len(all))
			}
			w.expect("d.t", []string{"id"}, map[string]string{"1": "1|Ann"})
		})
	}
}

// abort writes records in a transaction that is aborted.
func (w *world) abort(topic string, records int) {
	w.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID("tx"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	if err := client.BeginTransaction(); err != nil {
		w.t.Fatal(err)
	}
	for range records {
		if err := client.ProduceSync(w.t.Context(), &kgo.Record{Topic: topic, Value: []byte("aborted")}).FirstErr(); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := client.EndTransaction(w.t.Context(), kgo.TryAbort); err != nil {
		w.t.Fatal(err)
	}
}

// A bounded run ends by position: also when its topic ends in offsets without records, and when more keeps coming.
func TestBoundedRunEndsByPosition(t *testing.T) {
	t.Parallel()
	w := newPartitionedWorld(t, 2, "shop")
	e := customers("shop")
	w.produce(e.upsert("c", "1", `"Ann"`), e.in(1).upsert("c", "2", `"Bob"`))
	w.abort("shop", 3)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for n := 100; ; n++ {
			select {
			case <-stop:
				return
			default:
				w.producer.Produce(t.Context(), e.in(1).upsert("c", fmt.Sprint(n), `"more"`), nil)
				time.Sleep(200 * time.Microsecond)
			}
		}
	}()
	w.mustRunToEnd(mirror("d.t", "shop"))
	close(stop)
	<-stopped
	if next := w.next("d.t", "shop", 0); next != 5 {
		t.Errorf("partition 0 was read to %d, want 5: over the aborted records and their marker", next)
	}
	if rows := w.rows("d.t", "id"); rows["1"] != "1|Ann" || rows["2"] != "2|Bob" {
		t.Errorf("rows are %v", rows)
	}
}

// The summary tells the source time that the table is valid through: the smallest over the partitions.
func TestValidThroughIsALowerBound(t *testing.T) {
	t.Parallel()
	w := newPartitionedWorld(t, 2, "shop")
	at := func(r *kgo.Record, ms string) *kgo.Record {
		r.Value = []byte(strings.Replace(string(r.Value), "1715682030498", ms, 1))
		return r
	}
	e := customers("shop")
	w.produce(at(e.upsert("c", "1", `"Ann"`), "1000"), at(e.upsert("c", "2", `"Bob"`), "5000"), at(e.in(1).upsert("c", "3", `"Cid"`), "3000"))
	p := w.mustRunToEnd(mirror("d.t", "shop"))
	all := w.snapshots("d.t")
	if got := all[len(all)-1].Summary["cdcd.valid-through-ms"]; got != "3000" {
		t.Errorf("valid through %q, want 3000", got)
	}
	if got := p.metric("cdcd_committed_source_timestamp_seconds"); got != 3 {
		t.Errorf("the metric says %v, want 3", got)
	}
}

// A partition in which records wait and that was not read from yet may hold anything.
func TestValidThroughIsUnknownWhileAPartitionWasNotRead(t *testing.T) {
	t.Parallel()
	w := newPartitionedWorld(t, 2, "shop")
	e := customers("shop")
	w.produce(e.upsert("c", "1", `"Ann"`))
	w.mustRunToEnd(mirror("d.t", "shop")) // A table that knows no keys waits for both.
	w.produce(e.upsert("u", "1", `"Anna"`), e.in(1).upsert("c", "2", `"Bob"`))
	fault := w.cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Fetch}, Topic: "shop", Partitions: []int32{1}, Err: kerr.TopicAuthorizationFailed, Count: -1,
	})
	w.start(soon(mirror("d.t", "shop")), nil)
	w.eventually("partition 0 is committed", func() bool { return w.next("d.t", "shop", 0) == 2 })
	if got, ok := w.snapshots("d.t")[1].Summary["cdcd.valid-through-ms"]; ok {
		t.Errorf("valid through %s, want nothing said", got)
	}
	fault.Remove()
	w.eventually("partition 1 is committed", func() bool { return w.next("d.t", "shop", 1) == 1 })
	all := w.snapshots("d.t")
	if got := all[len(all)-1].Summary["cdcd.valid-through-ms"]; got != "1715682030498" {
		t.Errorf("valid through %q, want 1715682030498", got)
	}
}
