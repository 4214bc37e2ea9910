package kafka

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cdcd-project/cdcd/internal/bookmark"
)

const (
	adviceWait = 10 * time.Second // How long one OffsetCommit may take.
	adviceRest = 2 * time.Second  // Between two attempts, after one that failed.
	flushWait  = 3 * time.Second  // How long a revocation, and leaving the group, wait for the last positions to be told.
)

// groupOffsets are positions by topic and partition.
type groupOffsets map[string]map[int32]kgo.EpochOffset

// advice tells the group how far tables have been committed: advice for lag monitors, which nothing ever reads back (I8). One
// goroutine sends it, and of each partition only the latest position. So a group that is slow, rebalances for long or
// refuses for ever holds up no table.
type advice struct {
	commit  func(ctx context.Context, offsets groupOffsets) error
	failed  func(err error)
	wake    chan struct{}      // Holds one signal while something may wait.
	flushes chan chan struct{} // Each is closed when what waited has been tried.
	ended   chan struct{}      // Closed when run has returned.

	mu      sync.Mutex
	waiting groupOffsets
}

func newAdvice(commit func(context.Context, groupOffsets) error, failed func(error)) *advice {
	return &advice{
		commit: commit, failed: failed, wake: make(chan struct{}, 1), flushes: make(chan chan struct{}), ended: make(chan struct{}),
		waiting: groupOffsets{},
	}
}

// tell hands positions over, and never waits.
func (a *advice) tell(offsets groupOffsets) {
	a.mu.Lock()
	for topic, partitions := range offsets {
		for partition, at := range partitions {
			a.waiting.set(topic, partition, at)
		}
	}
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// flush tries to send what waits, for a while, and drops what is left: after it, somebody else may tell about the partitions.
func (a *advice) flush() {
	timer := time.NewTimer(flushWait)
	defer timer.Stop()
	done := make(chan struct{})
	select {
	case a.flushes <- done:
		select {
		case <-done:
		case <-timer.C:
		case <-a.ended:
		}
	case <-timer.C:
	case <-a.ended:
	}
	a.take()
}

// run sends what it is told until ctx ends. What could not be sent is tried again, unless something later came meanwhile.
func (a *advice) run(ctx context.Context) {
	defer close(a.ended)
	rest := time.NewTimer(adviceRest)
	defer rest.Stop()
	resting := false
	for {
		wake := a.wake
		if resting {
			wake = nil
		}
		var flushed chan struct{}
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-rest.C:
		case flushed = <-a.flushes:
		}
		resting = !a.send(ctx)
		rest.Reset(adviceRest)
		if flushed != nil {
			close(flushed)
		}
	}
}

// send tries once to send what waits, and reports whether nothing is left to try again.
func (a *advice) send(ctx context.Context) bool {
	offsets := a.take()
	if len(offsets) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, adviceWait)
	defer cancel()
	err := a.commit(ctx, offsets)
	if err == nil {
		return true
	}
	a.failed(fmt.Errorf("commit offsets to consumer group: %w", err))
	a.mu.Lock()
	defer a.mu.Unlock()
	for topic, partitions := range offsets {
		for partition, at := range partitions {
			if _, later := a.waiting[topic][partition]; !later {
				a.waiting.set(topic, partition, at)
			}
		}
	}
	return false
}

func (a *advice) take() groupOffsets {
	a.mu.Lock()
	defer a.mu.Unlock()
	offsets := a.waiting
	a.waiting = groupOffsets{}
	return offsets
}

func (o groupOffsets) set(topic string, partition int32, at kgo.EpochOffset) {
	if o[topic] == nil {
		o[topic] = map[int32]kgo.EpochOffset{}
	}
	o[topic][partition] = at
}

// CommitOffsets tells the group how far a table has been committed, as advice for lag monitors: nothing ever reads it
// back (I8). Only topics that this member holds are told. It does nothing when this process is not in the group, and it
// never waits: what could not be sent is logged, and tried again with what comes later.
func (c *Client) CommitOffsets(b bookmark.Bookmark) {
	c.mu.Lock()
	m := c.member
	c.mu.Unlock()
	if m != nil {
		m.advice.tell(m.holding(b))
	}
}

// holding returns the positions of the topics that the member holds.
func (m *member) holding(b bookmark.Bookmark) groupOffsets {
	m.mu.Lock()
	defer m.mu.Unlock()
	offsets := groupOffsets{}
	for _, t := range b.Topics {
		for _, p := range t.Partitions {
			if slices.Contains(m.held[t.Name], p.Partition) {
				offsets.set(t.Name, p.Partition, kgo.EpochOffset{Offset: p.Next, Epoch: p.Epoch})
			}
		}
	}
	return offsets
}

// commitOffsets sends positions to the group once.
func (m *member) commitOffsets(ctx context.Context, offsets groupOffsets) error {
	var failed error
	m.group.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		failed = commitError(resp, err)
	})
	return failed
}

func commitError(resp *kmsg.OffsetCommitResponse, err error) error {
	if err != nil || resp == nil {
		return err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("topic %s partition %d: %w", t.Topic, p.Partition, err)
			}
		}
	}
	return nil
}
