// Package resttest is an Iceberg REST catalog in one process, speaking the REST catalog protocol to real clients.
//
// It is for tests only. A test starts a Server, points a client at Server.URL, and then sees every request (Server.Requests) and decides
// the fate of each (Server.OnRequest): done, refused, or done with its reply lost. The protocol is that of Iceberg's
// open-api/rest-catalog-open-api.yaml; operations are called what operationId calls them there.
//
// An operation or a parameter that is not modelled is refused with an error that says so. Namespaces and heads of tables are held in memory,
// metadata.json files in the warehouse's storage.
package resttest

import (
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Options are what a Server is to be like. The zero Options let everybody in.
type Options struct {
	Warehouse string // Tables without a location of their own are made below it, "file:///path"; empty: a folder of the test's own.
	Prefix    string // All operations but getConfig and getToken stand below /v1/Prefix, and getConfig says so.

	Credential string        // "id:secret" or "secret": requests need a bearer token, which getToken hands out for the credential.
	Token      string        // A bearer token that is good for ever.
	TokenLife  time.Duration // How long the tokens of getToken are good, in whole seconds; 0: an hour.
	SigV4      bool          // Requests need to be signed, as AWS demands. The signature is not verified.

	Defaults, Overrides map[string]string // What getConfig tells clients, besides the prefix.

	// StorageCredentials returns what loadTable, createTable and loadCredentials vend for the warehouse, such as s3.access-key-id; nil:
	// clients use their own. It is called under the server's lock.
	StorageCredentials func() map[string]string
}

// Server is one catalog on loopback. Its methods may be called from several goroutines.
type Server struct {
	http *httptest.Server
	o    Options

	mu         sync.Mutex // Guards what follows. No hook runs under it.
	decide     func(*Request) Verdict
	requests   []*Request
	tokens     map[string]time.Time // When each token of getToken ends.
	issued     int                  // Numbers tokens.
	namespaces map[string]*namespace
}

// Start serves everybody over HTTP until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	return StartWith(t, Options{})
}

// StartWith serves over HTTP until the test ends.
func StartWith(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Warehouse == "" {
		o.Warehouse = "file://" + t.TempDir()
	}
	if o.TokenLife == 0 {
		o.TokenLife = time.Hour
	}
	s := &Server{o: o, tokens: map[string]time.Time{}, namespaces: map[string]*namespace{}}
	s.http = httptest.NewUnstartedServer(s)
	s.http.Config.ErrorLog = log.New(t.Output(), "resttest: ", 0)
	s.http.Start()
	t.Cleanup(s.http.Close)
	return s
}

// URL is the catalog's uri, without a trailing slash and without /v1.
func (s *Server) URL() string { return s.http.URL }

// Warehouse is the place below which tables are made.
func (s *Server) Warehouse() string { return s.o.Warehouse }

// OnRequest has decide asked about each request that is let in, before anything is done; nil does all of them. Decide runs on the
// request's own goroutine and may call the server, or block to delay the request, which is then done even if its client has given up.
// The Request is a copy without an answer.
func (s *Server) OnRequest(decide func(*Request) Verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.decide = decide
}

// Requests returns all requests since the start or the last Reset, in the order of their arrival.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests := make([]Request, 0, len(s.requests))
	for _, r := range s.requests {
		requests = append(requests, *r)
	}
	return requests
}

// Reset forgets the recorded requests. Tables, tokens and the hook stay.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil { // The client went away: there is nothing to do and nobody to tell.
		panic(http.ErrAbortHandler)
	}
	c := newCall(r, s.o.Prefix, body)
	verdict, refusal := s.arrive(c)
	a := s.perform(c, verdict, refusal)
	s.leave(c, a)
	if verdict.drop {
		panic(http.ErrAbortHandler) // Closes the connection without a word, here and on the wire.
	}
	a.writeTo(w)
}

// arrive records a request, and asks the hook about it if it is let in.
func (s *Server) arrive(c *call) (Verdict, error) {
	s.mu.Lock()
	s.requests = append(s.requests, &c.Request)
	decide, asked, refusal := s.decide, c.Request, s.admit(c)
	s.mu.Unlock()
	if refusal != nil || decide == nil {
		return Do(), refusal
	}
	return decide(&asked), nil
}

// perform does what the verdict lets happen and returns the answer that the client will see.
func (s *Server) perform(c *call, v Verdict, refusal error) *answer {
	if refusal != nil {
		return answerOf(nil, refusal)
	}
	var a *answer
	if !v.withhold {
		s.mu.Lock()
		a = answerOf(c.apply(s, c))
		c.Applied = a.kind == ""
		s.mu.Unlock()
	}
	if v.drop {
		return &answer{}
	}
	if v.kind != "" {
		return answerOf(nil, &apiError{v.status, v.kind, "resttest was told to answer so"})
	}
	return a
}

// leave completes the record before the client can see the answer.
func (s *Server) leave(c *call, a *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Status, c.Type = a.status, a.kind
}

// apiError is a refusal in the protocol's terms.
type apiError struct {
	status  int
	kind    string
	message string
}

func (e *apiError) Error() string { return e.kind + ": " + e.message }

// answer is a whole response. The zero answer says nothing.
type answer struct {
	status int
	kind   string // The error's type; empty for a success.
	body   any    // Encoded as JSON; nil: no body.
}

// answerOf completes a success, or words an error as the schema ErrorModel demands.
func answerOf(a *answer, err error) *answer {
	if err == nil {
		return a
	}
	refusal, ok := errors.AsType[*apiError](err)
	if !ok {
		refusal = &apiError{http.StatusInternalServerError, InternalServerError, err.Error()}
	}
	return &answer{refusal.status, refusal.kind, map[string]any{
		"error": map[string]any{"message": refusal.message, "type": refusal.kind, "code": refusal.status},
	}}
}

func ok(body any) *answer { return &answer{status: http.StatusOK, body: body} }

func noContent() *answer { return &answer{status: http.StatusNoContent} }

func (a *answer) writeTo(w http.ResponseWriter) {
	var body []byte
	if a.body != nil {
		var err error
		if body, err = json.Marshal(a.body); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(body) // A client that went away is no fault of the server.
}
