package pipeline

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/halt"
)

type metrics struct {
	consumed, applied, ignored *prometheus.CounterVec
	setAside                   *prometheus.CounterVec
	decodeErrors, restarts     *prometheus.CounterVec
	unknownTypes               *prometheus.CounterVec
	lag, openTransactions      *prometheus.GaugeVec
	bufferedBytes              *prometheus.GaugeVec
	bufferedRows, halted       *prometheus.GaugeVec
	awaitedSchemas             *prometheus.GaugeVec
	committedSource            *prometheus.GaugeVec
	lastCommit                 *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"table"}, labels...))
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, append([]string{"table"}, labels...))
	}
	m := &metrics{
		consumed:         counter("cdcd_records_consumed_total", "Records that were applied, ignored, quarantined or refused."),
		applied:          counter("cdcd_change_events_total", "Change events folded into batches, by op.", "op"),
		ignored:          counter("cdcd_records_ignored_total", "Records that a named rule leaves out.", "rule"),
		setAside:         counter("cdcd_records_quarantined_total", "Records that went to the quarantine table, by reason.", "reason"),
		decodeErrors:     counter("cdcd_decode_errors_total", "Records that were refused, by reason.", "reason"),
		unknownTypes:     counter("cdcd_unknown_semantic_types_total", "Fields in schemas of records whose semantic type is unknown."),
		restarts:         counter("cdcd_table_restarts_total", "Times that a table was opened again after an error."),
		lag:              gauge("cdcd_consumer_lag_records", "High watermark minus the next offset to read.", "partition"),
		openTransactions: gauge("cdcd_open_transaction_records", "Records that wait for an open Kafka transaction to end.", "partition"),
		bufferedBytes:    gauge("cdcd_buffered_bytes", "Memory of the open batch."),
		bufferedRows:     gauge("cdcd_buffered_rows", "Keys that the open batch touches."),
		halted:           gauge("cdcd_table_halted", "1 while the table is halted for the reason.", "reason"),
		awaitedSchemas:   gauge("cdcd_awaited_schemas", "1 while the table waits for the schema registry."),
		committedSource:  gauge("cdcd_committed_source_timestamp_seconds", "Source time that the table is valid through, as a Unix time."),
		lastCommit:       gauge("cdcd_last_commit_timestamp_seconds", "When the table was last committed, as a Unix time."),
	}
	if r != nil {
		r.MustRegister(m.consumed, m.applied, m.ignored, m.setAside, m.decodeErrors, m.unknownTypes, m.restarts, m.lag, m.openTransactions, m.bufferedBytes, m.bufferedRows,
			m.halted, m.awaitedSchemas, m.committedSource, m.lastCommit)
	}
	return m
}

// tableMetrics are the figures of one table. Those that change with every record are at hand without a search.
type tableMetrics struct {
	m                  *metrics
	name               string
	consumed, restarts prometheus.Counter
	applied            [256]prometheus.Counter // By debezium.Op.
	ignored            map[debezium.Rule]prometheus.Counter
	awaited            prometheus.Gauge
}

// of returns the figures of one table, which are there from then on, at zero.
func (m *metrics) of(name string) *tableMetrics {
	t := &tableMetrics{
		m: m, name: name, consumed: m.consumed.WithLabelValues(name), restarts: m.restarts.WithLabelValues(name),
		ignored: map[debezium.Rule]prometheus.Counter{},
	}
	for _, op := range debezium.Ops() {
		t.applied[op] = m.applied.WithLabelValues(name, op.String())
	}
	for _, rule := range debezium.Rules() {
		t.ignored[rule] = m.ignored.WithLabelValues(name, string(rule))
	}
	m.unknownTypes.WithLabelValues(name)
	for _, r := range debezium.Reasons() {
		m.decodeErrors.WithLabelValues(name, string(r))
		m.setAside.WithLabelValues(name, string(r))
	}
	for _, r := range []string{SchemaConflict, UnavailableValue} {
		m.decodeErrors.WithLabelValues(name, r)
		m.setAside.WithLabelValues(name, r)
	}
	for _, r := range []halt.Reason{halt.SchemaChange, halt.TruncateRefused, halt.RecordOverBudget, halt.KeyUnordered} {
		m.decodeErrors.WithLabelValues(name, string(r))
	}
	for _, r := range halt.Reasons() {
		m.halted.WithLabelValues(name, string(r))
	}
	t.setBuffered(0, 0)
	t.awaited = m.awaitedSchemas.WithLabelValues(name)
	return t
}

func (t *tableMetrics) refused(reason string) { t.m.decodeErrors.WithLabelValues(t.name, reason).Inc() }

func (t *tableMetrics) quarantined(reason string) { t.m.setAside.WithLabelValues(t.name, reason).Inc() }

func (t *tableMetrics) setBuffered(bytes, rows int) {
	t.m.bufferedBytes.WithLabelValues(t.name).Set(float64(bytes))
	t.m.bufferedRows.WithLabelValues(t.name).Set(float64(rows))
}

// setHalted says for which reason the table is halted; none: it is not.
func (t *tableMetrics) setHalted(reason halt.Reason) {
	for _, r := range halt.Reasons() {
		value := 0.0
		if r == reason {
			value = 1
		}
		t.m.halted.WithLabelValues(t.name, string(r)).Set(value)
	}
}

// setCommitted notes a commit at a time and the source time that it is valid through, in Unix milliseconds; 0: unknown.
func (t *tableMetrics) setCommitted(atMs, sourceMs int64) {
	t.m.lastCommit.WithLabelValues(t.name).Set(float64(atMs) / 1000)
	if sourceMs > 0 {
		t.m.committedSource.WithLabelValues(t.name).Set(float64(sourceMs) / 1000)
	}
}

// release takes back what this process says about the present state of a table that it no longer runs: its next owner tells.
func (t *tableMetrics) release() {
	t.setHalted("")
	t.m.committedSource.DeleteLabelValues(t.name)
	t.m.lastCommit.DeleteLabelValues(t.name)
}
