package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/sink"
)

type tableAcceptGap struct{ operateFlags }

// Run goes on without records that were lost.
func (o tableAcceptGap) Run(c *console) error {
	return o.operate(c, sink.OperationAcceptGap, func(ctx context.Context, op *operator, at sink.Standing) (sink.Decision, error) {
		if err := at.Resumable(); err != nil {
			return sink.Decision{}, err
		}
		to, gaps, err := op.kafka.AcceptGap(ctx, op.table.Topics, at.Bookmark)
		d := sink.Decision{Bookmark: to}
		for _, g := range gaps {
			kind := "lost"
			if g.Truncated {
				kind = "truncated"
			}
			d.Detail.Gaps = append(d.Detail.Gaps, sink.Gap{Topic: g.Topic, Partition: g.Partition, Kind: kind, From: g.From, To: g.To})
		}
		if errors.Is(err, kafka.ErrNoGap) {
			err = fmt.Errorf("%w; cdcd table resume makes a halted table try again", err)
		}
		return d, err
	})
}

type tableRebind struct {
	operateFlags

	At             kafka.Origin `default:"earliest" enum:"earliest,latest,keep" help:"From where a topic is read that is another one than the bookmark's: earliest, latest, or keep (the same offsets)."`
	AcceptDisorder bool         `help:"Rebind to added partitions although records wait in the others: an older event of a key may be applied after a newer one."`
}

// Run goes on with other topics of the same names: recreated, of another cluster, or with more partitions.
func (o tableRebind) Run(c *console) error {
	return o.operate(c, sink.OperationRebind, func(ctx context.Context, op *operator, at sink.Standing) (sink.Decision, error) {
		if err := at.Resumable(); err != nil {
			return sink.Decision{}, err
		}
		to, waiting, err := op.kafka.Rebind(ctx, op.table.Topics, at.Bookmark, o.At)
		if errors.Is(err, kafka.ErrBound) {
			err = fmt.Errorf("%w; cdcd table resume makes a halted table try again", err)
		}
		if err == nil && len(waiting) > 0 && !o.AcceptDisorder {
			err = halt.Newf(halt.PartitionsAdded, "Rebuild the table; or put up with it: -accept-disorder. Before partitions are added, stop the "+
				"connector and let cdcd read to the end.", "records wait in %s: an older event of a key might be applied after a newer one from the "+
				"partition that the key went to (I13)", strings.Join(waiting, ", "))
		}
		return sink.Decision{Bookmark: to}, err
	})
}

type tableSkip struct {
	operateFlags

	Record string `arg:"" help:"The record, as TOPIC/PARTITION@OFFSET: the one at which the table stands."`
}

// Run leaves out the record at which a table stands, after it has printed it.
func (o tableSkip) Run(c *console) error {
	record, err := parseOffset(o.Record, "@")
	if err != nil {
		return err
	}
	printed := false
	return o.operate(c, sink.OperationSkip, func(ctx context.Context, op *operator, at sink.Standing) (sink.Decision, error) {
		r, to, err := op.find(ctx, at, record)
		if err != nil {
			return sink.Decision{}, err
		}
		if !printed {
			if err := newPrinter(c.out, true).one(r); err != nil {
				return sink.Decision{}, fmt.Errorf("print the record: %w", err)
			}
			printed = true
		}
		sum := sha256.Sum256(r.Value)
		return sink.Decision{Bookmark: to, Detail: sink.Detail{Skipped: &sink.Skipped{
			Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, SHA256: hex.EncodeToString(sum[:]),
		}}}, nil
	})
}

// find returns the record at which the table stands, and the bookmark behind it. Control records, aborted ones and those that
// were compacted away are walked over.
func (o *operator) find(ctx context.Context, at sink.Standing, want offset) (*kafka.Record, bookmark.Bookmark, error) {
	if err := at.Resumable(); err != nil {
		return nil, bookmark.Bookmark{}, err
	}
	position, err := o.kafka.Locate(ctx, o.table.Topics, at.Bookmark)
	if err != nil {
		return nil, bookmark.Bookmark{}, err
	}
	if _, err := o.table.CheckStart(at.Bookmark, position); err != nil {
		return nil, bookmark.Bookmark{}, err
	}
	stands, ok := position.Start.Partition(want.topic, want.partition)
	switch {
	case !ok:
		return nil, bookmark.Bookmark{}, fmt.Errorf("the table has no partition %s; it is fed by %s", want.place, strings.Join(o.table.Topics, ", "))
	case want.next < stands.Next:
		return nil, bookmark.Bookmark{}, fmt.Errorf("offset %d of %s is behind the table, which stands at %d", want.next, want.place, stands.Next)
	}
	r, err := o.kafka.First(ctx, want.topic, want.partition, stands.Next)
	switch {
	case err != nil:
		return nil, bookmark.Bookmark{}, err
	case r == nil:
		return nil, bookmark.Bookmark{}, fmt.Errorf("%s has no record at or after offset %d, where the table stands", want.place, stands.Next)
	case r.Offset != want.next:
		return nil, bookmark.Bookmark{}, fmt.Errorf("the table stands at offset %d of %s, and its next record there is %d, not %d: only that one can be skipped",
			stands.Next, want.place, r.Offset, want.next)
	}
	to := position.Start.Clone()
	to.Set(r.Topic, "", bookmark.Partition{Partition: r.Partition, Next: r.Offset + 1, Epoch: r.LeaderEpoch})
	return r, to, nil
}
