package simtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cdcd-project/cdcd/internal/pipeline"
)

// forced returns the fault that the plan has for this call of the site.
func (w *world) forced(site string) fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, f := range w.force {
		if f.site == site && time.Since(w.born) >= f.after {
			w.force = slices.Delete(w.force, i, i+1)
			return f.what
		}
	}
	return none
}

// live lets processes live and die while the source database changes, and returns those that are left.
func (w *world) live() []*process {
	w.unreliable.Store(true)
	f := newFeed(w)
	fed := make(chan error, 1)
	go func() {
		defer f.close()
		fed <- f.run()
	}()
	stop := make(chan struct{})
	others := w.meddle(stop)
	var members []*process
	for i := range w.plan.members {
		members = append(members, w.start(fmt.Sprint("member-", i), "cdcd", false))
	}
	if w.plan.has(actRival) && w.rng.IntN(2) == 0 { // Both make the tables, and their first commits.
		w.rival("rival")
	}
	for turn := range w.plan.turns {
		time.Sleep(time.Duration(w.rng.IntN(20_000)) * time.Millisecond)
		w.turn(turn, members)
		for i, p := range members {
			if ended(p) { // By the world's own faults.
				members[i] = w.start(fmt.Sprintf("member-%d-%d", i, turn), "cdcd", false)
			}
		}
	}
	if err := <-fed; err != nil {
		w.complain("source: %w", err)
	}
	close(stop)
	<-others
	return members
}

// turn does something to the processes.
func (w *world) turn(turn int, members []*process) {
	i := w.rng.IntN(len(members))
	switch actor := w.draw(actKill, actRestart, actFreeze, actRoll, actNap, actRival); actor {
	case actKill:
		members[i].crash()
	case actRestart:
		members[i].stop()
		if w.rng.IntN(2) == 0 {
			<-members[i].done
		}
	case actFreeze:
		p := members[i]
		if w.rng.IntN(2) == 0 {
			p = w.ambush(p)
		}
		p.freeze()
		w.later(time.Duration(w.rng.Int64N(int64(70*time.Second))), p.thaw)
	case actRoll:
		for i := range members {
			members[i].stop()
			members[i] = w.start(fmt.Sprintf("member-%d-%d", i, turn), "cdcd", false)
			time.Sleep(time.Duration(w.rng.IntN(5000)) * time.Millisecond)
		}
	case actNap:
		w.nap()
	case actRival:
		w.rival(fmt.Sprint("rival-", turn))
	}
}

// rival lets a second deployment live for a while.
func (w *world) rival(name string) {
	r := w.start(name, "rivals", false)
	w.later(time.Duration(w.rng.Int64N(int64(30*time.Second))), r.stop)
}

// later does something after a while, or when the world heals.
func (w *world) later(after time.Duration, f func()) {
	w.late.Go(func() {
		select {
		case <-time.After(after):
		case <-w.healing:
		}
		f()
	})
}

// draw picks one of the plan's actors among those named, or "".
func (w *world) draw(names ...string) string {
	names = slices.DeleteFunc(names, func(name string) bool { return !w.plan.has(name) })
	if len(names) == 0 {
		return ""
	}
	return names[w.rng.IntN(len(names))]
}

func ended(p *process) bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// meddle lets brokers and other engines act until stop is closed.
func (w *world) meddle(stop <-chan struct{}) <-chan struct{} {
	rng := rand.New(rand.NewPCG(w.seed, 17))
	done := make(chan struct{})
	go func() {
		defer close(done)
		m := newMover(w)
		defer m.client.Close()
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(4000+rng.IntN(12_000)) * time.Millisecond):
			}
			if w.napping.Load() {
				continue
			}
			if w.plan.has(actLeader) && rng.IntN(2) == 0 {
				m.move(rng)
			}
			if w.plan.has(actAway) && rng.IntN(4) == 0 {
				w.leaveRegistry(rng)
			}
			w.engine(rng)
			w.skip()
		}
	}()
	return done
}

// heal makes the world reliable, lets the work come to its end, and says what was wrong.
func (w *world) heal(members []*process) error {
	close(w.healing)
	for _, p := range w.lives {
		p.thaw()
	}
	w.unreliable.Store(false)
	if w.plan.patient {
		w.await(members)
	}
	for _, p := range w.lives {
		p.stop()
	}
	for _, p := range w.lives {
		<-p.done
	}
	w.late.Wait()
	if !w.plan.lone {
		w.readToEnd()
	}
	return w.verify()
}

// patience is how long the end of the work may take: it costs nothing.
const patience = 2 * time.Hour

// await waits until the members have brought all tables to the ends of their topics, which they do by themselves (I8). A table that
// halts stays where it is.
func (w *world) await(members []*process) {
	deadline := time.Now().Add(patience)
	for w.behind() != nil {
		if time.Now().After(deadline) {
			w.complain("the members did not reach the end: %w", w.behind())
			return
		}
		time.Sleep(30 * time.Second)
		w.skip()
		for i, p := range members {
			if ended(p) && !w.plan.lone {
				members[i] = w.start(fmt.Sprint("late-", i), "cdcd", false)
			}
		}
	}
}

// readToEnd lets one process read to the ends of the topics, as cdcd run -until-end does; and another one, when the operator has
// shown the way out of a halt.
func (w *world) readToEnd() {
	for {
		p := w.start("healer", "cdcd", true)
		select {
		case <-p.done:
		case <-time.After(patience):
			w.complain("the healing process did not reach the end: %w", w.behind())
			p.crash()
			<-p.done
			return
		}
		skipped := w.stats.skipped
		if w.skip(); w.stats.skipped > skipped {
			continue
		}
		if p.err != nil && !errors.Is(p.err, pipeline.ErrQuarantined) && (!w.plan.hasTable(tableSour) || w.plan.skip) {
			w.complain("the healing process ended with %w", p.err)
		}
		return
	}
}
