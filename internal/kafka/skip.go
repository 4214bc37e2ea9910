package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cdcd-project/cdcd/internal/bookmark"
)

// skipEmptyAnswers is how often in a row a broker must say that there is nothing before the end, until Skip believes it.
const skipEmptyAnswers = 3

// Skip returns the position of the next readable record of a partition at or after from, or of the end (the last stable
// offset) if there is none: control batches, aborted records, compacted-away and empty batches are stepped over. A run that
// is bounded by position ends with it when a topic ends in offsets without records, and a quiet table's bookmark moves over them
// (I8). The epoch is that of the last batch stepped over, or -1 if offsets without any batch end there. Errors are transient.
func (c *Client) Skip(ctx context.Context, topic string, from bookmark.Partition) (bookmark.Partition, error) {
	read, err := c.skip(ctx, topic, from)
	if err != nil {
		return from, err
	}
	return read.at, nil
}

// First returns the next readable record at or after from in a partition; nil: there is none. Errors are transient.
func (c *Client) First(ctx context.Context, topic string, partition int32, from int64) (*Record, error) {
	read, err := c.skip(ctx, topic, bookmark.Partition{Partition: partition, Next: from, Epoch: -1})
	if err != nil || read.record == nil {
		return nil, err
	}
	return &Record{read.record}, nil
}

func (c *Client) skip(ctx context.Context, topic string, from bookmark.Partition) (ahead, error) {
	fail := func(err error) (ahead, error) {
		return ahead{}, fmt.Errorf("skip to next record of topic %s partition %d from offset %d: %w", topic, from.Partition, from.Next, err)
	}
	t, err := c.target(ctx, topic, from.Partition)
	if err != nil {
		return fail(err)
	}
	at, empty := from, 0
	for {
		read, err := c.readAhead(ctx, t, at)
		switch {
		case err != nil:
			return fail(err)
		case read.record != nil, read.at.Next >= read.end:
			return read, nil
		case read.at.Next > at.Next:
			at, empty = read.at, 0
		case read.throttled: // A broker that enforces a quota answers with nothing, whatever it has.
		default:
			if empty++; empty == skipEmptyAnswers {
				read.at = bookmark.Partition{Partition: from.Partition, Next: read.end, Epoch: -1}
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
	at        bookmark.Partition // Of the first record, otherwise of the next offset to ask for.
	end       int64              // The last stable offset.
	record    *kgo.Record        // The first record; nil: none came.
	records   []*kgo.Record      // All that came.
	next      int64              // The next offset to ask for after them.
	throttled bool
}

func (c *Client) readAhead(ctx context.Context, t target, from bookmark.Partition) (ahead, error) {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes = 100, 1
	req.MaxBytes, req.IsolationLevel = fetchPartitionBytesMax, 1
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = t.topic, t.id
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = t.partition, from.Next, fetchPartitionBytesMax
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
	raw := &resp.Topics[0].Partitions[0]
	batches := raw.RecordBatches // Processing takes them away.
	p, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		Offset: from.Next, IsolationLevel: kgo.ReadCommitted(), Topic: t.topic, Partition: t.partition,
	}, raw, kgo.DefaultDecompressor(), nil)
	a := ahead{at: from, end: p.LastStableOffset, throttled: resp.ThrottleMillis > 0, records: p.Records, next: next}
	switch {
	case len(p.Records) > 0:
		a.record = p.Records[0]
		next = a.record.Offset
	case p.Err != nil:
		return ahead{}, fmt.Errorf("fetch: %w", p.Err)
	}
	a.at.Next = next
	if epoch, ok := epochBefore(batches, next); ok && next > from.Next {
		a.at.Epoch = epoch
	}
	return a, nil
}

// Of a record batch's header (Kafka protocol, "Record Batch").
const (
	batchLengthAt = 8  // Of what follows, four bytes.
	batchEpochAt  = 12 // Four bytes.
	batchHeader   = 16 // As much of it as is read here.
)

// epochBefore returns the leader epoch of the last batch that begins before offset next.
func epochBefore(batches []byte, next int64) (epoch int32, ok bool) {
	for len(batches) >= batchHeader && int64(binary.BigEndian.Uint64(batches)) < next {
		epoch, ok = int32(binary.BigEndian.Uint32(batches[batchEpochAt:])), true
		length := int(binary.BigEndian.Uint32(batches[batchLengthAt:])) + batchEpochAt
		batches = batches[min(length, len(batches)):]
	}
	return epoch, ok
}
