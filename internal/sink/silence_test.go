package sink

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
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
	t.Parallel()
	const silence = 1500 * time.Millisecond
	client := http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe() // Without a buffer: what is written has been read.
		go receiveSlowly(t, theirs)
		return &lively{ours, silence}, nil
	}}}
	defer client.CloseIdleConnections()
	started := time.Now()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://s3/lake/data", bytes.NewReader(make([]byte, 2<<20)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("the upload was given up after %s: %v", time.Since(started), err)
	}
	resp.Body.Close()
	if time.Since(started) < 2*silence {
		t.Errorf("the upload took only %s", time.Since(started))
	}
}

// receiveSlowly answers one request, of whose body it takes its time to read a part after the other.
func receiveSlowly(t *testing.T, c net.Conn) {
	defer c.Close()
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		t.Error(err)
		return
	}
	for part := make([]byte, 32<<10); err == nil; _, err = io.ReadFull(r.Body, part) {
		time.Sleep(60 * time.Millisecond)
	}
	_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") // A client that gave up is noticed there.
}
