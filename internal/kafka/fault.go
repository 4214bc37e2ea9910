package kafka

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/halt"
)

// retryWait is how long a partition rests after an error that may pass. kgo would ask again at once.
const retryWait = time.Second

// continuous checks that what was fetched follows what was delivered (I9). The client promises this, except where it
// moves an offset into the log's range by itself, and where a topic is recreated between Locate and its first fetch.
func (c *Client) continuous(p *partition, id [16]byte, fetched kgo.FetchPartition) bool {
	first := fetched.Records[0].Offset
	other := func(cur *cursor) bool { return cur.topicID != "" && cur.topicID != formatID(id) }
	switch {
	case id != [16]byte{} && slices.ContainsFunc(p.cursors, other):
		c.fail(p, other, halt.Newf(halt.TopicRecreated, hintRecreated, "topic %s has id %s, which is not the bookmark's", p.topic, formatID(id)))
		return false
	case first < p.next:
		c.failFrom(p, first+1, halt.Newf(halt.LogTruncated, hintTruncated,
			"topic %s partition %d: offset %d was read again after position %d", p.topic, p.number, first, p.next))
		return false
	case first > p.next && fetched.LogStartOffset > p.next:
		c.failBelow(p, fetched.LogStartOffset, halt.Newf(halt.RecordsLost, hintLost,
			"topic %s partition %d starts at offset %d, reading stood at %d: %d offsets are gone",
			p.topic, p.number, fetched.LogStartOffset, p.next, fetched.LogStartOffset-p.next))
		return false
	}
	return true
}

// fault deals with an error of a fetch: what may mean lost records stops the cursors concerned (I9), what may pass is
// tried again after a rest. kgo retries moved leaders and broken connections before it says anything.
func (c *Client) fault(p *partition, err error) {
	c.complain(p.topic, p.number, err)
	lost, isLost := errors.AsType[*kgo.ErrDataLoss](err)
	huge, isHuge := errors.AsType[*kgo.ErrDecompressTooLarge](err)
	switch {
	case isHuge:
		c.failBelow(p, huge.NextOffset, halt.Newf(halt.RecordOverBudget, hintHuge,
			"topic %s partition %d: the batch of records at offset %d takes more than %d bytes when it is decompressed",
			p.topic, p.number, huge.Offset, c.o.UnpackedBytes))
	case isLost && lost.ConsumedTo == p.next: // Otherwise it is about an earlier start, and the next one will tell.
		c.failFrom(p, min(lost.ResetTo+1, lost.ConsumedTo), halt.Newf(halt.LogTruncated, hintTruncated,
			"topic %s partition %d: the log was cut to offset %d, reading stood at %d", p.topic, p.number, lost.ResetTo, lost.ConsumedTo))
	case errors.Is(err, kerr.OffsetOutOfRange):
		c.suspect(p, func(cur *cursor) bool { return cur.next <= p.next }, err)
	case errors.Is(err, kerr.UnknownTopicID), errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.InconsistentTopicID):
		c.suspect(p, func(*cursor) bool { return true }, err)
	}
	// In every case the client starts anew at the lowest position that is left.
	p.retryAt = time.Now().Add(retryWait)
	c.restart(p)
}

// restart makes steer take p from the client and add it again.
func (c *Client) restart(p *partition) {
	p.next = restarting
	for _, cur := range p.cursors {
		cur.joined = false
	}
	c.change(p)
}

// failFrom halts the subscriptions that stand at next or later in p.
func (c *Client) failFrom(p *partition, next int64, err *halt.Error) {
	c.fail(p, func(cur *cursor) bool { return cur.next >= next }, err)
}

// failBelow halts the subscriptions that stand before next in p.
func (c *Client) failBelow(p *partition, next int64, err *halt.Error) {
	c.fail(p, func(cur *cursor) bool { return cur.next < next }, err)
}

func (c *Client) fail(p *partition, concerned func(*cursor) bool, err *halt.Error) {
	c.metrics.fetchErrors.WithLabelValues(p.topic).Inc()
	for _, cur := range p.cursors {
		if cur.joined && concerned(cur) {
			cur.subscription.fail(err)
		}
	}
	c.restart(p)
}

// suspect stops the cursors concerned until their subscription's Poll has asked the cluster what happened.
func (c *Client) suspect(p *partition, concerned func(*cursor) bool, err error) {
	for _, cur := range p.cursors {
		s := cur.subscription
		if !cur.joined || !concerned(cur) {
			continue
		}
		cur.stopped = true
		// What is definite wins over what may pass.
		if s.doubt == nil || errors.Is(err, kerr.OffsetOutOfRange) {
			s.doubt = &doubt{topic: p.topic, partition: p.number, next: cur.next, err: err}
		}
		s.signal()
	}
}

// complain counts an error of a fetch, and logs it: the first, then one a minute.
func (c *Client) complain(topic string, partition int32, err error) {
	if topic != "" { // Of a whole broker, otherwise.
		c.metrics.fetchErrors.WithLabelValues(topic).Inc()
	}
	if due, count := c.repeats.due(fmt.Sprintf("fetch %s/%d", topic, partition)); due {
		c.log.Warn("retried fetch", "topic", topic, "partition", partition, "attempt", count, "err", err)
	}
}
