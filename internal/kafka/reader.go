package kafka

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/invariant"
)

// restarting is the position of a partition that the reader client has still to be taken off: no cursor stands there, and
// what the client hands over until then is dropped.
const restarting = -1

type partitionKey struct {
	topic  string
	number int32
}

// partition is one Kafka partition that the reader client fetches, or should fetch, for its cursors. Only the goroutine
// of Run moves it.
type partition struct {
	topic   string
	number  int32
	cursors []*cursor

	reading bool      // The reader client has it.
	next    int64     // While reading: the next offset that it will hand over, or restarting.
	paused  bool      // The reader client has paused it.
	retryAt time.Time // Not to be read before this time.
}

// partition returns the partition, which may have no cursor yet. The caller holds mu.
func (c *Client) partition(topic string, number int32) *partition {
	key := partitionKey{topic, number}
	if c.partitions[key] == nil {
		c.partitions[key] = &partition{topic: topic, number: number}
	}
	return c.partitions[key]
}

// change makes Run look at p. The caller holds mu.
func (c *Client) change(p *partition) {
	c.changed[p] = struct{}{}
	c.wakeUp()
}

// wakeUp ends the poll under way, or the next one. The caller holds mu.
func (c *Client) wakeUp() {
	c.woken = true
	if c.wake != nil {
		c.wake()
	}
}

// count adds to the bytes that wait in all queues. The caller holds mu.
func (c *Client) count(bytes int64) {
	c.queued += bytes
	invariant.Check(c.queued >= 0, "I7: %d bytes are queued", c.queued)
	c.metrics.queuedBytes.Set(float64(c.queued))
}

// Run moves records from the brokers to the subscriptions until ctx ends, and returns nil then. It may be called once.
//
// It alone tells the reader client what to read, and it alone takes what the reader client has. So nothing that was
// fetched for an earlier position can reach a subscription: both happen in turn.
func (c *Client) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		poll, done := c.pollContext(ctx, c.steer())
		fetches := c.reader.PollFetches(poll)
		done()
		if fetches.IsClientClosed() {
			return fmt.Errorf("run kafka reader: %w", kgo.ErrClientClosed)
		}
		c.mu.Lock()
		for _, f := range fetches {
			for _, t := range f.Topics {
				for _, p := range t.Partitions {
					c.deliver(t.Topic, t.TopicID, p)
				}
			}
		}
		c.mu.Unlock()
	}
	return nil
}

// pollContext returns how long to poll: until something changes, or at most wait if it is not zero. A nil context means
// not to wait at all, but to take what is there.
func (c *Client) pollContext(ctx context.Context, wait time.Duration) (context.Context, context.CancelFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.woken {
		return nil, func() {}
	}
	var poll context.Context
	if wait > 0 {
		poll, c.wake = context.WithTimeout(ctx, wait)
	} else {
		poll, c.wake = context.WithCancel(ctx)
	}
	return poll, c.wake
}

// steering is what the reader client is to be told.
type steering struct {
	remove, pause, resume map[string][]int32
	add                   map[string]map[int32]kgo.Offset
	purge                 []string // Topics that nobody reads any more, or whose id has changed.
}

// steer brings the reader client in line with the cursors and with the memory limit. It returns when a resting partition
// wants to be looked at again, or zero.
func (c *Client) steer() time.Duration {
	c.mu.Lock()
	c.woken = false
	s := steering{remove: map[string][]int32{}, pause: map[string][]int32{}, resume: map[string][]int32{}, add: map[string]map[int32]kgo.Offset{}}
	var wait time.Duration
	now := time.Now()
	for p := range c.changed {
		if rest := p.retryAt.Sub(now); rest > 0 {
			if wait == 0 || rest < wait {
				wait = rest
			}
			if p.reading {
				s.stop(p)
			}
			continue
		}
		delete(c.changed, p)
		c.place(p, &s)
	}
	s.purge = c.unused(s.remove)
	c.throttle(&s)
	c.mu.Unlock()

	// The client is told without mu: it may have to wait for requests under way.
	c.reader.RemoveConsumePartitions(s.remove)
	c.reader.PurgeTopicsFromClient(s.purge...)
	c.reader.AddConsumePartitions(s.add)
	// A partition that starts again while the queues are full is in both: what holds is the pause.
	if len(s.resume) > 0 {
		c.reader.ResumeFetchPartitions(s.resume)
	}
	if len(s.pause) > 0 {
		c.reader.PauseFetchPartitions(s.pause)
	}
	return wait
}

// place puts the reader of p at the lowest of its cursors.
func (c *Client) place(p *partition, s *steering) {
	lowest := p.lowest()
	switch {
	case lowest == nil:
		if p.reading {
			s.stop(p)
		}
		if len(p.cursors) == 0 {
			delete(c.partitions, partitionKey{p.topic, p.number})
		}
		return
	case !p.reading || lowest.next != p.next:
		if p.reading {
			s.stop(p)
		}
		if s.add[p.topic] == nil {
			s.add[p.topic] = map[int32]kgo.Offset{}
		}
		// With an epoch, the client asks the leader whether the log has diverged below this offset (KIP-320).
		s.add[p.topic][p.number] = kgo.NewOffset().At(lowest.next).WithEpoch(lowest.epoch)
		p.reading, p.next = true, lowest.next
	}
	for _, cur := range p.cursors {
		cur.joined = !cur.stopped
	}
}

// stop takes p from the reader client.
func (s *steering) stop(p *partition) {
	p.reading = false
	s.remove[p.topic] = append(s.remove[p.topic], p.number)
	if p.paused { // A pause would outlive the removal.
		p.paused = false
		s.resume[p.topic] = append(s.resume[p.topic], p.number)
	}
}

// lowest returns the cursor with the lowest position that is to be read, or nil.
func (p *partition) lowest() *cursor {
	var lowest *cursor
	for _, cur := range p.cursors {
		if !cur.stopped && (lowest == nil || cur.next < lowest.next) {
			lowest = cur
		}
	}
	return lowest
}

// unused returns those of the topics of which no partition is read any more. The client must forget them: it would go on
// to ask for their metadata, and would never accept a new topic of the same name.
func (c *Client) unused(removed map[string][]int32) []string {
	if len(removed) == 0 {
		return nil
	}
	read := map[string]bool{}
	for _, p := range c.partitions {
		read[p.topic] = read[p.topic] || p.reading
	}
	var unused []string
	for topic := range removed {
		if !read[topic] {
			unused = append(unused, topic)
		}
	}
	return unused
}

// throttle pauses the partitions of which records wait while the queues are full (I7). The others go on: a slow table
// does not hold up those that keep up.
func (c *Client) throttle(s *steering) {
	was := c.full
	if c.full {
		c.full = c.queued > c.o.QueueBytes/2
	} else {
		c.full = c.queued >= c.o.QueueBytes
	}
	if !was && !c.full {
		return
	}
	paused := 0
	for _, p := range c.partitions {
		want := c.full && p.reading && slices.ContainsFunc(p.cursors, func(cur *cursor) bool { return cur.queued > 0 })
		if want {
			paused++
		}
		if want == p.paused {
			continue
		}
		p.paused = want
		to := s.resume
		if want {
			to = s.pause
		}
		to[p.topic] = append(to[p.topic], p.number)
	}
	c.metrics.paused.Set(float64(paused))
}
