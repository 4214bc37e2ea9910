package simtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apache/iceberg-go/table"
	dto "github.com/prometheus/client_model/go"

	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/readback"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// behind names the partitions in which a table's bookmark is not at the end of the log (I8). A table that meets a record that
// cannot be applied is judged by verify alone.
func (w *world) behind() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var errs []error
	for _, m := range w.mirrors {
		if m.name == tableSour && !w.plan.skip {
			if !w.seen.halts[tableSour+" bad_record"] {
				errs = append(errs, fmt.Errorf("%s has not halted", m.name))
			}
			continue
		}
		for _, topic := range m.topics {
			for p := range partitionsOf(topic) {
				at, _ := w.landed[m.name].Partition(topic, p)
				if end := w.cluster.PartitionInfo(topic, p).HighWatermark; at.Next != end {
					errs = append(errs, fmt.Errorf("%s: the bookmark stands at %d in %s/%d, which ends at %d", m.name, at.Next, topic, p, end))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// verify holds everything that is left against what must be.
func (w *world) verify() error {
	log, err := w.readLog()
	errs := append([]error{err, w.checkReferences(), w.checkHalts()}, w.broken...)
	for _, m := range w.mirrors {
		errs = append(errs, w.checkTable(m, log), w.checkIndex(tableOptions(m.name)), w.checkIndex(pipeline.QuarantineOf(tableOptions(m.name))))
	}
	errs = append(errs, w.checkFigures(), w.behind())
	if w.plan.lone {
		for name, n := range w.seen.stood { // A commit that was left unsettled may land late, and is met as a rival's would be.
			known := w.seen.left[name]
			if name == tableSour { // So is an operator's decision, if the group gave the table away and back meanwhile.
				known += w.stats.skipped
			}
			if n > known {
				errs = append(errs, fmt.Errorf("%s: the only process stood down %d times, for %d known causes: it did not know its own commit (I5)", name, n, known))
			}
		}
	}
	return errors.Join(errs...)
}

// checkTable compares a table, and its quarantine table, with the fold of the log.
func (w *world) checkTable(m mirror, log map[string][]logged) error {
	limit := func(position) int64 { return 1 << 62 }
	stays := m.name == tableSour && !w.plan.skip
	if stays { // It stands for the records before its bookmark, and no others.
		limit = func(at position) int64 {
			p, _ := w.landed[m.name].Partition(at.topic, at.partition)
			return p.Next
		}
	}
	aside, err := w.readQuarantine(m)
	if err != nil {
		return err
	}
	want := folding{w: w, limit: limit, aside: aside}.fold(log, m.topics)
	for at, offset := range want.sour {
		if stays && limit(at) != offset {
			return fmt.Errorf("%s: the bookmark stands at %d in %s/%d, want at the record that cannot be applied, %d", m.name, limit(at), at.topic, at.partition, offset)
		}
	}
	w.stats.truncates += want.truncates
	w.stats.kept += want.kept
	return errors.Join(w.checkRows(m, want), w.checkQuarantine(m, aside, want), w.checkSource(m, want))
}

// checkSource compares the fold with the rows that the source has, where all of a key's records could be applied: a source that repeats
// itself shows older states meanwhile, but not at the end.
func (w *world) checkSource(m mirror, t truth) error {
	source := map[string]map[int]sourceRow{tableWide: w.database.wide, tableAvro: w.database.avro}[m.name]
	if source == nil {
		return nil
	}
	var errs []error
	rows := map[string]bool{}
	for id, r := range source {
		key := fmt.Sprint("id=", id)
		rows[key] = true
		s := t.rows[key]
		switch {
		case t.parted[key] || s != nil && s.open:
		case s == nil:
			errs = append(errs, fmt.Errorf("%s: the log has no row %s, the source has", m.name, key))
		case s.row["name"] != r.name || s.row["doc"] != r.doc:
			errs = append(errs, fmt.Errorf("%s: the log has %v for row %s, the source %v", m.name, s.row, key, r))
		}
	}
	for key, s := range t.rows {
		if !rows[key] && !t.parted[key] && !s.open && s.row["name"] != filler {
			errs = append(errs, fmt.Errorf("%s: the log has a row %s, the source has none", m.name, key))
		}
	}
	return errors.Join(errs...)
}

// checkRows compares a table with the oracle: the same keys, each once, with the same values.
func (w *world) checkRows(m mirror, want truth) error {
	got := map[string]rowText{}
	err := readback.Rows(context.Background(), w.catalog, m.name, table.MainBranch, func(names []string, values []*string) error {
		r := rowText{}
		for i, name := range names {
			r[name] = null
			if values[i] != nil {
				r[name] = *values[i]
			}
		}
		var key []string
		for _, name := range want.names {
			key = append(key, name+"="+r[name])
		}
		k := strings.Join(key, "|")
		if got[k] != nil {
			return fmt.Errorf("%s: key %s has two rows (I4)", m.name, k)
		}
		got[k] = r
		return nil
	})
	if err != nil {
		return err
	}
	w.stats.rows += len(got)
	return diff(m.name, got, want.rows)
}

func diff(name string, got map[string]rowText, want map[string]*state) error {
	var errs []error
	for k, s := range want {
		r := s.row
		if s.open {
			continue
		}
		if got[k] == nil {
			errs = append(errs, fmt.Errorf("%s: row %s is missing: %v", name, k, r))
			continue
		}
		for column, v := range r {
			if got[k][column] != v {
				errs = append(errs, fmt.Errorf("%s: row %s has %s %q, want %q", name, k, column, got[k][column], v))
			}
		}
		for column, v := range got[k] {
			if _, has := r[column]; !has && v != null {
				errs = append(errs, fmt.Errorf("%s: row %s has %s %q, want null", name, k, column, v))
			}
		}
	}
	for k := range got {
		if want[k] == nil {
			errs = append(errs, fmt.Errorf("%s: row %s is too many: %v", name, k, got[k]))
		}
	}
	if len(errs) > 5 {
		errs = append(errs[:5], fmt.Errorf("%s: and %d more differences", name, len(errs)-5))
	}
	return errors.Join(errs...)
}

// checkIndex opens the table as an owner does, which builds the index from storage, and compares its size with a scan (I4).
func (w *world) checkIndex(o sink.TableOptions) error {
	s := sink.New(sink.Options{Catalog: w.catalog, Version: "sim", Backoff: time.Second, Logger: w.log})
	t, err := s.Open(context.Background(), o)
	if errors.Is(err, sink.ErrNoTable) {
		return nil
	}
	if err != nil {
		return err
	}
	defer t.Close()
	rows := 0
	if err := readback.Rows(context.Background(), w.catalog, o.Name, table.MainBranch, func([]string, []*string) error { rows++; return nil }); err != nil {
		return err
	}
	if t.Rows() != rows {
		return fmt.Errorf("%s: the index has %d keys, the table %d rows (I4)", o.Name, t.Rows(), rows)
	}
	return nil
}

// checkHalts: no table halts but the one that meets a record that cannot be applied, and the one whose registry did not let cdcd in.
func (w *world) checkHalts() error {
	halts := slices.DeleteFunc(w.halts(), func(h string) bool {
		return h == tableSour+" bad_record" || h == tableAvro+" access_denied" && w.plan.has(actAway)
	})
	if len(halts) > 0 {
		return fmt.Errorf("halted: %s", strings.Join(halts, ", "))
	}
	return nil
}

// checkFigures adds up what each process has told: every record was applied, ignored, quarantined or refused (I6).
func (w *world) checkFigures() error {
	var errs []error
	for _, p := range w.lives {
		families, err := p.figures.Gather()
		if err != nil {
			return err
		}
		balance := map[string]float64{}
		for _, f := range families {
			sign := map[string]float64{
				"cdcd_records_consumed_total": 1, "cdcd_change_events_total": -1, "cdcd_records_ignored_total": -1, "cdcd_decode_errors_total": -1,
				"cdcd_records_quarantined_total": -1,
			}[f.GetName()]
			for _, metric := range f.GetMetric() {
				balance[label(metric, "table")] += sign * metric.GetCounter().GetValue()
			}
		}
		for name, left := range balance {
			if left != 0 {
				errs = append(errs, fmt.Errorf("%s: of %s consumed, applied, ignored, quarantined and refused differ by %v (I6)", p.name, name, left))
			}
		}
	}
	return errors.Join(errs...)
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}
