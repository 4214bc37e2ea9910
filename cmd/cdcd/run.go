package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/cdcd-project/cdcd/internal/admin"
	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/sink"
)

const (
	backoff         = 50 * time.Millisecond  // The first wait before a storage or catalog call is repeated.
	pause           = 200 * time.Millisecond // The first pause before a table is opened again.
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
	log.Info("started", "version", buildVersion(), "tables", len(conf.Tables()), "backfill", cmd.Backfill)
	server := admin.New(admin.Options{Listen: conf.Admin.Listen, Registry: registry, Version: buildVersion(), Logger: log})
	if err := server.Listen(); err != nil {
		return fmt.Errorf("listen on admin address: %w", err)
	}
	cat, closeCatalog, err := openCatalog(c.ctx, conf)
	if err != nil {
		return err
	}
	client, err := openKafka(conf, log, registry)
	if err != nil {
		return errors.Join(err, closeCatalog())
	}
	defer client.Close()

	served, stopServer := context.WithCancel(context.WithoutCancel(c.ctx))
	defer stopServer()
	var g errgroup.Group
	g.Go(func() error { return server.Serve(served) })
	err = pipeline.Run(c.ctx, pipeline.Options{
		Kafka: client,
		Sink: sink.New(sink.Options{
			Catalog: cat, Version: buildVersion(), Delete: conf.Maintenance.Delete, IndexBytes: int64(conf.Memory.Index), Backoff: backoff, Logger: log, Registerer: registry,
		}),
		Tables: pipelineTables(conf), Bounded: cmd.Backfill, BatchBytes: int64(conf.Memory.Batches), GracePeriod: conf.GracePeriod.Duration,
		Pause: pause, Logger: log, Registerer: registry,
	})
	stopServer()
	log.Info("stopped", "cause", context.Cause(c.ctx))
	return errors.Join(err, g.Wait(), closeCatalog())
}
