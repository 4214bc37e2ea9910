package wiretest

import (
	"errors"
	"sync"
	"time"
)

// Desk is where requests arrive: it records each, and asks a test about its fate. The zero Desk does all of them. Its methods may be
// called from several goroutines.
type Desk struct {
	mu       sync.Mutex // Guards what follows, and the outcomes. No hook and no call runs under it.
	decide   func(*Request) Verdict
	requests []*Request
}

// OnRequest has decide asked about each request that is let in, before anything is done; nil does all of them. Decide runs on the
// request's own goroutine and may make requests, or block to delay the request, which is then done even if its client has given up.
// The Request is a copy without an outcome.
func (d *Desk) OnRequest(decide func(*Request) Verdict) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.decide = decide
}

// Requests returns all requests since the start or the last Reset, in the order of their arrival.
func (d *Desk) Requests() []Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	requests := make([]Request, 0, len(d.requests))
	for _, r := range d.requests {
		requests = append(requests, *r)
	}
	return requests
}

// Reset forgets the recorded requests. The hook, and what the service holds, stay.
func (d *Desk) Reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.requests = nil
}

// record notes a request, and returns the hook with a copy to ask it about.
func (d *Desk) record(r *Request) (decide func(*Request) Verdict, asked *Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r.Arrived = time.Now()
	d.requests = append(d.requests, r)
	return d.decide, new(*r)
}

// ask asks the hook. What it has written is there for the hooks of later requests, and for whoever looks at Requests.
func (d *Desk) ask(decide func(*Request) Verdict, asked *Request) Verdict {
	if decide == nil {
		return Do()
	}
	defer func() { d.mu.Lock(); d.mu.Unlock() }() //nolint:staticcheck // Empty on purpose: it orders memory.
	return decide(asked)
}

func (d *Desk) applied(r *Request, yes bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r.Applied = yes
}

// ErrNoReply is what Carry returns to a client whose reply is lost.
var ErrNoReply = errors.New("connection reset by peer")

// Carry does with a call what a Server does with a request, where no server stands between: do is the call. A refusal is an *Error.
func (d *Desk) Carry(r Request, do func() error) error {
	decide, asked := d.record(&r)
	v := d.ask(decide, asked)
	done := func() error {
		err := do()
		d.applied(&r, err == nil)
		return err
	}
	if v.late != nil {
		v.late <- func() Outcome { return Outcome{Applied: done() == nil} }
		return ErrNoReply
	}
	var err error
	if !v.withhold {
		err = done()
	}
	switch {
	case v.drop:
		return ErrNoReply
	case v.code != "":
		return &Error{v.status, v.code, "The test said so."}
	}
	return err
}
