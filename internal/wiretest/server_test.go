package wiretest_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// counter is a service whose one operation counts up, and says so.
type counter struct {
	wiretest.Request
	n *atomic.Int64
}

func (c *counter) Record() *wiretest.Request { return &c.Request }

func (c *counter) Admit() error {
	if c.Operation == "" {
		return wiretest.Errorf(http.StatusForbidden, "Nameless", "no operation")
	}
	return nil
}

func (c *counter) Do() (*wiretest.Answer, error) {
	c.n.Add(1)
	return &wiretest.Answer{Status: http.StatusOK, Body: []byte("counted")}, nil
}

func (c *counter) Word(e *wiretest.Error) *wiretest.Answer {
	return &wiretest.Answer{Body: []byte(e.Code)}
}

func startCounter(t *testing.T) (*wiretest.Server, *atomic.Int64) {
	t.Helper()
	n := &atomic.Int64{}
	return wiretest.Start(t, func(r *http.Request, _ []byte) wiretest.Call {
		c := &counter{n: n}
		c.Operation = strings.TrimPrefix(r.URL.Path, "/")
		return c
	}), n
}

// ask returns what a client sees: the status and body, or "broken" if the connection broke before the end.
func ask(t *testing.T, s *wiretest.Server, operation string) (string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/"+operation, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Client().Transport.RoundTrip(req)
	if err != nil {
		return "broken", nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.Status + " " + string(body) + " broken", resp.Header
	}
	return resp.Status + " " + string(body), resp.Header
}

func TestVerdicts(t *testing.T) {
	for _, test := range []struct {
		name    string
		verdict wiretest.Verdict
		seen    string
		applied bool
	}{
		{"do", wiretest.Do(), "200 OK counted", true},
		{"refuse", wiretest.Refuse(http.StatusConflict, "No"), "409 Conflict No", false},
		{"do then refuse", wiretest.DoThenRefuse(http.StatusConflict, "No"), "409 Conflict No", true},
		{"drop", wiretest.Drop(), "broken", false},
		{"do then drop", wiretest.DoThenDrop(), "broken", true},
		{"say something else", wiretest.Do().Saying([]byte("{")), "200 OK {", true},
		{"cut", wiretest.Do().CutAt(3), "200 OK cou broken", true},
		{"cut an error", wiretest.Refuse(http.StatusConflict, "No").CutAt(1), "409 Conflict N broken", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, n := startCounter(t)
			s.OnRequest(wiretest.Meet("count", test.verdict))
			if seen, _ := ask(t, s, "count"); seen != test.seen {
				t.Errorf("the client saw %q, want %q", seen, test.seen)
			}
			if applied := n.Load() == 1; applied != test.applied || s.Requests()[0].Applied != test.applied {
				t.Errorf("done: %t, recorded %+v; want %t", applied, s.Requests()[0].Outcome, test.applied)
			}
			if seen, _ := ask(t, s, "count"); seen != "200 OK counted" {
				t.Errorf("the next client saw %q", seen)
			}
		})
	}
}

func TestLateRequestIsDoneWhenTheTestSaysSo(t *testing.T) {
	s, n := startCounter(t)
	verdict, land := wiretest.Late()
	s.OnRequest(wiretest.Meet("count", verdict))
	if seen, _ := ask(t, s, "count"); seen != "broken" || n.Load() != 0 || s.Requests()[0].Applied {
		t.Fatalf("the client saw %q, and %d were done", seen, n.Load())
	}
	if diff := cmp.Diff(wiretest.Outcome{Applied: true, Status: http.StatusOK}, land()); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
	if n.Load() != 1 || !s.Requests()[0].Applied || s.Requests()[0].Status != 0 {
		t.Errorf("%d were done, recorded %+v", n.Load(), s.Requests()[0].Outcome)
	}
}

func TestHooks(t *testing.T) {
	s, _ := startCounter(t)
	s.OnRequest(wiretest.Always("count", wiretest.Refuse(http.StatusTooManyRequests, "Slower").With("Retry-After", "7")))
	for range 2 {
		if seen, header := ask(t, s, "count"); seen != "429 Too Many Requests Slower" || header.Get("Retry-After") != "7" {
			t.Errorf("the client saw %q with %v", seen, header)
		}
	}
	acted := 0
	s.OnRequest(wiretest.Before("count", func() {
		acted++
		ask(t, s, "count") // Its own request does not meet the hook again.
	}))
	ask(t, s, "other")
	ask(t, s, "count")
	ask(t, s, "count")
	if acted != 1 || wiretest.Count(s.Requests(), "count") != 5 {
		t.Errorf("acted %d times, requests %v", acted, s.Requests())
	}
	s.OnRequest(func(*wiretest.Request) wiretest.Verdict {
		t.Error("the test was asked about a request that may not come in")
		return wiretest.Do()
	})
	if seen, _ := ask(t, s, ""); seen != "403 Forbidden Nameless" {
		t.Errorf("the client saw %q", seen)
	}
}

func TestVerdictsOnCallsWithoutAServer(t *testing.T) {
	var desk wiretest.Desk
	done := 0
	carry := func(v wiretest.Verdict) error {
		done = 0
		desk.Reset()
		desk.OnRequest(wiretest.Meet("count", v))
		return desk.Carry(wiretest.Request{Operation: "count"}, func() error { done++; return nil })
	}
	late, land := wiretest.Late()
	for _, test := range []struct {
		verdict wiretest.Verdict
		want    error
		done    int
	}{
		{wiretest.Do(), nil, 1},
		{wiretest.Drop(), wiretest.ErrNoReply, 0},
		{wiretest.DoThenDrop(), wiretest.ErrNoReply, 1},
		{late, wiretest.ErrNoReply, 0},
	} {
		if err := carry(test.verdict); !errors.Is(err, test.want) || done != test.done || desk.Requests()[0].Applied != (done == 1) {
			t.Errorf("ended with %v after it was done %d times, want %v and %d", err, done, test.want, test.done)
		}
	}
	if o := land(); !o.Applied || done != 1 || !desk.Requests()[0].Applied {
		t.Errorf("the late call came to %+v, and was done %d times", o, done)
	}
	if _, refused := errors.AsType[*wiretest.Error](carry(wiretest.Refuse(http.StatusConflict, "No"))); !refused || done != 0 {
		t.Errorf("refused: %t, done %d times", refused, done)
	}
}

func TestCredentialsAreNotRecorded(t *testing.T) {
	var r wiretest.Request
	bearer := r.ReadHeader(http.Header{"Authorization": {"Bearer secret"}, "X-Amz-Security-Token": {"secret"}, "If-Match": {"*"}})
	if diff := cmp.Diff(wiretest.Request{Scheme: "Bearer", Header: http.Header{"If-Match": {"*"}}}, r); diff != "" || bearer != "secret" {
		t.Errorf("bearer %q, recorded (-want +got):\n%s", bearer, diff)
	}
	r.ReadHeader(http.Header{"Authorization": {"AWS4-HMAC-SHA256 Credential=KEY/20260101/eu-central-1/s3/aws4_request, SignedHeaders=host, Signature=0"}})
	if r.AccessKeyID != "KEY" || r.SignedFor != "eu-central-1/s3" {
		t.Errorf("recorded %+v", r)
	}
}
