package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	countWait     = 15 * time.Second // How long an assignment waits to learn how many partitions its topics have.
	leaveWait     = 10 * time.Second // How long leaving the group may take when the brokers are away.
	unassignedLog = time.Minute      // How often a member without an assignment says so.
)

// member is this process in the consumer group, while Join runs.
type member struct {
	client   *Client
	balancer *balancer
	group    *kgo.Client
	own      func(ctx context.Context, tables []string)
	advice   *advice
	life     context.Context // Of Join: kgo's callbacks have only the group client's context.

	calls   chan struct{} // Full while own runs: its calls never overlap. No mutex: own waits for tables, and with them for time.
	owned   []string      // The tables of the last call.
	told    bool          // There was a call.
	leaving bool          // Nothing is owned any more.

	mu       sync.Mutex
	held     map[string][]int32 // The partitions of the present assignment; nil without one.
	assigned bool               // There was an assignment once.
	again    bool               // The assignment could not be checked: ask for it again.
}

// Join joins the consumer group with the tables that this process is configured for, and calls own with the whole set of
// those that it owns, each time that the set changes, until ctx ends: with an empty one when the group rebalances, after
// a loss of the session, and at the end, when ctx is done already. The first assignment is told even if it is empty. own must return only when the tables that left
// the set have stopped: the group waits for it, within the rebalance timeout. Calls of own never overlap.
//
// A table is owned only while this member holds every partition of every topic that feeds it. A table whose topics do
// not exist is owned by one member as well, so that somebody reports it.
//
// Join returns nil when ctx ends. Everything that may pass is retried and logged.
func (c *Client) Join(ctx context.Context, tables []Table, own func(ctx context.Context, tables []string)) error {
	if c.o.Group == "" {
		return errors.New("join consumer group: no group")
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	m := &member{client: c, balancer: newBalancer(tables, c.log), own: own, life: ctx, calls: make(chan struct{}, 1)}
	m.advice = newAdvice(m.commitOffsets, m.leftBehind)
	group, err := kgo.NewClient(append(c.options(), m.options(life)...)...)
	if err != nil {
		return fmt.Errorf("join consumer group %s: %w", c.o.Group, err)
	}
	m.group = group
	c.mu.Lock()
	busy := c.member != nil
	if !busy {
		c.member = m
	}
	c.mu.Unlock()
	if busy {
		group.Close()
		return fmt.Errorf("join consumer group %s: this client is in the group already", c.o.Group)
	}

	advising, stopAdvising := context.WithCancel(life)
	defer stopAdvising()
	go m.advice.run(advising)
	m.watch(ctx)
	m.stop()
	m.advice.flush()
	stopAdvising()
	<-m.advice.ended
	c.mu.Lock()
	c.member = nil
	c.mu.Unlock()
	// The tables have stopped, and only now the group may give them to others.
	abort := time.AfterFunc(leaveWait, end)
	defer abort.Stop()
	group.Close()
	return nil
}

// Assigned reports whether the group has ever told this process which tables it owns, be it none.
func (c *Client) Assigned() bool { return c.assigned.Load() }

func (m *member) options(life context.Context) []kgo.Opt {
	o := m.client.o
	var topics []string
	for _, t := range m.balancer.tables {
		topics = append(topics, t.Topics...)
	}
	slices.Sort(topics)
	opts := []kgo.Opt{
		kgo.WithContext(life),
		kgo.ConsumerGroup(o.Group),
		kgo.ConsumeTopics(slices.Compact(topics)...),
		kgo.Balancers(m.balancer),
		kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(m.onAssigned),
		kgo.OnPartitionsRevoked(m.onRevoked),
		kgo.OnPartitionsLost(m.onRevoked),
		// The group client reads nothing: whatever was committed is dropped before it becomes a position (I8).
		kgo.AdjustFetchOffsetsFn(func(context.Context, map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
			return nil, nil
		}),
	}
	if o.SessionTimeout > 0 {
		opts = append(opts, kgo.SessionTimeout(o.SessionTimeout), kgo.HeartbeatInterval(min(o.SessionTimeout/3, 3*time.Second)))
	}
	if o.RebalanceTimeout > 0 {
		opts = append(opts, kgo.RebalanceTimeout(o.RebalanceTimeout))
	}
	return opts
}

// watch logs what goes wrong in the group until ctx ends. There are no records to poll, only errors.
func (m *member) watch(ctx context.Context) {
	for ctx.Err() == nil {
		poll, cancel := context.WithTimeout(ctx, unassignedLog)
		fetches := m.group.PollFetches(poll)
		quiet := poll.Err() != nil
		cancel()
		if fetches.IsClientClosed() {
			return
		}
		for _, e := range fetches.Errors() {
			if errors.Is(e.Err, context.DeadlineExceeded) || errors.Is(e.Err, context.Canceled) {
				continue
			}
			if due, count := m.client.repeats.due("group"); due {
				m.client.log.Warn("retried consumer group", "topic", e.Topic, "attempt", count, "err", e.Err)
			}
		}
		m.mu.Lock()
		assigned, again := m.assigned, m.again
		m.again = m.again && !quiet
		m.mu.Unlock()
		if quiet && ctx.Err() == nil && !assigned {
			m.client.log.Warn("waited for a first assignment: the group is rebalancing, or no configured topic exists",
				"group", m.client.o.Group, "tables", len(m.balancer.tables))
		}
		if quiet && again {
			m.group.ForceRebalance()
		}
	}
}

func (m *member) onAssigned(ctx context.Context, _ *kgo.Client, held map[string][]int32) {
	m.client.metrics.rebalances.Inc()
	tables, err := m.complete(ctx, m.balancer.share(), held)
	if err != nil {
		m.client.log.Warn("left assigned tables alone until the next rebalance", "tables", len(m.balancer.share()), "err", err)
	}
	m.mu.Lock()
	m.held, m.assigned, m.again = held, true, err != nil
	m.mu.Unlock()
	m.call(tables)
	if err == nil {
		m.client.assigned.Store(true)
	}
}

func (m *member) onRevoked(context.Context, *kgo.Client, map[string][]int32) {
	m.call(nil)
	m.advice.flush()
	m.mu.Lock()
	m.held = nil
	m.mu.Unlock()
}

// leftBehind logs that the group does not know how far the tables are.
func (m *member) leftBehind(err error) {
	if due, count := m.client.repeats.due("advice"); due {
		m.client.log.Warn("left group offsets behind", "group", m.client.o.Group, "attempt", count, "err", err,
			"hint", "They are advice for lag monitors; no table is affected.")
	}
}

// stop tells that nothing is owned any more, whatever the group may say later.
func (m *member) stop() {
	m.calls <- struct{}{}
	m.leaving = true
	<-m.calls
	m.call(nil)
}

// call tells which tables are owned, if the set has changed.
func (m *member) call(tables []string) {
	m.calls <- struct{}{}
	defer func() { <-m.calls }()
	if m.leaving {
		tables = nil
	}
	if slices.Equal(m.owned, tables) && (m.told || m.leaving) {
		return
	}
	m.owned, m.told = tables, true
	m.client.metrics.tablesOwned.Set(float64(len(tables)))
	m.own(m.life, slices.Clone(tables))
}

// complete returns those of the tables of which held has every partition of every topic.
func (m *member) complete(ctx context.Context, tables []string, held map[string][]int32) ([]string, error) {
	if len(tables) == 0 {
		return nil, nil
	}
	counts, err := m.countPartitions(ctx, tables)
	if err != nil {
		return nil, err
	}
	var complete []string
	for _, table := range tables {
		missing := map[string][]int32{}
		for _, topic := range m.balancer.topicsOf(table) {
			for p := range counts[topic] {
				if !slices.Contains(held[topic], p) {
					missing[topic] = append(missing[topic], p)
				}
			}
		}
		if len(missing) > 0 {
			m.client.log.Warn("left table alone, because the group gave only some of its partitions", "table", table, "missing", missing)
			continue
		}
		complete = append(complete, table)
	}
	return complete, nil
}

// countPartitions returns how many partitions the topics of tables have. A topic that does not exist, or that may not be
// described, counts as none: its table runs, and Locate says what is wrong.
func (m *member) countPartitions(ctx context.Context, tables []string) (map[string]int32, error) {
	ctx, cancel := context.WithTimeout(ctx, countWait)
	defer cancel()
	topics := map[string]struct{}{}
	for _, table := range tables {
		for _, topic := range m.balancer.topicsOf(table) {
			topics[topic] = struct{}{}
		}
	}
	_, details, err := m.client.describe(ctx, slices.Sorted(maps.Keys(topics)))
	if err != nil {
		return nil, fmt.Errorf("count partitions: %w", err)
	}
	counts := map[string]int32{}
	for _, t := range details {
		counts[t.name] = int32(len(t.leaders))
	}
	return counts, nil
}
