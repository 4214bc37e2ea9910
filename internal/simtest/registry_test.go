package simtest

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cdcd-project/cdcd/internal/registry"
)

// siteRegistry is the call that gets a schema.
const siteRegistry = "registry.get"

// clerk is the schema registry as one process sees it, below the HTTP client.
type clerk struct{ p *process }

// RoundTrip implements http.RoundTripper.
func (c clerk) RoundTrip(r *http.Request) (*http.Response, error) {
	return ask(r.Context(), c.p, siteRegistry, func() (*http.Response, error) { return c.p.w.answer(r), nil })
}

// answer speaks Confluent's protocol. While the registry is away something in front of it answers.
func (w *world) answer(r *http.Request) *http.Response {
	w.mu.Lock()
	away := w.unreliable.Load() && time.Now().Before(w.away.until)
	status := w.away.status
	w.stats.asked++
	if away {
		w.stats.turned++
	}
	w.mu.Unlock()
	if away {
		return reply(r, status, map[string]any{"message": "nobody is here"})
	}
	id, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/schemas/ids/"))
	text, known := schemaText(id)
	if err != nil || !known {
		return reply(r, http.StatusNotFound, map[string]any{"error_code": 40403, "message": "Schema not found"})
	}
	return reply(r, http.StatusOK, map[string]any{"schema": text})
}

func reply(r *http.Request, status int, body any) *http.Response {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return &http.Response{
		StatusCode: status, Status: fmt.Sprint(status, " ", http.StatusText(status)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/vnd.schemaregistry.v1+json"}}, Body: io.NopCloser(strings.NewReader(string(text))), ContentLength: int64(len(text)),
	}
}

// absence is for how long the registry is away, and what is answered for it.
type absence struct {
	until  time.Time
	status int
}

// leaveRegistry sends the registry away: for longer than a table waits before it commits what it has, or than an unknown schema is
// asked for. Or somebody has taken away cdcd's right to read it, which halts the table until it has that again.
func (w *world) leaveRegistry(rng *rand.Rand) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = absence{
		until: time.Now().Add(time.Duration(1+rng.IntN(60)) * time.Second),
		status: []int{
			http.StatusServiceUnavailable, http.StatusInternalServerError, http.StatusTooManyRequests, http.StatusNotFound, http.StatusUnauthorized, http.StatusForbidden,
		}[rng.IntN(6)],
	}
}

// openRegistry returns a process's client.
func (p *process) openRegistry() (*registry.Client, error) {
	return registry.Open(registry.Options{URL: "http://registry.sim", Transport: clerk{p}, Logger: p.w.log.With("process", p.name)})
}
