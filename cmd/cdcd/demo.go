package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/cdcd-project/cdcd/internal/admin"
	"github.com/cdcd-project/cdcd/internal/config"
	"github.com/cdcd-project/cdcd/internal/demo"
	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/sink"
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

// stage is what the demo plays on: all that "cdcd run" has, in one folder.
type stage struct {
	dir      string
	screen   *demo.Screen
	conf     *config.Config
	log      *slog.Logger
	logFile  *os.File
	registry *prometheus.Registry
	server   *admin.Server
	kafka    *kafka.Client
	catalog  *sink.Catalog
}

// setStage writes a configuration into dir and opens what it names.
func setStage(ctx context.Context, dir string, broker *demo.Broker, screen *demo.Screen) (s *stage, err error) {
	s = &stage{dir: dir, screen: screen, registry: prometheus.NewRegistry()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	file := filepath.Join(dir, demoConfig)
	if err := os.WriteFile(file, demoConfiguration(dir, broker.Addresses()), 0o600); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	if s.conf, err = config.Load(file); err != nil {
		return nil, err
	}
	if s.logFile, err = os.OpenFile(filepath.Join(dir, demoLog), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	s.log = slog.New(slog.NewMultiHandler(
		slog.NewTextHandler(s.logFile, &slog.HandlerOptions{Level: s.conf.Log.SlogLevel()}),
		slog.NewTextHandler(screen, &slog.HandlerOptions{Level: slog.LevelWarn}),
	))
	s.server = admin.New(admin.Options{Listen: s.conf.Admin.Listen, Registry: s.registry, Version: buildVersion(), Logger: s.log})
	if err := s.server.Listen(); err != nil {
		return nil, err
	}
	if s.catalog, err = openCatalog(ctx, s.conf); err != nil {
		return nil, err
	}
	s.kafka, err = openKafka(s.conf, s.log, s.registry)
	return s, err
}

// demoConfiguration returns the configuration file of a demo.
func demoConfiguration(dir string, brokers []string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `# What "cdcd demo" runs with. Its broker lives only as long as the demo does.
grace_period = "5s"

[kafka]
brokers = [%s]
group = "cdcd-demo"

[catalog]
type = "sql"
uri = %s
warehouse = %s

[defaults]
commit_interval = "200ms" # So that nobody has to wait, ...
commit_bytes = "1MiB"     # ... and so that there is more than one commit. Real tables are better off with the defaults.

[admin]
listen = "127.0.0.1:0" # Any free port.

[log]
format = "text"
`, quoteAll(brokers), quote("sqlite:"+filepath.Join(dir, demoCatalog)), quote("file://"+filepath.Join(dir, demoWarehouse)))
	for _, t := range demo.NewShop(0).Tables() {
		fmt.Fprintf(&b, "\n[[table]]\ntopic = %s\nname = %s\n", quote(t.Topic), quote(demo.TableName(t)))
	}
	return []byte(b.String())
}

// quote writes a basic string of TOML, whose escapes are those of JSON.
func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // A string always marshals.
	}
	return string(quoted)
}

func quoteAll(texts []string) string {
	quoted := slices.Clone(texts)
	for i := range quoted {
		quoted[i] = quote(quoted[i])
	}
	return strings.Join(quoted, ", ")
}

// pipeline mirrors the shop until ctx ends.
func (s *stage) pipeline(ctx context.Context) error {
	return pipeline.Run(ctx, pipeline.Options{
		Kafka: s.kafka,
		Sink: sink.New(sink.Options{
			Catalog: s.catalog, Version: buildVersion(), Delete: s.conf.Maintenance.Delete, IndexBytes: int64(s.conf.Memory.Index), Backoff: backoff,
			Logger: s.log, Registerer: s.registry,
		}),
		Tables: pipelineTables(s.conf), BatchBytes: int64(s.conf.Memory.Batches), GracePeriod: s.conf.GracePeriod.Duration, Pause: pause,
		PauseMax: pauseMax, QuietInterval: quietInterval, WatchInterval: watchInterval, Logger: s.log, Registerer: s.registry,
	})
}

// sayWhere tells where the tables are, and how to look at them.
func (s *stage) sayWhere() {
	self := "cdcd"
	if name, err := os.Executable(); err == nil && strings.Contains(name, "go-build") {
		self = "go run ./cmd/cdcd"
	}
	s.screen.Print(`The tables stay in %[2]s; look at them with
  %[1]s table list -dir %[2]s
  %[1]s table rows -dir %[2]s salesdb.customer
or with any other Iceberg reader, for instance PyIceberg:
  load_catalog("cdcd", type="sql", uri="sqlite:///%[3]s")`, self, s.dir, filepath.Join(s.dir, demoCatalog))
}

// close lets go of everything that was opened.
func (s *stage) close() error {
	var errs []error
	if s.kafka != nil {
		s.kafka.Close()
	}
	if s.catalog != nil {
		errs = append(errs, s.catalog.Close())
	}
	if s.server != nil {
		errs = append(errs, s.server.Close())
	}
	if s.logFile != nil {
		errs = append(errs, s.logFile.Close())
	}
	return errors.Join(errs...)
}
