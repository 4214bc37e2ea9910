package awstest

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
)

// crc64NVME is the reversed polynomial of CRC-64/NVME.
const crc64NVME = 0x9a6c9329ac4bc9b5

// unpack returns a body without its aws-chunked framing and the checksums that came with it, in a header or in the trailer, all of
// which have to be right.
func unpack(h http.Header, body []byte) ([]byte, map[string]string, error) {
	sums := http.Header{}
	for name, values := range h {
		if isChecksum(name) {
			sums[name] = values
		}
	}
	contentSHA256 := h.Get("X-Amz-Content-Sha256")
	if strings.HasPrefix(contentSHA256, "STREAMING-") {
		payload, trailer, err := unchunk(body)
		if err != nil {
			return body, nil, err
		}
		if length := h.Get("X-Amz-Decoded-Content-Length"); length != strconv.Itoa(len(payload)) {
			return payload, nil, badRequest("IncompleteBody", "x-amz-decoded-content-length is %q and the chunks have %d bytes.", length, len(payload))
		}
		if announced := h.Get("X-Amz-Trailer"); announced != "" && trailer.Get(announced) == "" {
			return payload, nil, badRequest("MalformedTrailerError", "The trailer %s was announced and did not come.", announced)
		}
		body = payload
		maps.Copy(sums, trailer)
	} else if digest := sha256.Sum256(body); len(contentSHA256) == 2*len(digest) && contentSHA256 != hex.EncodeToString(digest[:]) {
		return body, nil, badRequest("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	if want := h.Get("Content-Md5"); want != "" && want != sum(md5.New(), body) {
		return body, nil, badRequest("BadDigest", "The Content-MD5 you specified did not match what we received.")
	}
	proved, err := prove(sums, body)
	return body, proved, err
}

// isChecksum tells the checksum of a body, or its announcement in a trailer, from the headers that speak about checksums.
func isChecksum(name string) bool {
	algorithm, ok := strings.CutPrefix(strings.ToLower(name), "x-amz-checksum-")
	return ok && !slices.Contains([]string{"algorithm", "mode", "type"}, algorithm)
}

// prove computes each checksum again.
func prove(sums http.Header, body []byte) (map[string]string, error) {
	proved := map[string]string{}
	for name := range sums {
		name = strings.ToLower(name)
		algorithm := newChecksum(name)
		if algorithm == nil {
			return nil, badRequest("InvalidRequest", "awstest cannot compute %s.", name)
		}
		if sum(algorithm, body) != sums.Get(name) {
			return nil, badRequest("BadDigest", "The %s you specified did not match the calculated checksum.", name)
		}
		proved[name] = sums.Get(name)
	}
	return proved, nil
}

func newChecksum(header string) hash.Hash {
	switch header {
	case "x-amz-checksum-crc32":
		return crc32.NewIEEE()
	case "x-amz-checksum-crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "x-amz-checksum-crc64nvme":
		return crc64.New(crc64.MakeTable(crc64NVME))
	case "x-amz-checksum-sha1":
		return sha1.New()
	case "x-amz-checksum-sha256":
		return sha256.New()
	default:
		return nil
	}
}

func sum(h hash.Hash, body []byte) string {
	h.Write(body)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// unchunk takes off aws-chunked: each chunk is its length in hexadecimal, perhaps ";chunk-signature=…", a line end, its bytes and a
// line end. The one of length 0 is followed by trailers and an empty line.
func unchunk(framed []byte) ([]byte, http.Header, error) {
	malformed := badRequest("InvalidChunkSizeError", "The aws-chunked body is not well-formed.")
	var payload []byte
	for {
		line, rest, ok := bytes.Cut(framed, []byte("\r\n"))
		digits, _, _ := bytes.Cut(line, []byte(";"))
		size, err := strconv.ParseUint(string(digits), 16, 31)
		if !ok || err != nil {
			return nil, nil, malformed
		}
		framed = rest
		if size == 0 {
			break
		}
		if uint64(len(framed)) < size+2 || string(framed[size:size+2]) != "\r\n" {
			return nil, nil, malformed
		}
		payload = append(payload, framed[:size]...)
		framed = framed[size+2:]
	}
	trailer := http.Header{}
	for line := range bytes.SplitSeq(framed, []byte("\r\n")) {
		if name, value, ok := strings.Cut(string(line), ":"); ok && isChecksum(name) {
			trailer[textproto.CanonicalMIMEHeaderKey(name)] = []string{strings.TrimSpace(value)}
		}
	}
	return payload, trailer, nil
}

// withoutChunked is a Content-Encoding without the framing of the transport, which S3 does not store.
func withoutChunked(values []string) string {
	var encodings []string
	for encoding := range strings.SplitSeq(strings.Join(values, ","), ",") {
		if encoding = strings.TrimSpace(encoding); encoding != "" && encoding != "aws-chunked" {
			encodings = append(encodings, encoding)
		}
	}
	return strings.Join(encodings, ",")
}
