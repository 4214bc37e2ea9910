package simtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
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

// nap stops all processes for more than a day, after which another tool removes what it takes for orphans. It is quicker at that than any
// such tool is by default: cdcd commits no files that are older than a day.
func (w *world) nap() {
	w.napping.Store(true)
	defer w.napping.Store(false)
	w.ambush(nil)
	for _, p := range w.lives {
		p.freeze()
	}
	time.Sleep(26 * time.Hour)
	w.sweep(25 * time.Hour)
	for _, p := range w.lives {
		p.thaw()
	}
}

// ambush waits until some process is about to make a call in the middle of a commit, and returns it, frozen right there; or other if none
// comes by.
func (w *world) ambush(other *process) *process {
	sites := []string{"storage.create", "storage.put", "storage.put", "catalog.commit", "catalog.commit", "catalog.load"}
	caught := make(chan *process, 1)
	w.mu.Lock()
	w.trap, w.caught = sites[w.rng.IntN(len(sites))], caught
	w.mu.Unlock()
	select {
	case p := <-caught:
		return p
	case <-time.After(20 * time.Second):
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trap = ""
	return other
}

// tread freezes a process that walks into the trap.
func (w *world) tread(p *process, site string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.trap != site {
		return
	}
	w.trap = ""
	w.stats.freezes++
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen == nil {
		p.frozen = make(chan struct{})
	}
	w.caught <- p
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
			w.engine(rng)
			w.skip()
		}
	}()
	return done
}

// mover makes other brokers the leaders of partitions.
type mover struct {
	w      *world
	db     *database
	client *kgo.Client
}

func newMover(w *world) *mover {
	m := &mover{w: w, db: newDatabase(w.seed + 1), client: w.client()}
	m.db.fillers = 2000
	return m
}

// move moves one partition. No request of a process reaches the brokers before something was written in its new epoch.
func (m *mover) move(rng *rand.Rand) {
	open := m.w.shut()
	defer open()
	topics := m.w.topics()
	topic := topics[rng.IntN(len(topics))]
	if err := m.w.cluster.MoveTopicPartition(topic, int32(rng.IntN(partitions)), int32(rng.IntN(brokers))); err != nil {
		m.w.complain("move leader: %w", err)
	}
	if err := m.client.ProduceSync(context.Background(), records(m.db.filler(topic))...).FirstErr(); err != nil {
		m.w.complain("produce: %w", err)
	}
}

// shut keeps requests from the brokers until open is called.
func (w *world) shut() (open func()) {
	ch := make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.barrier = ch
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.barrier = nil
		close(ch)
	}
}

// pass waits while the brokers are shut.
func (w *world) pass() {
	w.mu.Lock()
	ch := w.barrier
	w.mu.Unlock()
	if ch != nil {
		<-ch
	}
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
		if p.err != nil && (!w.plan.hasTable(tableSour) || w.plan.skip) {
			w.complain("the healing process ended with %w", p.err)
		}
		return
	}
}
