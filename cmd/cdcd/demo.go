package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/cdcd-project/cdcd/internal/demo"
)

// What stands in the demo's folder.
const (
	demoCatalog   = "catalog.db"
	demoWarehouse = "warehouse"
	demoLog       = "cdcd.log"
	demoConfig    = "cdcd.toml"
)

const demoEventsMin = 1000

type demoCommand struct {
	Events int64  `default:"100000" placeholder:"N" help:"Events of the shop before the tables are compared, at least 1000 (default ${default}). 0: until interrupted; the tables are compared then, and a second interrupt stops at once."`
	Dir    string `placeholder:"DIR" help:"Folder of the catalog and the warehouse; it must be empty or absent. Default: a new temporary one."`
	Exit   bool   `help:"Exit after the comparison. Otherwise its JSON line is printed, and the shop goes on changing slowly until it is interrupted."`
	Seed   uint64 `default:"1" placeholder:"S" help:"The same seed gives the same events (default ${default})."`
}

// Help describes the command at more length.
func (demoCommand) Help() string {
	return `Starts a Kafka broker in this process, a SQLite catalog and a folder as the warehouse, and the same pipeline as "cdcd run". A shop with
three tables lives in it: an initial snapshot, then inserts, updates, deletes and changes of primary keys, then a walk-through by hand.
At the end every row is read back through the Iceberg scan and compared with what the shop knows, and one line of JSON goes to standard
output: events, commits, rows by table, mismatches. The exit code is 1 if anything differs.`
}

// Run plays the demo.
func (cmd demoCommand) Run(c *console) error {
	if cmd.Events != 0 && cmd.Events < demoEventsMin {
		return usageError{fmt.Errorf("cdcd demo -events %d: write at least %d, or 0 for a demo that runs until it is interrupted", cmd.Events, demoEventsMin)}
	}
	dir, err := demoFolder(cmd.Dir)
	if err != nil {
		return err
	}
	work, release := c.ctx, context.CancelFunc(func() {})
	if cmd.Events == 0 { // The first interrupt is a wish to see the end.
		work, release = untilSecondInterrupt(c.ctx)
	}
	defer release()
	shop := demo.NewShop(cmd.Seed)
	broker, err := demo.StartBroker(shop.Tables())
	if err != nil {
		return err
	}
	defer broker.Close()
	s, err := setStage(work, dir, broker, demo.NewScreen(c.err))
	if err != nil {
		return err
	}
	s.screen.Print("A shop (seed %d) writes to a Kafka broker in this process;\ncdcd mirrors it to Iceberg tables in %s.\n", cmd.Seed, dir)
	s.screen.Print("  broker   %s\n  metrics  http://%s/metrics\n  log      %s and %s, which it runs with, are in the folder\n",
		strings.Join(broker.Addresses(), ","), s.server.Addr(), demoLog, demoConfig)
	live, stop := context.WithCancelCause(work)
	defer stop(nil)
	served, stopServer := context.WithCancel(context.WithoutCancel(work))
	defer stopServer()
	var g errgroup.Group
	g.Go(func() error { return s.server.Serve(served) })
	g.Go(func() error {
		defer stop(errPipelineEnded)
		return s.pipeline(live)
	})
	err = cmd.play(live, c.out, s, demo.Options{
		Shop: shop, Broker: broker, Catalog: s.catalog, Gatherer: s.registry, Screen: s.screen, Events: cmd.Events, Enough: c.ctx.Done(),
	})
	stop(nil)
	stopServer()
	return errors.Join(err, g.Wait(), s.close())
}

// errPipelineEnded is why a demo stops that has nothing left to wait for.
var errPipelineEnded = errors.New("the pipeline ended")

// play plays the demo to its comparison, prints the result, and lets the shop go on if that was asked for.
func (cmd demoCommand) play(ctx context.Context, out io.Writer, s *stage, o demo.Options) error {
	result, err := demo.Play(ctx, o)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause // It explains whatever broke off.
		}
		return fmt.Errorf("stopped before the tables were compared: %w (what is committed stays in %s)", err, s.dir)
	}
	s.screen.Print("")
	if err := json.NewEncoder(out).Encode(result); err != nil {
		return fmt.Errorf("print result: %w", err)
	}
	s.sayWhere()
	if result.Mismatches > 0 {
		return fmt.Errorf("the comparison found %d mismatches; the first of each table are shown above", result.Mismatches)
	}
	if cmd.Exit || cmd.Events == 0 {
		return nil
	}
	s.screen.Print("\nThe shop goes on, a transaction every 200 ms. Interrupt (Ctrl-C) to stop.\n")
	if err := demo.Linger(ctx, o); err != nil {
		return err
	}
	if cause := context.Cause(ctx); errors.Is(cause, errPipelineEnded) {
		return cause
	}
	return nil
}

// demoFolder returns the folder of a demo, which is there and empty.
func demoFolder(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "cdcd-demo-")
	}
	path, err := filepath.Abs(dir)
	if err != nil {
		return "", usageError{fmt.Errorf("cdcd demo -dir %s: %w", dir, err)}
	}
	if strings.ContainsAny(path, "?#%") {
		return "", usageError{fmt.Errorf("cdcd demo -dir %s: choose a folder without ?, # and %% in its path: it becomes part of URIs", dir)}
	}
	if err := os.MkdirAll(path, 0o750); err != nil {
		return "", usageError{fmt.Errorf("cdcd demo -dir %s: %w", dir, err)}
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return "", usageError{fmt.Errorf("cdcd demo -dir %s: %w", dir, err)}
	}
	if len(entries) > 0 {
		return "", usageError{fmt.Errorf("cdcd demo -dir %s: the folder is not empty, and a demo never writes over somebody's tables\n"+
			"hint: name a folder that does not exist yet, or leave -dir out for a new temporary one", dir)}
	}
	return path, nil
}

// untilSecondInterrupt returns a context that lives on when ctx ends by a signal, and ends by the next one.
func untilSecondInterrupt(ctx context.Context) (context.Context, context.CancelFunc) {
	work, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	release := context.AfterFunc(ctx, func() {
		second, done := signal.NotifyContext(work, os.Interrupt, syscall.SIGTERM)
		defer done()
		<-second.Done()
		stop(context.Cause(second))
	})
	return work, func() { release(); stop(nil) }
}
