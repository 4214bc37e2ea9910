package sink

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/catalog/rest"

	"github.com/cdcd-project/cdcd/internal/awstest"
	"github.com/cdcd-project/cdcd/internal/resttest"
	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// newRESTWriterIn opens the catalog of a server and returns a writer of an empty table in it.
func newRESTWriterIn(t *testing.T, server *resttest.Server, o CatalogOptions) (*writer, *Catalog) {
	t.Helper()
	o.Type, o.URI = "rest", server.URL()
	cat, err := OpenCatalog(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cat.Close(); err != nil {
			t.Error(err)
		}
	})
	s := New(Options{Catalog: cat, Version: "test", Delete: true, Backoff: time.Millisecond, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	return newWriterIn(cat.Context(t.Context()), t, s, customerOptions()), cat
}

func TestRESTCredentialAndToken(t *testing.T) {
	for name, c := range map[string]struct {
		server  resttest.Options
		catalog CatalogOptions
		tokens  bool // More than one token is asked for.
	}{
		"id and secret":      {resttest.Options{Credential: "cdcd:secret"}, CatalogOptions{Credential: "cdcd:secret"}, false},
		"secret":             {resttest.Options{Credential: "secret"}, CatalogOptions{Credential: "secret"}, false},
		"short-lived tokens": {resttest.Options{Credential: "cdcd:secret", TokenLife: time.Second}, CatalogOptions{Credential: "cdcd:secret"}, true},
		"token":              {resttest.Options{Token: "pat"}, CatalogOptions{Token: "pat"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := resttest.StartWith(t, c.server)
			w, cat := newRESTWriterIn(t, server, c.catalog)
			server.Reset()
			w.upsert(1, "a")
			w.commit()
			w.check(cat)
			if n := wiretest.Count(server.Requests(), "getToken"); (n > 0) != c.tokens {
				t.Errorf("%d tokens were asked for during a commit", n)
			}
			for _, r := range server.Requests() {
				if r.Status != http.StatusOK {
					t.Errorf("%s was answered with %d", r, r.Status)
				}
			}
			c.catalog.Type, c.catalog.URI, c.catalog.Credential, c.catalog.Token = "rest", server.URL(), "", "guess"
			if _, err := OpenCatalog(t.Context(), c.catalog); err == nil {
				t.Error("the catalog was opened with a wrong token")
			}
		})
	}
}

// A server that was restarted may know none of the tokens that it gave out, whatever life it gave them.
func TestRESTForgottenTokenIsReplaced(t *testing.T) {
	server := resttest.StartWith(t, resttest.Options{Credential: "cdcd:secret"})
	w, cat := newRESTWriterIn(t, server, CatalogOptions{Credential: "cdcd:secret"})
	for _, name := range []string{"a", "b", "c"} {
		w.upsert(1, name)
		server.RevokeTokens()
		server.Reset()
		w.commit()
		if n := wiretest.Count(server.Requests(), "getToken"); n != 1 {
			t.Errorf("%d tokens were asked for, want one", n)
		}
		if n := wiretest.Count(server.Requests(), "updateTable"); n != 2 { // The first one is refused.
			t.Errorf("updateTable was called %d times, want twice", n)
		}
		w.check(cat)
	}
}

func TestRESTRefusedRequestsShareOneToken(t *testing.T) {
	server := resttest.StartWith(t, resttest.Options{Credential: "cdcd:secret"})
	w, cat := newRESTWriterIn(t, server, CatalogOptions{Credential: "cdcd:secret"})
	for range 3 {
		server.RevokeTokens()
		server.Reset()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := cat.LoadTable(t.Context(), w.table.ident); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := wiretest.Count(server.Requests(), "getToken"); n != 1 {
			t.Errorf("%d tokens were asked for, want one", n)
		}
	}
}

// A credential that the server does not know any more is no reason to ask for tokens without end.
func TestRESTWithdrawnCredentialIsRefused(t *testing.T) {
	server := resttest.StartWith(t, resttest.Options{Credential: "cdcd:secret"})
	_, cat := newRESTWriterIn(t, server, CatalogOptions{Credential: "cdcd:secret"})
	server.RevokeTokens()
	server.Reset()
	server.OnRequest(func(r *wiretest.Request) wiretest.Verdict {
		if r.Operation == "getToken" {
			return wiretest.Refuse(http.StatusUnauthorized, resttest.NotAuthorizedException)
		}
		return wiretest.Do()
	})
	if _, err := cat.LoadTable(t.Context(), catalog.ToIdentifier("salesdb.customer")); !errors.Is(err, rest.ErrUnauthorized) {
		t.Errorf("loading ended with %v", err)
	}
	if n := len(server.Requests()); n != 2 {
		t.Errorf("%d requests were sent, want that and one for a token", n)
	}
}

// A token comes from the server that was named, also the one for the first request.
func TestRESTTokenServerOfItsOwn(t *testing.T) {
	issuer, server := resttest.StartWith(t, resttest.Options{Credential: "secret"}), resttest.StartWith(t, resttest.Options{Credential: "secret"})
	_, err := OpenCatalog(t.Context(), CatalogOptions{Type: "rest", URI: server.URL(), Credential: "secret", Properties: map[string]string{
		"oauth2-server-uri": issuer.URL() + "/v1/oauth/tokens",
	}})
	if err == nil {
		t.Error("the server let a token in that is not its own")
	}
	if wiretest.Count(issuer.Requests(), "getToken") == 0 || wiretest.Count(server.Requests(), "getToken") != 0 {
		t.Errorf("the issuer was asked %v, the catalog %v", issuer.Requests(), server.Requests())
	}
}

// Credentials, secrets and commits are for the configured host, whatever that says.
func TestRESTRedirectsToAnotherHostAreNotFollowed(t *testing.T) {
	for _, operation := range []string{"getToken", "getConfig", "loadTable", "updateTable"} {
		for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
			t.Run(fmt.Sprint(operation, " ", status), func(t *testing.T) {
				server := resttest.StartWith(t, resttest.Options{Credential: "cdcd:secret"})
				redirect := wiretest.Refuse(status, "Redirect").With("Location", elsewhere(t).URL+"/v1/anything")
				o := CatalogOptions{Type: "rest", URI: server.URL(), Credential: "cdcd:secret"}
				if strings.HasPrefix(operation, "get") {
					server.OnRequest(wiretest.Always(operation, redirect))
					if _, err := OpenCatalog(t.Context(), o); err == nil || !strings.Contains(err.Error(), "redirects to") {
						t.Errorf("opening ended with %v", err)
					}
					return
				}
				w, cat := newRESTWriterIn(t, server, o)
				server.OnRequest(wiretest.Meet(operation, redirect))
				w.upsert(1, "a")
				w.commit()
				if _, err := w.table.s.Open(w.ctx, w.table.o); err != nil {
					t.Error(err)
				}
				w.check(cat)
			})
		}
	}
}

// A catalog may send its clients from one of its paths to another.
func TestRESTRedirectsOnTheHostAreFollowed(t *testing.T) {
	server := resttest.StartWith(t, resttest.Options{Credential: "cdcd:secret"})
	w, cat := newRESTWriterIn(t, server, CatalogOptions{Credential: "cdcd:secret"})
	server.Reset()
	server.OnRequest(wiretest.Meet("updateTable", wiretest.Refuse(http.StatusTemporaryRedirect, "Redirect").
		With("Location", "/v1/namespaces/salesdb/tables/customer")))
	w.upsert(1, "a")
	w.commit()
	w.check(cat)
	if n := wiretest.Count(server.Requests(), "loadTable"); n != 1 { // That of check.
		t.Errorf("the table was loaded %d times, want once: the commit was not redirected", n)
	}
}

// AWS's REST endpoints of Glue and S3 Tables take signed requests only, getConfig included.
func TestRESTSigV4SignsEveryRequest(t *testing.T) {
	for _, service := range []string{"glue", "s3tables"} {
		t.Run(service, func(t *testing.T) {
			setCredentials(t)
			server := resttest.StartWith(t, resttest.Options{SigV4: true})
			w, cat := newRESTWriterIn(t, server, CatalogOptions{Properties: map[string]string{
				"rest.sigv4-enabled": "true", "rest.signing-name": service, "rest.signing-region": "eu-central-1",
			}})
			w.upsert(1, "a")
			w.commit()
			w.check(cat)
			for _, r := range server.Requests() {
				if r.Scheme != "AWS4-HMAC-SHA256" || r.SignedFor != "eu-central-1/"+service {
					t.Errorf("%s is signed with %q for %q", r, r.Scheme, r.SignedFor)
				}
			}
		})
	}
}

// setCredentials lets the SDK find credentials, and nothing else.
func setCredentials(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIARESTTEST", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_REGION": "",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
}

// newS3RESTWriter returns a writer whose catalog calls its warehouse by a name and keeps it in S3.
func newS3RESTWriter(t *testing.T, vend func() map[string]string) (*writer, *awstest.Server) {
	t.Helper()
	storage := awstest.Start(t)
	storage.Setenv(t)
	storage.CreateBucket("lake")
	server := resttest.StartWith(t, resttest.Options{Warehouse: "s3://lake/cdc", StorageCredentials: vend})
	w, _ := newRESTWriterIn(t, server, CatalogOptions{Warehouse: "analytics", AWS: AWSOptions{
		Region: awstest.Region, S3Endpoint: storage.URL(), KMSKeyID: kmsKey,
	}})
	return w, storage
}

// What is configured for AWS holds also if only the catalog knows that the warehouse is in S3.
func TestRESTStorageUsesTheAWSOptions(t *testing.T) {
	w, storage := newS3RESTWriter(t, nil)
	storage.Reset()
	w.upsert(1, "a")
	w.commit()
	puts := 0
	for _, r := range storage.Requests() {
		if r.Operation != "PutObject" || strings.HasSuffix(r.Key, ".metadata.json") { // The catalog writes those.
			continue
		}
		puts++
		if key := r.Header.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"); key != kmsKey {
			t.Errorf("%s: encrypted with key %q", r, key)
		}
	}
	if puts == 0 {
		t.Error("nothing was written to S3")
	}
}

// Credentials that the catalog vends are replaced before they expire.
func TestRESTVendedCredentialsAreRenewed(t *testing.T) {
	const life = 200 * time.Millisecond
	vended := 0
	w, storage := newS3RESTWriter(t, func() map[string]string {
		vended++
		return map[string]string{
			"s3.access-key-id": "VENDED" + strconv.Itoa(vended), "s3.secret-access-key": "secret", "s3.session-token": "session",
			"s3.session-token-expires-at-ms": strconv.FormatInt(time.Now().Add(life).UnixMilli(), 10),
		}
	})
	signers := map[string]bool{}
	for range 2 {
		time.Sleep(life)
		storage.Reset()
		w.upsert(1, "a")
		w.commit()
		for _, r := range storage.Requests() {
			if strings.HasSuffix(r.Key, ".parquet") {
				if !strings.HasPrefix(r.AccessKeyID, "VENDED") {
					t.Errorf("%s is signed by %s", r, r.AccessKeyID)
				}
				signers[r.AccessKeyID] = true
			}
		}
	}
	if len(signers) < 2 {
		t.Errorf("files were written with the credentials %v, want those of the second vending as well", signers)
	}
}
