package awstest

import (
	"encoding/xml"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// s3Namespace is that of S3's XML documents.
const s3Namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// bucket holds finished objects by key and unfinished multipart uploads by id.
type bucket struct {
	objects map[string]*Object
	uploads map[string]*upload
}

// s3Route is one operation of S3: what asks for it, and what it may ask with.
type s3Route struct {
	method    string
	object    bool   // It is about an object, not a bucket.
	marker    string // The query parameter that tells it from others; empty if it has none.
	operation string
	query     []string // The other parameters that are modelled.
	perform   func(*Server, *bucket, *call) (*wiretest.Answer, error)
}

// s3Routes lists what is modelled. Of two routes for one method the one with a marker comes first.
func s3Routes() []s3Route {
	return []s3Route{
		{"PUT", false, "", "CreateBucket", nil, (*Server).createBucket},
		{"HEAD", false, "", "HeadBucket", nil, (*Server).headBucket},
		{"GET", false, "list-type", "ListObjectsV2", listQuery(), (*Server).listObjects},
		{"POST", false, "delete", "DeleteObjects", nil, (*Server).deleteObjects},
		{"PUT", true, "partNumber", "UploadPart", []string{"uploadId"}, (*Server).uploadPart},
		{"PUT", true, "", "PutObject", nil, (*Server).putObject},
		{"GET", true, "", "GetObject", nil, (*Server).getObject},
		{"HEAD", true, "", "HeadObject", nil, (*Server).getObject},
		{"DELETE", true, "uploadId", "AbortMultipartUpload", nil, (*Server).abortUpload},
		{"DELETE", true, "", "DeleteObject", nil, (*Server).deleteObject},
		{"POST", true, "uploads", "CreateMultipartUpload", nil, (*Server).createUpload},
		{"POST", true, "uploadId", "CompleteMultipartUpload", nil, (*Server).completeUpload},
	}
}

// readS3 finds out what a call is about, and unpacks its body.
func (c *call) readS3(path string) {
	c.Service = S3
	c.Bucket, c.Key, _ = strings.Cut(strings.TrimPrefix(path, "/"), "/")
	c.body, c.checksums, c.damage = unpack(c.header, c.body)
	for _, route := range s3Routes() {
		if route.matches(c) {
			c.route, c.Operation = &route, route.operation
			if name := unmodelled(c.header); name != "" {
				c.damage = notImplemented("the header " + name)
			}
			return
		}
	}
	c.Operation = strings.TrimSuffix(c.method+" ?"+strings.Join(slices.Sorted(maps.Keys(c.query)), "&"), " ?")
}

// matches reports whether a call asks for the route's operation and for nothing else: a parameter that is not
// modelled makes it another operation.
func (route s3Route) matches(c *call) bool {
	if route.method != c.method || route.object != (c.Key != "") || c.Bucket == "" {
		return false
	}
	if route.marker != "" && !c.query.Has(route.marker) {
		return false
	}
	for name := range c.query {
		if name != route.marker && name != "x-id" && !slices.Contains(route.query, name) {
			return false
		}
	}
	return true
}

// unmodelled finds a header that asks S3 for something it would not get here: to copy, to tag, to lock.
func unmodelled(h http.Header) string {
	for name := range h {
		what, ok := strings.CutPrefix(strings.ToLower(name), "x-amz-")
		if !ok || strings.HasPrefix(what, "meta-") || strings.HasPrefix(what, "checksum-") {
			continue
		}
		switch what {
		case "content-sha256", "date", "decoded-content-length", "mp-object-size", "sdk-checksum-algorithm", "security-token",
			"storage-class", "trailer", "user-agent", "server-side-encryption", "server-side-encryption-aws-kms-key-id",
			"server-side-encryption-bucket-key-enabled", "server-side-encryption-context":
		default:
			return name
		}
	}
	return ""
}

// applyS3 performs one of S3's operations. The lock is held.
func (s *Server) applyS3(c *call) (*wiretest.Answer, error) {
	if c.route == nil {
		return nil, notImplemented("S3's " + c.Operation + ", or a parameter of it")
	}
	if c.damage != nil {
		return nil, c.damage
	}
	b := s.buckets[c.Bucket]
	if b == nil && c.Operation != "CreateBucket" {
		return nil, wiretest.Errorf(http.StatusNotFound, NoSuchBucket, "The specified bucket does not exist.")
	}
	return c.route.perform(s, b, c)
}

// s3Error words an error as S3 does. An answer to HEAD has no body, so clients see only its status.
func (c *call) s3Error(e *wiretest.Error) *wiretest.Answer {
	a := xmlAnswer(e.Status, struct {
		XMLName                        xml.Name `xml:"Error"`
		Code, Message, BucketName, Key string
		RequestID                      string `xml:"RequestId"`
		HostID                         string `xml:"HostId"`
	}{Code: e.Code, Message: e.Message, BucketName: c.Bucket, Key: c.Key, RequestID: c.id, HostID: "awstest"})
	a.Code = e.Code
	if c.method == http.MethodHead {
		a.Body = nil
	}
	return a
}

// badRequest is a refusal of S3's with status 400.
func badRequest(code, format string, args ...any) error {
	return wiretest.Errorf(http.StatusBadRequest, code, format, args...)
}

func notImplemented(what string) error {
	return wiretest.Errorf(http.StatusNotImplemented, "NotImplemented", "awstest does not model %s.", what)
}

func preconditionFailed() error {
	return wiretest.Errorf(http.StatusPreconditionFailed, PreconditionFailed, "At least one of the pre-conditions did not hold.")
}

// xmlAnswer encodes a document of S3's; the types here always encode.
func xmlAnswer(status int, document any) *wiretest.Answer {
	body, _ := xml.Marshal(document)
	return &wiretest.Answer{Status: status, Header: http.Header{"Content-Type": {"application/xml"}}, Body: append([]byte(xml.Header), body...)}
}

func empty(status int) *wiretest.Answer { return &wiretest.Answer{Status: status} }

// CreateBucket makes an empty bucket, unless it is there already.
func (s *Server) CreateBucket(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[name] == nil {
		s.buckets[name] = &bucket{objects: map[string]*Object{}, uploads: map[string]*upload{}}
	}
}

func (s *Server) createBucket(b *bucket, c *call) (*wiretest.Answer, error) {
	if b != nil {
		return nil, wiretest.Errorf(http.StatusConflict, "BucketAlreadyOwnedByYou", "You own this bucket already.")
	}
	s.buckets[c.Bucket] = &bucket{objects: map[string]*Object{}, uploads: map[string]*upload{}}
	return &wiretest.Answer{Status: http.StatusOK, Header: http.Header{"Location": {"/" + url.PathEscape(c.Bucket)}}}, nil
}

func (s *Server) headBucket(*bucket, *call) (*wiretest.Answer, error) {
	return &wiretest.Answer{Status: http.StatusOK, Header: http.Header{"X-Amz-Bucket-Region": {Region}}}, nil
}

// Object returns an object, and whether it is there. Its body must not be changed.
func (s *Server) Object(bucketName, key string) (Object, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.buckets[bucketName]; b != nil && b.objects[key] != nil {
		return *b.objects[key], true
	}
	return Object{}, false
}

// Keys lists a bucket's objects in order; none if there is no such bucket.
func (s *Server) Keys(bucketName string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.buckets[bucketName]; b != nil {
		return slices.Sorted(maps.Keys(b.objects))
	}
	return nil
}

// Uploads lists the keys of a bucket's multipart uploads that were neither completed nor aborted, in order.
func (s *Server) Uploads(bucketName string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []string
	if b := s.buckets[bucketName]; b != nil {
		for _, u := range b.uploads {
			keys = append(keys, u.key)
		}
	}
	slices.Sort(keys)
	return keys
}
