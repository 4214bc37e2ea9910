package pipeline_test

import (
	"testing"
	"time"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/pipeline"
)

// One topic feeds two tables, and one of them halts: the other goes on, the lag of each says so, and the halted one goes on from its
// own bookmark when it can.
func TestOneTopicTwoTablesOneHalted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	log := people(e, 1, 6)
	log[3] = e.upsert("c", "4", `"`+noise(4, 8<<10)+`"`)
	strict, lenient := mirror("d.strict", "shop"), mirror("d.lenient", "shop")
	strict.Decoder.Limits.RecordBytes = 4 << 10
	w.produce(log[:5]...)
	p := w.start(soon(strict, lenient), quickly)
	p.halted("d.strict", "bad_record")
	w.eventually("the other table goes on", func() bool { return w.next("d.lenient", "shop", 0) == 5 })
	lag := func(table string, want float64) {
		t.Helper()
		w.eventually("the lag of "+table, func() bool { return p.metric("cdcd_consumer_lag_records", "table="+table) == want })
	}
	lag("d.strict", 2)
	lag("d.lenient", 0)
	w.produce(log[5:]...)
	lag("d.strict", 3) // It keeps growing.
	w.eventually("the other table still goes on", func() bool { return w.next("d.lenient", "shop", 0) == 6 })
	lag("d.lenient", 0)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	if n := p.metric("cdcd_consumer_lag_records"); n != 0 {
		t.Errorf("a process that has stopped says that %v records wait", n)
	}
	w.stands("d.strict", "shop", fold(t, log[:3]...), 3)
	w.stands("d.lenient", "shop", fold(t, log...), 6)

	strict.Decoder.Limits = debezium.DefaultLimits()
	p = w.start(soon(strict, lenient), quickly)
	w.eventually("the halted table goes on", func() bool { return w.next("d.strict", "shop", 0) == 6 })
	lag("d.strict", 0)
	w.stands("d.strict", "shop", fold(t, log...), 6)
	if n := p.metric("cdcd_records_consumed_total", "table=d.strict"); n != 3 {
		t.Errorf("the halted table consumed %v records, want the 3 after its bookmark", n)
	}
	if n := p.metric("cdcd_records_consumed_total", "table=d.lenient"); n != 0 {
		t.Errorf("the other table consumed %v records again, want none", n)
	}
}

// A table that halts before it reads has a lag as well, from its bookmark; of a topic that is another one by now nothing is known.
func TestLagOfATableThatHaltsAtItsStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	log := people(customers("shop"), 1, 9)
	w.each(log[:2]...)
	w.mustRunToEnd(mirror("d.t", "shop"))
	w.each(log[2:]...)
	w.trim("shop", 4)
	p := w.start(soon(mirror("d.t", "shop")), quickly)
	p.halted("d.t", "records_lost")
	series := func() int { return p.series("cdcd_consumer_lag_records") }
	w.eventually("the lag is that from the bookmark", func() bool { return p.metric("cdcd_consumer_lag_records") == 7 && series() == 1 })
	w.recreate("shop")
	w.eventually("nothing is said about a topic that was recreated", func() bool { return series() == 0 })
}

// series returns how many series a metric has.
func (p *process) series(name string) int {
	p.w.t.Helper()
	families, err := p.registry.Gather()
	if err != nil {
		p.w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return len(f.GetMetric())
		}
	}
	return 0
}

// A partition that holds nothing but ignored records for weeks: the bookmark is committed alone, but not often, and so retention never
// overtakes it (I8).
func TestRetentionNeverOvertakesAQuietPartition(t *testing.T) {
	t.Parallel()
	w := newPartitionedWorld(t, 2, "shop")
	e := customers("shop")
	log := append(people(e, 1, 2), people(e.in(1), 11, 1)...)
	w.produce(log...)
	w.mustRunToEnd(mirror("d.t", "shop"))
	const quiet = 200 * time.Millisecond
	p := w.start(soon(mirror("d.t", "shop")), func(o *pipeline.Options) { o.QuietInterval = quiet })
	w.eventually("the table is open", func() bool { return len(p.log.entries("resumed from bookmark")) == 1 })
	began, before := time.Now(), len(w.snapshots("d.t"))
	next := int64(2)
	for range 8 { // Weeks.
		for range 5 {
			w.produce(message(e))
			next++
		}
		w.eventually("the bookmark moves", func() bool { return w.next("d.t", "shop", 0) == next })
		w.trim("shop", next)
	}
	took, commits := time.Since(began), len(w.snapshots("d.t"))-before
	if most := int(took/quiet) + 1; commits > most {
		t.Errorf("%d commits in %v, want at most %d: one every %v", commits, took, most, quiet)
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	w.stands("d.t", "shop", fold(t, log...), next, 1)
	w.mustRunToEnd(mirror("d.t", "shop"))
	w.stands("d.t", "shop", fold(t, log...), next, 1)
	p.notHalted()
}
