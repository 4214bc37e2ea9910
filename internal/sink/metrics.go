package sink

import "github.com/prometheus/client_golang/prometheus"

// The outcomes of one CommitTable request, as the label of cdcd_commits_total.
const (
	outcomeCommitted = "committed" // It landed.
	outcomeConflict  = "conflict"  // The head had moved: it never can.
	outcomeUnknown   = "unknown"   // The answer was lost, and the head had not moved.
)

type metrics struct {
	commits  *prometheus.CounterVec
	files    *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	rows     *prometheus.CounterVec
	duration *prometheus.HistogramVec
	index    *prometheus.GaugeVec
	live     *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		commits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cdcd_commits_total", Help: "Commit requests by outcome.",
		}, []string{"table", "outcome"}),
		files: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cdcd_files_written_total", Help: "Files committed, by content.",
		}, []string{"table", "content"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cdcd_written_bytes_total", Help: "Bytes of files committed, by content.",
		}, []string{"table", "content"}),
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cdcd_rows_written_total", Help: "Rows changed by commits, by kind of change.",
		}, []string{"table", "change"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "cdcd_commit_duration_seconds", Help: "Time from the start of a commit to its landing.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2, 16), NativeHistogramBucketFactor: 1.1,
		}, []string{"table"}),
		index: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "cdcd_index_bytes", Help: "Memory of the key index.",
		}, []string{"table"}),
		live: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "cdcd_live_files", Help: "Files that the head refers to, by content.",
		}, []string{"table", "content"}),
	}
	if r != nil {
		r.MustRegister(m.commits, m.files, m.bytes, m.rows, m.duration, m.index, m.live)
	}
	return m
}

// start creates the children of one table at zero, so that rates are right from the first event on.
func (m *metrics) start(table string) {
	for _, o := range []string{outcomeCommitted, outcomeConflict, outcomeUnknown} {
		m.commits.WithLabelValues(table, o)
	}
	for _, c := range []string{"data", "position_deletes"} {
		m.files.WithLabelValues(table, c)
		m.bytes.WithLabelValues(table, c)
	}
	for _, c := range []string{"inserted", "updated", "deleted", "unknown"} {
		m.rows.WithLabelValues(table, c)
	}
}
