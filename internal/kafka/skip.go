package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// skipEmptyAnswers is how often in a row a broker must say that there is nothing before the end, until Skip believes it.
const skipEmptyAnswers = 3

// Skip returns the offset of the next readable record at or after from in a partition, or the end offset (the last
// stable one) if there is none: control batches, aborted records, compacted-away and empty batches are stepped over.
// A run that is bounded by position ends with it when a topic ends in offsets without records (I8). Errors are transient.
func (c *Client) Skip(ctx context.Context, topic string, partition int32, from int64) (int64, error) {
	read, err := c.skip(ctx, topic, partition, from)
	return read.next, err
}

// First returns the next readable record at or after from in a partition; nil: there is none. Errors are transient.
func (c *Client) First(ctx context.Context, topic string, partition int32, from int64) (*Record, error) {
	read, err := c.skip(ctx, topic, partition, from)
	if err != nil || read.record == nil {
		return nil, err
	}
	return &Record{read.record}, nil
}

func (c *Client) skip(ctx context.Context, topic string, partition int32, from int64) (ahead, error) {
	t, err := c.target(ctx, topic, partition)
	if err != nil {
		return ahead{}, fmt.Errorf("skip to next record of topic %s partition %d: %w", topic, partition, err)
	}
	next, empty := from, 0
	for {
		read, err := c.readAhead(ctx, t, next)
		switch {
		case err != nil:
			return ahead{}, fmt.Errorf("skip to next record of topic %s partition %d from offset %d: %w", topic, partition, next, err)
		case read.record != nil, read.next >= read.end:
			return read, nil
		case read.next > next:
			next, empty = read.next, 0
		case read.throttled: // A broker that enforces a quota answers with nothing, whatever it has.
		default:
			if empty++; empty == skipEmptyAnswers {
				read.next = read.end
				return read, nil
			}
		}
	}
}

// target is a partition and the broker that leads it.
type target struct {
	topic     string
	id        [16]byte
	partition int32
	leader    int32
}

func (c *Client) target(ctx context.Context, topic string, partition int32) (target, error) {
	_, details, err := c.describe(ctx, []string{topic})
	if err != nil {
		return target{}, err
	}
	t := details[topic]
	leader, ok := t.leaders[partition]
	switch {
	case t.err != nil:
		return target{}, fmt.Errorf("find leader: %w", t.err)
	case !ok:
		return target{}, fmt.Errorf("find leader: %w", kerr.UnknownTopicOrPartition)
	case leader < 0:
		return target{}, fmt.Errorf("find leader: %w", kerr.LeaderNotAvailable)
	}
	return target{topic: topic, id: t.id, partition: partition, leader: leader}, nil
}

// ahead is what one raw fetch tells.
type ahead struct {
	next      int64       // The offset of the first record, otherwise the next offset to ask for.
	end       int64       // The last stable offset.
	record    *kgo.Record // The first record; nil: none came.
	throttled bool
}

func (c *Client) readAhead(ctx context.Context, t target, from int64) (ahead, error) {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes = 100, 1
	req.MaxBytes, req.IsolationLevel = fetchPartitionBytesMax, 1
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = t.topic, t.id
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = t.partition, from, fetchPartitionBytesMax
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	answer, err := c.reader.Broker(int(t.leader)).RetriableRequest(ctx, req)
	if err != nil {
		return ahead{}, fmt.Errorf("fetch: %w", err)
	}
	resp, ok := answer.(*kmsg.FetchResponse)
	if !ok {
		return ahead{}, fmt.Errorf("fetch: answered with %T", answer)
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return ahead{}, fmt.Errorf("fetch: %w", err)
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return ahead{}, errors.New("fetch: the answer is not for this partition")
	}
	p, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		Offset: from, IsolationLevel: kgo.ReadCommitted(), Topic: t.topic, Partition: t.partition,
	}, &resp.Topics[0].Partitions[0], kgo.DefaultDecompressor(), nil)
	a := ahead{next: next, end: p.LastStableOffset, throttled: resp.ThrottleMillis > 0}
	if len(p.Records) > 0 {
		a.next, a.record = p.Records[0].Offset, p.Records[0]
		return a, nil
	}
	if p.Err != nil {
		return ahead{}, fmt.Errorf("fetch: %w", p.Err)
	}
	return a, nil
}
