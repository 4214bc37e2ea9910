package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/sink"
)

type tableResume struct {
	operateFlags

	AcceptDisorder bool `help:"Apply an event of another key form although later events of its key may have been applied: the form is learned anew."`
}

// Run makes a halted table try again, and ends a pause.
func (o tableResume) Run(c *console) error {
	if !o.AcceptDisorder {
		return o.operate(c, sink.OperationResume, stay)
	}
	return o.operate(c, sink.OperationResume, func(_ context.Context, op *operator, at sink.Standing) (sink.Decision, error) {
		to := at.Bookmark.Clone()
		for _, topic := range op.table.Topics {
			to.SetKey(topic, nil)
		}
		return sink.Decision{Bookmark: to}, at.Resumable()
	})
}

type tablePause struct{ operateFlags }

// Run keeps the table from being committed to until it is resumed.
func (o tablePause) Run(c *console) error {
	if o.Reason == "" {
		return usageError{fmt.Errorf("pause: say why with -reason: the table halts with these words")}
	}
	return o.operate(c, sink.OperationPause, stay)
}

// stay leaves rows and bookmark as they are.
func stay(_ context.Context, _ *operator, at sink.Standing) (sink.Decision, error) {
	return sink.Decision{Bookmark: at.Bookmark}, nil
}

type tableRewind struct {
	operateFlags

	ToSnapshot int64     `xor:"to" required:"" placeholder:"ID" help:"Go back to the rows and the bookmark of this snapshot."`
	ToTime     time.Time `xor:"to" required:"" placeholder:"TIME" help:"Go back to the newest snapshot at or before this time, as 2006-01-02T15:04:05Z."`
	ToOffset   []string  `xor:"to" required:"" placeholder:"TOPIC/PARTITION=OFFSET" help:"Leave the rows, and read again from these offsets."`
}

// Run takes a table back: to the rows and bookmark of an earlier snapshot, or, with its rows as they are, to earlier offsets.
func (o tableRewind) Run(c *console) error {
	back, err := parseOffsets(o.ToOffset)
	if err != nil {
		return err
	}
	return o.operate(c, sink.OperationRewind, func(ctx context.Context, op *operator, at sink.Standing) (sink.Decision, error) {
		switch {
		case o.ToSnapshot != 0:
			return sink.Decision{Snapshot: o.ToSnapshot}, nil
		case !o.ToTime.IsZero():
			id, err := at.AsOf(o.ToTime)
			return sink.Decision{Snapshot: id}, err
		}
		return op.rewindOffsets(ctx, at, back)
	})
}

// rewindOffsets moves the bookmark back. That the records are still there is checked first.
func (o *operator) rewindOffsets(ctx context.Context, at sink.Standing, back []offset) (sink.Decision, error) {
	if err := at.Resumable(); err != nil {
		return sink.Decision{}, err
	}
	to := at.Bookmark.Clone()
	for _, b := range back {
		now, ok := at.Bookmark.Partition(b.topic, b.partition)
		switch {
		case !ok || !slices.Contains(o.table.Topics, b.topic):
			return sink.Decision{}, fmt.Errorf("the table has no partition %s/%d; it is fed by %s", b.topic, b.partition, strings.Join(o.table.Topics, ", "))
		case b.next > now.Next:
			return sink.Decision{}, fmt.Errorf("%s stands at offset %d: %d is ahead of it, and a rewind goes back only", b.place, now.Next, b.next)
		}
		to.Set(b.topic, "", bookmark.Partition{Partition: b.partition, Next: b.next, Epoch: -1})
	}
	forgetKeys(&to, back)
	if _, err := o.kafka.Locate(ctx, o.table.Topics, to); err != nil {
		return sink.Decision{}, fmt.Errorf("find these offsets: %w", err)
	}
	return sink.Decision{Bookmark: to}, nil
}

// forgetKeys makes the form of a topic's keys be learned anew where all its partitions go back. Where only some do it stays: an event of
// an earlier form would be applied over later ones, which are not read again, and halts the table.
func forgetKeys(to *bookmark.Bookmark, back []offset) {
	for _, t := range to.Topics {
		if !slices.ContainsFunc(t.Partitions, func(p bookmark.Partition) bool {
			return p.Next > 0 && !slices.ContainsFunc(back, func(o offset) bool { return o.topic == t.Name && o.partition == p.Partition })
		}) {
			to.SetKey(t.Name, nil)
		}
	}
}

// offset is a position that an operator names.
type offset struct {
	place

	next int64
}

// String returns the partition as operators write it.
func (p place) String() string { return fmt.Sprintf("%s/%d", p.topic, p.partition) }

func parseOffsets(texts []string) ([]offset, error) {
	var out []offset
	for _, text := range texts {
		o, err := parseOffset(text, "=")
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(other offset) bool { return other.place == o.place }) {
			return nil, usageError{fmt.Errorf("offset %q: %s stands there twice", text, o.place)}
		}
		out = append(out, o)
	}
	return out, nil
}

// parseOffset reads topic/partition, a separator and an offset.
func parseOffset(text, separator string) (offset, error) {
	wrong := usageError{fmt.Errorf("offset %q: write TOPIC/PARTITION%sOFFSET, for example shop.salesdb.customer/0%s123", text, separator, separator)}
	where, at, ok := strings.Cut(text, separator)
	slash := strings.LastIndex(where, "/")
	if !ok || slash <= 0 {
		return offset{}, wrong
	}
	partition, err := strconv.ParseInt(where[slash+1:], 10, 32)
	if err != nil || partition < 0 {
		return offset{}, wrong
	}
	next, err := strconv.ParseInt(at, 10, 64)
	if err != nil || next < 0 {
		return offset{}, wrong
	}
	return offset{place{where[:slash], int32(partition)}, next}, nil
}
