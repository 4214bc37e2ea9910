package kafka

import "github.com/prometheus/client_golang/prometheus"

// metrics are the package's own figures. Topics are configured names, never names from events.
type metrics struct {
	fetchErrors *prometheus.CounterVec
	queuedBytes prometheus.Gauge
	paused      prometheus.Gauge
	rebalances  prometheus.Counter
	tablesOwned prometheus.Gauge
}

// newMetrics registers the figures. A nil registerer is allowed: then they are only counted.
func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		fetchErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cdcd_fetch_errors_total", Help: "Errors of fetching a topic's partitions, those that halt a table included.",
		}, []string{"topic"}),
		queuedBytes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cdcd_queued_bytes", Help: "Bytes of fetched records that no table has taken yet.",
		}),
		paused: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cdcd_paused_partitions", Help: "Kafka partitions that are not fetched because the queues are full.",
		}),
		rebalances: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cdcd_rebalances_total", Help: "Assignments received from the consumer group.",
		}),
		tablesOwned: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cdcd_owned_tables", Help: "Tables that this member of the consumer group owns.",
		}),
	}
	if r != nil {
		r.MustRegister(m.all()...)
	}
	return m
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.fetchErrors, m.queuedBytes, m.paused, m.rebalances, m.tablesOwned}
}

func (m *metrics) unregister(r prometheus.Registerer) {
	if r == nil {
		return
	}
	for _, c := range m.all() {
		r.Unregister(c)
	}
}
