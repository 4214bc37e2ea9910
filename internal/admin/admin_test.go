package admin

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
)

// start serves on a free port until the test ends, and returns the server and its base URL.
func start(t *testing.T, ready func() error) (*Server, string) {
	t.Helper()
	s := New(Options{
		Listen: "127.0.0.1:0", Registry: prometheus.NewRegistry(), Version: "v1.2.3", Logger: slog.New(slog.DiscardHandler), Ready: ready,
	})
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return s, "http://" + s.Addr()
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestMetricsTellTheBuild(t *testing.T) {
	s, url := start(t, nil)
	status, body := get(t, url+"/metrics")
	if want := `cdcd_build_info{goversion="` + runtime.Version() + `",version="v1.2.3"} 1`; status != 200 || !strings.Contains(body, want) {
		t.Errorf("status %d, and no line %s in\n%s", status, want, body)
	}
	families, err := s.options.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	ours := slices.DeleteFunc(families, func(f *dto.MetricFamily) bool { return !strings.HasPrefix(f.GetName(), "cdcd_") })
	problems, err := promlint.NewWithMetricFamilies(ours).Lint()
	if err != nil || len(problems) > 0 || len(ours) != 1 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

func TestReadinessTellsWhyNotAndLivenessDoesNotCare(t *testing.T) {
	var why atomic.Pointer[error]
	_, url := start(t, func() error {
		if err := why.Load(); err != nil {
			return *err
		}
		return nil
	})
	down := errors.New("kafka: no broker answers")
	for _, tt := range []struct {
		why        error
		path, body string
		status     int
	}{
		{nil, "/readyz", "ready\n", 200},
		{down, "/readyz", "kafka: no broker answers\n", 503},
		{down, "/healthz", "ok\n", 200},
		{nil, "/healthz", "ok\n", 200},
	} {
		why.Store(nil)
		if tt.why != nil {
			why.Store(&tt.why)
		}
		if status, body := get(t, url+tt.path); status != tt.status || body != tt.body {
			t.Errorf("%s with %v answers %d %q, want %d %q", tt.path, tt.why, status, body, tt.status, tt.body)
		}
	}
}

func TestProfilesAreServed(t *testing.T) {
	_, url := start(t, nil)
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/goroutine?debug=1", "/debug/pprof/heap", "/debug/pprof/cmdline", "/debug/pprof/symbol"} {
		if status, body := get(t, url+path); status != 200 || body == "" {
			t.Errorf("%s answers %d with %d bytes", path, status, len(body))
		}
	}
}

func TestUnknownPathsAndMethodsAreRefused(t *testing.T) {
	_, url := start(t, nil)
	if status, _ := get(t, url+"/"); status != http.StatusNotFound {
		t.Errorf("/ answers %d", status)
	}
	response, err := http.Post(url+"/healthz", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST /healthz answers %d", response.StatusCode)
	}
}

func TestHugeHeadersAreRefused(t *testing.T) {
	_, url := start(t, nil)
	request, err := http.NewRequest(http.MethodGet, url+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Filler", strings.Repeat("x", 64<<10))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("answers %d", response.StatusCode)
	}
}

func TestAddressInUseIsToldByListen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := New(Options{Listen: taken.Addr().String(), Registry: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)})
	if err := s.Listen(); err == nil || !strings.Contains(err.Error(), "admin.listen") {
		t.Errorf("err = %v, want one that names admin.listen", err)
	}
}

func TestStopFinishesTheRequestUnderWay(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := New(Options{
		Listen: "127.0.0.1:0", Registry: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
		Ready: func() error { close(entered); <-leave; return nil },
	})
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- s.Serve(ctx) }()
	answered := make(chan string, 1)
	go func() {
		response, err := http.Get("http://" + s.Addr() + "/readyz")
		if err != nil {
			answered <- err.Error()
			return
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		answered <- string(body)
	}()
	<-entered
	cancel()
	select {
	case err := <-stopped:
		t.Fatalf("stopped with a request under way: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(leave)
	if body := <-answered; body != "ready\n" {
		t.Errorf("the request under way got %q", body)
	}
	if err := <-stopped; err != nil {
		t.Errorf("serve: %v", err)
	}
}

func TestCloseWithoutServeLetsGoOfTheAddress(t *testing.T) {
	s := New(Options{Listen: "127.0.0.1:0", Registry: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)})
	if err := s.Close(); err != nil {
		t.Errorf("close before listen: %v", err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	again, err := net.Listen("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}
