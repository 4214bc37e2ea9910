package wiretest

import (
	"net/http"
	"strings"
	"time"
)

// Request is one request as it came over the wire, and what became of it.
type Request struct {
	Service   string // "glue", "s3" or "rest".
	Operation string // As the service's specification calls it, such as UpdateTable or updateTable; for what is not modelled, the method and what it was about.
	Arrived   time.Time

	Namespace, Table string // Glue and REST, as sent. A Glue database is a namespace; the levels of REST's are joined by dots.
	Bucket, Key      string // S3.

	VersionID    string   // Glue's UpdateTable: the version that it expects; empty if it expects none.
	SkipArchive  bool     // Glue's UpdateTable asked for no archived version.
	Requirements []string // REST's updateTable: their types, in order.
	Updates      []string // REST's updateTable: their actions, in order.

	Scheme      string      // Of the Authorization: "Bearer", "AWS4-HMAC-SHA256", or empty if there is none.
	AccessKeyID string      // Whose credentials signed the request; empty if it is not signed.
	SignedFor   string      // What it was signed for: "region/service".
	Header      http.Header // All but credentials.
	Body        []byte      // Glue and REST, as sent; nothing of a request for a token.

	RequestBytes int64 // Of the body, without the transport's framing.
	Outcome
}

// Outcome is what became of a request.
type Outcome struct {
	Applied       bool   // It was done, whatever the client was told.
	Status        int    // The answer's HTTP status; 0 while there is none, or if there was never one.
	Code          string // What the service calls the answer's error; empty for a success.
	ResponseBytes int64  // Of the answer's body.
}

// String names the request in one line, such as "glue UpdateTable shop.orders" or "s3 PutObject lake/data/1.parquet".
func (r Request) String() string {
	name := strings.Trim(r.Namespace+"."+r.Table, ".")
	if r.Bucket != "" {
		name = strings.TrimSuffix(r.Bucket+"/"+r.Key, "/")
	}
	return strings.TrimSpace(r.Service + " " + r.Operation + " " + name)
}

// ReadHeader keeps the headers but for credentials, and what the Authorization says about them. It returns the bearer token.
func (r *Request) ReadHeader(h http.Header) (bearer string) {
	r.Header = h.Clone()
	r.Header.Del("Authorization")
	r.Header.Del("X-Amz-Security-Token")
	scheme, rest, _ := strings.Cut(h.Get("Authorization"), " ")
	r.Scheme = scheme
	switch scheme {
	case "Bearer":
		return rest
	case "AWS4-HMAC-SHA256": // Credential=KEY/DATE/REGION/SERVICE/aws4_request, …
		_, credential, _ := strings.Cut(rest, "Credential=")
		credential, _, _ = strings.Cut(credential, ",")
		if scope := strings.Split(credential, "/"); len(scope) == 5 {
			r.AccessKeyID, r.SignedFor = scope[0], scope[2]+"/"+scope[3]
		}
	}
	return ""
}

// Count returns how many of the requests are of an operation.
func Count(requests []Request, operation string) int {
	n := 0
	for _, r := range requests {
		if r.Operation == operation {
			n++
		}
	}
	return n
}
