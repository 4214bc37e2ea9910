package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// A maintainer is a reader that can also do what operators let other engines do to tables.
type maintainer interface {
	reader
	// compact rewrites a table's files: a replace snapshot that moves rows under cdcd's feet.
	compact(ctx context.Context, t *target, table string) error
	// expire drops every snapshot that no ref keeps.
	expire(ctx context.Context, t *target, table string) error
}

func (t *trino) compact(ctx context.Context, to *target, table string) error {
	_, err := t.query(ctx, "ALTER TABLE "+quoted(to, table)+" EXECUTE optimize")
	return err
}

func (t *trino) expire(ctx context.Context, to *target, table string) error {
	_, err := t.query(ctx, "ALTER TABLE "+quoted(to, table)+" EXECUTE expire_snapshots(retention_threshold => '0s')")
	return err
}

func (s *spark) compact(_ context.Context, t *target, table string) error {
	_, err := s.query(t, fmt.Sprintf("CALL %s.system.rewrite_data_files(table => '%s', options => map('rewrite-all', 'true'))", t.catalog, table))
	return err
}

func (s *spark) expire(_ context.Context, t *target, table string) error {
	_, err := s.query(t, fmt.Sprintf("CALL %s.system.expire_snapshots(table => '%s', older_than => TIMESTAMP '2100-01-01 00:00:00', retain_last => 1)", t.catalog, table))
	return err
}

// scenarioG lets other engines compact tables and expire their snapshots: while cdcd commits, while it is idle, and
// while it is down. Every time the bookmark must survive, and cdcd must go on exactly where it was.
func scenarioG(ctx context.Context, w *world) (err error) {
	p := &play{w: w, scenario: "g", database: "shop_g", forms: []form{withSchema}, tables: shopTables()}
	defer func() { err = errors.Join(err, p.end()) }()
	if err := p.begin(ctx, "500ms", func(db *sql.DB) error { return fillShop(ctx, db, 300, 500) }); err != nil {
		return err
	}
	if err := p.settle(ctx, 2*time.Minute); err != nil {
		return err
	}
	length := time.Duration(w.options.seconds) * time.Second / 3
	if err := p.maintainUnderLoad(ctx, length); err != nil {
		return fmt.Errorf("under load: %w", err)
	}
	for _, step := range []struct {
		what string
		down bool
	}{{"while cdcd was idle", false}, {"while cdcd was down", true}} {
		if step.down {
			for _, c := range p.daemons {
				c.proc.kill()
			}
		}
		if err := p.maintain(ctx, nil); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		if step.down {
			if err := killCdcd(ctx, p); err != nil {
				return err
			}
		}
		if err := p.loadFor(ctx, length/2); err != nil {
			return err
		}
		if err := p.settle(ctx, 2*time.Minute); err != nil {
			return fmt.Errorf("after maintenance %s: %w", step.what, err)
		}
		if err := p.compare(ctx); err != nil {
			return err
		}
	}
	return nil
}

// maintainUnderLoad maintains all tables again and again while the load runs, then compares.
func (p *play) maintainUnderLoad(ctx context.Context, length time.Duration) error {
	var conflicts, rounds atomic.Int64
	done := make(chan error, 1)
	go func() { done <- p.loadFor(ctx, length) }()
	for {
		select {
		case err := <-done:
			progress("  %d rounds of maintenance under load, %d conflicts", rounds.Load(), conflicts.Load())
			if err != nil {
				return err
			}
			if err := p.settle(ctx, 2*time.Minute); err != nil {
				return err
			}
			return p.compare(ctx)
		default:
			if err := p.maintain(ctx, &conflicts); err != nil {
				return err
			}
			rounds.Add(1)
		}
	}
}

// maintain compacts and expires every table in S3 with every maintainer. A conflict with a commit of cdcd is
// counted if conflicts is given: the maintainer lost the race, as it may. Otherwise it is an error.
func (p *play) maintain(ctx context.Context, conflicts *atomic.Int64) error {
	for _, c := range p.daemons {
		if c.target.name == "sql" {
			continue // Iceberg's JDBC catalog fails on a SQLite file that another process writes: "Unknown failure".
		}
		for _, r := range p.w.readers {
			m, ok := r.(maintainer)
			if !ok || !r.reads(c.target) {
				continue
			}
			for _, mirror := range c.mirrors {
				for _, f := range []func(context.Context, *target, string) error{m.compact, m.expire} {
					err := f(ctx, c.target, mirror.name)
					if err != nil && conflicts != nil && lostRace(err) {
						conflicts.Add(1)
						line, _, _ := strings.Cut(err.Error(), "\n\t")
						progress("  lost a race: %s, %s: %s", m.name(), mirror.name, line[:min(len(line), 400)])
						continue
					}
					if err != nil {
						return fmt.Errorf("%s maintains %s of %s: %w", m.name(), mirror.name, c.target.name, err)
					}
				}
			}
		}
	}
	return nil
}

// lostRace tells whether an engine gave up because another writer committed first, or because a file that it wanted to
// delete was deleted before.
func lostRace(err error) bool {
	text := strings.ToLower(err.Error())
	for _, word := range []string{"conflict", "concurrent", "failed to commit", "cannot commit", "commit failed", "has been updated", "requirement failed", "stale", "does not exist"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

func (p *play) loadFor(ctx context.Context, length time.Duration) error {
	loading, stop := context.WithTimeout(ctx, length)
	defer stop()
	p.loads++
	l := &load{db: p.db, workers: 2, perSecond: 10, seed: 7, id: fmt.Sprint(p.loads)}
	return l.run(loading, 0)
}
