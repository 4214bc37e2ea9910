package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/sink"
)

type checkCommand struct {
	configFlag
	Timeout time.Duration `default:"20s" help:"How long Kafka, the registry and the catalog may take to answer."`
}

// errCheck is returned when something that was checked would keep cdcd from running.
var errCheck = errors.New("the check found faults")

// Run checks the file, Kafka, the registry, the catalog, and what each table would do first.
func (cmd checkCommand) Run(c *console) error {
	conf, err := cmd.load()
	if err != nil {
		return err
	}
	r := report{c: c}
	r.line(nil, "configuration", fmt.Sprintf("%s: %d tables", cmd.Config, len(conf.Tables())))
	log := slog.New(slog.DiscardHandler)
	client, err := openKafka(conf, log, nil)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeoutCause(c.ctx, cmd.Timeout, fmt.Errorf("no answer within %s", cmd.Timeout))
	defer cancel()
	kafkaErr := client.Ping(ctx)
	r.line(kafkaErr, "kafka", fmt.Sprint(conf.Kafka.Brokers))
	if conf.Registry.Type != "none" {
		schemas, err := openRegistry(ctx, conf, log)
		if err == nil {
			err = schemas.Ping(ctx)
		}
		r.line(err, "schema registry", registryName(conf))
	}
	cat, catalogErr := openCatalog(ctx, conf)
	if catalogErr == nil {
		defer func() { _ = cat.Close() }() // Nothing was written.
		ctx = cat.Context(ctx)
	}
	r.line(catalogErr, "catalog", conf.Catalog.URI)
	if catalogErr == nil {
		s := sink.New(sink.Options{Catalog: cat, Version: buildVersion(), IndexBytes: int64(conf.Memory.Index), Backoff: backoff, Logger: log})
		r.line(s.CheckWrite(ctx, conf.Catalog.Warehouse), "write access", conf.Catalog.Warehouse)
		for _, t := range pipelineTables(conf) {
			if kafkaErr == nil {
				plan, err := planTable(ctx, client, s, t)
				r.line(err, "table "+t.Sink.Name, plan)
			}
		}
	}
	if r.faults > 0 {
		return errCheck
	}
	return nil
}

// planTable tells where a table would start to read, and how much waits.
func planTable(ctx context.Context, client *kafka.Client, s *sink.Sink, t pipeline.Table) (string, error) {
	at, state := bookmark.Bookmark{}, "would be created"
	mark, rows, err := s.Peek(ctx, t.Sink)
	switch {
	case err == nil:
		at, state = mark, fmt.Sprintf("exists with %s records", rows)
	case !errors.Is(err, sink.ErrNoTable):
		return "", err
	}
	if _, _, err := s.Peek(ctx, pipeline.QuarantineOf(t.Sink)); err != nil && !errors.Is(err, sink.ErrNoTable) {
		return "", fmt.Errorf("quarantine table: %w", err) // It would halt the table at its next bad record.
	}
	position, err := client.Locate(ctx, t.Topics, at)
	if err != nil {
		return "", err
	}
	incomplete, err := t.CheckStart(at, position)
	if err != nil {
		return "", err
	}
	if incomplete {
		state += " without its beginning"
	}
	count, waiting := 0, int64(0)
	for _, name := range t.Topics {
		end, _ := position.End.Topic(name)
		for _, p := range end.Partitions {
			start, _ := position.Start.Partition(name, p.Partition)
			count, waiting = count+1, waiting+max(p.Next-start.Next, 0)
		}
	}
	return fmt.Sprintf("%s, from topic %s with %d partitions; %d records wait", state, strings.Join(t.Topics, ", "), count, waiting) + order(t, count), nil
}

// order tells what would halt a table because several partitions feed it (I13).
func order(t pipeline.Table, partitions int) string {
	text := ""
	if partitions > 1 && len(t.Sink.Key) > 0 {
		text += "; a record key with another column than " + strings.Join(t.Sink.Key, ", ") + " would halt it"
	}
	if partitions > 1 && t.Decoder.Truncate == debezium.TruncateApply {
		text += "; a TRUNCATE would halt it"
	}
	return text
}

// report prints one line a check.
type report struct {
	c      *console
	faults int
}

func (r *report) line(err error, what, detail string) {
	if err == nil {
		_, _ = fmt.Fprintf(r.c.out, "ok    %s: %s\n", what, detail)
		return
	}
	r.faults++
	_, _ = fmt.Fprintf(r.c.out, "FAIL  %s: %v\n", what, err)
	if hint := hintOf(err); hint != "" {
		_, _ = fmt.Fprintf(r.c.out, "      hint: %s\n", hint)
	}
}
