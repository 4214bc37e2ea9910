package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/cdcd-project/cdcd/internal/debezium"
)

// requestTimeout is how long the registry may take for one answer.
const requestTimeout = 30 * time.Second

// referencesMax and referenceDepthMax bound the schemas that one refers to.
const (
	referencesMax     = 64
	referenceDepthMax = 16
)

// confluent is a registry that speaks Confluent's REST protocol.
type confluent struct {
	client *sr.Client
	bytes  int
}

func newConfluent(o Options) (*confluent, error) {
	transport := o.Transport
	if transport == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.TLSClientConfig = o.TLS
		transport = own
	}
	options := []sr.ClientOpt{
		sr.URLs(o.URL), sr.UserAgent("cdcd"), sr.DefaultParams(sr.ShowDeleted),
		sr.HTTPClient(&http.Client{Timeout: requestTimeout, CheckRedirect: stay, Transport: bounded{transport, int64(o.SchemaBytes)}}),
	}
	if o.Username != "" {
		options = append(options, sr.BasicAuth(o.Username, o.Password))
	}
	if o.Token != "" {
		options = append(options, sr.BearerToken(o.Token))
	}
	client, err := sr.NewClient(options...)
	if err != nil {
		return nil, fmt.Errorf("open schema registry: %w", err)
	}
	return &confluent{client: client, bytes: o.SchemaBytes}, nil
}

// stay refuses redirects that lead to another host, or away from TLS: credentials go nowhere but to the configured one.
func stay(r *http.Request, via []*http.Request) error {
	from := via[0].URL
	if r.URL.Host != from.Host || r.URL.Scheme != from.Scheme && r.URL.Scheme != "https" {
		return fmt.Errorf("%s redirects to %s://%s: configure that as registry.url if it is right", from.Host, r.URL.Scheme, r.URL.Host)
	}
	if len(via) > 3 {
		return errors.New("redirects without an end")
	}
	return nil
}

// bounded ends answers that are larger than any schema, which JSON may write in up to six times its length.
type bounded struct {
	http.RoundTripper
	bytes int64
}

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	return limit(resp, err, b.bytes)
}

func limit(resp *http.Response, err error, bytes int64) (*http.Response, error) {
	if err == nil {
		resp.Body = &boundedBody{resp.Body, 6*bytes + 64<<10}
	}
	return resp, err
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, ErrTooLarge
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// ping implements service: it asks for a schema that hardly is, since that is all that cdcd needs to be allowed.
func (c *confluent) ping(ctx context.Context) error {
	_, err := c.client.SchemaByID(ctx, math.MaxInt32)
	if err = word(err); errors.Is(err, ErrUnknown) {
		return nil
	}
	return err
}

// schema implements service.
func (c *confluent) schema(ctx context.Context, ref debezium.SchemaRef) (debezium.WriterSchema, error) {
	var s sr.Schema
	var err error
	switch ref.Kind {
	case debezium.ConfluentID:
		s, err = c.client.SchemaByID(ctx, int(ref.ID))
	case debezium.ConfluentGUID:
		var versioned sr.SubjectSchema
		versioned, err = c.client.SchemaByGUID(ctx, ref.Text())
		s = versioned.Schema
	case debezium.GlueVersion:
		return debezium.WriterSchema{}, fmt.Errorf("%s: a Confluent registry is configured: %w", ref, ErrUnknown)
	}
	if err != nil {
		return debezium.WriterSchema{}, word(err)
	}
	f := follower{c: c, seen: map[string]bool{}, left: c.bytes - len(s.Schema)}
	if err := f.follow(ctx, s.References, 1); err != nil {
		return debezium.WriterSchema{}, fmt.Errorf("references of %s: %w", ref, err)
	}
	return debezium.WriterSchema{Type: s.Type.String(), Text: s.Schema, References: f.texts}, nil
}

// follower collects what a schema refers to, each after what it refers to itself.
type follower struct {
	c     *confluent
	seen  map[string]bool
	texts []string
	left  int // Bytes.
}

func (f *follower) follow(ctx context.Context, references []sr.SchemaReference, depth int) error {
	for _, r := range references {
		name := fmt.Sprintf("%s version %d", r.Subject, r.Version)
		switch {
		case f.seen[name]:
			continue
		case depth > referenceDepthMax || len(f.seen) == referencesMax:
			return fmt.Errorf("more than %d, or nested deeper than %d: %w", referencesMax, referenceDepthMax, ErrTooLarge)
		case r.Version <= 0:
			return fmt.Errorf("%q has no version: %w", name, ErrUnknown)
		}
		f.seen[name] = true
		s, err := f.c.client.SchemaByVersion(ctx, r.Subject, r.Version)
		if err != nil {
			return word(err)
		}
		if f.left -= len(s.Schema.Schema); f.left < 0 {
			return ErrTooLarge
		}
		if err := f.follow(ctx, s.References, depth+1); err != nil {
			return err
		}
		f.texts = append(f.texts, s.Schema.Schema)
	}
	return nil
}

// The registry's codes for what it does not know: a subject, a version, a schema. A status 404 without one of them comes from something
// that is no registry.
const (
	subjectNotFound = 40401
	versionNotFound = 40402
	schemaNotFound  = 40403
)

// word says what an error of the registry means. Its own words are cut: they can be anything.
func word(err error) error {
	answer, ok := errors.AsType[*sr.ResponseError](err)
	if !ok {
		return err
	}
	said := fmt.Errorf("%s answered %d: %.200q", answer.URL, answer.StatusCode, strings.TrimSpace(answer.Error()))
	switch code := answer.ErrorCode; {
	case answer.StatusCode == http.StatusUnauthorized:
		return denied("Correct registry.username and registry.password, or registry.token, and restart cdcd.", said)
	case answer.StatusCode == http.StatusForbidden:
		return denied("Grant cdcd's user to read schemas in the registry.", said)
	case answer.StatusCode == http.StatusNotFound && (code == subjectNotFound || code == versionNotFound || code == schemaNotFound):
		return fmt.Errorf("%w: %w", ErrUnknown, said)
	case answer.StatusCode == http.StatusNotFound:
		return fmt.Errorf("no schema registry, or one that is too old: %w", said)
	}
	return said
}
