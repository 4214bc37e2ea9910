package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/config"
	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// operateFlags are those of every command by which an operator decides about a table. Nothing asks back: -dry-run shows what a
// command would do.
type operateFlags struct {
	configFlag

	Table   string        `arg:"" help:"Table, as namespace.table."`
	Reason  string        `help:"Why; recorded in the snapshot summary." placeholder:"TEXT"`
	By      string        `help:"Who decides; recorded in the snapshot summary." placeholder:"NAME" env:"USER"`
	DryRun  bool          `name:"dry-run" help:"Print what would be committed, and touch nothing."`
	Timeout time.Duration `default:"2m" help:"How long Kafka, storage and the catalog may take."`
	JSON    bool          `name:"json" help:"Print JSON: one object a line."`
}

// operator is what a decision needs: the table, and how to reach Kafka and the catalog.
type operator struct {
	c       *console
	conf    *config.Config
	log     *slog.Logger
	table   pipeline.Table
	kafka   *kafka.Client
	catalog *sink.Catalog
	sink    *sink.Sink
}

// decide says what becomes of a table; it may be called again.
type decide func(ctx context.Context, o *operator, at sink.Standing) (sink.Decision, error)

// operate commits a decision and prints it.
func (f operateFlags) operate(c *console, name sink.OperationName, d decide) error {
	return f.with(c, func(ctx context.Context, o *operator) error {
		done, err := o.sink.Operate(ctx, o.table.Sink, sink.Operation{
			Name: name, Reason: f.Reason, By: f.By, DryRun: f.DryRun,
			Decide: func(ctx context.Context, at sink.Standing) (sink.Decision, error) { return d(ctx, o, at) },
		})
		if errors.Is(err, sink.ErrNoTable) {
			err = fmt.Errorf("%w: create the table with its columns and identifier fields by another engine, so that the decision can be recorded in it", err)
		}
		if err == nil {
			err = f.print(c, name, done)
		}
		if err == nil && name != sink.OperationPause {
			o.foresee(ctx, done)
		}
		return err
	})
}

// with calls do with what a decision needs, and closes it. ctx ends after the timeout.
func (f operateFlags) with(c *console, do func(ctx context.Context, o *operator) error) error {
	conf, err := f.load()
	if err != nil {
		return err
	}
	table, err := configured(pipelineTables(conf), f.Table)
	if err != nil {
		return err
	}
	log := newLogger(c, conf.Log)
	client, err := openKafka(conf, log, nil)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeoutCause(c.ctx, f.Timeout, fmt.Errorf("not done within %s", f.Timeout))
	defer cancel()
	cat, err := openCatalog(ctx, conf)
	if err != nil {
		return err
	}
	ctx = cat.Context(ctx)
	s := sink.New(sink.Options{
		Catalog: cat, Version: buildVersion(), Delete: conf.Maintenance.Delete, IndexBytes: int64(conf.Memory.Index), Backoff: backoff, Logger: log,
	})
	err = do(ctx, &operator{c: c, conf: conf, log: log, table: table, kafka: client, catalog: cat, sink: s})
	return errors.Join(err, cat.Close())
}

// configured returns the table of that name. A quarantine table is one without topics.
func configured(tables []pipeline.Table, name string) (pipeline.Table, error) {
	var names []string
	for _, t := range tables {
		if t.Sink.Name == name {
			return t, nil
		}
		if q := pipeline.QuarantineOf(t.Sink); q.Name == name {
			return pipeline.Table{Sink: q}, nil
		}
		names = append(names, t.Sink.Name)
	}
	return pipeline.Table{}, usageError{fmt.Errorf("table %s is not configured; these are: %s", name, strings.Join(names, ", "))}
}

// foreseeTimeout bounds what is only said for information.
const foreseeTimeout = 10 * time.Second

// foresee says on standard error what will still keep the table from going on, so that nobody has to wait for the next halt.
func (o *operator) foresee(ctx context.Context, done sink.Operated) {
	if done.Paused {
		_, _ = fmt.Fprintf(o.c.err, "note: the table is paused until cdcd table resume %s\n", o.table.Sink.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, foreseeTimeout)
	defer cancel()
	if _, err := o.kafka.Locate(ctx, o.table.Topics, done.After); err != nil {
		_, _ = fmt.Fprintf(o.c.err, "note: from this bookmark the table does not go on: %v\n", err)
		if hint := hintOf(err); hint != "" {
			_, _ = fmt.Fprintf(o.c.err, "hint: %s\n", hint)
		}
	}
}

// operated is an operation as it is printed. The bookmarks have the form that docs/format.md specifies.
type operated struct {
	Table     string             `json:"table"`
	Operation sink.OperationName `json:"operation"`
	DryRun    bool               `json:"dry_run"`
	Parent    int64              `json:"parent_id,omitempty"`
	Snapshot  int64              `json:"snapshot_id,omitempty"`
	Before    json.RawMessage    `json:"bookmark_before"`
	After     json.RawMessage    `json:"bookmark_after"`
	Paused    bool               `json:"paused"`
	Detail    sink.Detail        `json:"detail"`
}

func (f operateFlags) print(c *console, name sink.OperationName, done sink.Operated) error {
	p := newPrinter(c.out, f.JSON, "PARTITION", "BEFORE", "AFTER")
	if f.JSON {
		p.row(operated{
			Table: f.Table, Operation: name, DryRun: f.DryRun, Parent: done.Parent, Snapshot: done.SnapshotID, Paused: done.Paused,
			Before: json.RawMessage(done.Before.String()), After: json.RawMessage(done.After.String()), Detail: done.Detail,
		})
		return p.end()
	}
	snapshot := fmt.Sprint(done.SnapshotID)
	if f.DryRun {
		snapshot = "none: this was a dry run"
	}
	_, _ = fmt.Fprintf(c.out, "table      %s\noperation  %s\nparent     %d\nsnapshot   %s\n", f.Table, name, done.Parent, snapshot)
	if id := done.Detail.Snapshot; id != 0 {
		_, _ = fmt.Fprintf(c.out, "rows of    %d\n", id)
	}
	for _, g := range done.Detail.Gaps {
		_, _ = fmt.Fprintf(c.out, "gap        %s/%d offsets %d to %d %s\n", g.Topic, g.Partition, g.From, g.To-1, g.Kind)
	}
	_, _ = fmt.Fprintln(c.out)
	for _, place := range places(done.Before, done.After) {
		p.row(nil, fmt.Sprintf("%s/%d", place.topic, place.partition), place.next(done.Before), place.next(done.After))
	}
	return p.end()
}

// place is one partition of one topic.
type place struct {
	topic     string
	partition int32
}

// next returns where a bookmark stands in a partition.
func (p place) next(b bookmark.Bookmark) string {
	if at, ok := b.Partition(p.topic, p.partition); ok {
		return fmt.Sprint(at.Next)
	}
	return "-"
}

// places returns the partitions that either bookmark has.
func places(before, after bookmark.Bookmark) []place {
	all := before.Clone()
	for _, t := range after.Topics {
		for _, p := range t.Partitions {
			all.Set(t.Name, "", p)
		}
	}
	var out []place
	for _, t := range all.Topics {
		for _, p := range t.Partitions {
			out = append(out, place{t.Name, p.Partition})
		}
	}
	return out
}
