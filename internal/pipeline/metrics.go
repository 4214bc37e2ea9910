package pipeline

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cdcd-project/cdcd/internal/halt"
)

type metrics struct {
	consumed, applied, ignored *prometheus.CounterVec
	decodeErrors, restarts     *prometheus.CounterVec
	lag, bufferedBytes         *prometheus.GaugeVec
	bufferedRows, halted       *prometheus.GaugeVec
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
		consumed:        counter("cdcd_records_consumed_total", "Records taken from Kafka."),
		applied:         counter("cdcd_change_events_total", "Change events folded into batches, by op.", "op"),
		ignored:         counter("cdcd_records_ignored_total", "Records that a named rule leaves out.", "rule"),
		decodeErrors:    counter("cdcd_decode_errors_total", "Records that could not be decoded, by reason.", "reason"),
		restarts:        counter("cdcd_table_restarts_total", "Times that a table was opened again after an error."),
		lag:             gauge("cdcd_consumer_lag_records", "High watermark minus the next offset to read.", "partition"),
		bufferedBytes:   gauge("cdcd_buffered_bytes", "Memory of the open batch."),
		bufferedRows:    gauge("cdcd_buffered_rows", "Keys that the open batch touches."),
		halted:          gauge("cdcd_table_halted", "1 while the table is halted for the reason.", "reason"),
		committedSource: gauge("cdcd_committed_source_timestamp_seconds", "Source time that the table is valid through, as a Unix time."),
		lastCommit:      gauge("cdcd_last_commit_timestamp_seconds", "When the table was last committed, as a Unix time."),
	}
	if r != nil {
		r.MustRegister(m.consumed, m.applied, m.ignored, m.decodeErrors, m.restarts, m.lag, m.bufferedBytes, m.bufferedRows,
			m.halted, m.committedSource, m.lastCommit)
	}
	return m
}

// start creates the children of one table at zero.
func (m *metrics) start(table string) {
	m.consumed.WithLabelValues(table)
	m.restarts.WithLabelValues(table)
	for _, op := range []string{"c", "u", "d", "r", "tombstone"} {
		m.applied.WithLabelValues(table, op)
	}
	for _, r := range halt.Reasons() {
		m.halted.WithLabelValues(table, string(r))
	}
}

func (m *metrics) setLag(table, topic string, partition int32, lag int64) {
	m.lag.WithLabelValues(table, topic+"/"+strconv.Itoa(int(partition))).Set(float64(max(lag, 0)))
}
