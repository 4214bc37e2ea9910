package simtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// fault is what the world does to one call that leaves a process.
type fault int

const (
	none        fault = iota
	refuse            // An error; nothing was done.
	lose              // It was done; the reply is lost.
	late              // The reply is lost, and it is done some time later.
	delay             // It takes its time.
	crashBefore       // The process dies; nothing was done.
	crashAfter        // It was done; the process dies.
	faults
)

func (f fault) String() string {
	return [...]string{"none", "refuse", "lose", "late", "delay", "crash-before", "crash-after"}[f]
}

var (
	errInjected = errors.New("injected fault")
	errCrashed  = errors.New("the process has crashed")
	errStopped  = errors.New("stopped")
	errReset    = errors.New("connection reset")
)

type processKey struct{}

// process is one run of cdcd, from its start to its end or crash. What a crashed process still tries has no effect, and
// what a frozen one tries waits until it is thawed: it then goes on as if nothing had happened.
type process struct {
	w       *world
	name    string
	kill    context.CancelCauseFunc
	done    chan struct{} // Closed when it has ended.
	err     error         // How it ended; after done.
	figures *prometheus.Registry

	mu     sync.Mutex
	rng    *rand.Rand
	dead   bool
	frozen chan struct{} // Closed when it is thawed; nil if it is not frozen.
	wires  map[*wire]struct{}
}

// gate is where everything that leaves or enters the process waits while it is frozen. No connection lasts for hours of silence: what
// waited longer fails.
func (p *process) gate() error {
	began := time.Now()
	for {
		p.mu.Lock()
		dead, frozen := p.dead, p.frozen
		p.mu.Unlock()
		switch {
		case dead:
			return errCrashed
		case frozen == nil && time.Since(began) > time.Hour:
			return errReset
		case frozen == nil:
			return nil
		}
		<-frozen
	}
}

// crash ends the process as SIGKILL does: its connections break, and nothing that it still tries leaves it.
func (p *process) crash() {
	p.mu.Lock()
	first := !p.dead
	p.dead = true
	wires := p.wires
	p.wires = map[*wire]struct{}{}
	p.mu.Unlock()
	p.thaw()
	for c := range wires {
		_ = c.Close() // The kernel closes them.
	}
	if first {
		p.w.note(func(s *stats) { s.kills++ })
	}
	p.kill(errCrashed)
}

// stop ends the process as SIGTERM does.
func (p *process) stop() {
	p.thaw()
	p.kill(errStopped)
}

// draw decides about the next call: what happens to it, and how long its way there and back take.
func (p *process) draw(site string) (what fault, there, back time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	there, back = p.latency(), p.latency()
	if !p.w.unreliable.Load() {
		return none, there, back
	}
	what = p.w.forced(site)
	if what == none && p.rng.Float64() < p.w.plan.rate {
		what = p.w.plan.pick(p.rng)
	}
	if what != none {
		p.w.count(site, what)
		p.w.log.Info("injected fault", "process", p.name, "site", site, "fault", what.String())
	}
	return what, there, back
}

func (p *process) latency() time.Duration { return time.Duration(p.rng.IntN(3000)) * time.Microsecond }

// long draws how long a late or delayed call takes: mostly a moment, sometimes longer than anything waits for it.
func (p *process) long() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	limits := [...]time.Duration{50 * time.Millisecond, time.Second, 20 * time.Second, 3 * time.Minute}
	return time.Duration(p.rng.Int64N(int64(limits[p.rng.IntN(len(limits))])))
}

// ask lets one call leave the process, and returns its reply. A nil process is reliable, and the call takes no time. The call
// itself ends neither with the process nor with ctx: it is on its way.
func ask[T any](ctx context.Context, p *process, site string, f func() (T, error)) (T, error) {
	var nothing T
	if p == nil {
		return f()
	}
	p.w.tread(p, site)
	if err := p.gate(); err != nil {
		return nothing, err
	}
	what, there, back := p.draw(site)
	switch what {
	case refuse:
		time.Sleep(there)
		return nothing, errors.Join(p.gate(), fmt.Errorf("%s: %w", site, errInjected))
	case crashBefore:
		p.crash()
		return nothing, errCrashed
	case late:
		wait := p.long()
		p.w.late.Go(func() {
			time.Sleep(wait)
			_, _ = f() // Nobody waits for its reply.
		})
		time.Sleep(there)
		return nothing, errors.Join(p.gate(), fmt.Errorf("%s: %w", site, errInjected))
	case delay:
		there = p.long()
	case none, lose, crashAfter, faults:
	}
	reply, err := carry(ctx, p, there, f)
	if what == crashAfter {
		p.crash()
		return nothing, errCrashed
	}
	if what == lose {
		reply, err = nothing, fmt.Errorf("%s: %w", site, errInjected)
	}
	time.Sleep(back)
	if crashed := p.gate(); crashed != nil {
		return nothing, crashed
	}
	return reply, err
}

// carry does the call after its way there, or gives up with ctx: then it is done all the same, and nobody sees the reply.
func carry[T any](ctx context.Context, p *process, there time.Duration, f func() (T, error)) (reply T, err error) {
	if ctx.Done() == nil || there < time.Second {
		time.Sleep(there)
		return f()
	}
	type answer struct {
		reply T
		err   error
	}
	got := make(chan answer, 1)
	p.w.late.Go(func() {
		time.Sleep(there)
		r, err := f()
		got <- answer{r, err}
	})
	select {
	case a := <-got:
		return a.reply, a.err
	case <-ctx.Done():
		return reply, context.Cause(ctx)
	}
}

// tell lets one call leave the process that has no reply but that it was done.
func (p *process) tell(ctx context.Context, site string, f func() error) error {
	_, err := ask(ctx, p, site, func() (struct{}, error) { return struct{}{}, f() })
	return err
}

// dial opens a connection to a broker.
func (p *process) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if err := p.gate(); err != nil {
		return nil, err
	}
	conn, err := p.w.network.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := newWire(conn, p)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return nil, errors.Join(errCrashed, conn.Close())
	}
	p.wires[c] = struct{}{}
	return c, nil
}
