package resttest_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apache/iceberg-go/catalog/rest"
	"github.com/apache/iceberg-go/table"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/cdcd-project/cdcd/internal/resttest"
)

func TestRequestsNeedTheTokenOfTheCredential(t *testing.T) {
	s := resttest.StartWith(t, resttest.Options{Credential: "cdcd:secret"})
	for name, options := range map[string][]rest.Option{
		"nothing":          nil,
		"wrong credential": {rest.WithCredential("cdcd:guess")},
		"wrong token":      {rest.WithOAuthToken("guess")},
	} {
		if _, err := rest.NewCatalog(t.Context(), "test", s.URL(), options...); !errors.Is(err, rest.ErrUnauthorized) && !errors.Is(err, rest.ErrOAuthError) {
			t.Errorf("%s: connecting ended with %v", name, err)
		}
	}
	s.Reset()
	cat := connect(t, s, rest.WithCredential("cdcd:secret"))
	if _, err := cat.ListNamespaces(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for _, r := range s.Requests() {
		if want := map[bool]string{true: "", false: "Bearer"}[r.Operation == "getToken"]; r.Scheme != want {
			t.Errorf("%s came with %q, want %q", r, r.Scheme, want)
		}
		if r.Header.Get("Authorization") != "" || strings.Contains(string(r.Body), "secret") {
			t.Errorf("%s: a credential is recorded", r)
		}
	}
	s.RevokeTokens()
	if _, err := cat.ListNamespaces(t.Context(), nil); !errors.Is(err, rest.ErrUnauthorized) {
		t.Errorf("with a revoked token listing ended with %v", err)
	}
}

func TestTokensExpire(t *testing.T) {
	s := resttest.StartWith(t, resttest.Options{Credential: "secret", Token: "static", TokenLife: time.Nanosecond})
	if _, err := connect(t, s, rest.WithOAuthToken("static")).ListNamespaces(t.Context(), nil); err != nil {
		t.Errorf("with a static token: %v", err)
	}
	if _, err := rest.NewCatalog(t.Context(), "test", s.URL(), rest.WithCredential("secret")); !errors.Is(err, rest.ErrAuthorizationExpired) {
		t.Errorf("with an expired token connecting ended with %v", err)
	}
}

func TestUnsignedRequestsAreRefused(t *testing.T) {
	s := resttest.StartWith(t, resttest.Options{SigV4: true})
	if _, err := rest.NewCatalog(t.Context(), "test", s.URL()); !errors.Is(err, rest.ErrForbidden) {
		t.Errorf("connecting without a signature ended with %v", err)
	}
	s.Reset()
	cfg := aws.Config{Region: "elsewhere", Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "session")}
	cat := connect(t, s, rest.WithAwsConfig(cfg), rest.WithSigV4RegionSvc("eu-central-1", "glue"))
	if err := cat.CreateNamespace(t.Context(), table.Identifier{"shop"}, nil); err != nil {
		t.Fatal(err)
	}
	for _, r := range s.Requests() {
		if r.Scheme != "AWS4-HMAC-SHA256" || r.SignedFor != "eu-central-1/glue" || r.Header.Get("X-Amz-Date") == "" || r.Header.Get("X-Amz-Security-Token") != "" {
			t.Errorf("%s: signed by %q for %q, recorded %v", r, r.Scheme, r.SignedFor, r.Header)
		}
	}
	if r := s.Requests(); len(r) != 2 || r[0].Status != http.StatusOK {
		t.Errorf("recorded %v", operations(s))
	}
}
