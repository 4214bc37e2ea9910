package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/apache/iceberg-go/catalog"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	snapshotShare  = 5      // One event in so many is a row of the initial snapshot, ...
	snapshotMax    = 50_000 // ... up to so many.
	behindMax      = 50_000 // Events that the pipeline may be behind before the shop waits for it.
	paceEvery      = 1_000  // Events between two looks at how far it is.
	trimInterval   = 5 * time.Second
	lingerInterval = 200 * time.Millisecond
)

// Options are what Play needs. All are required.
type Options struct {
	Shop     *Shop // Without rows yet.
	Broker   *Broker
	Catalog  catalog.Catalog
	Gatherer prometheus.Gatherer // The metrics of the pipeline that reads from Broker and writes to Catalog.
	Screen   *Screen

	// Events is how many the shop makes, at least: it ends with a whole source transaction. 0: until Enough is closed; then
	// there is no walk-through.
	Events int64
	Enough <-chan struct{} // May be nil if Events is not 0.
}

// Result is what the demo came to.
type Result struct {
	Events     int64            `json:"events"`  // Records written to the broker, tombstones included.
	Commits    int64            `json:"commits"` // Iceberg commits that landed, of all tables.
	Rows       map[string]int64 `json:"rows"`    // Rows read back, by table.
	Mismatches int64            `json:"mismatches"`
}

// player is a demo under way.
type player struct {
	Options

	tables  []Table
	sent    int64
	trimmed time.Time
}

// Play lets the shop live while a pipeline mirrors it: the initial snapshot, the traffic, the walk-through; and then compares
// all tables with the shop. Everything that it tells goes to the screen. It returns early, with an error, if ctx ends or a
// table halts.
func Play(ctx context.Context, o Options) (*Result, error) {
	p := &player{Options: o, tables: o.Shop.Tables(), trimmed: time.Now()}
	if err := p.crowd(ctx); err != nil {
		return nil, err
	}
	if o.Events > 0 {
		if err := p.walkThrough(ctx); err != nil {
			return nil, err
		}
	}
	return p.compare(ctx)
}

// crowd makes the snapshot and the traffic at full speed, and waits until all of it is committed.
func (p *player) crowd(ctx context.Context) error {
	stop := (&progress{screen: p.Screen, from: p.Gatherer, tables: p.tables, target: p.Events}).show(ctx)
	defer stop()
	if err := p.snapshot(ctx); err != nil {
		return err
	}
	for !p.enough() {
		if err := p.send(ctx, p.Shop.Change()...); err != nil {
			return err
		}
	}
	return p.settle(ctx)
}

func (p *player) snapshot(ctx context.Context) error {
	rows := int64(snapshotMax)
	if p.Events > 0 {
		rows = min(rows, p.Events/snapshotShare)
	}
	for m := range p.Shop.Snapshot(int(rows)) {
		if err := p.send(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// enough reports whether the traffic is over.
func (p *player) enough() bool {
	if p.Events > 0 {
		return p.sent >= p.Events
	}
	select {
	case <-p.Enough:
		return true
	default:
		return false
	}
}

// send writes messages to the broker, as fast as it and the pipeline can follow.
func (p *player) send(ctx context.Context, messages ...Message) error {
	if err := p.Broker.Send(ctx, messages...); err != nil {
		return err
	}
	before := p.sent
	p.sent += int64(len(messages))
	if p.sent/paceEvery == before/paceEvery {
		return nil
	}
	if err := p.keepPace(ctx); err != nil {
		return err
	}
	return p.trim(ctx)
}

// keepPace waits while the pipeline is far behind, so that the broker's memory is bounded.
func (p *player) keepPace(ctx context.Context) error {
	for {
		f, err := gather(p.Gatherer, p.tables)
		if err != nil {
			return err
		}
		if err := f.failure(); err != nil {
			return err
		}
		if p.sent-f.consumed() <= behindMax {
			return context.Cause(ctx)
		}
		if err := pause(ctx, pollInterval); err != nil {
			return err
		}
	}
}

// trim lets the broker forget what all tables have, from time to time.
func (p *player) trim(ctx context.Context) error {
	if time.Since(p.trimmed) < trimInterval {
		return nil
	}
	p.trimmed = time.Now()
	for _, t := range p.tables {
		mark, err := position(ctx, p.Catalog, t)
		if err != nil {
			return err
		}
		if err := p.Broker.Trim(ctx, t.Topic, mark); err != nil {
			return err
		}
	}
	return nil
}

// settle waits until everything that was sent is committed: the bookmark in each table's head has passed it.
func (p *player) settle(ctx context.Context) error {
	if err := p.Broker.Flush(ctx); err != nil {
		return err
	}
	for _, t := range p.tables {
		ends := p.Broker.Written(t.Topic)
		for {
			mark, err := position(ctx, p.Catalog, t)
			if err != nil {
				return err
			}
			if covers(mark, t.Topic, ends) {
				break
			}
			f, err := gather(p.Gatherer, p.tables)
			if err != nil {
				return err
			}
			if err := f.failure(); err != nil {
				return err
			}
			if err := pause(ctx, pollInterval); err != nil {
				return err
			}
		}
	}
	return nil
}

// compare reads every table back and holds every row against the shop's own.
func (p *player) compare(ctx context.Context) (*Result, error) {
	p.Screen.Print("\nAll tables, read back by iceberg-go's own scan and compared with the shop row by row:")
	r := &Result{Events: p.sent, Rows: map[string]int64{}}
	for _, t := range p.tables {
		c, err := Compare(ctx, p.Catalog, t, p.Shop.Truth(t.Name))
		if err != nil {
			return nil, err
		}
		verdict := "all equal"
		if c.Mismatches() > 0 {
			verdict = fmt.Sprintf("NOT EQUAL: %d missing, %d extra, %d different, %d wrong columns", c.Missing, c.Extra, c.Different, c.Columns)
		}
		p.Screen.Print("  %-20s %10s rows   %s", TableName(t), grouped(c.Rows), verdict)
		for _, example := range c.Examples {
			p.Screen.Print("    %s", example)
		}
		r.Rows[TableName(t)] = c.Rows
		r.Mismatches += c.Mismatches()
	}
	f, err := gather(p.Gatherer, p.tables)
	if err != nil {
		return nil, err
	}
	r.Commits = f.commits()
	return r, nil
}

// Linger keeps the shop changing slowly, with its source clock set to the time of day, until ctx ends or a table halts; the
// error of the latter is returned. It follows a Play.
func Linger(ctx context.Context, o Options) error {
	p := &player{Options: o, tables: o.Shop.Tables(), trimmed: time.Now()}
	o.Shop.Now = time.Now
	stop := (&progress{screen: p.Screen, from: p.Gatherer, tables: p.tables}).show(ctx)
	defer stop()
	for {
		if err := p.Broker.Send(ctx, p.Shop.Change()...); err != nil && ctx.Err() == nil {
			return err
		}
		f, err := gather(p.Gatherer, p.tables)
		if err != nil {
			return err
		}
		if err := f.failure(); err != nil {
			return err
		}
		if err := p.trim(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		if pause(ctx, lingerInterval) != nil {
			return nil
		}
	}
}
