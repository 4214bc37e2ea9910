package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/cdcd-project/cdcd/internal/pipeline"
)

type quarantineReplay struct {
	operateFlags

	Record         []string `arg:"" optional:"" help:"Records, each as TOPIC/PARTITION@OFFSET."`
	All            bool     `help:"All records that are not resolved."`
	Dismiss        bool     `help:"Apply nothing: mark the records as resolved."`
	AcceptDisorder bool     `help:"Replay although a key's events may stand in several partitions: an older event may be applied after a newer one."`
}

// errNotReplayed is returned when a record was not applied.
var errNotReplayed = errors.New("not all records were replayed")

// replayedRecord is what became of one record, as it is printed.
type replayedRecord struct {
	Record  string `json:"record"`
	TopicID string `json:"topic_id"`
	Outcome string `json:"outcome"`
	Detail  string `json:"detail,omitempty"`
	DryRun  bool   `json:"dry_run"`
}

// Run applies records late, and prints what became of each.
func (o quarantineReplay) Run(c *console) error {
	if o.All == (len(o.Record) > 0) {
		return usageError{errors.New("replay: name records, or write -all")}
	}
	var places []offset
	for _, text := range o.Record {
		at, err := parseOffset(text, "@")
		if err != nil {
			return err
		}
		places = append(places, at)
	}
	return o.with(c, func(ctx context.Context, at *operator) error {
		schemas, err := openRegistry(ctx, at.conf, at.log)
		if err != nil {
			return err
		}
		records, err := find(ctx, at.catalog, o.Table, places, o.All)
		if err != nil {
			return err
		}
		return o.replay(ctx, c, pipeline.ReplayOptions{
			Kafka: at.kafka, Sink: at.sink, Registry: schemas, Table: at.table, Dismiss: o.Dismiss, AcceptDisorder: o.AcceptDisorder, DryRun: o.DryRun,
			Reason: o.Reason, By: o.By, Logger: at.log,
		}, records)
	})
}

// replay replays records in groups, the earlier ones first.
func (o quarantineReplay) replay(ctx context.Context, c *console, options pipeline.ReplayOptions, records []pipeline.Quarantined) error {
	p := newPrinter(c.out, o.JSON, "RECORD", "OUTCOME", "DETAIL")
	left := 0
	pipeline.SortQuarantined(records)
	for len(records) > 0 {
		n := min(len(records), pipeline.ReplayMax)
		options.Records = records[:n]
		done, err := pipeline.Replay(ctx, options)
		if err != nil {
			return errors.Join(err, p.end())
		}
		for _, r := range done {
			if r.Outcome != pipeline.Applied && r.Outcome != pipeline.Dismissed {
				left++
			}
			out := replayedRecord{Record: coordinate(r.Record), TopicID: r.Record.TopicID, Outcome: r.Outcome, Detail: r.Detail, DryRun: o.DryRun}
			p.row(out, out.Record, out.Outcome, printable(out.Detail))
		}
		records = records[n:]
	}
	err := p.end()
	if left > 0 {
		err = errors.Join(err, fmt.Errorf("%w: %d", errNotReplayed, left))
	}
	return err
}
