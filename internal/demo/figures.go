package demo

import (
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// figures are what the pipeline's own metrics say at one moment: the same that /metrics serves.
type figures struct {
	at     time.Time
	tables []tableFigures // In the order of the shop's tables.
}

// tableFigures are those of one table.
type tableFigures struct {
	name              string
	consumed, commits int64
	lag               int64 // Records, of the partitions that were fetched from.
	restarts          int64
	halted            string // The reason, or "".
}

// gather reads the metrics.
func gather(from prometheus.Gatherer, tables []Table) (figures, error) {
	families, err := from.Gather()
	if err != nil {
		return figures{}, fmt.Errorf("gather metrics: %w", err)
	}
	f := figures{at: time.Now()}
	byName := map[string]int{}
	for i, t := range tables {
		byName[TableName(t)] = i
		f.tables = append(f.tables, tableFigures{name: TableName(t)})
	}
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), "cdcd_") {
			continue
		}
		for _, m := range family.GetMetric() {
			if i, ok := byName[label(m, "table")]; ok {
				f.tables[i].take(family.GetName(), m)
			}
		}
	}
	return f, nil
}

// take adds one metric to the figures of its table.
func (t *tableFigures) take(family string, m *dto.Metric) {
	switch family {
	case "cdcd_records_consumed_total":
		t.consumed += int64(m.GetCounter().GetValue())
	case "cdcd_consumer_lag_records":
		t.lag += int64(m.GetGauge().GetValue())
	case "cdcd_table_restarts_total":
		t.restarts += int64(m.GetCounter().GetValue())
	case "cdcd_commits_total":
		if label(m, "outcome") == "committed" {
			t.commits += int64(m.GetCounter().GetValue())
		}
	case "cdcd_table_halted":
		if m.GetGauge().GetValue() != 0 {
			t.halted = label(m, "reason")
		}
	}
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// total adds up a figure of all tables.
func (f figures) total(of func(tableFigures) int64) int64 {
	n := int64(0)
	for _, t := range f.tables {
		n += of(t)
	}
	return n
}

func (f figures) consumed() int64 { return f.total(func(t tableFigures) int64 { return t.consumed }) }

func (f figures) commits() int64 { return f.total(func(t tableFigures) int64 { return t.commits }) }
func (f figures) lag() int64     { return f.total(func(t tableFigures) int64 { return t.lag }) }

// failure returns an error if a table halted: what the demo waits for will not come.
func (f figures) failure() error {
	for _, t := range f.tables {
		if t.halted != "" {
			return fmt.Errorf("table %s halted: %s", t.name, t.halted)
		}
	}
	return nil
}
