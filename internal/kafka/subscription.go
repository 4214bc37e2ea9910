package kafka

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/bookmark"
)

// ErrClosed is returned by Poll of a subscription that was closed.
var ErrClosed = errors.New("subscription closed")

const (
	pollBytes      = 4 << 20 // One Poll hands out about this much, so that batches stay responsive.
	chunkBytes     = 1 << 20 // A larger fetch is queued in pieces of about this much.
	recordOverhead = 200     // Bytes that a kgo.Record takes beside its key, value and headers.
	headerOverhead = 48      // Bytes that a header takes beside its key and value.
	fetchOverhead  = 512     // Bytes that a Fetch without any record counts for: it must not be free.
)

// Fetch is a piece of one partition.
type Fetch struct {
	Topic         string
	Partition     int32
	Records       []*kgo.Record // In offset order, without control records; may be empty. Not to be changed: subscriptions share them.
	Next          int64         // The next offset to read after this piece: beyond control and aborted records too (I8).
	Epoch         int32         // The leader epoch of the last record before Next, or -1.
	HighWatermark int64         // The broker's, when it sent this piece.
	Bytes         int64         // What Records take in memory, about.
}

// cursor is one partition of one subscription.
type cursor struct {
	subscription *Subscription
	partition    *partition
	topicID      string // The bookmark's, or "".
	next         int64  // The next offset to queue.
	epoch        int32  // The leader epoch of the record before it, or -1.
	joined       bool   // The reader stands at or below next, and delivers to this cursor.
	stopped      bool   // A fault was found; nothing is delivered until it is examined.
	queued       int64  // Bytes of this partition that wait in the subscription's queue.
}

// doubt is a fault that only the cluster's present state can name.
type doubt struct {
	topic     string
	partition int32
	next      int64
	err       error
}

// queued is an element of a subscription's queue.
type queued struct {
	Fetch

	cursor *cursor
	cost   int64
}

// Subscription delivers the records of one table. Its methods are for one goroutine, except Close.
type Subscription struct {
	client  *Client
	name    string
	start   bookmark.Bookmark // For cluster id and topic ids.
	cursors []*cursor
	ready   chan struct{} // Holds one signal while there may be something for Poll.

	// Guarded by client.mu.
	queue  []queued
	doubt  *doubt
	err    error
	closed bool
}

// Subscribe starts to read for one table, from start, which Locate has completed. Several subscriptions may share a
// topic: it is fetched once from the lowest position, and each skips below its own. With topics given, only those are
// read: start may carry entries of topics that left the configuration.
func (c *Client) Subscribe(name string, start bookmark.Bookmark, topics ...string) *Subscription {
	s := &Subscription{client: c, name: name, start: start.Clone(), ready: make(chan struct{}, 1)}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range s.start.Topics {
		if len(topics) > 0 && !slices.Contains(topics, t.Name) {
			continue
		}
		c.metrics.fetchErrors.WithLabelValues(t.Name)
		for _, at := range t.Partitions {
			p := c.partition(t.Name, at.Partition)
			cur := &cursor{subscription: s, partition: p, topicID: t.ID, next: at.Next, epoch: at.Epoch}
			s.cursors = append(s.cursors, cur)
			p.cursors = append(p.cursors, cur)
			c.change(p)
		}
	}
	return s
}

// Close ends the subscription and drops what waits in it. It may be called again.
func (s *Subscription) Close() {
	c := s.client
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	s.drop()
	for _, cur := range s.cursors {
		p := cur.partition
		p.cursors = slices.DeleteFunc(p.cursors, func(other *cursor) bool { return other == cur })
		c.change(p)
	}
	s.signal()
}

// Poll waits up to limit for records, and returns (nil, nil) if there were none. The error is a *halt.Error, which stays
// until the subscription is closed; ErrClosed; the cause of ctx; or a transient one, after which Poll may be called again.
// Records that were read before a halt are handed out first, unless they may be gone from the log.
func (s *Subscription) Poll(ctx context.Context, limit time.Duration) ([]Fetch, error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		fetches, doubt, err := s.take()
		switch {
		case len(fetches) > 0 || err != nil:
			return fetches, err
		case doubt != nil:
			if err := s.examine(ctx, *doubt); err != nil {
				return nil, err
			}
			continue
		}
		select {
		case <-s.ready:
		case <-timer.C:
			return nil, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// take returns about pollBytes of what waits; or, if nothing does, why nothing more will come.
func (s *Subscription) take() ([]Fetch, *doubt, error) {
	c := s.client
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case s.closed:
		return nil, nil, ErrClosed
	case len(s.queue) == 0:
		return nil, s.doubt, s.err
	}
	var fetches []Fetch
	var bytes int64
	taken, drained := 0, false
	for _, q := range s.queue {
		if taken > 0 && bytes+q.Bytes > pollBytes {
			break
		}
		taken++
		bytes += q.Bytes
		fetches = append(fetches, q.Fetch)
		q.cursor.queued -= q.cost
		drained = drained || q.cursor.queued == 0
		c.count(-q.cost)
	}
	s.queue = slices.Delete(s.queue, 0, taken)
	if len(s.queue) == 0 {
		s.queue = nil // The records of a large queue must not stay reachable from its array.
	}
	if c.full && (drained || c.queued <= c.o.QueueBytes/2) {
		c.wakeUp()
	}
	return fetches, nil, nil
}

// push queues one piece. The caller holds client.mu.
func (s *Subscription) push(cur *cursor, f Fetch) {
	cost := f.Bytes + fetchOverhead
	s.queue = append(s.queue, queued{Fetch: f, cursor: cur, cost: cost})
	cur.queued += cost
	s.client.count(cost)
	s.signal()
}

// drop empties the queue. The caller holds client.mu.
func (s *Subscription) drop() {
	for _, q := range s.queue {
		q.cursor.queued -= q.cost
		s.client.count(-q.cost)
	}
	s.queue = nil
	s.client.wakeUp()
}

func (s *Subscription) signal() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}
