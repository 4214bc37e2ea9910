// Package registry fetches the schemas that records were written with from a schema registry.
//
// A schema never changes under its id, so what was fetched once is kept. While the registry is away its callers wait, for ever and
// loudly: a record whose schema cannot be had is neither good nor bad. What it answers is hostile like the records are (I11).
package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/halt"
)

// Options say which registry is asked, and how. URL or Glue is required; a zero duration or limit takes its default.
type Options struct {
	URL                       string // Confluent's REST protocol.
	Username, Password, Token string // Basic authentication, or a bearer token.
	TLS                       *tls.Config
	Transport                 http.RoundTripper // Carries the requests to URL; nil: one of its own, with TLS.

	Glue         *aws.Config // AWS Glue Schema Registry.
	GlueEndpoint string      // In place of the region's.

	SchemaBytes int           // Of one schema with all that it refers to.
	Backoff     time.Duration // The first wait before a request is repeated; each next one is twice as long.
	BackoffMax  time.Duration // The longest one.
	Lag         time.Duration // For how long a schema that the registry does not know may still turn up.
	UnknownFor  time.Duration // How long an unknown schema is not asked for again.
	Logger      *slog.Logger
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{{&o.Backoff, 200 * time.Millisecond}, {&o.BackoffMax, 30 * time.Second}, {&o.Lag, 10 * time.Second}, {&o.UnknownFor, time.Minute}} {
		if *d.value == 0 {
			*d.value = d.fallback
		}
	}
	if o.SchemaBytes == 0 {
		o.SchemaBytes = debezium.DefaultLimits().SchemaBytes
	}
	return o
}

// ErrUnknown is returned for a schema that the registry does not know.
var ErrUnknown = errors.New("the registry does not know it")

// ErrTooLarge is returned for a schema beyond Options.SchemaBytes, or with more references than any has.
var ErrTooLarge = errors.New("the schema is too large")

// service is one kind of registry. Both ask once, and word errors as errUnknown, halts, or whatever came.
type service interface {
	schema(ctx context.Context, ref debezium.SchemaRef) (debezium.WriterSchema, error)
	ping(ctx context.Context) error
}

// Client asks one registry. Its methods may be called from several goroutines.
type Client struct {
	o       Options
	service service

	mu      sync.Mutex
	cache   map[debezium.SchemaRef]debezium.WriterSchema
	bytes   int                                  // Of cache.
	unknown map[debezium.SchemaRef]time.Time     // When it was found to be.
	flights map[debezium.SchemaRef]chan struct{} // Closed when a request for the schema has ended.
}

const (
	cacheBytesMax = 64 << 20
	unknownMax    = 1024
)

// Open returns a client. It does not ask the registry anything.
func Open(o Options) (*Client, error) {
	o = o.withDefaults()
	c := &Client{
		o: o, cache: map[debezium.SchemaRef]debezium.WriterSchema{}, unknown: map[debezium.SchemaRef]time.Time{},
		flights: map[debezium.SchemaRef]chan struct{}{},
	}
	if o.Glue != nil {
		c.service = newGlue(o)
		return c, nil
	}
	var err error
	c.service, err = newConfluent(o)
	return c, err
}

// Ping asks the registry whether it is there and lets cdcd in.
func (c *Client) Ping(ctx context.Context) error { return c.service.ping(ctx) }

// Tell tells a decoder what the registry has answered about a schema that it needs: the schema, or why its records are bad. Any other
// error is no answer, and is returned.
func Tell(d *debezium.Decoder, needed *debezium.SchemaNeeded, schema debezium.WriterSchema, err error) error {
	switch {
	case err == nil:
		d.AddSchema(needed, schema)
	case errors.Is(err, ErrUnknown):
		d.RefuseSchema(needed, debezium.UnknownSchema, err.Error())
	case errors.Is(err, ErrTooLarge):
		d.RefuseSchema(needed, debezium.TooLarge, err.Error())
	default:
		return err
	}
	return nil
}

// Schema returns a schema. It waits while the registry is away, until ctx ends. The error is ErrUnknown, ErrTooLarge, a *halt.Error if
// the registry refuses cdcd, or the cause with which ctx has ended.
func (c *Client) Schema(ctx context.Context, ref debezium.SchemaRef) (debezium.WriterSchema, error) {
	for {
		w, known, flight := c.look(ref)
		switch {
		case known:
			return w, nil
		case flight == nil:
			return c.fly(ctx, ref)
		}
		select {
		case <-flight:
		case <-ctx.Done():
			return w, context.Cause(ctx)
		}
	}
}

// look returns a schema that is known, or the flight of somebody else who asks for it. Without either, the caller has to ask, and all
// others wait for it.
func (c *Client) look(ref debezium.SchemaRef) (w debezium.WriterSchema, known bool, flight chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w, known = c.cache[ref]; known {
		return w, true, nil
	}
	if flight = c.flights[ref]; flight == nil {
		c.flights[ref] = make(chan struct{})
	}
	return w, false, flight
}

// fly asks for a schema, which nobody else does meanwhile.
func (c *Client) fly(ctx context.Context, ref debezium.SchemaRef) (w debezium.WriterSchema, err error) {
	c.mu.Lock()
	since, unknown := c.unknown[ref]
	c.mu.Unlock()
	remembered := unknown && time.Since(since) < c.o.UnknownFor
	if remembered {
		err = ErrUnknown
	} else {
		w, err = c.fetch(ctx, ref)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.keep(ref, w)
	case errors.Is(err, ErrUnknown) && !remembered:
		if len(c.unknown) >= unknownMax {
			clear(c.unknown)
		}
		c.unknown[ref] = time.Now()
	}
	close(c.flights[ref])
	delete(c.flights, ref)
	return w, err
}

// keep puts a schema into the cache. What no longer fits is asked for again.
func (c *Client) keep(ref debezium.SchemaRef, w debezium.WriterSchema) {
	delete(c.unknown, ref)
	if c.bytes += sizeOf(w); c.bytes > cacheBytesMax {
		clear(c.cache)
		c.bytes = sizeOf(w)
	}
	c.cache[ref] = w
}

func sizeOf(w debezium.WriterSchema) int {
	n := len(w.Text)
	for _, text := range w.References {
		n += len(text)
	}
	return n
}

// fetch asks until there is an answer.
func (c *Client) fetch(ctx context.Context, ref debezium.SchemaRef) (debezium.WriterSchema, error) {
	started, told, failures := time.Now(), time.Time{}, 0
	for wait := c.o.Backoff; ; wait = min(2*wait, c.o.BackoffMax) {
		w, err := c.service.schema(ctx, ref)
		_, halted := errors.AsType[*halt.Error](err)
		switch {
		case ctx.Err() != nil:
			return w, context.Cause(ctx)
		case err == nil && sizeOf(w) > c.o.SchemaBytes:
			return w, fmt.Errorf("%s: %w", ref, ErrTooLarge)
		case err == nil && failures > 0:
			c.o.Logger.Info("fetched schema", "schema", ref.String(), "attempt", failures+1)
			return w, nil
		case err == nil:
			return w, nil
		case halted, errors.Is(err, ErrTooLarge):
			return w, err
		case errors.Is(err, ErrUnknown) && time.Since(started) >= c.o.Lag:
			return w, err
		}
		if failures++; time.Since(told) >= time.Minute { // The first, then one a minute.
			c.o.Logger.Warn("retried schema registry", "schema", ref.String(), "attempt", failures, "err", err)
			told = time.Now()
		}
		if !pause(ctx, wait) {
			return w, context.Cause(ctx)
		}
	}
}

// pause waits for half of d to all of it, so that many who wait do not ask at once, and reports false if ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d/2 + rand.N(d/2+1)) //nolint:gosec // Nothing secret hangs on it.
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// denied halts the table until the registry lets cdcd in, which is tried again by itself.
func denied(hint string, err error) error {
	return halt.Newf(halt.AccessDenied, hint+" cdcd looks again by itself.", "schema registry: %w", err)
}
