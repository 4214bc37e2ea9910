package kafka

import (
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/cdcd-project/cdcd/internal/bookmark"
)

// survey is what the cluster holds of topics at one moment, whatever a bookmark says about them.
type survey struct {
	logStart bookmark.Bookmark // Earliest offsets, with cluster and topic ids.
	end      bookmark.Bookmark // Last stable offsets.
	high     bookmark.Bookmark // End offsets.
}

// survey asks for all partitions of the topics. A topic that does not exist halts.
func (c *Client) survey(ctx context.Context, topics []string) (survey, error) {
	topics = slices.Compact(slices.Sorted(slices.Values(topics)))
	at, err := c.Locate(ctx, topics, bookmark.Bookmark{})
	if err != nil {
		return survey{}, err
	}
	highs, err := c.admin.ListEndOffsets(ctx, topics...)
	if err != nil {
		return survey{}, fmt.Errorf("list end offsets: %w", err)
	}
	s := survey{logStart: at.LogStart, end: at.End, high: at.LogStart.Clone()}
	for _, t := range at.LogStart.Topics {
		for _, p := range t.Partitions {
			high, err := listed(highs, t.Name, p.Partition, "end offset")
			if err != nil {
				return survey{}, err
			}
			s.high.Set(t.Name, "", bookmark.Partition{Partition: p.Partition, Next: high, Epoch: -1})
		}
	}
	return s, nil
}

// epochEnd returns up to which offset the leader has what the bookmark stands for: where the leader epoch of the last record before
// it ends (KIP-320), and which epoch that is. known is false if the bookmark has no epoch, or the leader knows nothing of it.
func (c *Client) epochEnd(ctx context.Context, topic string, p bookmark.Partition) (end int64, epoch int32, known bool, err error) {
	var ask kadm.OffsetForLeaderEpochRequest
	ask.Add(topic, p.Partition, p.Epoch)
	answers, err := c.admin.OffsetForLeaderEpoch(ctx, ask)
	if err != nil {
		return 0, -1, false, fmt.Errorf("ask for end of leader epoch: %w", err)
	}
	answer, ok := answers[topic][p.Partition]
	switch {
	case !ok:
		return 0, -1, false, fmt.Errorf("ask for end of leader epoch %d of topic %s partition %d: no answer", p.Epoch, topic, p.Partition)
	case answer.Err != nil:
		return 0, -1, false, fmt.Errorf("ask for end of leader epoch %d of topic %s partition %d: %w", p.Epoch, topic, p.Partition, answer.Err)
	}
	return answer.EndOffset, answer.LeaderEpoch, answer.EndOffset >= 0, nil
}
