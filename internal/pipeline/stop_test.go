package pipeline_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/sink"
)

func TestStopCommitsTheOpenBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	w.produce(e.upsert("c", "1", `"Ann"`), e.upsert("c", "2", `"Bob"`))
	p := w.start([]pipeline.Table{mirror("d.t", "shop")}, nil)
	w.eventually("the records are read", func() bool { return p.metric("cdcd_records_consumed_total") == 2 })
	w.expect("d.t", []string{"id"}, map[string]string{})
	if err := p.stop(); err != nil {
		t.Errorf("Run returned %v, want nil", err)
	}
	w.expect("d.t", []string{"id"}, map[string]string{"1": "1|Ann", "2": "2|Bob"})
	if n := len(p.log.entries("stopped")); n != 1 {
		t.Errorf("the log says stopped %d times, want once", n)
	}
}

// What cannot be committed within the grace period is dropped, and read again by the next owner.
func TestGracePeriodBoundsAStopWithoutCatalog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	c := &wire{Catalog: w.catalog}
	w.produce(customers("shop").upsert("c", "1", `"Ann"`))
	p := w.start([]pipeline.Table{mirror("d.t", "shop")}, func(o *pipeline.Options) {
		w.through(c)(o)
		o.GracePeriod = 500 * time.Millisecond
	})
	w.eventually("the record is read", func() bool { return p.metric("cdcd_records_consumed_total") == 1 })
	c.down.Store(true)
	started := time.Now()
	if err := p.stop(); err != nil {
		t.Errorf("Run returned %v, want nil", err)
	}
	if took := time.Since(started); took < 400*time.Millisecond || took > 10*time.Second {
		t.Errorf("the stop took %v, want about the grace period of 500 ms", took)
	}
	if n := len(p.log.entries("dropped open batch")); n != 1 {
		t.Errorf("the log says %d times that a batch was dropped, want once", n)
	}
	c.down.Store(false)
	w.mustRunToEnd(mirror("d.t", "shop"))
	w.expect("d.t", []string{"id"}, map[string]string{"1": "1|Ann"})
}

// A table that is not open yet has nothing to finish: it does not use up the grace period.
func TestStopDoesNotWaitForATableThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	c := &wire{Catalog: w.catalog}
	c.down.Store(true)
	p := w.start([]pipeline.Table{mirror("d.t", "shop")}, func(o *pipeline.Options) {
		w.through(c)(o)
		o.GracePeriod = time.Hour
	})
	w.eventually("the table is being opened", func() bool { return len(p.log.entries("retried")) > 0 })
	if err := p.stop(); err != nil { // Waits for less than the grace period.
		t.Errorf("Run returned %v, want nil", err)
	}
}

// The catalog away for a while is retried: nothing is lost, nothing is applied twice.
func TestCatalogAwayForAWhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	c := &wire{Catalog: w.catalog}
	e := customers("shop")
	p := w.running(w.through(c))
	c.down.Store(true)
	w.produce(e.upsert("c", "2", `"Bob"`))
	w.eventually("a commit is retried", func() bool { return len(p.log.entries("retried commit")) > 0 })
	c.down.Store(false)
	w.reaches("d.t", 2)
	if n := p.metric("cdcd_table_restarts_total"); n != 0 {
		t.Errorf("%v restarts, want none", n)
	}
}

// A commit lands, its reply is lost, and another writer goes on from it before the table is read again: the commit counts
// as landed, and the table must go on from where the other writer is, not from where it was itself (I2, I3).
func TestRivalThatGoesOnFromOurUnseenCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	c := &wire{Catalog: w.catalog}
	e := customers("shop")
	rival := func(ctx context.Context) { // It claims the next two records, which are there before it does.
		records := []*kgo.Record{e.upsert("c", "2", `"the rival's"`), e.upsert("c", "3", `"the rival's"`), e.upsert("c", "4", `"Dan"`)}
		if err := w.producer.ProduceSync(ctx, records...).FirstErr(); err != nil {
			t.Error(err)
			return
		}
		s := w.sink(w.catalog, slog.New(slog.DiscardHandler), nil)
		opened, err := s.Open(ctx, mirror("d.t", "shop").Sink)
		if err != nil {
			t.Error(err)
			return
		}
		defer opened.Close()
		mark := opened.Bookmark()
		at, _ := mark.Partition("shop", 0)
		mark.Set("shop", "", bookmark.Partition{Next: at.Next + 2, Epoch: at.Epoch})
		if _, err := opened.Commit(ctx, sink.Change{Bookmark: mark}); err != nil {
			t.Error(err)
		}
	}
	p := w.start(soon(mirror("d.t", "shop")), w.through(c))
	c.committed.Store(&rival)
	w.produce(e.upsert("c", "1", `"Ann"`))
	w.eventually("the table goes on behind the rival's records", func() bool { return w.next("d.t", "shop", 0) == 4 })
	w.expect("d.t", []string{"id"}, map[string]string{"1": "1|Ann", "4": "4|Dan"})
	if n := p.metric("cdcd_table_restarts_total"); n != 1 {
		t.Errorf("%v restarts, want 1", n)
	}
}

// A session that fails is begun again, each time after a longer pause.
func TestRestartsBackOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	made := w.makeTable([]int{1}, nil)
	folder := strings.TrimPrefix(made.Location(), "file://") + "/data"
	if err := os.MkdirAll(filepath.Dir(folder), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder, nil, 0o600); err != nil { // No folder for data files can be made there.
		t.Fatal(err)
	}
	w.produce(customers("shop").upsert("c", "1", `"Ann"`))
	p := w.start(soon(mirror("d.t", "shop")), func(o *pipeline.Options) { o.Pause, o.PauseMax = 20*time.Millisecond, 500*time.Millisecond })
	restarts := func() float64 { return p.metric("cdcd_table_restarts_total", "table=d.t") }
	w.eventually("the table is restarted again and again", func() bool { return restarts() >= 4 })
	time.Sleep(time.Second)
	if n := restarts(); n > 9 { // 20, 40, 80, 160, 320, 500 ms, ...
		t.Errorf("%v restarts, want longer and longer pauses", n)
	}
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	w.reaches("d.t", 1)
	p.notHalted()
}

// Two processes with the same table: one stands down from each batch, and what they make is the fold all the same (I2).
func TestTwoWritersOfOneTable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	one := w.start(soon(mirror("d.t", "shop")), nil)
	two, done := make(chan error, 1), make(chan struct{})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	go func() { // A bounded run joins no group, and takes every table.
		defer close(done)
		for ctx.Err() == nil {
			_, err := w.runToEnd(soon(mirror("d.t", "shop")), nil)
			if err != nil && !strings.Contains(err.Error(), "another_writer") {
				two <- err
				return
			}
		}
	}()
	for id := range 40 {
		w.produce(e.upsert("c", string(rune('0'+id%10)), `"`+strings.Repeat("x", id)+`"`))
		time.Sleep(10 * time.Millisecond)
	}
	w.eventually("the last record is committed", func() bool { return w.next("d.t", "shop", 0) == 40 })
	cancel()
	<-done
	select {
	case err := <-two:
		t.Error(err)
	default:
	}
	if err := one.stop(); err != nil {
		t.Error(err)
	}
	want := map[string]string{}
	for id := 30; id < 40; id++ {
		key := string(rune('0' + id%10))
		want[key] = key + "|" + strings.Repeat("x", id)
	}
	w.expect("d.t", []string{"id"}, want)
}

// Not parallel: other tests' runs would be seen.
func TestRunLeavesNoGoroutine(t *testing.T) {
	for _, bounded := range []bool{false, true} {
		w := newWorld(t, "good", "bad")
		w.produce(customers("good").upsert("c", "1", `"Ann"`))
		w.produce(badRecords(customers("bad"))[0].record)
		p := w.start(soon(mirror("d.good", "good"), mirror("d.bad", "bad"), mirror("d.none", "missing")), func(o *pipeline.Options) {
			o.Bounded, o.GracePeriod = bounded, time.Hour
		})
		w.reaches("d.good", 1)
		p.halted("d.bad", "bad_record")
		p.cancel()
		if err := p.wait(); (err == nil) == bounded {
			t.Errorf("bounded=%v: Run returned %v", bounded, err)
		}
		w.eventually("all goroutines have ended", func() bool {
			b := make([]byte, 1<<20)
			return !strings.Contains(string(b[:runtime.Stack(b, true)]), "cdcd/internal/pipeline.(")
		})
	}
}
