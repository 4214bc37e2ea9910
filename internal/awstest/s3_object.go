package awstest

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// deleteMax is the most keys one DeleteObjects may name.
const deleteMax = 1000

// Object is a finished object.
type Object struct {
	Body         []byte
	ETag         string // With its quotes.
	LastModified time.Time
	Header       http.Header // Content type, encryption, storage class, metadata and checksums, as they are answered.
	Parts        int         // Of its multipart upload; 0 if it was put whole.
}

// newObject keeps what an object is stored with. The body's ETag is its MD5 unless KMS encrypts it, which makes it opaque.
func newObject(h http.Header, body []byte) *Object {
	o := &Object{Body: body, LastModified: time.Now(), Header: stored(h)}
	o.ETag = etag(body, []byte(h.Get(kmsKeyHeader)+strings.TrimPrefix(h.Get(encryptionHeader), "AES256")))
	return o
}

const (
	encryptionHeader = "X-Amz-Server-Side-Encryption"
	kmsKeyHeader     = "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"
)

func etag(pieces ...[]byte) string {
	digest := md5.New()
	for _, piece := range pieces {
		digest.Write(piece)
	}
	return `"` + hex.EncodeToString(digest.Sum(nil)) + `"`
}

// stored picks the headers that S3 gives back with an object. Without a choice S3 encrypts with its own key.
func stored(h http.Header) http.Header {
	kept := http.Header{"Content-Type": {"binary/octet-stream"}, encryptionHeader: {"AES256"}}
	for name, values := range h {
		switch {
		case name == "Content-Encoding":
			if encoding := withoutChunked(values); encoding != "" {
				kept.Set(name, encoding)
			}
		case name == "Content-Type", name == "Cache-Control", name == "Content-Disposition", name == "Content-Language", name == "Expires",
			name == "X-Amz-Storage-Class", strings.HasPrefix(name, "X-Amz-Meta-"), strings.HasPrefix(name, encryptionHeader):
			kept[name] = slices.Clone(values)
		}
	}
	return kept
}

// checkEncryption refuses what S3 refuses: a KMS key for an object that KMS does not encrypt.
func checkEncryption(h http.Header) error {
	switch h.Get(encryptionHeader) {
	case "aws:kms", "aws:kms:dsse":
		return nil
	case "", "AES256":
		if h.Get(kmsKeyHeader) == "" {
			return nil
		}
	}
	return badRequest("InvalidArgument", "Server Side Encryption with AWS KMS managed key requires HTTP header %s : aws:kms.", strings.ToLower(encryptionHeader))
}

// encryption are the headers with which S3 answers a write.
func (o *Object) encryption() http.Header {
	h := http.Header{"Etag": {o.ETag}}
	for name, values := range o.Header {
		if strings.HasPrefix(name, encryptionHeader) || strings.HasPrefix(name, "X-Amz-Checksum-") {
			h[name] = values
		}
	}
	return h
}

func (s *Server) putObject(b *bucket, c *call) (*wiretest.Answer, error) {
	if err := mayWrite(b, c); err != nil {
		return nil, err
	}
	if err := checkEncryption(c.header); err != nil {
		return nil, err
	}
	o := newObject(c.header, c.body)
	for name, value := range c.checksums {
		o.Header.Set(name, value)
	}
	b.objects[c.Key] = o
	return &wiretest.Answer{Status: http.StatusOK, Header: o.encryption()}, nil
}

// mayWrite checks the conditions of a write: If-None-Match: * wants no object, If-Match wants that one.
func mayWrite(b *bucket, c *call) error {
	o := b.objects[c.Key]
	switch none, match := c.header.Get("If-None-Match"), c.header.Get("If-Match"); {
	case none != "" && none != "*":
		return notImplemented("If-None-Match: " + none + " of a write; S3 has only *") // As S3 refuses it.
	case none == "*" && o != nil:
		return preconditionFailed()
	case match != "" && o == nil:
		return noSuchKey()
	case match != "" && match != o.ETag:
		return preconditionFailed()
	}
	return nil
}

func noSuchKey() error {
	return wiretest.Errorf(http.StatusNotFound, NoSuchKey, "The specified key does not exist.")
}

// getObject serves GetObject and HeadObject.
func (s *Server) getObject(b *bucket, c *call) (*wiretest.Answer, error) {
	o := b.objects[c.Key]
	if o == nil {
		return nil, noSuchKey()
	}
	a := &wiretest.Answer{Status: http.StatusOK, Header: o.Header.Clone(), Body: o.Body}
	a.Header.Set("Etag", o.ETag)
	a.Header.Set("Last-Modified", o.LastModified.UTC().Format(http.TimeFormat))
	a.Header.Set("Accept-Ranges", "bytes")
	if match := c.header.Get("If-Match"); match != "" && match != "*" && match != o.ETag {
		return nil, preconditionFailed()
	}
	if none := c.header.Get("If-None-Match"); none == "*" || none == o.ETag {
		a.Status, a.Body = http.StatusNotModified, nil
		return a, nil
	}
	ranged, err := cut(a, c.header.Get("Range"))
	if err != nil {
		return nil, err
	}
	if ranged || c.header.Get("X-Amz-Checksum-Mode") != "ENABLED" {
		dropChecksums(a)
	}
	if c.method == http.MethodHead {
		a.Header.Set("Content-Length", strconv.Itoa(len(a.Body)))
		a.Body = nil
	}
	return a, nil
}

// dropChecksums takes out the checksums of the whole object, which say nothing about a part of it.
func dropChecksums(a *wiretest.Answer) {
	for name := range a.Header {
		if strings.HasPrefix(name, "X-Amz-Checksum-") {
			a.Header.Del(name)
		}
	}
}

// cut leaves one range of an answer's body (RFC 9110, section 14.1.2) and reports whether it did. A range that is not one is ignored.
func cut(a *wiretest.Answer, asked string) (bool, error) {
	span, ok := strings.CutPrefix(asked, "bytes=")
	if !ok {
		return false, nil
	}
	from, to, ok := strings.Cut(span, "-")
	size := len(a.Body)
	first, errFirst := strconv.Atoi(from)
	last, errLast := strconv.Atoi(to)
	switch {
	case !ok, errFirst != nil && from != "", errLast != nil && to != "", from == "" && to == "":
		return false, nil
	case from == "":
		first, last = max(size-last, 0), size-1
	case to == "":
		last = size - 1
	}
	if last = min(last, size-1); first >= size || last < first {
		return false, wiretest.Errorf(http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The requested range is not satisfiable")
	}
	a.Status, a.Body = http.StatusPartialContent, a.Body[first:last+1]
	a.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, size))
	return true, nil
}

// deleteObject succeeds whether or not there is such an object.
func (s *Server) deleteObject(b *bucket, c *call) (*wiretest.Answer, error) {
	delete(b.objects, c.Key)
	return empty(http.StatusNoContent), nil
}

func (s *Server) deleteObjects(b *bucket, c *call) (*wiretest.Answer, error) {
	var asked struct {
		Quiet  bool
		Object []struct {
			Key       string
			VersionID string `xml:"VersionId"`
		}
	}
	if err := xml.Unmarshal(c.body, &asked); err != nil || len(asked.Object) == 0 || len(asked.Object) > deleteMax {
		return nil, badRequest("MalformedXML", "The list of keys is not well-formed or does not have 1 to %d of them.", deleteMax)
	}
	if len(c.checksums) == 0 && c.header.Get("Content-Md5") == "" {
		return nil, badRequest("InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	}
	type deleted struct{ Key string }
	result := struct {
		XMLName xml.Name  `xml:"DeleteResult"`
		Xmlns   string    `xml:"xmlns,attr"`
		Deleted []deleted `xml:"Deleted"`
	}{Xmlns: s3Namespace}
	for _, o := range asked.Object {
		if o.VersionID != "" {
			return nil, notImplemented("versions of objects")
		}
		delete(b.objects, o.Key)
		if !asked.Quiet {
			result.Deleted = append(result.Deleted, deleted{o.Key})
		}
	}
	return xmlAnswer(http.StatusOK, result), nil
}
