// Package wiretest is what the in-process servers of tests share. Each speaks a protocol of its own to real clients; what they have in
// common is that a test sees every request (Desk.Requests) and decides the fate of each (Desk.OnRequest): done, refused, done with its
// reply lost, or done long after its client gave it up.
//
// It is for tests only.
package wiretest

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
)

// Call is a request as its service has understood it.
type Call interface {
	Record() *Request     // What a test may see of it.
	Admit() error         // Refuses who may not come in, before the test is asked.
	Do() (*Answer, error) // Does what is asked.
	Word(*Error) *Answer  // Words an error as the service does.
}

// Server answers HTTP on loopback. Its methods may be called from several goroutines.
type Server struct {
	Desk
	http *httptest.Server
	read func(*http.Request, []byte) Call
}

// Start serves HTTP until the test ends. read is handed each request with its body.
func Start(t testing.TB, read func(*http.Request, []byte) Call) *Server {
	t.Helper()
	return start(t, read, (*httptest.Server).Start)
}

// StartTLS serves HTTPS until the test ends. Clients must trust Certificate, as that of Client does.
func StartTLS(t testing.TB, read func(*http.Request, []byte) Call) *Server {
	t.Helper()
	return start(t, read, (*httptest.Server).StartTLS)
}

func start(t testing.TB, read func(*http.Request, []byte) Call, serve func(*httptest.Server)) *Server {
	t.Helper()
	s := &Server{read: read}
	s.http = httptest.NewUnstartedServer(s)
	s.http.Config.ErrorLog = log.New(t.Output(), "wiretest: ", 0)
	serve(s.http)
	t.Cleanup(s.http.Close)
	return s
}

// URL is the address of the server, without a trailing slash.
func (s *Server) URL() string { return s.http.URL }

// Client returns a client that trusts the server.
func (s *Server) Client() *http.Client { return s.http.Client() }

// Certificate is the one that StartTLS serves with.
func (s *Server) Certificate() *x509.Certificate { return s.http.Certificate() }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil { // The client went away: there is nothing to do and nobody to tell.
		panic(http.ErrAbortHandler)
	}
	c := s.read(r, body)
	v, refusal := s.arrive(c)
	a := s.perform(c, v, refusal)
	if a == nil {
		panic(http.ErrAbortHandler) // Closes the connection without a word, here and on the wire.
	}
	s.leave(c, a)
	a.writeTo(w)
}

// arrive records a request, and asks the hook about it if it is let in.
func (s *Server) arrive(c Call) (Verdict, error) {
	decide, asked := s.record(c.Record())
	if refusal := c.Admit(); refusal != nil {
		return Do(), refusal
	}
	return s.ask(decide, asked), nil
}

// perform does what the verdict lets happen, and returns the answer that the client will see; nil if it sees none.
func (s *Server) perform(c Call, v Verdict, refusal error) *Answer {
	switch {
	case refusal != nil:
		return word(c, refusal)
	case v.late != nil:
		v.late <- func() Outcome {
			a := s.do(c)
			return Outcome{Applied: a.Code == "", Status: a.Status, Code: a.Code}
		}
		return nil
	}
	var a *Answer
	if !v.withhold {
		a = s.do(c)
	}
	if v.drop {
		return nil
	}
	if v.code != "" {
		a = word(c, &Error{v.status, v.code, "The test said so."})
	}
	return v.dress(a)
}

// do does what was asked.
func (s *Server) do(c Call) *Answer {
	a, err := c.Do()
	if err != nil {
		a = word(c, err)
	}
	s.applied(c.Record(), a.Code == "")
	return a
}

// leave completes the record before the client can see the answer.
func (s *Server) leave(c Call, a *Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := c.Record()
	r.Status, r.Code, r.ResponseBytes = a.Status, a.Code, int64(len(a.Body))
}

// Error is a refusal: an HTTP status, and what the service calls it.
type Error struct {
	Status  int
	Code    string
	Message string
}

// Errorf returns a refusal with a formatted message.
func Errorf(status int, code, format string, args ...any) error {
	return &Error{status, code, fmt.Sprintf(format, args...)}
}

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// word has the service word an error; one that is not an *Error is a fault of the server's own.
func word(c Call, err error) *Answer {
	refusal, ok := errors.AsType[*Error](err)
	if !ok {
		refusal = &Error{http.StatusInternalServerError, "InternalServerError", err.Error()}
	}
	a := c.Word(refusal)
	a.Status, a.Code = refusal.Status, refusal.Code
	return a
}

// Answer is a whole response.
type Answer struct {
	Status int
	Code   string // What the service calls the error; empty for a success.
	Header http.Header
	Body   []byte

	cut bool // Body is only the beginning of what the header announces.
}

func (a *Answer) writeTo(w http.ResponseWriter) {
	for name, values := range a.Header {
		w.Header()[name] = slices.Clone(values)
	}
	if w.Header().Get("Content-Length") == "" && a.Status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body) // A client that went away is no fault of the server.
	if a.cut {
		_ = http.NewResponseController(w).Flush() // What comes next closes the connection: nobody is left to tell.
		panic(http.ErrAbortHandler)
	}
}
