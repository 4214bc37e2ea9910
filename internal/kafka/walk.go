package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/bookmark"
)

// ErrGone is returned by Walk for records that the log does not have any more.
var ErrGone = errors.New("the log does not have these records any more")

// Walk calls f with each readable record of a partition from offset from up to, not including, offset to, in order; it needs no
// subscription. id is the topic's, or "": of another topic of that name nothing is read. The error is ErrGone if the log begins
// after from, what f said, or a transient one.
func (c *Client) Walk(ctx context.Context, topic, id string, partition int32, from, to int64, f func(*kgo.Record) error) error {
	fail := func(err error) error {
		return fmt.Errorf("read topic %s partition %d from offset %d to %d: %w", topic, partition, from, to, err)
	}
	t, err := c.target(ctx, topic, partition)
	if err != nil {
		return fail(err)
	}
	if now := formatID(t.id); id != "" && now != id {
		return fail(fmt.Errorf("%w: the topic is another one by now, %s and not %s", ErrGone, now, id))
	}
	at := bookmark.Partition{Partition: partition, Next: from, Epoch: -1}
	for empty := 0; at.Next < to; {
		read, err := c.readAhead(ctx, t, at)
		switch {
		case errors.Is(err, kerr.OffsetOutOfRange):
			return fail(ErrGone)
		case err != nil:
			return fail(err)
		}
		for _, r := range read.records {
			if r.Offset >= to {
				return nil
			}
			if err := f(r); err != nil {
				return err
			}
			read.next = max(read.next, r.Offset+1)
		}
		switch {
		case read.next > at.Next:
			at.Next, empty = read.next, 0
		case read.throttled:
		case read.at.Next >= read.end:
			return nil
		default:
			if empty++; empty == skipEmptyAnswers {
				return nil // Nothing readable is left before the end.
			}
		}
	}
	return nil
}
