package awstest

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// Limits of multipart uploads.
const (
	partBytesMin = 5 << 20 // Of every part but the last.
	partsMax     = 10000
)

// upload is a multipart upload that was neither completed nor aborted.
type upload struct {
	key    string
	header http.Header // Of CreateMultipartUpload: the object's.
	parts  map[int][]byte
}

func (s *Server) createUpload(b *bucket, c *call) (*wiretest.Answer, error) {
	if err := checkEncryption(c.header); err != nil {
		return nil, err
	}
	s.serial++
	id := "upload-" + strconv.Itoa(s.serial)
	b.uploads[id] = &upload{key: c.Key, header: stored(c.header), parts: map[int][]byte{}}
	a := xmlAnswer(http.StatusOK, struct {
		XMLName     xml.Name `xml:"InitiateMultipartUploadResult"`
		Xmlns       string   `xml:"xmlns,attr"`
		Bucket, Key string
		UploadID    string `xml:"UploadId"`
	}{Xmlns: s3Namespace, Bucket: c.Bucket, Key: c.Key, UploadID: id})
	for _, name := range []string{encryptionHeader, kmsKeyHeader, "X-Amz-Checksum-Algorithm", "X-Amz-Checksum-Type"} {
		if value := c.header.Get(name); value != "" {
			a.Header.Set(name, value)
		}
	}
	return a, nil
}

// upload finds the upload that a call names, which has to be of the same key.
func (b *bucket) upload(c *call) (*upload, error) {
	u := b.uploads[c.query.Get("uploadId")]
	if u == nil || u.key != c.Key {
		return nil, wiretest.Errorf(http.StatusNotFound, "NoSuchUpload", "The upload does not exist, or was aborted or completed.")
	}
	return u, nil
}

// uploadPart keeps a part, in place of an earlier one of its number.
func (s *Server) uploadPart(b *bucket, c *call) (*wiretest.Answer, error) {
	u, err := b.upload(c)
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(c.query.Get("partNumber"))
	if err != nil || number < 1 || number > partsMax {
		return nil, badRequest("InvalidArgument", "Part number must be an integer between 1 and %d, inclusive.", partsMax)
	}
	u.parts[number] = c.body
	a := &wiretest.Answer{Status: http.StatusOK, Header: http.Header{"Etag": {etag(c.body)}}}
	for name, value := range c.checksums {
		a.Header.Set(name, value)
	}
	return a, nil
}

func (s *Server) abortUpload(b *bucket, c *call) (*wiretest.Answer, error) {
	if _, err := b.upload(c); err != nil {
		return nil, err
	}
	delete(b.uploads, c.query.Get("uploadId"))
	return empty(http.StatusNoContent), nil
}

// completeUpload makes the object of the listed parts; parts that are not listed are gone. A refused completion leaves the upload.
func (s *Server) completeUpload(b *bucket, c *call) (*wiretest.Answer, error) {
	u, err := b.upload(c)
	if err != nil {
		return nil, err
	}
	var asked struct {
		Part []struct {
			PartNumber int
			ETag       string
		}
	}
	if err := xml.Unmarshal(c.body, &asked); err != nil || len(asked.Part) == 0 {
		return nil, badRequest("MalformedXML", "The list of parts is not well-formed, or is empty.")
	}
	if err := mayWrite(b, c); err != nil {
		return nil, err
	}
	digest := md5.New()
	var body []byte
	for i, p := range asked.Part {
		part, ok := u.parts[p.PartNumber]
		switch {
		case !ok, strings.Trim(p.ETag, `"`) != strings.Trim(etag(part), `"`):
			return nil, badRequest("InvalidPart", "Part %d could not be found, or its entity tag is another.", p.PartNumber)
		case i > 0 && p.PartNumber <= asked.Part[i-1].PartNumber:
			return nil, badRequest("InvalidPartOrder", "The list of parts was not in ascending order.")
		case i < len(asked.Part)-1 && len(part) < partBytesMin:
			return nil, badRequest("EntityTooSmall", "Part %d has %d bytes, which is smaller than the minimum of %d.", p.PartNumber, len(part), partBytesMin)
		}
		partDigest := md5.Sum(part)
		digest.Write(partDigest[:])
		body = append(body, part...)
	}
	if size := c.header.Get("X-Amz-Mp-Object-Size"); size != "" && size != strconv.Itoa(len(body)) {
		return nil, badRequest("InvalidRequest", "x-amz-mp-object-size is %s and the parts have %d bytes.", size, len(body))
	}
	count := len(asked.Part)
	whole := `"` + hex.EncodeToString(digest.Sum(nil)) + "-" + strconv.Itoa(count) + `"`
	o := &Object{Body: body, ETag: whole, LastModified: time.Now(), Header: u.header, Parts: count}
	b.objects[c.Key] = o
	delete(b.uploads, c.query.Get("uploadId"))
	a := xmlAnswer(http.StatusOK, struct {
		XMLName                     xml.Name `xml:"CompleteMultipartUploadResult"`
		Xmlns                       string   `xml:"xmlns,attr"`
		Location, Bucket, Key, ETag string
	}{Xmlns: s3Namespace, Location: s.URL() + "/" + c.Bucket + "/" + c.Key, Bucket: c.Bucket, Key: c.Key, ETag: whole})
	maps.Copy(a.Header, o.encryption())
	return a, nil
}
