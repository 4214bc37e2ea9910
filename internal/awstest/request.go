package awstest

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// The services of a Request.
const (
	Glue = "glue"
	S3   = "s3"
)

// call is a request while it is being served.
type call struct {
	wiretest.Request
	s      *Server
	id     string
	method string
	query  url.Values
	header http.Header // As received.
	body   []byte      // Without aws-chunked framing.
	route  *s3Route    // For S3; nil if what is asked for is not modelled.
	damage error       // Why the body must be refused.

	checksums map[string]string // The checksums that came with the body and proved right, by header name in lower case.
}

func (s *Server) newCall(r *http.Request, body []byte) wiretest.Call {
	s.mu.Lock()
	s.serial++
	id := "awstest-" + strconv.Itoa(s.serial)
	s.mu.Unlock()
	c := &call{s: s, id: id, method: r.Method, query: r.URL.Query(), header: r.Header, body: body}
	c.ReadHeader(r.Header)
	if target, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AWSGlue."); ok {
		c.readGlue(target)
	} else {
		c.readS3(r.URL.Path)
	}
	c.RequestBytes = int64(len(c.body))
	return c
}

// Record implements wiretest.Call.
func (c *call) Record() *wiretest.Request { return &c.Request }

// Admit refuses a request that nobody signed.
func (c *call) Admit() error {
	switch {
	case c.AccessKeyID != "":
		return nil
	case c.Service == Glue:
		return wiretest.Errorf(http.StatusForbidden, AccessDeniedException, "The request is not signed.")
	}
	return wiretest.Errorf(http.StatusForbidden, AccessDenied, "The request is not signed.")
}

// Do hands the call to its service.
func (c *call) Do() (*wiretest.Answer, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	apply := c.s.applyS3
	if c.Service == Glue {
		apply = c.s.applyGlue
	}
	a, err := apply(c)
	if err != nil {
		return nil, err
	}
	return c.identify(a), nil
}

// Word implements wiretest.Call.
func (c *call) Word(e *wiretest.Error) *wiretest.Answer {
	if c.Service == Glue {
		return c.identify(glueError(e))
	}
	return c.identify(c.s3Error(e))
}

// identify puts the request's id into its answer.
func (c *call) identify(a *wiretest.Answer) *wiretest.Answer {
	if a.Header == nil {
		a.Header = http.Header{}
	}
	a.Header.Set("X-Amzn-Requestid", c.id)
	a.Header.Set("X-Amz-Request-Id", c.id)
	return a
}
