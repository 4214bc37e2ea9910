// Package awstest is an AWS Glue Data Catalog and an S3 in one process, speaking their real wire protocols to the real SDKs.
//
// It is for tests only. A test starts a Server, points the SDKs at it with Server.Config or Server.Environ, and then sees every
// request (Server.Requests) and decides the fate of each (Server.OnRequest): done, refused, or done with its reply lost.
//
// An operation, a parameter or an x-amz- header that is not modelled is refused with an error that says so. Signatures are not verified, but a
// request that is not signed at all is refused. Everything is held in memory.
package awstest

import (
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// What the one account of a Server is called.
const (
	AccountID       = "123456789012" // Also Glue's catalog id.
	Region          = "eu-central-1"
	AccessKeyID     = "AKIAAWSTEST"
	secretAccessKey = "awstest"
)

// Server is one account's Glue and S3 on loopback. Its methods may be called from several goroutines.
type Server struct {
	http     *httptest.Server
	caBundle string

	mu        sync.Mutex // Guards what follows. No hook runs under it.
	decide    func(*Request) Verdict
	requests  []*Request
	databases map[string]*database
	buckets   map[string]*bucket
	serial    int // Numbers requests and uploads.
}

// Start serves plain HTTP until the test ends. Over it the SDK sends an object's checksum as a header.
func Start(t testing.TB) *Server {
	t.Helper()
	return start(t, (*httptest.Server).Start)
}

// StartTLS serves HTTPS until the test ends, as AWS does: over it the SDK sends objects as aws-chunked with a trailing checksum.
// Clients must trust the server's certificate, which those of Config and Environ do.
func StartTLS(t testing.TB) *Server {
	t.Helper()
	s := start(t, (*httptest.Server).StartTLS)
	s.caBundle = filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw})
	if err := os.WriteFile(s.caBundle, certificate, 0o600); err != nil {
		t.Fatalf("write certificate: %v", err)
	}
	return s
}

func start(t testing.TB, serve func(*httptest.Server)) *Server {
	t.Helper()
	s := &Server{databases: map[string]*database{}, buckets: map[string]*bucket{}}
	s.http = httptest.NewUnstartedServer(s)
	s.http.Config.ErrorLog = log.New(t.Output(), "awstest: ", 0)
	serve(s.http)
	t.Cleanup(s.http.Close)
	return s
}

// URL is the endpoint of both services, without a trailing slash.
func (s *Server) URL() string { return s.http.URL }

// Config returns what the SDKs' NewFromConfig need to reach the server. Its retryer is the SDK's own but does not wait between
// attempts. S3 clients find buckets in the path because the endpoint is an address, not a name.
func (s *Server) Config() aws.Config {
	return aws.Config{
		Region:                     Region,
		BaseEndpoint:               aws.String(s.URL()),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported, // As the SDK's default configuration has them.
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
		Credentials:                credentials.NewStaticCredentialsProvider(AccessKeyID, secretAccessKey, ""),
		HTTPClient:                 s.http.Client(),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
				o.RateLimiter = ratelimit.None
			})
		},
	}
}

// Environ lists the variables, as "NAME=value", by which the SDK's default configuration finds the server and nothing else.
func (s *Server) Environ() []string {
	env := []string{
		"AWS_ENDPOINT_URL=" + s.URL(),
		"AWS_REGION=" + Region,
		"AWS_ACCESS_KEY_ID=" + AccessKeyID,
		"AWS_SECRET_ACCESS_KEY=" + secretAccessKey,
		"AWS_SESSION_TOKEN=",
		"AWS_PROFILE=",
		"AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"AWS_EC2_METADATA_DISABLED=true",
	}
	if s.caBundle != "" {
		env = append(env, "AWS_CA_BUNDLE="+s.caBundle)
	}
	return env
}

// Setenv puts Environ into the environment until the test ends.
func (s *Server) Setenv(t testing.TB) {
	t.Helper()
	for _, variable := range s.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
}

// OnRequest has decide asked about each request before anything is done; nil does all of them. Decide runs on the request's own
// goroutine and may call the server, or block to delay the request, which is then done even if its client has given up. The Request
// is a copy without an answer.
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

// Reset forgets the recorded requests. Tables, objects and the hook stay.
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
	c := newCall(r, body)
	verdict := s.arrive(c)
	a := s.perform(c, verdict)
	s.leave(c, a)
	if verdict.drop {
		panic(http.ErrAbortHandler) // Closes the connection without a word, here and on the wire.
	}
	a.writeTo(w)
}

// arrive records a request and asks the hook about it.
func (s *Server) arrive(c *call) Verdict {
	s.mu.Lock()
	s.serial++
	c.id = "awstest-" + strconv.Itoa(s.serial)
	s.requests = append(s.requests, &c.Request)
	decide, asked := s.decide, c.Request
	s.mu.Unlock()
	if c.AccessKeyID == "" {
		return Refuse(c.unsigned(), http.StatusForbidden)
	}
	if decide == nil {
		return Do()
	}
	return decide(&asked)
}

// perform does what the verdict lets happen and returns the answer that the client will see.
func (s *Server) perform(c *call, v Verdict) *answer {
	var a *answer
	if !v.withhold {
		s.mu.Lock()
		a = c.answer(s.apply(c))
		c.Applied = a.code == ""
		s.mu.Unlock()
	}
	if v.drop {
		return &answer{}
	}
	if v.code != "" {
		return c.answer(nil, &apiError{code: v.code, status: v.status, message: "awstest was told to answer so."})
	}
	return a
}

// apply hands a call to its service. The lock is held.
func (s *Server) apply(c *call) (*answer, error) {
	if c.Service == Glue {
		return s.applyGlue(c)
	}
	return s.applyS3(c)
}

// leave completes the record before the client can see the answer.
func (s *Server) leave(c *call, a *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Status, c.Code, c.ResponseBytes = a.status, a.code, int64(len(a.body))
}

// apiError is a refusal in AWS's terms.
type apiError struct {
	code    string
	status  int
	message string
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

// answer is a whole response. The zero answer says nothing.
type answer struct {
	status int
	code   string // AWS's error code; empty for a success.
	header http.Header
	body   []byte
}

// answer completes a success, or words an error as the call's service does.
func (c *call) answer(a *answer, err error) *answer {
	if err != nil {
		refusal, ok := errors.AsType[*apiError](err)
		if !ok {
			refusal = &apiError{code: InternalError, status: http.StatusInternalServerError, message: err.Error()}
		}
		if c.Service == Glue {
			a = glueError(refusal)
		} else {
			a = c.s3Error(refusal)
		}
	}
	if a.header == nil {
		a.header = http.Header{}
	}
	a.header.Set("X-Amzn-Requestid", c.id)
	a.header.Set("X-Amz-Request-Id", c.id)
	if a.header.Get("Content-Length") == "" && a.status != http.StatusNoContent {
		a.header.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	return a
}

func (a *answer) writeTo(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = slices.Clone(values)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // A client that went away is no fault of the server.
}
