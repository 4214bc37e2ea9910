package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/halt"
)

// examine asks the cluster what became of a position that could not be read (I9). It returns nil if reading goes on.
func (s *Subscription) examine(ctx context.Context, d doubt) error {
	at, topics := s.position()
	_, err := s.client.Locate(ctx, topics, at)
	if halted, ok := errors.AsType[*halt.Error](err); ok {
		return s.halt(halted)
	}
	if err != nil {
		return fmt.Errorf("examine table %s: topic %s partition %d at offset %d: %w", s.name, d.topic, d.partition, d.next, err)
	}
	if errors.Is(d.err, kerr.OffsetOutOfRange) {
		return s.halt(halt.Newf(halt.LogTruncated, hintTruncated,
			"topic %s partition %d: offset %d was out of the log's range, and is in range again: %w", d.topic, d.partition, d.next, d.err))
	}
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	s.doubt = nil
	for _, cur := range s.cursors {
		if cur.stopped {
			cur.stopped = false
			s.client.change(cur.partition)
		}
	}
	return nil
}

// position returns how far records have been queued, in the form that Locate checks.
func (s *Subscription) position() (bookmark.Bookmark, []string) {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	at := bookmark.Bookmark{Cluster: s.start.Cluster}
	for _, cur := range s.cursors {
		t, _ := s.start.Topic(cur.partition.topic)
		at.Set(t.Name, t.ID, bookmark.Partition{Partition: cur.partition.number, Next: cur.next, Epoch: cur.epoch})
	}
	var topics []string
	for _, t := range at.Topics {
		topics = append(topics, t.Name)
	}
	return at, topics
}

// halt makes err what every Poll returns from here on.
func (s *Subscription) halt(err *halt.Error) error {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	s.fail(err)
	return err
}

// fail ends delivery with err. What waits stays unless it may be gone from the log. The caller holds client.mu.
func (s *Subscription) fail(err *halt.Error) {
	if s.err == nil {
		s.err, s.doubt = err, nil
	}
	if err.Reason == halt.LogTruncated {
		s.drop()
	}
	for _, cur := range s.cursors {
		if !cur.stopped {
			cur.stopped = true
			s.client.change(cur.partition)
		}
	}
	s.signal()
}
