package kafka

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/halt"
)

// What an operator can do, by cause. They stand beside errors that name topic, partition and offsets; docs/runbook.md says
// what each command means for the rows.
const (
	hintCluster = "The table was written from another Kafka cluster. Point kafka.brokers back at it; or go on with this one: " +
		"cdcd table rebind TABLE -at earliest, or -at keep if the brokers were restored with their offsets."
	hintMissing = "Create the topic, correct the table's topic in the configuration, or grant DESCRIBE on it. " +
		"cdcd looks again by itself."
	hintRecreated = "The topic was deleted and created again: its offsets mean other records. To go on with it: " +
		"cdcd table rebind TABLE -at earliest."
	hintPartitions = "Keys may have changed their partition, so that two events of one key could be applied out of order. " +
		"To go on: cdcd table rebind TABLE."
	hintLost = "Retention removed records that were never applied. Raise the topic's retention; then rebuild the table, or " +
		"go on without them: cdcd table accept-gap TABLE."
	hintTruncated = "The brokers lost records that were applied, so other records may stand at the same offsets. " +
		"Check for unclean leader elections; then go on from where the logs part: cdcd table accept-gap TABLE."
	hintHuge = "Raise memory.batches, a quarter of which is the limit above 128 MiB; or have the producer send smaller batches."
)

// Position is where a table stands in the cluster, at the moment of Locate.
type Position struct {
	Start    bookmark.Bookmark // The bookmark given, with cluster id, topic ids and every partition.
	End      bookmark.Bookmark // The end offsets of the topics asked for: what read_committed sees (last stable offsets).
	LogStart bookmark.Bookmark // The earliest offsets of the topics asked for.
}

// Locate checks a bookmark against the cluster and completes it (I9). A topic that the bookmark does not have starts at
// its log start; whether that is complete is for the caller to decide from LogStart. Entries of topics not asked for are
// carried on unchanged in Start.
//
// What halts a table is a *halt.Error; every other error is transient, and the call may be repeated.
func (c *Client) Locate(ctx context.Context, topics []string, from bookmark.Bookmark) (Position, error) {
	topics = slices.Compact(slices.Sorted(slices.Values(topics)))
	cluster, details, err := c.describe(ctx, topics)
	if err != nil {
		return Position{}, err
	}
	if from.Cluster != "" && cluster != "" && from.Cluster != cluster {
		return Position{}, halt.Newf(halt.ForeignCluster, hintCluster,
			"the bookmark belongs to cluster %s, the brokers are of cluster %s", from.Cluster, cluster)
	}
	start := from.Clone()
	if cluster != "" {
		start.Cluster = cluster
	}
	l := location{
		known:    from,
		Position: Position{Start: start, End: bookmark.Bookmark{Cluster: cluster}, LogStart: bookmark.Bookmark{Cluster: cluster}},
	}
	if len(topics) == 0 {
		return l.Position, nil
	}
	for _, topic := range topics {
		if err := l.identify(details[topic]); err != nil {
			return Position{}, err
		}
	}
	if l.logStarts, err = c.admin.ListStartOffsets(ctx, topics...); err != nil {
		return Position{}, fmt.Errorf("list log start offsets: %w", err)
	}
	if l.ends, err = c.admin.ListCommittedOffsets(ctx, topics...); err != nil {
		return Position{}, fmt.Errorf("list last stable offsets: %w", err)
	}
	if l.highs, err = c.admin.ListEndOffsets(ctx, topics...); err != nil {
		return Position{}, fmt.Errorf("list end offsets: %w", err)
	}
	for _, topic := range topics {
		if err := l.bound(details[topic]); err != nil {
			return Position{}, err
		}
	}
	if err := c.diverged(ctx, l); err != nil {
		return Position{}, err
	}
	return l.Position, nil
}

// topicDetail is what the brokers say about a topic at this moment.
type topicDetail struct {
	name    string
	id      [16]byte
	leaders map[int32]int32 // By partition; -1 if it has none.
	err     error
}

// describe returns the cluster's id and the topics' details. It asks the brokers each time: kadm would answer from kgo's
// cache, and miss a topic that was recreated a moment ago.
func (c *Client) describe(ctx context.Context, topics []string) (string, map[string]topicDetail, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{} // Nil would mean all topics.
	for _, topic := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &topic
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, c.reader)
	if err != nil {
		return "", nil, fmt.Errorf("describe topics: %w", err)
	}
	details := map[string]topicDetail{}
	for _, t := range resp.Topics {
		if t.Topic == nil {
			continue
		}
		d := topicDetail{name: *t.Topic, id: t.TopicID, err: kerr.ErrorForCode(t.ErrorCode), leaders: map[int32]int32{}}
		for _, p := range t.Partitions {
			d.leaders[p.Partition] = p.Leader
		}
		details[d.name] = d
	}
	for _, topic := range topics {
		if _, ok := details[topic]; !ok {
			return "", nil, fmt.Errorf("describe topic %s: no answer", topic)
		}
	}
	cluster := ""
	if resp.ClusterID != nil {
		cluster = *resp.ClusterID
	}
	return cluster, details, nil
}

// partitions returns the topic's partitions in order.
func (t topicDetail) partitions() []int32 { return slices.Sorted(maps.Keys(t.leaders)) }

// location is a Position under construction.
type location struct {
	Position

	known                  bookmark.Bookmark
	logStarts, ends, highs kadm.ListedOffsets
}

// identify checks that a topic is the one that the bookmark means, and that it has the same partitions.
func (l *location) identify(t topicDetail) error {
	if errors.Is(t.err, kerr.UnknownTopicOrPartition) {
		return halt.Newf(halt.TopicMissing, hintMissing, "topic %s does not exist", t.name)
	}
	if t.err != nil {
		return fmt.Errorf("describe topic %s: %w", t.name, t.err)
	}
	known, _ := l.known.Topic(t.name)
	id := formatID(t.id)
	if known.ID != "" && id != "" && known.ID != id {
		return halt.Newf(halt.TopicRecreated, hintRecreated, "topic %s has id %s, the bookmark's topic had id %s", t.name, id, known.ID)
	}
	for _, p := range known.Partitions {
		if _, ok := t.leaders[p.Partition]; !ok {
			return halt.Newf(halt.TopicRecreated, hintRecreated,
				"topic %s has no partition %d, which the bookmark has at offset %d; Kafka never removes partitions", t.name, p.Partition, p.Next)
		}
	}
	for _, p := range t.partitions() {
		if _, ok := l.known.Partition(t.name, p); !ok && len(known.Partitions) > 0 {
			return halt.Newf(halt.PartitionsAdded, hintPartitions, "topic %s has %d partitions, the bookmark has %d and lacks partition %d",
				t.name, len(t.leaders), len(known.Partitions), p)
		}
	}
	return nil
}

// bound checks that each position lies within the log, and sets the offsets of a topic's partitions.
func (l *location) bound(t topicDetail) error {
	id := formatID(t.id)
	for _, p := range t.partitions() {
		logStart, err := listed(l.logStarts, t.name, p, "log start")
		if err != nil {
			return err
		}
		end, err := listed(l.ends, t.name, p, "last stable offset")
		if err != nil {
			return err
		}
		high, err := listed(l.highs, t.name, p, "end offset")
		if err != nil {
			return err
		}
		at, known := l.known.Partition(t.name, p)
		switch {
		case !known:
			at = bookmark.Partition{Partition: p, Next: logStart, Epoch: -1}
		case logStart > at.Next:
			return halt.Newf(halt.RecordsLost, hintLost, "topic %s partition %d starts at offset %d, the bookmark stands at %d: %d offsets are gone",
				t.name, p, logStart, at.Next, logStart-at.Next)
		case high < at.Next:
			return halt.Newf(halt.LogTruncated, hintTruncated, "topic %s partition %d ends at offset %d, the bookmark stands at %d",
				t.name, p, high, at.Next)
		}
		l.Start.Set(t.name, id, at)
		l.End.Set(t.name, id, bookmark.Partition{Partition: p, Next: max(end, 0), Epoch: -1})
		l.LogStart.Set(t.name, id, bookmark.Partition{Partition: p, Next: logStart, Epoch: -1})
	}
	return nil
}

// listed returns one partition's offset.
func listed(offsets kadm.ListedOffsets, topic string, partition int32, what string) (int64, error) {
	o, ok := offsets.Lookup(topic, partition)
	switch {
	case !ok:
		return 0, fmt.Errorf("list %s of topic %s partition %d: no answer", what, topic, partition)
	case o.Err != nil:
		return 0, fmt.Errorf("list %s of topic %s partition %d: %w", what, topic, partition, o.Err)
	case o.Offset < 0:
		return 0, fmt.Errorf("list %s of topic %s partition %d: negative offset %d", what, topic, partition, o.Offset)
	}
	return o.Offset, nil
}

// formatID returns a topic id as Kafka's own tools print it, or "" if the broker has none (before Kafka 2.8).
func formatID(id [16]byte) string {
	if id == [16]byte{} {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(id[:])
}
