package simtest

import "time"

// freeze stops the process as SIGSTOP does.
func (p *process) freeze() {
	p.mu.Lock()
	awake := p.frozen == nil
	if awake {
		p.frozen = make(chan struct{})
	}
	p.mu.Unlock()
	if awake {
		p.w.note(func(s *stats) { s.freezes++ })
	}
}

// thaw lets it go on, as SIGCONT does.
func (p *process) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen != nil {
		close(p.frozen)
		p.frozen = nil
	}
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
	sites := []string{"storage.create", "storage.put", "storage.put", "catalog.commit", "catalog.commit", "catalog.load", siteRegistry}
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
	if w.trap != site {
		w.mu.Unlock()
		return
	}
	w.trap = ""
	caught := w.caught
	w.mu.Unlock()
	p.freeze()
	caught <- p
}
