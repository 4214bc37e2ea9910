package demo

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// The shop waits while the pipeline is far behind, and no longer.
func TestShopKeepsPaceWithThePipeline(t *testing.T) {
	consumed := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cdcd_records_consumed_total", Help: "Records."}, []string{"table"})
	halted := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "cdcd_table_halted", Help: "Halted."}, []string{"table", "reason"})
	r := prometheus.NewRegistry()
	r.MustRegister(consumed, halted)
	p := &player{Options: Options{Gatherer: r}, tables: NewShop(1).Tables(), sent: behindMax}
	if err := p.keepPace(t.Context()); err != nil {
		t.Errorf("not too far behind: %v", err)
	}
	p.sent++
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := p.keepPace(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("too far behind: %v, want to wait until the deadline", err)
	}
	time.AfterFunc(50*time.Millisecond, consumed.WithLabelValues("salesdb.orders").Inc)
	if err := p.keepPace(t.Context()); err != nil {
		t.Errorf("after the pipeline came nearer: %v", err)
	}
	p.sent += behindMax
	halted.WithLabelValues("salesdb.orders", "bad_record").Set(1)
	if err := p.keepPace(t.Context()); err == nil {
		t.Error("waited for a table that is halted")
	}
}

func TestProgressShowsTheWindowsRate(t *testing.T) {
	at := func(seconds float64, customers, orders int64) figures {
		return figures{at: time.Unix(0, int64(seconds*1e9)), tables: []tableFigures{
			{name: "salesdb.customer", consumed: customers, commits: 3}, {name: "salesdb.orders", consumed: orders, commits: 4, lag: 1200, restarts: 2},
		}}
	}
	p := &progress{started: time.Now(), target: 20_000, recent: []figures{at(10, 100, 1000), at(11, 500, 5000), at(12, 1100, 11_000)}}
	block := p.block()
	want := []string{
		"12,100 events of 20,000   5,500/s   lag 1,200",
		"  salesdb.customer          1,100 events       3 commits   lag 0",
		"  salesdb.orders           11,000 events       4 commits   lag 1,200   2 restarts",
	}
	if !strings.HasSuffix(block[0], want[0]) || !slices.Equal(block[1:], want[1:]) {
		t.Error(cmp.Diff(want, block))
	}
}

// Every step says what it does, and does what it says: the steps of a walk-through leave these customers.
func TestWalkThroughLeavesItsCustomers(t *testing.T) {
	s := NewShop(1)
	var counts []int
	for _, step := range steps() {
		counts = append(counts, len(step.do(s)))
		if len(step.statements) == 0 || step.said == "" {
			t.Errorf("a step that says nothing: %+v", step)
		}
	}
	if want := []int{3, 2, 2, 1}; !slices.Equal(counts, want) {
		t.Errorf("%v messages by step, want %v", counts, want)
	}
	var got []string
	for row := range s.Truth("customer") {
		got = append(got, strings.Join(row, "|"))
	}
	if diff := cmp.Diff([]string{"8888|Ada King|FURNITURE", "8889|Alan Turing|HOUSEHOLD", "9000|Edsger Dijkstra|MACHINERY"}, got); diff != "" {
		t.Error(diff)
	}
}
