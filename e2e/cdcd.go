package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A mirror is one table of a scenario as cdcd sees it: where its records arrive and where its rows go.
type mirror struct {
	source string // The source's table.
	form   form
	topic  string
	name   string            // namespace.table in the catalog.
	types  map[string]string // Declared types, for records without schema.
}

// cdcd is the program under test, one daemon for each target.
type cdcd struct {
	w       *world
	name    string
	target  *target
	config  string
	mirrors []mirror
	proc    *process
}

// buildCdcd compiles the program from this checkout.
func buildCdcd(ctx context.Context, w *world) error {
	root := filepath.Dir(w.install.source)
	return runQuietly(ctx, w.install.log, []string{"CGO_ENABLED=0"}, "go", "-C", root, "build", "-o", w.install.path("bin", "cdcd"), "./cmd/cdcd")
}

// newCdcd writes the configuration of a daemon with the given lines in its [defaults] section.
func newCdcd(w *world, scenario string, t *target, defaults string, mirrors []mirror) (*cdcd, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	if t.name != "glue" { // Only there cdcd is told where the registry is.
		mirrors = slices.DeleteFunc(slices.Clone(mirrors), func(m mirror) bool { return m.form == avroGlue })
	}
	registry := ""
	if slices.ContainsFunc(mirrors, func(m mirror) bool { return m.form == avroGlue }) {
		registry = "[registry]\ntype = \"glue\"\n\n"
	}
	c := &cdcd{w: w, name: "cdcd-" + scenario + "-" + t.name, target: t, mirrors: mirrors}
	c.config = filepath.Join(w.dir, c.name+".toml")
	var b strings.Builder
	fmt.Fprintf(&b, "[kafka]\nbrokers = [%q]\ngroup = %q\nsession_timeout = \"10s\"\n\n%s\n[defaults]\n%s\n[admin]\nlisten = %q\n\n[log]\nformat = \"text\"\n",
		address(w.kafka.port), c.name, registry+t.config, defaults, address(port))
	for _, m := range mirrors {
		fmt.Fprintf(&b, "\n[[table]]\ntopic = %q\nname = %q\n", m.topic, m.name)
		if registry != "" {
			fmt.Fprintf(&b, "format = %q\n", map[bool]string{true: "avro-glue", false: "json"}[m.form == avroGlue])
		}
		if len(m.types) > 0 {
			b.WriteString("[table.types]\n")
			for column, typ := range m.types {
				fmt.Fprintf(&b, "%s = %q\n", column, typ)
			}
		}
	}
	return c, os.WriteFile(c.config, []byte(b.String()), 0o644)
}

// start starts the daemon, also again after it was killed.
func (c *cdcd) start() error {
	var err error
	c.proc, err = c.w.start(c.name, c.target.env, "nice", "-n", "5", c.w.install.path("bin", "cdcd"), "-config", c.config)
	return err
}

// stop ends the daemon as Kubernetes does, and expects it to exit with 0.
func (c *cdcd) stop() error {
	if c.proc == nil {
		return nil
	}
	if err := c.proc.stop(40 * time.Second); err != nil {
		return err
	}
	if c.proc.err != nil {
		return fmt.Errorf("%s after SIGTERM: %w\n%s", c.name, c.proc.err, tail(c.proc.log, 10))
	}
	return nil
}

// bookmark returns the next offset of each partition of a topic, from the newest snapshot that carries one: the head may
// be the compaction of another engine.
func (c *cdcd) bookmark(ctx context.Context, m mirror) (map[int32]int64, error) {
	cmd := exec.CommandContext(ctx, c.w.install.path("bin", "cdcd"), "table", "snapshots", "-config", c.config, "-json", m.name)
	cmd.Env = append(cmd.Environ(), c.target.env...)
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return nil, fmt.Errorf("list snapshots of %s: %w", m.name, err)
	}
	text := ""
	for decoder := json.NewDecoder(bytes.NewReader(out)); text == "" && decoder.More(); {
		var snapshot struct{ Summary map[string]string }
		if err := decoder.Decode(&snapshot); err != nil {
			return nil, err
		}
		text = snapshot.Summary["cdcd.bookmark"]
	}
	if text == "" {
		return nil, fmt.Errorf("%s has no snapshot with a bookmark", m.name)
	}
	var mark struct {
		Topics []struct {
			Name       string
			Partitions []struct {
				P    int32
				Next int64
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &mark); err != nil {
		return nil, fmt.Errorf("bookmark of %s: %w", m.name, err)
	}
	next := map[int32]int64{}
	for _, t := range mark.Topics {
		for _, p := range t.Partitions {
			if t.Name == m.topic {
				next[p.P] = p.Next
			}
		}
	}
	return next, nil
}

// awaitCaughtUp waits until the bookmark of every table is behind the last change event of every partition. Call it
// when the source is quiet.
func (c *cdcd) awaitCaughtUp(ctx context.Context, timeout time.Duration) error {
	for _, m := range c.mirrors {
		wanted, err := c.w.kafka.lastChanges(ctx, m.topic)
		if err != nil {
			return err
		}
		err = poll(ctx, timeout, 300*time.Millisecond, func(ctx context.Context) error {
			if !c.proc.running() {
				return fatal{fmt.Errorf("%s ended: %w\n%s", c.name, c.proc.err, tail(c.proc.log, 10))}
			}
			if line := c.halted(m.name); line != "" {
				return fatal{fmt.Errorf("halted: %s", line)}
			}
			next, err := c.bookmark(ctx, m)
			if err != nil {
				return err
			}
			for p, offset := range wanted {
				if next[p] <= offset {
					return fmt.Errorf("%s/%d: the bookmark is at %d, the last change at %d", m.topic, p, next[p], offset)
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s catches up on %s: %w", c.name, m.name, err)
		}
	}
	return nil
}

// halted returns the log line with which the table halted, if it did.
func (c *cdcd) halted(name string) string {
	data, err := os.ReadFile(c.proc.log)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, "halted") && strings.Contains(line, "table="+name+" ") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
