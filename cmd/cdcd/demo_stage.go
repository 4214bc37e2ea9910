package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/cdcd-project/cdcd/internal/admin"
	"github.com/cdcd-project/cdcd/internal/config"
	"github.com/cdcd-project/cdcd/internal/demo"
	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/sink"
)

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
