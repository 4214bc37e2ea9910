package registry_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/registry"
)

const (
	avroText = `{"type":"record","name":"Key","fields":[{"name":"id","type":"int"}],"connect.name":"t.Key"}`
	secret   = "hunter2"
)

func id(n uint32) debezium.SchemaRef { return debezium.SchemaRef{Kind: debezium.ConfluentID, ID: n} }

// fake is a registry that counts its requests, and its client.
type fake struct {
	*srfake.Registry
	requests atomic.Int64
	log      bytes.Buffer
	mu       sync.Mutex
}

// Write implements io.Writer.
func (f *fake) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log.Write(line)
}

func (f *fake) logged() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log.String()
}

// options returns those of an impatient client.
func (f *fake) options() registry.Options {
	return registry.Options{
		URL: f.URL(), Backoff: time.Millisecond, BackoffMax: 5 * time.Millisecond, Lag: 50 * time.Millisecond, UnknownFor: time.Hour,
		Logger: slog.New(slog.NewTextHandler(f, nil)),
	}
}

func newFake(t *testing.T, opts ...srfake.Option) *fake {
	t.Helper()
	f := &fake{Registry: srfake.New(opts...)}
	t.Cleanup(f.Close)
	f.Intercept(func(http.ResponseWriter, *http.Request) bool { f.requests.Add(1); return false })
	f.SeedSchema("t-key", 1, 7, sr.Schema{Schema: avroText})
	return f
}

func open(t *testing.T, o registry.Options) *registry.Client {
	t.Helper()
	c, err := registry.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mustFetch(t *testing.T, c *registry.Client, ref debezium.SchemaRef) debezium.WriterSchema {
	t.Helper()
	w, err := c.Schema(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestSchemaIsFetchedOnce(t *testing.T) {
	f := newFake(t)
	c := open(t, f.options())
	want := debezium.WriterSchema{Type: "AVRO", Text: avroText}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if got, err := c.Schema(t.Context(), id(7)); err != nil || got.Text != want.Text {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	wg.Wait()
	if diff := cmp.Diff(want, mustFetch(t, c, id(7))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := f.requests.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSchemaIsFoundByGUID(t *testing.T) {
	f := newFake(t)
	known, _ := f.GetSchema("t-key", 1)
	ref := debezium.SchemaRef{Kind: debezium.ConfluentGUID}
	if _, err := hex.Decode(ref.UUID[:], []byte(strings.ReplaceAll(known.GUID, "-", ""))); err != nil {
		t.Fatal(err)
	}
	if ref.Text() != known.GUID {
		t.Errorf("the GUID is written %s, want %s", ref.Text(), known.GUID)
	}
	if got := mustFetch(t, open(t, f.options()), ref); got.Text != avroText {
		t.Errorf("got %+v", got)
	}
}

func TestTheTypeOfASchemaIsTold(t *testing.T) {
	f := newFake(t)
	f.SeedSchema("p", 1, 8, sr.Schema{Schema: `syntax = "proto3";`, Type: sr.TypeProtobuf})
	f.SeedSchema("j", 1, 9, sr.Schema{Schema: `{}`, Type: sr.TypeJSON})
	c := open(t, f.options())
	if p, j := mustFetch(t, c, id(8)), mustFetch(t, c, id(9)); p.Type != "PROTOBUF" || j.Type != "JSON" {
		t.Errorf("got %q and %q", p.Type, j.Type)
	}
}

// A schema comes with what it refers to, each once and after what it refers to itself.
func TestReferencesAreFollowed(t *testing.T) {
	f := newFake(t)
	refer := func(subjects ...string) (out []sr.SchemaReference) {
		for _, s := range subjects {
			out = append(out, sr.SchemaReference{Name: s, Subject: s, Version: 1})
		}
		return out
	}
	text := func(name string) string { return `{"type":"enum","name":"` + name + `","symbols":["A"]}` }
	f.SeedSchema("a", 1, 11, sr.Schema{Schema: text("a")})
	f.SeedSchema("b", 1, 12, sr.Schema{Schema: text("b"), References: refer("a")})
	f.SeedSchema("c", 1, 13, sr.Schema{Schema: text("c"), References: refer("a", "b")})
	f.SeedSchema("root", 1, 14, sr.Schema{Schema: text("root"), References: refer("c", "b")})
	got := mustFetch(t, open(t, f.options()), id(14))
	if diff := cmp.Diff([]string{text("a"), text("b"), text("c")}, got.References); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	many := []sr.SchemaReference{}
	for i := range 70 {
		name := fmt.Sprintf("m%d", i)
		f.SeedSchema(name, 1, 100+i, sr.Schema{Schema: text(name)})
		many = append(many, refer(name)...)
	}
	f.SeedSchema("many", 1, 99, sr.Schema{Schema: text("many"), References: many})
	if _, err := open(t, f.options()).Schema(t.Context(), id(99)); !errors.Is(err, registry.ErrTooLarge) {
		t.Errorf("70 references: %v", err)
	}
}

// While the registry is away its callers wait, and one line a minute says so.
func TestAwayRegistryIsWaitedFor(t *testing.T) {
	f := newFake(t)
	failures := 0
	f.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		if failures++; failures > 6 {
			return false
		}
		switch failures % 3 {
		case 0:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 1:
			_, _ = w.Write([]byte("<html>not a registry</html>"))
		default:
			panic(http.ErrAbortHandler)
		}
		return true
	})
	if got := mustFetch(t, open(t, f.options()), id(7)); got.Text != avroText {
		t.Errorf("got %+v", got)
	}
	log := f.logged()
	if strings.Count(log, "retried schema registry") != 1 || strings.Count(log, `msg="fetched schema"`) != 1 {
		t.Errorf("the log says:\n%s", log)
	}
}

func TestUnknownSchemaMayStillTurnUp(t *testing.T) {
	f := newFake(t)
	o := f.options()
	o.Lag = time.Minute
	c := open(t, o)
	go func() {
		for f.requests.Load() < 3 {
			time.Sleep(time.Millisecond)
		}
		f.SeedSchema("late", 1, 21, sr.Schema{Schema: avroText})
	}()
	if got := mustFetch(t, c, id(21)); got.Text != avroText {
		t.Errorf("got %+v", got)
	}
}

func TestUnknownSchemaIsNotAskedForAgainForAWhile(t *testing.T) {
	f := newFake(t)
	c := open(t, f.options())
	started := time.Now()
	if _, err := c.Schema(t.Context(), id(21)); !errors.Is(err, registry.ErrUnknown) || time.Since(started) < 50*time.Millisecond {
		t.Fatalf("%v after %v", err, time.Since(started))
	}
	n := f.requests.Load()
	if _, err := c.Schema(t.Context(), id(21)); !errors.Is(err, registry.ErrUnknown) || f.requests.Load() != n {
		t.Errorf("%v, after %d more requests", err, f.requests.Load()-n)
	}
	o := f.options()
	o.UnknownFor = time.Nanosecond
	c = open(t, o)
	if _, err := c.Schema(t.Context(), id(22)); !errors.Is(err, registry.ErrUnknown) {
		t.Fatal(err)
	}
	f.SeedSchema("late", 1, 22, sr.Schema{Schema: avroText})
	mustFetch(t, c, id(22))
}

// A server that is no registry knows no schema either: that must not make records look bad.
func TestNotFoundByWhatIsNoRegistryIsNoUnknownSchema(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	f := newFake(t)
	o := f.options()
	o.URL = server.URL
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errors.New("enough"))
	defer cancel()
	if _, err := open(t, o).Schema(ctx, id(7)); err == nil || err.Error() != "enough" {
		t.Errorf("got %v, want to wait for ever", err)
	}
	if log := f.logged(); !strings.Contains(log, "no schema registry") {
		t.Errorf("the log says:\n%s", log)
	}
}

func TestRefusedClientHaltsAndTellsNoSecret(t *testing.T) {
	for _, tc := range []struct {
		name string
		auth string // What the registry wants.
		set  func(*registry.Options)
	}{
		{"without credentials", "Bearer other", func(*registry.Options) {}},
		{"with a wrong password", "Basic other", func(o *registry.Options) { o.Username, o.Password = "cdcd", secret }},
		{"with a wrong token", "Bearer other", func(o *registry.Options) { o.Token = secret }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake(t, srfake.WithAuth(tc.auth))
			o := f.options()
			tc.set(&o)
			c := open(t, o)
			_, err := c.Schema(t.Context(), id(7))
			halted, ok := errors.AsType[*halt.Error](err)
			if !ok || halted.Reason != halt.AccessDenied || halted.Hint == "" {
				t.Fatalf("got %v", err)
			}
			if err := c.Ping(t.Context()); err == nil {
				t.Error("the ping came through")
			}
			if text := fmt.Sprintf("%v %+v %s", err, err, f.logged()); strings.Contains(text, secret) {
				t.Errorf("the secret is told in %s", text)
			}
		})
	}
}

func TestCredentialsAreSent(t *testing.T) {
	for _, tc := range []struct {
		auth string
		set  func(*registry.Options)
	}{
		{"Bearer " + secret, func(o *registry.Options) { o.Token = secret }},
		{"Basic Y2RjZDpodW50ZXIy", func(o *registry.Options) { o.Username, o.Password = "cdcd", secret }},
	} {
		f := newFake(t, srfake.WithAuth(tc.auth))
		o := f.options()
		tc.set(&o)
		mustFetch(t, open(t, o), id(7))
	}
}

// Credentials go nowhere but to the configured host.
func TestRedirectToAnotherHostIsRefused(t *testing.T) {
	told := atomic.Int64{}
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { told.Add(1) }))
	t.Cleanup(thief.Close)
	server := httptest.NewServer(http.RedirectHandler(thief.URL+"/schemas/ids/7", http.StatusTemporaryRedirect))
	t.Cleanup(server.Close)
	f := newFake(t)
	o := f.options()
	o.URL, o.Token = server.URL, secret
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := open(t, o).Schema(ctx, id(7))
	if log := f.logged(); err == nil || told.Load() != 0 || !strings.Contains(log, "registry.url") || strings.Contains(log, secret) {
		t.Errorf("%v; %d requests to the other host; the log says:\n%s", err, told.Load(), log)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	sent := atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"schema":"`))
		for chunk := bytes.Repeat([]byte{' '}, 1<<16); ; {
			n, err := w.Write(chunk)
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	f := newFake(t)
	o := f.options()
	o.URL, o.SchemaBytes = server.URL, 1000
	if _, err := open(t, o).Schema(t.Context(), id(7)); !errors.Is(err, registry.ErrTooLarge) {
		t.Errorf("an endless answer: %v", err)
	}
	f.SeedSchema("large", 1, 31, sr.Schema{Schema: `"` + strings.Repeat("x", 1000) + `"`})
	o.URL = f.URL()
	if _, err := open(t, o).Schema(t.Context(), id(31)); !errors.Is(err, registry.ErrTooLarge) {
		t.Errorf("a schema above the limit: %v", err)
	}
}

// Who gives up does not take those along who wait for the same schema.
func TestOneWhoGivesUpLeavesTheOthersWaiting(t *testing.T) {
	f := newFake(t)
	held := make(chan struct{})
	var once sync.Once
	first := make(chan struct{})
	f.Intercept(func(http.ResponseWriter, *http.Request) bool {
		wait := false
		once.Do(func() { wait = true; close(first) })
		if wait {
			<-held
		}
		return false
	})
	c := open(t, f.options())
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := c.Schema(ctx, id(7)); !errors.Is(err, gone) {
			t.Errorf("got %v", err)
		}
	})
	<-first
	wg.Go(func() { mustFetch(t, c, id(7)) })
	cancel(gone)
	wg.Wait()
	close(held)
}
