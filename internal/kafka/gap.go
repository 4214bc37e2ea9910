package kafka

import (
	"context"
	"errors"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/halt"
)

// Gap is a range of offsets, To excluded, in which log and table differ. Lost records left the log before they were applied;
// truncated ones were applied, and then the log lost them.
type Gap struct {
	Topic     string
	Partition int32
	Truncated bool
	From, To  int64
}

// ErrNoGap is returned by AcceptGap for a bookmark that can be continued as it is.
var ErrNoGap = errors.New("no records were lost between the bookmark and the log")

// AcceptGap returns the bookmark from which reading goes on if an operator puts up with what was lost: at the log start where
// retention was faster, and at the end of what the log still has of the records applied where it lost its tail. If the leader
// knows nothing of their leader epoch at all, that is the log start: reading records again ends equal, leaving them out may not.
//
// Everything else that is wrong with the bookmark is a *halt.Error, which has its own way out.
func (c *Client) AcceptGap(ctx context.Context, topics []string, from bookmark.Bookmark) (bookmark.Bookmark, []Gap, error) {
	_, err := c.Locate(ctx, topics, from)
	halted, ok := errors.AsType[*halt.Error](err)
	switch {
	case err == nil:
		return from, nil, ErrNoGap
	case !ok || halted.Reason != halt.RecordsLost && halted.Reason != halt.LogTruncated:
		return from, nil, err
	}
	s, err := c.survey(ctx, topics)
	if err != nil {
		return from, nil, err
	}
	to, gaps := from.Clone(), []Gap(nil)
	for _, t := range s.logStart.Topics {
		for _, begin := range t.Partitions {
			at, known := from.Partition(t.Name, begin.Partition)
			if !known {
				continue
			}
			next, err := c.bridge(ctx, s, t.Name, at)
			if err != nil {
				return from, nil, err
			}
			switch {
			case next.Next > at.Next:
				gaps = append(gaps, Gap{t.Name, at.Partition, false, at.Next, next.Next})
			case next.Next < at.Next:
				gaps = append(gaps, Gap{t.Name, at.Partition, true, next.Next, at.Next})
			}
			to.Set(t.Name, "", next)
		}
	}
	if len(gaps) == 0 {
		return from, nil, ErrNoGap
	}
	return to, gaps, nil
}

// bridge returns from where one partition is read on.
func (c *Client) bridge(ctx context.Context, s survey, topic string, at bookmark.Partition) (bookmark.Partition, error) {
	begin, _ := s.logStart.Partition(topic, at.Partition)
	high, _ := s.high.Partition(topic, at.Partition)
	if begin.Next >= at.Next {
		return bookmark.Partition{Partition: at.Partition, Next: begin.Next, Epoch: -1}, nil
	}
	out := at
	if at.Epoch >= 0 {
		end, epoch, known, err := c.epochEnd(ctx, topic, at)
		if err != nil {
			return at, err
		}
		switch {
		case !known:
			out.Next, out.Epoch = begin.Next, -1
		case end < at.Next:
			out.Next, out.Epoch = end, epoch
		}
	}
	if out.Next > high.Next {
		out.Next, out.Epoch = high.Next, -1
	}
	if out.Next < begin.Next {
		out.Next, out.Epoch = begin.Next, -1
	}
	return out, nil
}
