package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A sourceTable is a table of a scenario. Types are declared to cdcd for records without a schema.
type sourceTable struct {
	name  string
	types map[string]string
}

// A play is one scenario with everything that it runs beside the broker and the server: a database, a Connect worker
// with a connector for each form, and a cdcd for each target.
type play struct {
	w        *world
	scenario string
	database string
	tables   []sourceTable
	forms    []form
	mirrored []form                    // Those that cdcd consumes; nil: all.
	expect   func(f form, source rows) // Changes the rows of a source to what a form makes of them.
	defaults string                    // More lines of [defaults] in cdcd's configuration.
	db       *sql.DB
	connect  *connect
	daemons  []*cdcd
	marker   int
	loads    int
}

// marker is a table whose last change tells that Debezium has read everything before it.
const marker = "e2e_marker"

// begin makes the database with its initial load, and starts Connect and cdcd on it.
func (p *play) begin(ctx context.Context, interval string, initial func(*sql.DB) error) error {
	var err error
	if p.db, err = p.w.mariadb.freshDatabase(ctx, p.database); err != nil {
		return err
	}
	if err := execAll(ctx, p.db, "CREATE TABLE "+marker+" (id INT PRIMARY KEY, n INT NOT NULL)", "INSERT INTO "+marker+" VALUES (1, 0)"); err != nil {
		return err
	}
	if err := initial(p.db); err != nil {
		return err
	}
	if p.connect, err = startConnect(ctx, p.w, p.database, p.forms...); err != nil {
		return err
	}
	for _, f := range p.forms {
		if err := p.awaitTopics(ctx, f); err != nil {
			return err
		}
	}
	for _, t := range p.w.targets(p.scenario) {
		c, err := newCdcd(p.w, p.scenario, t, fmt.Sprintf("commit_interval = %q\n%s", interval, p.defaults), p.mirrors())
		if err != nil {
			return err
		}
		if err := c.start(); err != nil {
			return err
		}
		p.daemons = append(p.daemons, c)
	}
	return nil
}

// awaitTopics waits until the snapshot has made a topic of each table: cdcd wants them to exist.
func (p *play) awaitTopics(ctx context.Context, f form) error {
	return poll(ctx, time.Minute, 200*time.Millisecond, func(ctx context.Context) error {
		if err := p.connect.runs(ctx, prefix(p.database, f)); err != nil {
			return err // Fatal if the task failed.
		}
		for _, t := range p.tables {
			if _, err := p.w.kafka.ends(ctx, topic(p.database, f, t.name)); err != nil {
				return err
			}
		}
		return nil
	})
}

// namespace is where the tables of a form land.
func (p *play) namespace(f form) string {
	if f == withSchema {
		return p.database
	}
	return p.database + "_" + string(f)
}

func (p *play) mirrors() []mirror {
	var out []mirror
	forms := p.mirrored
	if forms == nil {
		forms = p.forms
	}
	for _, f := range forms {
		for _, t := range p.tables {
			m := mirror{source: t.name, form: f, topic: topic(p.database, f, t.name), name: p.namespace(f) + "." + lower(t.name)}
			if f == plain {
				m.types = t.types
			}
			out = append(out, m)
		}
	}
	return out
}

// settle waits until everything that was written to the source is committed by every cdcd.
func (p *play) settle(ctx context.Context, timeout time.Duration) error {
	p.marker++
	if _, err := p.db.ExecContext(ctx, "UPDATE "+marker+" SET n = ?", p.marker); err != nil {
		return err
	}
	for _, f := range p.forms {
		if err := p.awaitMarker(ctx, f, timeout); err != nil {
			return err
		}
	}
	for _, c := range p.daemons {
		if err := c.awaitCaughtUp(ctx, timeout); err != nil {
			return err
		}
	}
	return nil
}

// awaitMarker waits until the topic of the marker has the marker's present value, and the topics of the tables have
// stopped growing: the producer may send the batch of one topic before that of another.
func (p *play) awaitMarker(ctx context.Context, f form, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	client, err := p.w.kafka.client(kgo.ConsumeTopics(topic(p.database, f, marker)), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer client.Close()
	want, seen, records := fmt.Sprintf(`"n":%d`, p.marker), false, 0
	for !seen {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return fmt.Errorf("wait for the marker of %s: %w\n%s", prefix(p.database, f), ctx.Err(), tail(p.connect.proc.log, 5))
		}
		records += fetches.NumRecords()
		seen = seen || f == avroGlue && records > p.marker // One of the snapshot, and each update.
		fetches.EachRecord(func(r *kgo.Record) { seen = seen || containsField(r.Value, want) })
	}
	last := ""
	return poll(ctx, timeout, time.Second, func(ctx context.Context) error {
		var topics []string
		for _, t := range p.tables {
			topics = append(topics, topic(p.database, f, t.name))
		}
		ends, err := p.w.kafka.ends(ctx, topics...)
		if err != nil {
			return err
		}
		if now := fmt.Sprint(ends); now != last {
			last = now
			return errors.New("the topics still grow")
		}
		return nil
	})
}

// compare compares every table of every daemon with the source, with every reader.
func (p *play) compare(ctx context.Context) error {
	for _, t := range p.tables {
		source, err := sourceRows(ctx, p.db, t.name, "")
		if err != nil {
			return err
		}
		p.eachReader(t, func(c *cdcd, r reader, m mirror) (int, int, []string, error) {
			got, err := r.read(ctx, c.target, m.name, "", 0)
			if err != nil {
				return 0, 1, nil, err
			}
			want, err := source.arriveAs(m.form, m.types)
			if err != nil {
				return 0, 1, nil, err
			}
			if err := got.readGeometries(source); err != nil {
				return 0, 1, nil, err
			}
			if p.expect != nil {
				p.expect(m.form, want)
			}
			bad, examples := compare(want, got, false)
			return len(source.rows), bad, examples, nil
		})
	}
	return nil
}

// eachReader calls f for every reader of every mirror of a table, and reports what it returns.
func (p *play) eachReader(t sourceTable, f func(*cdcd, reader, mirror) (rows, mismatches int, examples []string, err error)) {
	for _, c := range p.daemons {
		for _, r := range p.w.readers {
			if !r.reads(c.target) {
				continue
			}
			for _, m := range c.mirrors {
				if m.source != t.name {
					continue
				}
				began := time.Now()
				n, bad, examples, err := f(c, r, m)
				if err != nil {
					examples = append(examples, err.Error())
					bad = max(bad, 1)
				}
				for i, example := range examples {
					if i == 10 {
						progress("  … and %d more", len(examples)-i)
						break
					}
					progress("  MISMATCH %s %s %s: %s", c.target.name, r.name(), m.name, example)
				}
				p.w.report.add(reportLine{p.scenario, c.target.name, r.name(), m.name, n, bad, time.Since(began)})
			}
		}
	}
}

// end stops what begin started; a cdcd that does not exit with 0 on SIGTERM is an error.
func (p *play) end() error {
	var err error
	for _, c := range p.daemons {
		err = errors.Join(err, c.stop())
	}
	if p.connect != nil {
		err = errors.Join(err, p.connect.stop())
	}
	if p.db != nil {
		_ = p.db.Close()
	}
	return err
}
