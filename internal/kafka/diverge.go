package kafka

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/halt"
)

// diverged asks the leaders where the epoch of each partition's last applied record ends (KIP-320). If that is before
// the bookmark, a leader without those records has taken over, and other records may stand at their offsets.
func (c *Client) diverged(ctx context.Context, l location) error {
	var ask kadm.OffsetForLeaderEpochRequest
	for _, t := range l.LogStart.Topics {
		known, _ := l.known.Topic(t.Name)
		for _, p := range known.Partitions {
			// At the log start the record before the bookmark is gone, and the leader knows nothing of its epoch.
			if o, _ := l.LogStart.Partition(t.Name, p.Partition); p.Epoch >= 0 && p.Next > o.Next {
				ask.Add(t.Name, p.Partition, p.Epoch)
			}
		}
	}
	if len(ask) == 0 {
		return nil
	}
	answers, err := c.admin.OffsetForLeaderEpoch(ctx, ask)
	if err != nil {
		return fmt.Errorf("ask for ends of leader epochs: %w", err)
	}
	for topic, partitions := range ask {
		for partition := range partitions {
			p, _ := l.known.Partition(topic, partition)
			answer, ok := answers[topic][partition]
			if !ok {
				return fmt.Errorf("ask for end of leader epoch %d of topic %s partition %d: no answer", p.Epoch, topic, partition)
			}
			if err := judge(answer, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// judge says whether a position still stands for the records that it did.
func judge(a kadm.OffsetForLeaderEpoch, p bookmark.Partition) error {
	switch {
	case a.Err != nil:
		return fmt.Errorf("ask for end of leader epoch %d of topic %s partition %d: %w", p.Epoch, a.Topic, a.Partition, a.Err)
	case a.EndOffset < 0:
		return halt.Newf(halt.LogTruncated, hintTruncated,
			"topic %s partition %d: the leader knows nothing of epoch %d, in which the record before offset %d was written",
			a.Topic, a.Partition, p.Epoch, p.Next)
	case a.EndOffset < p.Next:
		return halt.Newf(halt.LogTruncated, hintTruncated,
			"topic %s partition %d: leader epoch %d ends at offset %d, the bookmark stands at %d",
			a.Topic, a.Partition, p.Epoch, a.EndOffset, p.Next)
	}
	return nil
}
