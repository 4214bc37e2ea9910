package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// scenarioB is an OLTP load on a shop while cdcd commits several times a second, and expires its snapshots.
func scenarioB(ctx context.Context, w *world) error {
	return underLoad(ctx, w, "b", "retain.snapshots = 10\nretain.age = \"10s\"\n", nil)
}

// A disturbance happens at a fraction of the load's time.
type disturbance struct {
	at   float64
	what string
	do   func(context.Context, *play) error
}

// scenarioE is the same load while everything is restarted or killed in its middle.
func scenarioE(ctx context.Context, w *world) error {
	return underLoad(ctx, w, "e", "", []disturbance{
		{0.10, "kill the REST catalog", killREST},
		{0.15, "kill Connect", func(ctx context.Context, p *play) error { p.connect.proc.kill(); return p.connect.start(ctx) }},
		{0.30, "kill cdcd", killCdcd},
		{0.40, "restart the broker", func(ctx context.Context, p *play) error {
			return errors.Join(p.w.kafka.stop(), p.w.kafka.start(ctx))
		}},
		{0.55, "restart Connect", func(ctx context.Context, p *play) error {
			return errors.Join(p.connect.stop(), p.connect.start(ctx))
		}},
		{0.70, "kill the broker", func(ctx context.Context, p *play) error { p.w.kafka.proc.kill(); return p.w.kafka.start(ctx) }},
		{0.85, "kill cdcd", killCdcd},
	})
}

// killCdcd kills every cdcd without a warning and starts it again.
func killCdcd(_ context.Context, p *play) error {
	for _, c := range p.daemons {
		c.proc.kill()
		if err := c.start(); err != nil {
			return err
		}
	}
	return nil
}

// killREST kills the REST catalog, if there is one, under the requests of cdcd, and starts it again. It does not know the
// token then that it gave to cdcd.
func killREST(ctx context.Context, p *play) error {
	if p.w.rest == nil {
		return nil
	}
	p.w.rest.proc.kill()
	return p.w.rest.start(ctx)
}

// underLoad runs the load with disturbances, waits until all is quiet, and compares.
func underLoad(ctx context.Context, w *world, scenario, defaults string, disturbances []disturbance) (err error) {
	p := &play{w: w, scenario: scenario, database: "shop_" + scenario, forms: []form{withSchema, plain}, tables: shopTables(), defaults: defaults}
	defer func() { err = errors.Join(err, p.end()) }()
	if err := p.begin(ctx, "250ms", func(db *sql.DB) error { return fillShop(ctx, db, 300, 2000) }); err != nil {
		return err
	}
	if len(disturbances) > 0 {
		if err := p.settle(ctx, time.Minute); err != nil {
			return err
		}
		if err := p.connect.awaitStreaming(ctx); err != nil {
			return err
		}
	}
	length := time.Duration(w.options.seconds) * time.Second
	loading, stop := context.WithTimeout(ctx, length)
	defer stop()
	l := &load{db: p.db, workers: 3, perSecond: 15, seed: 1}
	done, began := make(chan error, 1), time.Now()
	go func() { done <- l.run(loading, 0) }()
	for _, d := range disturbances {
		time.Sleep(time.Until(began.Add(time.Duration(d.at * float64(length)))))
		started := time.Now()
		if err := d.do(ctx, p); err != nil {
			return fmt.Errorf("%s: %w", d.what, err)
		}
		progress("  %s: up again after %s", d.what, time.Since(started).Round(100*time.Millisecond))
	}
	if err := <-done; err != nil {
		return err
	}
	progress("  %d transactions in %s", l.transactions.Load(), time.Since(began).Round(time.Second))
	quiet := time.Now()
	if err := p.settle(ctx, 3*time.Minute); err != nil {
		return err
	}
	progress("  caught up %s after the load", time.Since(quiet).Round(time.Second))
	return p.compare(ctx)
}
