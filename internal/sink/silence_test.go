package sink

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// A reply that never comes does not hang a table for ever: the connection breaks, and the object is read again.
func TestSilentStorageIsGivenUp(t *testing.T) {
	w := newDamageableWorld(t, "glue")
	w.cat.(*Catalog).aws.HTTPClient = awsClient(100 * time.Millisecond)
	silent := make(chan struct{})
	defer close(silent)
	var asked atomic.Int64
	w.onCatalog(func(r *wiretest.Request) wiretest.Verdict {
		if r.Operation == "GetObject" && kindOf("/"+r.Key) == "manifest list" && asked.Add(1) == 1 {
			<-silent
			return wiretest.Drop()
		}
		return wiretest.Do()
	})
	w.reopen()
	w.heal()
	if asked.Load() < 2 {
		t.Errorf("the manifest list was asked for %d times", asked.Load())
	}
	w.check(w.cat)
}

// What moves is waited for: an upload that takes many times the silence that is allowed.
func TestSlowUploadIsNotSilent(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		part := make([]byte, 1<<20)
		for {
			if _, err := io.ReadFull(r.Body, part); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}))
	defer server.Close()
	const silence = 400 * time.Millisecond
	started := time.Now()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, bytes.NewReader(make([]byte, 64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := awsClient(silence).Do(req)
	if err != nil {
		t.Fatalf("the upload was given up after %s: %v", time.Since(started), err)
	}
	resp.Body.Close()
	if time.Since(started) < 2*silence {
		t.Errorf("the upload took only %s", time.Since(started))
	}
}
