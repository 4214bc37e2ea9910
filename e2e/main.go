// Command e2e brings up the real stack on this machine (MariaDB, Kafka, Debezium, catalogs, readers), drives cdcd with
// it, and compares every row of the source with what each reader finds. See README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A world is everything that runs.
type world struct {
	processes
	install installer
	dir     string // Of this run: data, configurations, logs.
	mariadb *mariadb
	kafka   *kafka
	moto    *moto // Nil unless a chosen catalog has its warehouse in S3.
	rest    *rest // Nil unless the catalog was chosen.
	readers []reader
	report  report
	options options
}

type options struct {
	scenarios, catalogs, readers []string
	seconds                      int    // Of load.
	capture                      string // Folder for captured records; empty: none.
	installOnly, keep            bool
	timeout                      time.Duration
}

type scenario struct {
	name string
	run  func(context.Context, *world) error
}

// scenarios in the order in which they run; each has a database and a Connect worker of its own.
func scenarios() []scenario {
	return []scenario{
		{"a", scenarioA},
		{"b", scenarioB},
		{"c", scenarioC},
		{"d", scenarioD},
		{"e", scenarioE},
		{"g", scenarioG},
		{"s", scenarioS},
	}
}

func main() {
	var o options
	lists := map[string]*[]string{}
	list := func(name, value, usage string) {
		flag.Func(name, usage+" (default "+value+")", func(s string) error { *lists[name] = strings.Split(s, ","); return nil })
		*lists[name] = strings.Split(value, ",")
	}
	lists["s"], lists["catalogs"], lists["readers"] = &o.scenarios, &o.catalogs, &o.readers
	list("s", "a,b,c,e,g", "scenarios: a, b, c, d, e, g, s")
	list("catalogs", "sql,glue,rest", "catalogs: sql, glue, rest")
	list("readers", "pyiceberg,spark,trino", "readers: pyiceberg, trino, spark")
	flag.IntVar(&o.seconds, "seconds", 120, "how long the load of b and e lasts")
	flag.StringVar(&o.capture, "capture", "", "folder to write the records and rows of c, d and a small b into")
	flag.BoolVar(&o.installOnly, "install", false, "install what the catalogs and readers need, and run nothing")
	flag.BoolVar(&o.keep, "keep", false, "wait for a signal before everything is stopped")
	flag.DurationVar(&o.timeout, "timeout", 40*time.Minute, "of the whole run")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	w := &world{options: o}
	err := w.run(ctx)
	w.stopAll()
	if !o.installOnly {
		w.report.print(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	if o.installOnly {
		return
	}
	if w.report.mismatches() > 0 || len(w.report.lines) == 0 {
		os.Exit(1)
	}
}

// run installs, starts, and plays the scenarios. What it started is stopped by the caller.
func (w *world) run(ctx context.Context) error {
	if err := w.prepare(); err != nil {
		return err
	}
	if err := w.installAll(ctx); err != nil || w.options.installOnly {
		return err
	}
	if err := buildCdcd(ctx, w); err != nil {
		return err
	}
	began := time.Now()
	var err error
	if w.mariadb, err = startMariaDB(ctx, &w.processes, w.dir); err != nil {
		return err
	}
	if w.kafka, err = startKafka(ctx, &w.processes, w.install.path("kafka"), w.dir); err != nil {
		return err
	}
	if err := w.startTargets(ctx); err != nil {
		return err
	}
	progress("started in %s; logs are in %s", time.Since(began).Round(time.Second), w.logs)
	var failed error
	for _, s := range scenarios() {
		if !slices.Contains(w.options.scenarios, s.name) {
			continue
		}
		began := time.Now()
		progress("scenario %s", s.name)
		if err := s.run(ctx, w); err != nil {
			failed = errors.Join(failed, fmt.Errorf("scenario %s: %w", s.name, err))
			progress("scenario %s FAILED: %v", s.name, err)
		}
		progress("scenario %s took %s", s.name, time.Since(began).Round(time.Second))
	}
	if w.options.keep {
		progress("everything still runs; interrupt to stop it")
		<-ctx.Done()
	}
	if w.moto != nil {
		failed = errors.Join(failed, w.moto.finish(w.logs))
	}
	return failed
}

// prepare finds the folders, and makes sure that no other run uses them.
func (w *world) prepare() error {
	_, file, _, _ := runtime.Caller(0)
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	w.install = installer{source: filepath.Dir(file), cache: filepath.Join(cache, "cdcd-e2e")}
	w.dir = w.install.path("run")
	w.logs = filepath.Join(w.dir, "logs")
	if err := os.MkdirAll(w.install.path("bin"), 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(w.install.path("lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("another e2e runs on this machine (%s): %w", lock.Name(), err)
	}
	if err := os.RemoveAll(w.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(w.logs, 0o755); err != nil {
		return err
	}
	w.install.log = filepath.Join(w.logs, "install.log")
	return nil
}

// installAll fetches what the chosen catalogs and readers need.
func (w *world) installAll(ctx context.Context) error {
	in := &w.install
	began := time.Now()
	if err := in.debian(ctx, "mariadbd", "mariadb-server"); err != nil {
		return err
	}
	if err := in.debian(ctx, "mvn", "maven"); err != nil {
		return err
	}
	if err := in.maven(ctx, "kafka"); err != nil {
		return err
	}
	if err := in.maven(ctx, "debezium", "-DexcludeGroupIds=org.apache.kafka,org.slf4j"); err != nil {
		return err
	}
	if err := os.MkdirAll(in.path("plugins"), 0o755); err != nil {
		return err
	}
	if err := os.Symlink(in.path("debezium"), in.path("plugins", "debezium")); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := in.python(ctx, "pyiceberg"); err != nil {
		return err
	}
	if w.options.onAWS() {
		if err := errors.Join(in.python(ctx, "moto"), in.installConverter(ctx)); err != nil {
			return err
		}
	}
	if slices.Contains(w.options.catalogs, "rest") {
		if err := in.maven(ctx, "rest"); err != nil {
			return err
		}
	}
	if slices.Contains(w.options.readers, "spark") {
		if err := errors.Join(in.python(ctx, "pyspark"), in.maven(ctx, "spark")); err != nil {
			return err
		}
	}
	if slices.Contains(w.options.readers, "trino") {
		if err := in.installTrino(ctx); err != nil {
			return err
		}
	}
	w.readers = append(w.readers, pyIceberg{in})
	progress("installed in %s", time.Since(began).Round(time.Second))
	return nil
}

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s "+format+"\n", append([]any{time.Now().Format("15:04:05")}, args...)...)
}
