// Package admin serves metrics, health and profiles over HTTP.
//
// Liveness says only that the process answers: it never depends on Kafka, storage or the catalog, since restarting cdcd
// mends none of them. Readiness and the metrics tell about those. There is no authentication; the address to listen on
// decides who can ask.
package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/cdcd-project/cdcd/internal/invariant"
)

// Limits on what one client can hold. A profile or trace may run for as long as the write timeout.
const (
	headerTimeout  = 5 * time.Second
	readTimeout    = 10 * time.Second
	writeTimeout   = 2 * time.Minute
	idleTimeout    = 2 * time.Minute
	headerBytesMax = 16 << 10
	drainTimeout   = 5 * time.Second
	scrapesMax     = 4 // At once.
)

// Options are what a Server needs. All but Ready are required.
type Options struct {
	Listen   string               // host:port; port 0 takes a free one.
	Registry *prometheus.Registry // Where all packages have registered their metrics.
	Version  string
	Logger   *slog.Logger

	// Ready returns why cdcd is not ready, or nil. It is called by every request of /readyz, from any goroutine, and must
	// not wait. Nil: ready as soon as it listens.
	Ready func() error
}

// Server is the HTTP server of one process.
type Server struct {
	options  Options
	http     http.Server
	listener net.Listener
}

// New returns a server that does not listen yet. It adds cdcd_build_info to the registry, so a registry can have one
// server.
func New(o Options) *Server {
	registerBuild(o.Registry, o.Version)
	s := &Server{options: o}
	s.http = http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytesMax,
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn),
	}
	return s
}

func registerBuild(r *prometheus.Registry, version string) {
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "cdcd_build_info",
		Help: "Always 1; the labels tell the version of cdcd and of Go that it was built with.",
	}, []string{"version", "goversion"})
	build.WithLabelValues(version, runtime.Version()).Set(1)
	r.MustRegister(build)
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.options.Registry, promhttp.HandlerOpts{
		Registry:            s.options.Registry,
		MaxRequestsInFlight: scrapesMax,
		ErrorLog:            slog.NewLogLogger(s.options.Logger.Handler(), slog.LevelWarn),
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if s.options.Ready != nil {
		if err := s.options.Ready(); err != nil {
			answer(w, http.StatusServiceUnavailable, err.Error())
			return
		}
	}
	answer(w, http.StatusOK, "ready")
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text) // A client that went away needs no answer.
}

// Listen takes the address, so that a port that is in use is known before anything else starts. Close lets go of it if
// Serve is never called.
func (s *Server) Listen() error {
	listener, err := net.Listen("tcp", s.options.Listen) //nolint:noctx // To take a local address is not to wait for anything.
	if err != nil {
		return fmt.Errorf("listen on admin address %s: %w: choose another admin.listen", s.options.Listen, err)
	}
	s.listener = listener
	return nil
}

// Addr returns the address that Listen took, with the real port.
func (s *Server) Addr() string {
	invariant.Check(s.listener != nil, "admin: Addr before Listen")
	return s.listener.Addr().String()
}

// Serve answers requests until ctx is done, and then finishes those under way, for a few seconds. It returns nil after a
// stop by ctx. Listen must have been called before.
func (s *Server) Serve(ctx context.Context) error {
	invariant.Check(s.listener != nil, "admin: Serve before Listen")
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve admin requests: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := s.http.Shutdown(drain); err != nil {
		_ = s.http.Close() // A profile that outlasts the drain is cut off.
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve admin requests: %w", err)
	}
	return nil
}

// Close lets go of the address at once and ends all requests.
func (s *Server) Close() error {
	err := s.http.Close()
	if s.listener != nil {
		if closing := s.listener.Close(); !errors.Is(closing, net.ErrClosed) {
			err = errors.Join(err, closing)
		}
	}
	return err
}
