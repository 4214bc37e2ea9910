package pipeline

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/kafka"
)

// lag tells how far one table is behind its topics. What is fetched tells it as it comes; the daemon asks the brokers from time to
// time, because a table that gets nothing would not notice that it falls behind: halted, or behind an open transaction.
type lag struct {
	table   string
	log     *slog.Logger
	metrics *metrics

	mu    sync.Mutex
	live  bool // The table reads: it is not halted, nor between two sessions.
	parts map[partition]*standing
}

// standing is where a table stands in a partition.
type standing struct {
	label  string
	id     string // Of the topic, or "".
	next   int64
	stable int64 // The last stable offset when the brokers were last asked, or 0.
	last   int64 // next, at that time; -1 before.
}

func newLag(table string, log *slog.Logger, m *metrics) *lag {
	return &lag{table: table, log: log, metrics: m, parts: map[partition]*standing{}}
}

// stand says where the table stands in topics, and whether it reads on from there.
func (l *lag) stand(at bookmark.Bookmark, topics []string, live bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.live = live
	for _, t := range at.Topics {
		if !slices.Contains(topics, t.Name) {
			continue
		}
		for _, p := range t.Partitions {
			s := l.part(t.Name, p.Partition)
			s.id, s.next, s.last = t.ID, p.Next, -1
		}
	}
}

// part returns the standing in a partition. The caller holds mu.
func (l *lag) part(topic string, number int32) *standing {
	key := partition{topic, number}
	if l.parts[key] == nil {
		l.parts[key] = &standing{label: topic + "/" + strconv.Itoa(int(number)), last: -1}
		l.metrics.openTransactions.WithLabelValues(l.table, l.parts[key].label).Set(0)
	}
	return l.parts[key]
}

// move says that the table has read a partition up to next, when it ended at high.
func (l *lag) move(topic string, number int32, next, high int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.part(topic, number)
	s.next = next
	l.metrics.lag.WithLabelValues(l.table, s.label).Set(float64(max(high-next, 0)))
}

// stable returns the last stable offset of a partition when the brokers were last asked, or 0.
func (l *lag) stable(topic string, number int32) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.part(topic, number).stable
}

// clear forgets the table: another process runs it.
func (l *lag) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.parts)
	l.live = false
	l.metrics.lag.DeletePartialMatch(prometheus.Labels{"table": l.table})
	l.metrics.openTransactions.DeletePartialMatch(prometheus.Labels{"table": l.table})
}

// topics returns those in which the table stands.
func (l *lag) topics() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for p := range l.parts {
		out = append(out, p.topic)
	}
	return out
}

// update compares where the table stands with where its topics end. Of a topic that cannot be asked about, or is another one by now,
// no lag is known, and none is told.
func (l *lag) update(ends map[string]kafka.Ends) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var open, still []stuck
	for p, s := range l.parts {
		topic := ends[p.topic]
		end, ok := topic.Partitions[p.number]
		if !ok || s.id != "" && topic.ID != "" && s.id != topic.ID {
			l.metrics.lag.DeleteLabelValues(l.table, s.label)
			l.metrics.openTransactions.DeleteLabelValues(l.table, s.label)
			s.stable, s.last = 0, -1
			continue
		}
		l.metrics.lag.WithLabelValues(l.table, s.label).Set(float64(max(end.High-s.next, 0)))
		l.metrics.openTransactions.WithLabelValues(l.table, s.label).Set(float64(end.High - end.Stable))
		if s.next == s.last && end.High > s.next {
			where := stuck{partition: p, offset: s.next, records: end.High - s.next}
			if end.Stable <= s.next {
				open = append(open, where)
			} else {
				still = append(still, where)
			}
		}
		s.stable, s.last = end.Stable, s.next
	}
	if !l.live {
		return
	}
	if len(open) > 0 {
		l.log.Warn("waited for an open transaction", l.worst(open,
			"If the transaction does not end by itself, abort it: kafka-transactions.sh find-hanging, then abort.")...)
	}
	if len(still) > 0 {
		l.log.Warn("read nothing although records wait", l.worst(still, "See what the log says about the brokers, the catalog and the storage.")...)
	}
}

// stuck is a place from which a table has not moved, although its partition goes on.
type stuck struct {
	partition

	offset, records int64
}

// worst describes the place where most waits, and how many such places there are.
func (l *lag) worst(all []stuck, hint string) []any {
	most := slices.MaxFunc(all, func(a, b stuck) int { return cmp.Compare(a.records, b.records) })
	return []any{
		"table", l.table, "topic", most.topic, "partition", most.number, "offset", most.offset, "records", most.records,
		"partitions", len(all), "hint", hint,
	}
}

// watchLag asks the brokers again and again where the topics of this process's tables end, until ctx ends.
func (d *daemon) watchLag(ctx context.Context) {
	if d.o.WatchInterval <= 0 {
		return
	}
	for wait(ctx, d.o.WatchInterval) {
		var topics []string
		for _, l := range d.lags {
			topics = append(topics, l.topics()...)
		}
		slices.Sort(topics)
		ends, err := d.askEnds(ctx, slices.Compact(topics))
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			d.o.Logger.Warn("left lag unknown", "err", err)
		}
		if ends == nil {
			continue // The brokers are away: what was known last is better than nothing.
		}
		for _, l := range d.lags {
			l.update(ends)
		}
	}
}

// askWait is how long the brokers may take to tell where topics end.
const askWait = 30 * time.Second

func (d *daemon) askEnds(ctx context.Context, topics []string) (map[string]kafka.Ends, error) {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	return d.o.Kafka.Ends(ctx, topics)
}
