package sink

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cdcd-project/cdcd/internal/awstest"
	"github.com/cdcd-project/cdcd/internal/halt"
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

// newRESTWriter returns a writer whose table has three customers.
func newRESTWriter(t *testing.T) (*writer, *resttest.Server, *Catalog) {
	t.Helper()
	server := resttest.Start(t)
	w, cat := newRESTWriterIn(t, server, CatalogOptions{})
	for id, name := range []string{"a", "b", "c"} {
		w.upsert(int64(id), name)
	}
	w.commit()
	server.Reset()
	return w, server, cat
}

// A success that is reported as a failure, or not at all, is found in the table by its snapshot id.
func TestRESTLostReplyCountsOnce(t *testing.T) {
	w, server, cat := newRESTWriter(t)
	for name, verdict := range map[string]wiretest.Verdict{
		"500":                wiretest.DoThenRefuse(http.StatusInternalServerError, resttest.CommitStateUnknownException),
		"502":                wiretest.DoThenRefuse(http.StatusBadGateway, resttest.CommitStateUnknownException),
		"503":                wiretest.DoThenRefuse(http.StatusServiceUnavailable, resttest.SlowDownException),
		"504":                wiretest.DoThenRefuse(http.StatusGatewayTimeout, resttest.CommitStateUnknownException),
		"409 of a proxy":     wiretest.DoThenRefuse(http.StatusConflict, resttest.CommitFailedException),
		"connection dropped": wiretest.DoThenDrop(),
	} {
		t.Run(name, func(t *testing.T) {
			server.Reset()
			server.OnRequest(wiretest.Meet("updateTable", verdict))
			before := len(w.table.meta.Snapshots())
			w.upsert(1, name)
			w.commit()
			w.check(cat)
			if n := len(w.table.meta.Snapshots()); n != before+1 {
				t.Errorf("%d snapshots, want %d (I5)", n, before+1)
			}
			if n := wiretest.Count(server.Requests(), "updateTable"); n != 1 {
				t.Errorf("updateTable was called %d times, want once", n)
			}
		})
	}
}

// The first request arrives after the door has sent it again.
func TestRESTCommitThatLandsAfterItWasSentAgainLandsOnce(t *testing.T) {
	w, server, cat := newRESTWriter(t)
	var first *wiretest.Request
	server.OnRequest(func(r *wiretest.Request) wiretest.Verdict {
		if r.Operation != "updateTable" {
			return wiretest.Do()
		}
		if first == nil {
			first = r
			return wiretest.Drop()
		}
		server.OnRequest(nil)
		resp, err := http.Post(server.URL()+"/v1/namespaces/salesdb/tables/customer", "application/json", strings.NewReader(string(first.Body)))
		if err != nil {
			t.Error(err)
			return wiretest.Drop()
		}
		resp.Body.Close()
		return wiretest.Do()
	})
	before := len(w.table.meta.Snapshots())
	w.upsert(1, "x")
	w.commit()
	w.check(cat)
	if n := len(w.table.meta.Snapshots()); n != before+1 {
		t.Errorf("%d snapshots, want %d (I5)", n, before+1)
	}
	if n := wiretest.Count(server.Requests(), "updateTable"); n != 3 {
		t.Errorf("updateTable was called %d times, want 3", n)
	}
}

func TestRESTRefusalsAreRetried(t *testing.T) {
	w, server, cat := newRESTWriter(t)
	for name, verdict := range map[string]wiretest.Verdict{
		"429":     wiretest.Refuse(http.StatusTooManyRequests, "TooManyRequestsException"),
		"500":     wiretest.Refuse(http.StatusInternalServerError, resttest.InternalServerError),
		"502":     wiretest.Refuse(http.StatusBadGateway, resttest.CommitStateUnknownException),
		"503":     wiretest.Refuse(http.StatusServiceUnavailable, resttest.SlowDownException),
		"504":     wiretest.Refuse(http.StatusGatewayTimeout, resttest.CommitStateUnknownException),
		"409":     wiretest.Refuse(http.StatusConflict, resttest.CommitFailedException),
		"dropped": wiretest.Drop(),
	} {
		t.Run(name, func(t *testing.T) {
			server.Reset()
			server.OnRequest(wiretest.Meet("updateTable", verdict))
			w.upsert(1, name)
			w.commit()
			w.check(cat)
			if n := wiretest.Count(server.Requests(), "updateTable"); n != 2 {
				t.Errorf("updateTable was called %d times, want twice", n)
			}
			server.OnRequest(wiretest.Meet("loadTable", verdict))
			if _, err := w.table.s.Open(w.ctx, w.table.o); err != nil {
				t.Errorf("opening ended with %v", err)
			}
		})
	}
}

// Every step of a creation may fail once, done or not.
func TestRESTCreationIsRepeated(t *testing.T) {
	for _, operation := range []string{"namespaceExists", "createNamespace", "createTable", "loadTable"} {
		for name, verdict := range map[string]wiretest.Verdict{
			"refused":         wiretest.Refuse(http.StatusServiceUnavailable, resttest.SlowDownException),
			"done and lost":   wiretest.DoThenDrop(),
			"done and failed": wiretest.DoThenRefuse(http.StatusInternalServerError, resttest.InternalServerError),
		} {
			t.Run(operation+" "+name, func(t *testing.T) {
				server := resttest.Start(t)
				server.OnRequest(wiretest.Meet(operation, verdict))
				w, cat := newRESTWriterIn(t, server, CatalogOptions{})
				w.upsert(1, "a")
				w.commit()
				w.check(cat)
			})
		}
	}
}

func TestRESTCommitIsRestagedOnACompactedHead(t *testing.T) {
	w, server, cat := newRESTWriter(t)
	w.upsert(1, "x") // Two data files, and a position delete.
	w.commit()
	meddleREST(server, func() { compact(t, cat, w.table.ident) })
	w.upsert(2, "y") // Its old row stands in a file that is gone by now.
	w.delete(0)
	if done := w.commit(); done.Attempts != 2 {
		t.Errorf("%d attempts, want 2", done.Attempts)
	}
	w.check(cat)
}

func TestRESTWriterStandsDownWhenAnotherMovedTheBookmark(t *testing.T) {
	w, server, cat := newRESTWriter(t)
	other, err := w.table.s.Open(t.Context(), w.table.o)
	if err != nil {
		t.Fatal(err)
	}
	zombie := &writer{tb: t, ctx: t.Context(), table: other, batch: w.batch, next: w.next, truth: map[string]string{}}
	w.upsert(1, "x")
	w.commit()
	zombie.reset()
	zombie.upsert(1, "stale")
	if _, err := other.Commit(t.Context(), zombie.change()); !errors.Is(err, ErrStandDown) {
		t.Fatalf("the zombie's commit ended with %v, want ErrStandDown (I2)", err)
	}
	if last := lastREST(server, "updateTable"); last.Status != http.StatusConflict || last.Applied {
		t.Errorf("the zombie's request was answered with %d", last.Status)
	}
	w.check(cat)
}

// A reply is lost, and before the door looks into the table another tool has moved the head on.
func TestRESTLostReplyBelowAnotherHeadCountsOnce(t *testing.T) {
	w, server, cat := newRESTWriter(t)
	w.upsert(1, "x")
	w.commit()
	sent := false
	server.OnRequest(func(r *wiretest.Request) wiretest.Verdict {
		switch {
		case r.Operation == "updateTable" && !sent:
			sent = true
			return wiretest.DoThenDrop()
		case r.Operation == "loadTable" && sent:
			server.OnRequest(nil)
			compact(t, cat, w.table.ident)
		}
		return wiretest.Do()
	})
	w.upsert(2, "y")
	w.commit()
	w.check(cat)
	w.upsert(2, "z")
	w.commit()
	w.check(cat)
}

func TestRESTDroppedTableHalts(t *testing.T) {
	w, server, cat := newRESTWriter(t)
	meddleREST(server, func() {
		if err := cat.DropTable(t.Context(), w.table.ident); err != nil {
			t.Error(err)
		}
		if _, err := cat.CreateTable(t.Context(), w.table.ident, w.table.meta.CurrentSchema()); err != nil {
			t.Error(err)
		}
	})
	w.upsert(1, "x")
	_, err := w.table.Commit(w.ctx, w.change())
	if h, ok := errors.AsType[*halt.Error](err); !ok || h.Reason != halt.TableDropped {
		t.Fatalf("commit ended with %v, want table_dropped", err)
	}
}

func TestRESTAccessDeniedHalts(t *testing.T) {
	w, server, _ := newRESTWriter(t)
	ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
	defer cancel()
	for _, operation := range []string{"updateTable", "loadTable"} {
		server.OnRequest(func(r *wiretest.Request) wiretest.Verdict {
			if r.Operation == operation {
				return wiretest.Refuse(http.StatusForbidden, resttest.NotAuthorizedException)
			}
			return wiretest.Do()
		})
		var err error
		if operation == "loadTable" {
			_, err = w.table.s.Open(ctx, w.table.o)
		} else {
			w.upsert(1, "x")
			_, err = w.table.Commit(ctx, w.change())
		}
		if h, ok := errors.AsType[*halt.Error](err); !ok || h.Reason != halt.AccessDenied {
			t.Errorf("%s: ended with %v, want access_denied", operation, err)
		}
	}
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

// meddleREST lets something happen between the next commit's staging and its request.
func meddleREST(server *resttest.Server, act func()) {
	server.OnRequest(func(r *wiretest.Request) wiretest.Verdict {
		if r.Operation == "updateTable" {
			server.OnRequest(nil)
			act()
		}
		return wiretest.Do()
	})
}

func lastREST(server *resttest.Server, operation string) wiretest.Request {
	var last wiretest.Request
	for _, r := range server.Requests() {
		if r.Operation == operation {
			last = r
		}
	}
	return last
}
