package awstest_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/cdcd-project/cdcd/internal/awstest"
)

// servers are the two ways in which the SDK sends the same object: with a checksum in a header, and in the trailer of aws-chunked.
func servers(t *testing.T, test func(t *testing.T, srv *awstest.Server)) {
	t.Run("http", func(t *testing.T) { test(t, awstest.Start(t)) })
	t.Run("https", func(t *testing.T) { test(t, awstest.StartTLS(t)) })
}

func TestObjectsComeBackAsTheyWerePut(t *testing.T) {
	servers(t, func(t *testing.T, srv *awstest.Server) {
		client := s3WithBucket(t, srv)
		for _, algorithm := range []types.ChecksumAlgorithm{"", "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
			for _, size := range []int{0, 1, 300 << 10} {
				body, key := noise(size), fmt.Sprintf("a b/%s+%d é", algorithm, size)
				out, err := client.PutObject(t.Context(), &s3.PutObjectInput{
					Bucket: aws.String("lake"), Key: aws.String(key), Body: bytes.NewReader(body), ChecksumAlgorithm: algorithm,
					ContentType: aws.String("text/x"), Metadata: map[string]string{"who": "me"},
				})
				if err != nil {
					t.Fatalf("%s: %v", key, err)
				}
				digest := md5.Sum(body)
				if want := `"` + hex.EncodeToString(digest[:]) + `"`; aws.ToString(out.ETag) != want {
					t.Errorf("%s: ETag %s, want %s", key, aws.ToString(out.ETag), want)
				}
				got, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("lake"), Key: aws.String(key), ChecksumMode: types.ChecksumModeEnabled})
				if err != nil {
					t.Fatal(err)
				}
				read, err := io.ReadAll(got.Body)
				if err != nil || !bytes.Equal(read, body) || aws.ToInt64(got.ContentLength) != int64(size) {
					t.Errorf("%s: read %d bytes, %v", key, len(read), err)
				}
				if aws.ToString(got.ContentType) != "text/x" || got.Metadata["who"] != "me" || got.ContentEncoding != nil ||
					got.LastModified == nil || aws.ToString(got.ETag) != aws.ToString(out.ETag) {
					t.Errorf("%s: answered %+v", key, got)
				}
				if object, ok := srv.Object("lake", key); !ok || !bytes.Equal(object.Body, body) {
					t.Errorf("%s: holds %d bytes, found %t", key, len(object.Body), ok)
				}
			}
		}
		trailers := 0
		for _, r := range srv.Requests() {
			if r.Header.Get("X-Amz-Trailer") != "" {
				trailers++
			}
		}
		if want := map[string]int{"http": 0, "https": 12}[srv.URL()[:strings.Index(srv.URL(), ":")]]; trailers != want {
			t.Errorf("the SDK sent %d objects with a trailer, want %d", trailers, want) // An empty object has none.
		}
		if r := srv.Requests()[4]; r.String() != "s3 PutObject lake/a b/+307200 é" || r.RequestBytes != 300<<10 {
			t.Errorf("recorded %v of %d bytes", r, r.RequestBytes)
		}
	})
}

func TestDamagedBodiesAreRefused(t *testing.T) {
	srv := awstest.Start(t)
	srv.CreateBucket("lake")
	const chunked = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	for _, test := range []struct {
		name, code, body string
		header           map[string]string
	}{
		{"another CRC32", "BadDigest", "hello", map[string]string{"X-Amz-Checksum-Crc32": "AAAAAA=="}},
		{"another SHA-256", "XAmzContentSHA256Mismatch", "hello", map[string]string{"X-Amz-Content-Sha256": strings.Repeat("0", 64)}},
		{"another MD5", "BadDigest", "hello", map[string]string{"Content-Md5": "AAAA"}},
		{"an unknown checksum", "InvalidRequest", "hello", map[string]string{"X-Amz-Checksum-Xxhash64": "AAAA"}},
		{"another CRC32 in the trailer", "BadDigest", "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", map[string]string{
			"X-Amz-Content-Sha256": chunked, "X-Amz-Decoded-Content-Length": "5", "X-Amz-Trailer": "x-amz-checksum-crc32",
		}},
		{"a trailer that does not come", "MalformedTrailerError", "5\r\nhello\r\n0\r\n\r\n", map[string]string{
			"X-Amz-Content-Sha256": chunked, "X-Amz-Decoded-Content-Length": "5", "X-Amz-Trailer": "x-amz-checksum-crc32",
		}},
		{"chunks that end early", "InvalidChunkSizeError", "9\r\nhello\r\n", map[string]string{"X-Amz-Content-Sha256": chunked, "X-Amz-Decoded-Content-Length": "9"}},
		{"chunks of another length", "IncompleteBody", "5\r\nhello\r\n0\r\n\r\n", map[string]string{"X-Amz-Content-Sha256": chunked, "X-Amz-Decoded-Content-Length": "6"}},
		{"a header that is not modelled", "NotImplemented", "hello", map[string]string{"X-Amz-Tagging": "a=b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			srv.Reset()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, srv.URL()+"/lake/key", strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=K/20260101/r/s3/aws4_request, SignedHeaders=host, Signature=0")
			for name, value := range test.header {
				req.Header.Set(name, value)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if r := srv.Requests()[0]; r.Code != test.code || r.Applied || len(srv.Keys("lake")) != 0 {
				t.Errorf("code %q, want %q; keys %v", r.Code, test.code, srv.Keys("lake"))
			}
		})
	}
}

func TestRangeReads(t *testing.T) {
	srv := awstest.Start(t)
	client := s3WithBucket(t, srv)
	put(t, client, "digits", []byte("0123456789"))
	for _, test := range []struct{ asked, body, contentRange string }{
		{"bytes=0-0", "0", "bytes 0-0/10"},
		{"bytes=3-5", "345", "bytes 3-5/10"},
		{"bytes=7-", "789", "bytes 7-9/10"},
		{"bytes=8-100", "89", "bytes 8-9/10"},
		{"bytes=-4", "6789", "bytes 6-9/10"},
		{"bytes=-40", "0123456789", "bytes 0-9/10"},
		{"lines=1-2", "0123456789", ""},
	} {
		out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("lake"), Key: aws.String("digits"), Range: aws.String(test.asked)})
		if err != nil {
			t.Errorf("%s: %v", test.asked, err)
			continue
		}
		body, err := io.ReadAll(out.Body)
		if err != nil || string(body) != test.body || aws.ToString(out.ContentRange) != test.contentRange || aws.ToInt64(out.ContentLength) != int64(len(test.body)) {
			t.Errorf("%s: %q, range %q, %v", test.asked, body, aws.ToString(out.ContentRange), err)
		}
	}
	for _, asked := range []string{"bytes=10-", "bytes=-0", "bytes=5-4"} {
		_, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("lake"), Key: aws.String("digits"), Range: aws.String(asked)})
		wantCode(t, err, "InvalidRange")
	}
	head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("lake"), Key: aws.String("digits")})
	if err != nil || aws.ToInt64(head.ContentLength) != 10 {
		t.Errorf("head: %+v, %v", head, err)
	}
}

func TestConditionalWrites(t *testing.T) {
	srv := awstest.Start(t)
	client := s3WithBucket(t, srv)
	write := func(body string, with func(*s3.PutObjectInput)) error {
		in := &s3.PutObjectInput{Bucket: aws.String("lake"), Key: aws.String("k"), Body: strings.NewReader(body)}
		with(in)
		_, err := client.PutObject(t.Context(), in)
		return err
	}
	fresh := func(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String("*") }
	same := func(in *s3.PutObjectInput) { in.IfMatch = aws.String(`"0cc175b9c0f1b6a831c399e269772661"`) } // The MD5 of "a".
	wantCode(t, write("a", same), awstest.NoSuchKey)
	if err := write("a", fresh); err != nil {
		t.Error(err)
	}
	wantCode(t, write("b", fresh), awstest.PreconditionFailed)
	if err := write("c", same); err != nil {
		t.Error(err)
	}
	wantCode(t, write("d", same), awstest.PreconditionFailed)
	if o, _ := srv.Object("lake", "k"); string(o.Body) != "c" {
		t.Errorf("object is %q, want c", o.Body)
	}
}

func TestEncryptionIsKeptAndRecorded(t *testing.T) {
	srv := awstest.Start(t)
	client := s3WithBucket(t, srv)
	const key = "arn:aws:kms:eu-central-1:123456789012:key/1"
	in := &s3.PutObjectInput{
		Bucket: aws.String("lake"), Key: aws.String("k"), Body: strings.NewReader("a"),
		ServerSideEncryption: types.ServerSideEncryptionAwsKms, SSEKMSKeyId: aws.String(key), BucketKeyEnabled: aws.Bool(true),
	}
	out, err := client.PutObject(t.Context(), in)
	if err != nil || aws.ToString(out.SSEKMSKeyId) != key || aws.ToString(out.ETag) == `"0cc175b9c0f1b6a831c399e269772661"` {
		t.Errorf("put answered %+v, %v", out, err)
	}
	head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: in.Bucket, Key: in.Key})
	if err != nil || head.ServerSideEncryption != types.ServerSideEncryptionAwsKms || aws.ToString(head.SSEKMSKeyId) != key || !aws.ToBool(head.BucketKeyEnabled) {
		t.Errorf("head answered %+v, %v", head, err)
	}
	r := srv.Requests()[0].Header
	if r.Get("x-amz-server-side-encryption") != "aws:kms" || r.Get("x-amz-server-side-encryption-aws-kms-key-id") != key || r.Get("Authorization") != "" {
		t.Errorf("recorded %v", r)
	}
	in.ServerSideEncryption, in.Body = types.ServerSideEncryptionAes256, strings.NewReader("a")
	_, err = client.PutObject(t.Context(), in)
	wantCode(t, err, "InvalidArgument")
}

func TestListsFollowPrefixDelimiterAndPages(t *testing.T) {
	srv := awstest.Start(t)
	client := s3WithBucket(t, srv)
	for _, key := range []string{"a", "d/1", "d/2", "d/e/1", "d/e/2", "d/f", "d0", "é <&>/x"} {
		put(t, client, key, []byte(key))
	}
	for _, test := range []struct {
		prefix, delimiter, after string
		want                     []string
	}{
		{"", "", "", []string{"a", "d/1", "d/2", "d/e/1", "d/e/2", "d/f", "d0", "é <&>/x"}},
		{"", "/", "", []string{"a", "d/ (prefix)", "d0", "é <&>/ (prefix)"}},
		{"d/", "/", "", []string{"d/1", "d/2", "d/e/ (prefix)", "d/f"}},
		{"d/e", "", "", []string{"d/e/1", "d/e/2"}},
		{"d", "", "d/e/1", []string{"d/e/2", "d/f", "d0"}},
		{"nothing", "/", "", nil},
	} {
		for _, limit := range []int32{1, 2, 3, 1000} {
			in := &s3.ListObjectsV2Input{Bucket: aws.String("lake"), Prefix: aws.String(test.prefix), Delimiter: aws.String(test.delimiter), MaxKeys: aws.Int32(limit)}
			if test.after != "" {
				in.StartAfter = aws.String(test.after)
			}
			var got []string
			pages := s3.NewListObjectsV2Paginator(client, in)
			for pages.HasMorePages() {
				out, err := pages.NextPage(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if n := len(out.Contents) + len(out.CommonPrefixes); n > int(limit) || n != int(aws.ToInt32(out.KeyCount)) {
					t.Errorf("%q: a page of %d, at most %d asked for", test.prefix, n, limit)
				}
				got = append(got, entries(out)...)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("prefix %q delimiter %q limit %d (-want +got):\n%s", test.prefix, test.delimiter, limit, diff)
			}
		}
	}
}

// entries merges a page's objects and common prefixes in their order.
func entries(out *s3.ListObjectsV2Output) []string {
	var list []string
	prefixes := out.CommonPrefixes
	for _, o := range out.Contents {
		for len(prefixes) > 0 && aws.ToString(prefixes[0].Prefix) < aws.ToString(o.Key) {
			list = append(list, aws.ToString(prefixes[0].Prefix)+" (prefix)")
			prefixes = prefixes[1:]
		}
		list = append(list, aws.ToString(o.Key))
	}
	for _, p := range prefixes {
		list = append(list, aws.ToString(p.Prefix)+" (prefix)")
	}
	return list
}

func TestDeletes(t *testing.T) {
	srv := awstest.Start(t)
	client := s3WithBucket(t, srv)
	for _, key := range []string{"a", "b", "c"} {
		put(t, client, key, nil)
	}
	for range 2 { // Deleting what is gone succeeds.
		if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("lake"), Key: aws.String("a")}); err != nil {
			t.Error(err)
		}
	}
	out, err := client.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{
		Bucket: aws.String("lake"), Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("b")}, {Key: aws.String("x")}}},
	})
	if err != nil || len(out.Deleted) != 2 || len(out.Errors) != 0 {
		t.Errorf("deleted %+v, %v", out, err)
	}
	if diff := cmp.Diff([]string{"c"}, srv.Keys("lake")); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

func TestMissingThings(t *testing.T) {
	srv := awstest.Start(t)
	client := s3WithBucket(t, srv)
	_, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("lake"), Key: aws.String("k")})
	wantCode(t, err, awstest.NoSuchKey)
	_, err = client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("lake"), Key: aws.String("k")})
	wantCode(t, err, "NotFound")
	_, err = client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("sea"), Key: aws.String("k")})
	wantCode(t, err, awstest.NoSuchBucket)
	_, err = client.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: aws.String("lake"), Key: aws.String("k"), CopySource: aws.String("lake/j")})
	wantCode(t, err, "NotImplemented")
	_, err = client.GetObjectAcl(t.Context(), &s3.GetObjectAclInput{Bucket: aws.String("lake"), Key: aws.String("k")})
	wantCode(t, err, "NotImplemented")
	if r := srv.Requests(); r[len(r)-1].String() != "s3 GET ?acl lake/k" {
		t.Errorf("recorded %v", operations(srv))
	}
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("sea")}); err != nil {
		t.Error(err)
	}
	if _, err := client.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("sea")}); err != nil {
		t.Error(err)
	}
}

func TestMultipartRules(t *testing.T) {
	srv := awstest.Start(t)
	client := s3WithBucket(t, srv)
	bucket, key := aws.String("lake"), aws.String("big")
	created, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	var size *int64
	var parts []types.CompletedPart
	for number, size := range []int{5 << 20, 5<<20 - 1, 1} {
		part := aws.Int32(int32(number + 1))
		out, err := client.UploadPart(t.Context(), &s3.UploadPartInput{
			Bucket: bucket, Key: key, UploadId: created.UploadId, PartNumber: part, Body: bytes.NewReader(noise(size)),
		})
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, types.CompletedPart{PartNumber: part, ETag: out.ETag})
	}
	complete := func(condition *string, parts ...types.CompletedPart) error {
		_, err := client.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
			Bucket: bucket, Key: key, UploadId: created.UploadId, IfNoneMatch: condition, MpuObjectSize: size, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		})
		return err
	}
	wantCode(t, complete(nil, parts...), "EntityTooSmall")
	wantCode(t, complete(nil, parts[1], parts[0]), "EntityTooSmall")
	wantCode(t, complete(nil, parts[0], parts[0]), "InvalidPartOrder")
	wantCode(t, complete(nil, types.CompletedPart{PartNumber: aws.Int32(1), ETag: aws.String("another")}), "InvalidPart")
	wantCode(t, complete(nil, types.CompletedPart{PartNumber: aws.Int32(9), ETag: parts[0].ETag}), "InvalidPart")
	put(t, client, "big", []byte("first"))
	wantCode(t, complete(aws.String("*"), parts[0], parts[2]), awstest.PreconditionFailed)
	if diff := cmp.Diff([]string{"big"}, srv.Uploads("lake")); diff != "" {
		t.Errorf("uploads after refused completions (-want +got):\n%s", diff)
	}
	size = aws.Int64(1)
	wantCode(t, complete(nil, parts[0], parts[2]), "InvalidRequest")
	size = aws.Int64(5<<20 + 1)
	if err := complete(nil, parts[0], parts[2]); err != nil { // Part 2 is left out, as S3 allows.
		t.Error(err)
	}
	if o, _ := srv.Object("lake", "big"); len(o.Body) != 5<<20+1 {
		t.Errorf("object has %d bytes", len(o.Body))
	}
	wantCode(t, complete(nil, parts[0]), "NoSuchUpload")
	again, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{Bucket: bucket, Key: key, UploadId: again.UploadId})
	if err != nil || len(srv.Uploads("lake")) != 0 {
		t.Errorf("abort: %v, uploads %v", err, srv.Uploads("lake"))
	}
}
