// Package resttest is an Iceberg REST catalog in one process, speaking the REST catalog protocol to real clients.
//
// It is for tests only. A test starts a Server, points a client at Server.URL, and then sees every request and decides the fate of each,
// as wiretest describes. The protocol is that of Iceberg's open-api/rest-catalog-open-api.yaml; operations are called what operationId
// calls them there.
//
// An operation or a parameter that is not modelled is refused with an error that says so. Namespaces and heads of tables are held in memory,
// metadata.json files in the warehouse's storage.
package resttest

import (
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/cdcd-project/cdcd/internal/wiretest"
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
	*wiretest.Server
	o Options

	mu         sync.Mutex           // Guards what follows. No hook runs under it.
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
	s.Server = wiretest.Start(t, s.newCall)
	return s
}

// Warehouse is the place below which tables are made.
func (s *Server) Warehouse() string { return s.o.Warehouse }

// ok answers with a body in JSON; what is answered here always encodes.
func ok(body any) *wiretest.Answer { return jsonAnswer(http.StatusOK, "", body) }

func noContent() *wiretest.Answer { return &wiretest.Answer{Status: http.StatusNoContent} }

func jsonAnswer(status int, code string, body any) *wiretest.Answer {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return &wiretest.Answer{Status: status, Code: code, Header: http.Header{"Content-Type": {"application/json"}}, Body: text}
}
