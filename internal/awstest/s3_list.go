package awstest

import (
	"encoding/base64"
	"encoding/xml"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// listMax is the most entries S3 lists at once.
const listMax = 1000

func listQuery() []string {
	return []string{"prefix", "delimiter", "max-keys", "continuation-token", "start-after", "encoding-type", "fetch-owner"}
}

type listedObject struct {
	Key, LastModified, ETag string
	Size                    int
	StorageClass            string
}

type commonPrefix struct{ Prefix string }

type listResult struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	Xmlns                 string   `xml:"xmlns,attr"`
	Name, Prefix          string
	Delimiter             string `xml:",omitempty"`
	EncodingType          string `xml:",omitempty"`
	StartAfter            string `xml:",omitempty"`
	ContinuationToken     string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	MaxKeys, KeyCount     int
	IsTruncated           bool
	Contents              []listedObject
	CommonPrefixes        []commonPrefix
}

func (s *Server) listObjects(b *bucket, c *call) (*wiretest.Answer, error) {
	q := c.query
	result := listResult{
		Xmlns: s3Namespace, Name: c.Bucket, Prefix: q.Get("prefix"), Delimiter: q.Get("delimiter"), EncodingType: q.Get("encoding-type"),
		StartAfter: q.Get("start-after"), ContinuationToken: q.Get("continuation-token"), MaxKeys: listMax,
	}
	if limit := q.Get("max-keys"); limit != "" {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 0 {
			return nil, badRequest("InvalidArgument", "max-keys is %q.", limit)
		}
		result.MaxKeys = min(n, listMax)
	}
	after, err := base64.StdEncoding.DecodeString(result.ContinuationToken)
	if err != nil || q.Get("list-type") != "2" {
		return nil, badRequest("InvalidArgument", "The continuation token is incorrect, or the list is not of type 2.")
	}
	result.fill(b, string(after))
	if result.EncodingType == "url" {
		result.encode()
	}
	return xmlAnswer(http.StatusOK, result), nil
}

// fill lists objects and common prefixes in one order, from after the entry named by the token.
func (l *listResult) fill(b *bucket, token string) {
	last := token // The last entry listed, a key or a common prefix.
	for _, key := range slices.Sorted(maps.Keys(b.objects)) {
		entry := l.entry(key)
		if entry == "" || entry <= last || key <= l.StartAfter {
			continue
		}
		if l.KeyCount == l.MaxKeys {
			l.IsTruncated = l.MaxKeys > 0
			break
		}
		last = entry
		l.KeyCount++
		if entry != key {
			l.CommonPrefixes = append(l.CommonPrefixes, commonPrefix{entry})
			continue
		}
		o := b.objects[key]
		l.Contents = append(l.Contents, listedObject{
			Key: key, LastModified: o.LastModified.UTC().Format(time.RFC3339Nano), ETag: o.ETag, Size: len(o.Body),
			StorageClass: firstOf(o.Header.Get("X-Amz-Storage-Class"), "STANDARD"),
		})
	}
	if l.IsTruncated {
		l.NextContinuationToken = base64.StdEncoding.EncodeToString([]byte(last))
	}
}

// entry is how a key is listed: as itself, under its common prefix, or not at all.
func (l *listResult) entry(key string) string {
	rest, ok := strings.CutPrefix(key, l.Prefix)
	if !ok {
		return ""
	}
	if l.Delimiter == "" {
		return key
	}
	if folder, _, deeper := strings.Cut(rest, l.Delimiter); deeper {
		return l.Prefix + folder + l.Delimiter
	}
	return key
}

// encode writes names as encoding-type=url asks.
func (l *listResult) encode() {
	for i := range l.Contents {
		l.Contents[i].Key = url.QueryEscape(l.Contents[i].Key)
	}
	for i := range l.CommonPrefixes {
		l.CommonPrefixes[i].Prefix = url.QueryEscape(l.CommonPrefixes[i].Prefix)
	}
	l.Prefix, l.Delimiter, l.StartAfter = url.QueryEscape(l.Prefix), url.QueryEscape(l.Delimiter), url.QueryEscape(l.StartAfter)
}
