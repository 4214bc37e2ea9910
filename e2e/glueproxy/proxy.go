// Package glueproxy stands before a Glue server that ignores VersionId on UpdateTable, and enforces it as AWS does: a
// request with another version than the table's is refused with ConcurrentModificationException and changes nothing.
// Optimistic locking, on which every commit through Glue rests, can be tested only with that.
//
// It numbers the versions of a table itself: GetTable answers carry the number, and each UpdateTable that succeeds
// counts it up. It also keeps the names of the requests in order, so that tests can tell which calls a commit makes.
package glueproxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// Proxy is an http.Handler that forwards to an upstream server. S3 and other services pass through it unchanged.
type Proxy struct {
	upstream *httputil.ReverseProxy

	mu       sync.Mutex     // Held while a write of Glue is forwarded: check and change are one step.
	versions map[string]int // By "database.table"; a table that is not here has version 0.
	calls    []string       // "GetTable db.table", in the order of arrival.
	objects  []string       // "PUT /bucket/key aws:kms", in the order of arrival.
	refused  int
}

// New returns a proxy before upstream, the base URL of a server.
func New(upstream *url.URL) *Proxy {
	return &Proxy{
		versions: map[string]int{},
		upstream: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			host := r.In.Host
			r.SetURL(upstream)
			r.Out.Host = host // Signatures and virtual hosts depend on it.
		}},
	}
}

// Calls returns the requests for Glue that have arrived so far, and how many of them were refused for their version.
func (p *Proxy) Calls() (calls []string, refused int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.calls...), p.refused
}

// Objects returns the requests for anything but Glue that have arrived so far: method, path, and the kind and key of the
// server-side encryption that was asked for.
func (p *Proxy) Objects() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.objects...)
}

// Versions returns how often each table, as "database.table", was updated.
func (p *Proxy) Versions() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.versions)
}

// request has the members of Glue's requests that the proxy looks at.
type request struct {
	DatabaseName string
	Name         string  // GetTable, DeleteTable.
	VersionId    *string //nolint:revive // Glue's name.
	TableInput   struct{ Name string }
}

func (r request) table() string {
	name := r.TableInput.Name
	if name == "" {
		name = r.Name
	}
	return strings.ToLower(r.DatabaseName + "." + name)
}

// ServeHTTP forwards a request.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operation, isGlue := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AWSGlue.")
	if !isGlue {
		encryption := r.Header.Get("X-Amz-Server-Side-Encryption") + " " + r.Header.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id")
		p.mu.Lock()
		p.objects = append(p.objects, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+encryption))
		p.mu.Unlock()
		p.upstream.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var req request
	if err := json.Unmarshal(body, &req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, operation+" "+req.table())
	switch operation {
	case "UpdateTable":
		p.update(w, r, req)
	case "GetTable", "GetTables":
		p.get(w, r, req.DatabaseName)
	case "CreateTable", "DeleteTable":
		if p.forward(w, r) == http.StatusOK {
			delete(p.versions, req.table())
		}
	default:
		p.upstream.ServeHTTP(w, r)
	}
}

// update refuses a stale VersionId. A request without one is not checked, like at AWS.
func (p *Proxy) update(w http.ResponseWriter, r *http.Request, req request) {
	have := strconv.Itoa(p.versions[req.table()])
	if req.VersionId != nil && *req.VersionId != have {
		p.refused++
		answerError(w, "ConcurrentModificationException", fmt.Sprintf("Update table failed due to concurrent modifications: version %s is not %s.", *req.VersionId, have))
		return
	}
	if p.forward(w, r) == http.StatusOK {
		p.versions[req.table()]++
	}
}

// get puts the version into each table of the answer.
func (p *Proxy) get(w http.ResponseWriter, r *http.Request, database string) {
	answer := &recorder{header: http.Header{}, status: http.StatusOK}
	r.Header.Del("Accept-Encoding")
	p.upstream.ServeHTTP(answer, r)
	body := answer.body.Bytes()
	if answer.status == http.StatusOK {
		var err error
		if body, err = p.versioned(body, database); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
	}
	maps.Copy(w.Header(), answer.header)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(answer.status)
	_, _ = w.Write(body)
}

// versioned sets VersionId in {"Table": {…}} or {"TableList": [{…}]}; everything else stays as it is.
func (p *Proxy) versioned(body []byte, database string) ([]byte, error) {
	var answer map[string]json.RawMessage
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	set := func(raw json.RawMessage) (json.RawMessage, error) {
		var table map[string]json.RawMessage
		if err := json.Unmarshal(raw, &table); err != nil {
			return nil, err
		}
		var name string
		if err := json.Unmarshal(table["Name"], &name); err != nil {
			return nil, err
		}
		table["VersionId"] = fmt.Appendf(nil, `"%d"`, p.versions[strings.ToLower(database+"."+name)])
		return json.Marshal(table)
	}
	if raw, ok := answer["Table"]; ok {
		table, err := set(raw)
		if err != nil {
			return nil, err
		}
		answer["Table"] = table
	}
	if raw, ok := answer["TableList"]; ok {
		var tables []json.RawMessage
		err := json.Unmarshal(raw, &tables)
		for i := range tables {
			if err == nil {
				tables[i], err = set(tables[i])
			}
		}
		if err != nil {
			return nil, err
		}
		if answer["TableList"], err = json.Marshal(tables); err != nil {
			return nil, err
		}
	}
	return json.Marshal(answer)
}

// forward passes a request on and returns the status of the answer.
func (p *Proxy) forward(w http.ResponseWriter, r *http.Request) int {
	seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	p.upstream.ServeHTTP(seen, r)
	return seen.status
}

func answerError(w http.ResponseWriter, kind, message string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Errortype", kind)
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": kind, "Message": message})
}

// recorder keeps an answer in memory.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }

// statusWriter remembers the status that passes through it.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (s *statusWriter) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}
