package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/halt"
)

// Origin says from where a topic is read on that is another one than the bookmark's.
type Origin string

// The origins. Keep is for brokers that were restored with their offsets, under another cluster or topic id.
const (
	Earliest Origin = "earliest"
	Latest   Origin = "latest"
	Keep     Origin = "keep"
)

// ErrBound is returned by Rebind for a bookmark that means the topics as they are.
var ErrBound = errors.New("cluster, topics and partitions are those of the bookmark")

// Rebind returns the bookmark with which an operator binds a table to other topics of the same names: of another cluster, or created
// anew. Partitions that were added to a topic begin at their log start, and its others stand where they stood.
//
// waiting names partitions of grown topics in which records wait: an older event of a key might there be applied after a
// newer one from the partition that the key went to (I13).
//
// Everything else that is wrong with the bookmark is a *halt.Error, which has its own way out.
func (c *Client) Rebind(ctx context.Context, topics []string, from bookmark.Bookmark, origin Origin) (to bookmark.Bookmark, waiting []string, err error) {
	_, err = c.Locate(ctx, topics, from)
	halted, ok := errors.AsType[*halt.Error](err)
	switch {
	case err == nil:
		return from, nil, ErrBound
	case !ok || !slices.Contains([]halt.Reason{halt.TopicRecreated, halt.ForeignCluster, halt.PartitionsAdded}, halted.Reason):
		return from, nil, err
	}
	s, err := c.survey(ctx, topics)
	if err != nil {
		return from, nil, err
	}
	to = from.Clone()
	to.Cluster = s.logStart.Cluster
	for _, now := range s.logStart.Topics {
		was, _ := from.Topic(now.Name)
		if len(was.Partitions) == 0 {
			continue // It begins as any topic does that the bookmark does not have.
		}
		other := from.Cluster != "" && from.Cluster != to.Cluster || was.ID != "" && was.ID != now.ID || lacks(now, was)
		if !other && lacks(was, now) {
			behind, err := c.behind(ctx, s, was)
			if err != nil {
				return from, nil, err
			}
			waiting = append(waiting, behind...)
		}
		to.Topics = slices.DeleteFunc(to.Topics, func(t bookmark.Topic) bool { return t.Name == now.Name })
		for _, begin := range now.Partitions {
			to.Set(now.Name, now.ID, s.bind(from, now.Name, begin, origin, other))
		}
		if !other || origin == Keep {
			to.SetKey(now.Name, was.Key)
		}
	}
	return to, waiting, nil
}

// bind returns from where one partition is read on; other says that its topic is another one than the bookmark's.
func (s survey) bind(from bookmark.Bookmark, topic string, begin bookmark.Partition, origin Origin, other bool) bookmark.Partition {
	was, known := from.Partition(topic, begin.Partition)
	switch {
	case known && !other:
		return was
	case known && origin == Keep:
		return bookmark.Partition{Partition: was.Partition, Next: was.Next, Epoch: -1} // Leader epochs may have begun anew.
	case other && origin == Latest:
		end, _ := s.end.Partition(topic, begin.Partition)
		return end
	}
	return begin
}

// lacks reports whether t has not every partition of u.
func lacks(t, u bookmark.Topic) bool {
	return slices.ContainsFunc(u.Partitions, func(p bookmark.Partition) bool {
		return !slices.ContainsFunc(t.Partitions, func(q bookmark.Partition) bool { return q.Partition == p.Partition })
	})
}

// behind names the partitions of a topic in which records wait behind the bookmark.
func (c *Client) behind(ctx context.Context, s survey, was bookmark.Topic) ([]string, error) {
	var waiting []string
	for _, p := range was.Partitions {
		end, _ := s.end.Partition(was.Name, p.Partition)
		if p.Next >= end.Next {
			continue
		}
		next, err := c.Skip(ctx, was.Name, p)
		if err != nil {
			return nil, err
		}
		if next.Next < end.Next {
			waiting = append(waiting, fmt.Sprintf("%s/%d from offset %d", was.Name, p.Partition, next.Next))
		}
	}
	return waiting, nil
}
