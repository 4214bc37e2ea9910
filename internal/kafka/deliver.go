package kafka

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
)

// deliver queues what was fetched of one partition of the topic with this id, if the broker has ids. The caller holds mu.
func (c *Client) deliver(topic string, id [16]byte, fetched kgo.FetchPartition) {
	p := c.partitions[partitionKey{topic, fetched.Partition}]
	if p == nil || !p.reading || p.next == restarting {
		if fetched.Err != nil && !errors.Is(fetched.Err, context.Canceled) && !errors.Is(fetched.Err, context.DeadlineExceeded) {
			c.complain(topic, fetched.Partition, fetched.Err)
		}
		return
	}
	if len(fetched.Records) > 0 && c.continuous(p, id, fetched) {
		c.hand(p, fetched)
	}
	if fetched.Err != nil && p.reading {
		c.fault(p, fetched.Err)
	}
}

// hand gives each cursor the records at and after its position, without control records.
func (c *Client) hand(p *partition, fetched kgo.FetchPartition) {
	last := fetched.Records[len(fetched.Records)-1]
	records := slices.DeleteFunc(fetched.Records, func(r *kgo.Record) bool { return r.Attrs.IsControl() })
	whole := Fetch{
		Topic: p.topic, Partition: p.number, Next: last.Offset + 1, Epoch: last.LeaderEpoch, HighWatermark: fetched.HighWatermark,
	}
	p.next = whole.Next
	for _, cur := range p.cursors {
		if !cur.joined || cur.next >= whole.Next {
			continue
		}
		from, _ := slices.BinarySearchFunc(records, cur.next, func(r *kgo.Record, next int64) int { return cmp.Compare(r.Offset, next) })
		for _, piece := range cut(whole, records[from:]) {
			cur.subscription.push(cur, piece)
		}
		cur.next, cur.epoch = whole.Next, whole.Epoch
	}
}

// cut divides records into pieces of about chunkBytes. The last one ends where whole does.
func cut(whole Fetch, records []*kgo.Record) []Fetch {
	var pieces []Fetch
	start, bytes := 0, int64(0)
	for i, r := range records {
		bytes += recordBytes(r)
		if bytes < chunkBytes || i == len(records)-1 {
			continue
		}
		piece := whole
		piece.Records, piece.Bytes, piece.Next, piece.Epoch = records[start:i+1:i+1], bytes, r.Offset+1, r.LeaderEpoch
		pieces = append(pieces, piece)
		start, bytes = i+1, 0
	}
	whole.Records, whole.Bytes = records[start:len(records):len(records)], bytes
	return append(pieces, whole)
}

// recordBytes returns what a record takes in memory, about.
func recordBytes(r *kgo.Record) int64 {
	bytes := recordOverhead + len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		bytes += headerOverhead + len(h.Key) + len(h.Value)
	}
	return int64(bytes)
}
