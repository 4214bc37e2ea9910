package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/traffic"
)

// The ends that a bounded run reads to are those at its start: it ends under traffic that never does.
func TestBackfillEndsWhileRecordsKeepComing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, items("shop.item"), stock("shop.stock"))
	config := w.configure("bounded", "1h")
	w.produce(19, 100)
	end := w.flow(19)
	before := w.ends()
	w.backfill(config)
	for _, m := range w.mirrors {
		if moved := w.bookmarkOf(m.name, w.head(m.name)).MovedBack(before[m.topic]); moved != "" {
			t.Errorf("%s does not stand at the end: %s", m.name, moved)
		}
	}
	end()
	w.backfill(config)
	w.compare()

	// With nothing left to do, nothing is done.
	heads := []int64{w.head("shop.item").ID, w.head("shop.stock").ID}
	w.backfill(config)
	if now := []int64{w.head("shop.item").ID, w.head("shop.stock").ID}; fmt.Sprint(now) != fmt.Sprint(heads) {
		t.Errorf("heads are %v after a run with nothing to do, and were %v", now, heads)
	}
}

// ends returns the end offsets of the topics of all tables, by topic.
func (w *world) ends() map[string]bookmark.Bookmark {
	ends := map[string]bookmark.Bookmark{}
	for _, m := range w.mirrors {
		var b bookmark.Bookmark
		for _, p := range w.cluster.PartitionInfos(m.topic) {
			b.Set(m.topic, "", bookmark.Partition{Partition: p.Partition, Next: p.HighWatermark, Epoch: -1})
		}
		ends[m.topic] = b
	}
	return ends
}

// A topic that ends in markers of transactions or in aborted records has no last record at which a run could end; an
// empty one has none at all.
func TestBackfillEndsWithoutALastRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t, items("shop.committed"), items("shop.aborted"), stock("shop.phantom"), stock("shop.nothing"))
	committed, aborted, phantom := w.mirrors[0], w.mirrors[1], w.mirrors[2]
	config := w.configure("bounded", "1h")
	rng := rand.New(rand.NewPCG(23, 23))
	transactional := w.newProducer(kgo.TransactionalID("test"))
	transaction := func(end kgo.TransactionEndTry, records ...*kgo.Record) {
		t.Helper()
		if err := transactional.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := transactional.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := transactional.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	// abort writes changes that never happened, and leaves the oracle as it was.
	abort := func(m *mirror) {
		t.Helper()
		var records []*kgo.Record
		for range 30 {
			records = append(records, m.source.Phantom(rng)...)
		}
		transaction(kgo.TryAbort, records...)
	}
	for range 3 {
		for _, m := range []*mirror{committed, aborted} {
			for range 10 {
				transaction(kgo.TryCommit, m.source.Change(rng)...)
			}
			abort(m)
		}
	}
	transaction(kgo.TryCommit, committed.source.Change(rng)...)
	abort(phantom)

	p := w.backfill(config)
	for _, m := range w.mirrors {
		p.await(1, says("reached the end", m.name))
	}
	w.mirrors = []*mirror{committed, aborted} // The others do not exist.
	w.compare()
	for _, m := range w.mirrors {
		want := w.ends()[m.topic]
		if moved := w.bookmarkOf(m.name, w.head(m.name)).MovedBack(want); moved != "" {
			t.Errorf("%s: the bookmark does not stand behind the last marker: %s (I8)", m.name, moved)
		}
	}
	if found := append(w.objects("shop.phantom", "*"), w.objects("shop.nothing", "*")...); len(found) > 0 {
		t.Errorf("topics without a record made tables: %v", found)
	}
}

// A table that halts does not hold the others up; the run says which one, where, why, and what to do, and fails.
func TestBackfillFailsIfATableHalts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, halting(items("shop.item")), stock("shop.stock"), stock("shop.lost"))
	config := w.configure("bounded", "1h")
	if err := w.cluster.DeleteTopic("t.shop.lost"); err != nil {
		t.Fatal(err)
	}
	w.mirrors = w.mirrors[:2]
	w.produce(29, 50)
	bad := &kgo.Record{Topic: "t.shop.item", Partition: 1, Key: []byte(traffic.ItemKey(1)), Value: []byte(`{"op":"c","after":"nonsense"}`)}
	w.send(bad)
	w.produce(31, 50)

	code, out, log := command(t, "run", "-config", config, "-backfill")
	if code != exitFailed || out != "" {
		t.Errorf("exit code %d, standard output %q, want %d and nothing", code, out, exitFailed)
	}
	last := log.text()[strings.LastIndex(log.text(), "cdcd: "):]
	for _, want := range []string{"table shop.item", "bad_record", fmt.Sprintf("t.shop.item/1 offset %d", bad.Offset), "table shop.lost", "topic_missing", "hint: "} {
		if !strings.Contains(last, want) {
			t.Errorf("no %q in the last words:\n%s", want, last)
		}
	}
	for table, reason := range map[string]string{"shop.item": "bad_record", "shop.lost": "topic_missing"} {
		if found := log.find(says("halted table", table)); len(found) != 1 || found[0].Reason != reason || found[0].Hint == "" {
			t.Errorf("%s: logged halts are %+v, want one for %s", table, found, reason)
		}
	}
	at, _ := w.bookmarkOf("shop.item", w.head("shop.item")).Partition("t.shop.item", 1)
	if at.Next != bad.Offset {
		t.Errorf("shop.item stands at offset %d, want at the bad record, %d", at.Next, bad.Offset)
	}
	w.mirrors = w.mirrors[1:]
	w.compare()
}

// An interrupted bounded run keeps what it has, and does not claim to have reached the end.
func TestInterruptedBackfillFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, items("shop.item"))
	config := w.configure("bounded", "20ms")
	w.produce(37, 500)
	w.cluster.Close()
	p := w.run(config, "-backfill")
	p.await(1, says("retried broker connection", ""))
	began := time.Now()
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s to stop", took)
	}
	if text := p.log.text(); !strings.Contains(text, "not all tables reached their end") {
		t.Errorf("the last words are %s", p.log.tail(3))
	}
}
