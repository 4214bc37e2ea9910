package awstest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The services of a Request.
const (
	Glue = "glue"
	S3   = "s3"
)

// Request is one request as it came over the wire, and what became of it.
type Request struct {
	Service   string // Glue or S3.
	Operation string // As AWS names it, such as UpdateTable; for what is not modelled, the method and what it was about.

	Database, Table string // Glue: as sent, not folded.
	VersionID       string // Glue: the version that UpdateTable expects; empty if it expects none.
	SkipArchive     bool   // Glue: UpdateTable asked for no archived version.
	Input           []byte // Glue: the whole input as JSON.

	Bucket, Key string // S3.

	AccessKeyID string      // Whose credentials signed the request; empty if it is not signed.
	SignedFor   string      // The region it was signed for.
	Header      http.Header // All x-amz-*, amz-sdk-*, if-* headers, range and content-type, but no credentials.

	RequestBytes  int64 // Of the input or the object's part, without the transport's chunk framing.
	ResponseBytes int64 // Of the answer's body.

	Applied bool   // It was done, whatever the client was told.
	Status  int    // The answer's HTTP status; 0 while there is none, or if there was never one.
	Code    string // The answer's AWS error code; empty for a success.
}

// String names the request in one line, such as "glue UpdateTable shop.orders" or "s3 PutObject lake/data/1.parquet".
func (r Request) String() string {
	name := strings.TrimSuffix(r.Bucket+"/"+r.Key, "/")
	if r.Service == Glue {
		name = strings.TrimSuffix(r.Database+"."+r.Table, ".")
	}
	return strings.TrimSpace(r.Service + " " + r.Operation + " " + name)
}

// call is a request while it is being served.
type call struct {
	Request
	id     string
	method string
	query  url.Values
	header http.Header // As received.
	body   []byte      // Without aws-chunked framing.
	route  *s3Route    // For S3; nil if what is asked for is not modelled.
	damage error       // Why the body must be refused.

	checksums map[string]string // The checksums that came with the body and proved right, by header name in lower case.
}

func newCall(r *http.Request, body []byte) *call {
	c := &call{method: r.Method, query: r.URL.Query(), header: r.Header, body: body}
	c.Header = recorded(r.Header)
	c.AccessKeyID, c.SignedFor = signer(r.Header.Get("Authorization"))
	if target, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AWSGlue."); ok {
		c.readGlue(target)
	} else {
		c.readS3(r.URL.Path)
	}
	c.RequestBytes = int64(len(c.body))
	return c
}

// recorded keeps the headers that tests ask about. Credentials stay out.
func recorded(h http.Header) http.Header {
	kept := http.Header{}
	for name, values := range h {
		lower := strings.ToLower(name)
		switch {
		case lower == "x-amz-security-token":
		case strings.HasPrefix(lower, "x-amz-"), strings.HasPrefix(lower, "amz-sdk-"), strings.HasPrefix(lower, "if-"),
			lower == "range", lower == "content-type":
			kept[name] = slices.Clone(values)
		}
	}
	return kept
}

// signer returns who signed a request and for which region: "AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, …".
func signer(authorization string) (accessKeyID, region string) {
	_, credential, _ := strings.Cut(authorization, "Credential=")
	credential, _, _ = strings.Cut(credential, ",")
	scope := strings.Split(credential, "/")
	if len(scope) != 5 {
		return "", ""
	}
	return scope[0], scope[2]
}

// unsigned is the code with which the call's service refuses a request that nobody signed.
func (c *call) unsigned() string {
	if c.Service == Glue {
		return AccessDeniedException
	}
	return AccessDenied
}
