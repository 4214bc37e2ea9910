package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Ends is where the partitions of a topic end at a moment.
type Ends struct {
	ID         string // The topic's; empty if the broker has none.
	Partitions map[int32]End
}

// End is where a partition ends.
type End struct {
	Stable int64 // The last stable offset: from here on, records belong to open transactions or stand behind them.
	High   int64 // The high watermark.
}

// Ends asks where topics end. Partitions about which the brokers cannot tell are left out, and the error says why, beside what is
// known; of a topic that does not exist nothing is said. Errors are transient.
func (c *Client) Ends(ctx context.Context, topics []string) (map[string]Ends, error) {
	if len(topics) == 0 {
		return nil, nil
	}
	_, details, err := c.describe(ctx, topics)
	if err != nil {
		return nil, err
	}
	// Stable offsets first: they never are beyond high watermarks that were asked for later.
	stables, err := c.admin.ListCommittedOffsets(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("list last stable offsets: %w", err)
	}
	highs, err := c.admin.ListEndOffsets(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("list end offsets: %w", err)
	}
	var unknown error
	ends := map[string]Ends{}
	for _, t := range details {
		if t.err != nil {
			if !errors.Is(t.err, kerr.UnknownTopicOrPartition) {
				unknown = errors.Join(unknown, fmt.Errorf("describe topic %s: %w", t.name, t.err))
			}
			continue
		}
		e := Ends{ID: formatID(t.id), Partitions: map[int32]End{}}
		for p := range t.leaders {
			stable, stableErr := listed(stables, t.name, p, "last stable offset")
			high, highErr := listed(highs, t.name, p, "end offset")
			if err := errors.Join(stableErr, highErr); err != nil {
				unknown = errors.Join(unknown, err)
				continue
			}
			e.Partitions[p] = End{Stable: stable, High: high}
		}
		ends[t.name] = e
	}
	return ends, unknown
}
