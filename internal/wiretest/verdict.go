package wiretest

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
)

// Verdict is what becomes of a request. The zero Verdict is Do.
type Verdict struct {
	withhold bool // The request is not done.
	drop     bool // The connection is closed instead of answered.
	status   int
	code     string              // The answer is an error.
	late     chan func() Outcome // Takes the request, to be done later.
	change   func(*Answer)       // What becomes of the answer on its way; nil: nothing.
}

// Do serves the request.
func Do() Verdict { return Verdict{} }

// Refuse answers with an error of the service instead of doing what was asked.
func Refuse(status int, code string) Verdict {
	return Verdict{withhold: true, status: status, code: code}
}

// DoThenRefuse does what was asked and then answers with an error: the client cannot know that it was done.
func DoThenRefuse(status int, code string) Verdict { return Verdict{status: status, code: code} }

// Drop closes the connection instead of doing what was asked.
func Drop() Verdict { return Verdict{withhold: true, drop: true} }

// DoThenDrop does what was asked and then closes the connection without an answer.
func DoThenDrop() Verdict { return Verdict{drop: true} }

// Late closes the connection and leaves the request on its way: land does it, on its caller's goroutine, and returns what came of it. The
// verdict is for one request. What never lands is lost.
func Late() (v Verdict, land func() Outcome) {
	late := make(chan func() Outcome, 1)
	return Verdict{late: late}, func() Outcome { return (<-late)() }
}

// With adds a header to the answer, in place of what it says itself.
func (v Verdict) With(name, value string) Verdict {
	return v.then(func(a *Answer) { a.Header.Set(name, value) })
}

// Saying replaces the answer's body, and nothing else.
func (v Verdict) Saying(body []byte) Verdict {
	return v.then(func(a *Answer) {
		a.Body = body
		a.Header.Set("Content-Length", strconv.Itoa(len(body)))
	})
}

// CutAt closes the connection after so many bytes of the answer's body.
func (v Verdict) CutAt(size int) Verdict {
	return v.then(func(a *Answer) {
		a.Header.Set("Content-Length", strconv.Itoa(len(a.Body)))
		a.Body, a.cut = a.Body[:min(size, len(a.Body))], true
	})
}

func (v Verdict) then(change func(*Answer)) Verdict {
	before := v.change
	v.change = func(a *Answer) {
		if before != nil {
			before(a)
		}
		change(a)
	}
	return v
}

// dress lets the answer become what the verdict makes of it.
func (v Verdict) dress(a *Answer) *Answer {
	if v.change == nil {
		return a
	}
	changed := *a
	if changed.Header = a.Header.Clone(); changed.Header == nil {
		changed.Header = http.Header{}
	}
	v.change(&changed)
	return &changed
}

// Meet is a hook for OnRequest: the first requests of an operation meet the verdicts, one each; all others are done.
func Meet(operation string, verdicts ...Verdict) func(*Request) Verdict {
	var mu sync.Mutex
	return func(r *Request) Verdict {
		mu.Lock()
		defer mu.Unlock()
		if r.Operation != operation || len(verdicts) == 0 {
			return Do()
		}
		v := verdicts[0]
		verdicts = verdicts[1:]
		return v
	}
}

// Always is a hook for OnRequest: every request of an operation meets the verdict; all others are done.
func Always(operation string, verdict Verdict) func(*Request) Verdict {
	return func(r *Request) Verdict {
		if r.Operation != operation {
			return Do()
		}
		return verdict
	}
}

// Before is a hook for OnRequest: act runs once, before the next request of an operation is done.
func Before(operation string, act func()) func(*Request) Verdict {
	var acted atomic.Bool
	return func(r *Request) Verdict {
		if r.Operation == operation && acted.CompareAndSwap(false, true) {
			act() // Its own requests of the operation are done at once.
		}
		return Do()
	}
}
