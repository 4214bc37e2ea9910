package demo

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	repaintInterval = 200 * time.Millisecond
	lineInterval    = time.Second // Between plain lines, ...
	linesBrisk      = 20          // ... until there are so many; ...
	lineSlowdown    = 10          // ... then it is so many times longer.
	rateWindow      = 2 * time.Second
)

// progress shows the figures until it is stopped.
type progress struct {
	screen *Screen
	from   prometheus.Gatherer
	tables []Table
	target int64 // Of events; 0: unknown.

	started time.Time
	recent  []figures // Of the rate window, oldest first.
	lines   int       // Printed, without a terminal.
}

// show starts to show progress, until the returned function is called.
func (p *progress) show(ctx context.Context) (stop func()) {
	p.started = time.Now()
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { p.loop(ctx) })
	return func() {
		cancel()
		wg.Wait()
		p.tick()
		if !p.screen.Terminal() {
			p.line()
		}
		p.screen.Keep()
	}
}

func (p *progress) loop(ctx context.Context) {
	nextLine := p.started.Add(lineInterval)
	for pause(ctx, repaintInterval) == nil {
		p.tick()
		if now := time.Now(); !p.screen.Terminal() && now.After(nextLine) {
			p.line()
			nextLine = now.Add(lineInterval)
			if p.lines >= linesBrisk {
				nextLine = now.Add(lineSlowdown * lineInterval)
			}
		}
	}
}

// tick takes the figures, and repaints the block.
func (p *progress) tick() {
	f, err := gather(p.from, p.tables)
	if err != nil {
		return // It is shown again at the next tick; whoever waits for figures reports it.
	}
	p.recent = append(p.recent, f)
	for f.at.Sub(p.recent[0].at) > rateWindow {
		p.recent = p.recent[1:]
	}
	p.screen.Paint(p.block())
}

// rate returns the events a second over the window.
func (p *progress) rate() int64 {
	first, last := p.recent[0], p.recent[len(p.recent)-1]
	seconds := last.at.Sub(first.at).Seconds()
	if seconds <= 0 {
		return 0
	}
	return int64(float64(last.consumed()-first.consumed()) / seconds)
}

// block returns the lines of the repainted block.
func (p *progress) block() []string {
	f := p.recent[len(p.recent)-1]
	head := fmt.Sprintf("  %6s   %s events", time.Since(p.started).Round(100*time.Millisecond), grouped(f.consumed()))
	if p.target > f.consumed() {
		head += " of " + grouped(p.target)
	}
	lines := []string{head + fmt.Sprintf("   %s/s   lag %s", grouped(p.rate()), grouped(f.lag()))}
	for _, t := range f.tables {
		line := fmt.Sprintf("  %-20s %10s events   %5s commits   lag %s", t.name, grouped(t.consumed), grouped(t.commits), grouped(t.lag))
		if t.restarts > 0 {
			line += fmt.Sprintf("   %d restarts", t.restarts)
		}
		lines = append(lines, line)
	}
	return lines
}

// line prints the figures as one line.
func (p *progress) line() {
	if len(p.recent) == 0 {
		return
	}
	f := p.recent[len(p.recent)-1]
	var commits []string
	for _, t := range f.tables {
		commits = append(commits, fmt.Sprintf("%s %d", t.name, t.commits))
	}
	p.lines++
	p.screen.Print("%6.1fs  %d events, %d/s, lag %d; commits: %s", time.Since(p.started).Seconds(), f.consumed(), p.rate(), f.lag(), strings.Join(commits, ", "))
}

// grouped writes a number with commas between thousands.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(text) - 3; i > first; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
