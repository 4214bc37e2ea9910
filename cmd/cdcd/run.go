package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/cdcd-project/cdcd/internal/admin"
	"github.com/cdcd-project/cdcd/internal/config"
	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/sink"
)

const (
	backoff         = 50 * time.Millisecond  // The first wait before a storage or catalog call is repeated.
	pause           = 200 * time.Millisecond // The first pause before a table is opened again.
	pauseMax        = 30 * time.Second       // The longest one.
	watchInterval   = time.Minute            // How often the brokers are asked where topics end.
	quietInterval   = 15 * time.Minute       // How often a bookmark that moved without a changed row is committed alone, at most.
	rebalanceMargin = 30 * time.Second       // How much longer than the grace period a rebalance of the group waits for a member.
)

type runCommand struct {
	configFlag
	Backfill bool `help:"Read from the bookmarks to the end offsets seen at start, then exit."`
}

// Run runs the daemon until a signal, or a backfill to its end.
func (cmd runCommand) Run(c *console) error {
	conf, err := cmd.load()
	if err != nil {
		return err
	}
	log, registry := newLogger(c, conf.Log), prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	client, err := openKafka(conf, log, registry)
	if err != nil {
		return err
	}
	defer client.Close()
	server := admin.New(admin.Options{
		Listen: conf.Admin.Listen, Registry: registry, Version: buildVersion(), Logger: log, Ready: readiness(client, cmd.Backfill),
	})
	if err := server.Listen(); err != nil {
		return err
	}
	log.Info("started", "version", buildVersion(), "tables", len(conf.Tables()), "backfill", cmd.Backfill, "admin", server.Addr())

	g, ctx := errgroup.WithContext(c.ctx)
	served, stopServer := context.WithCancel(context.WithoutCancel(c.ctx)) // Until the last table has stopped.
	defer stopServer()
	g.Go(func() error { return server.Serve(served) })
	g.Go(func() error {
		defer stopServer()
		return cmd.mirror(ctx, conf, client, log, registry)
	})
	err = g.Wait()
	log.Info("stopped", "cause", context.Cause(c.ctx))
	return err
}

// mirror runs the pipeline until ctx ends, or a backfill to its end.
func (cmd runCommand) mirror(ctx context.Context, conf *config.Config, client *kafka.Client, log *slog.Logger, registry *prometheus.Registry) error {
	cat, err := openCatalog(ctx, conf)
	switch {
	case err != nil && ctx.Err() != nil && !cmd.Backfill:
		return nil // Told to stop before there was anything to finish.
	case err != nil:
		return err
	}
	schemas, err := openRegistry(ctx, conf, log)
	if err != nil {
		return errors.Join(err, cat.Close())
	}
	err = pipeline.Run(cat.Context(ctx), pipeline.Options{
		Kafka: client, Registry: schemas,
		Sink: sink.New(sink.Options{
			Catalog: cat, Version: buildVersion(), Delete: conf.Maintenance.Delete, IndexBytes: int64(conf.Memory.Index), Backoff: backoff, Logger: log, Registerer: registry,
		}),
		Tables: pipelineTables(conf), Bounded: cmd.Backfill, BatchBytes: int64(conf.Memory.Batches), GracePeriod: conf.GracePeriod.Duration,
		Pause: pause, PauseMax: pauseMax, QuietInterval: quietInterval, WatchInterval: watchInterval, Logger: log, Registerer: registry,
	})
	closed := cat.Close()
	if closed != nil && errors.Is(err, pipeline.ErrQuarantined) {
		return closed // The run did not finish as it should: what was quarantined is in the log.
	}
	return errors.Join(err, closed)
}
