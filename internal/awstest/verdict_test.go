package awstest_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/cdcd-project/cdcd/internal/awstest"
	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// neverRetry makes one attempt of a call.
func neverRetry(o *glue.Options) { o.Retryer = aws.NopRetryer{} }

// The ambiguity trap: the SDK takes the lost reply for a failure, sends the update again, and meets its own success as a conflict.
func TestLostReplyOfUpdateTableEndsAsConflictWhenRetried(t *testing.T) {
	for name, lost := range map[string]wiretest.Verdict{
		"an error after the update":      wiretest.DoThenRefuse(http.StatusInternalServerError, awstest.InternalServiceException),
		"a connection that breaks after": wiretest.DoThenDrop(),
	} {
		t.Run(name, func(t *testing.T) {
			srv, client := glueWithTable(t)
			srv.OnRequest(wiretest.Meet("UpdateTable", lost))
			wantCode(t, update(t, client, "1", aws.String("0")), awstest.ConcurrentModificationException)
			wantTable(t, srv, "1", "1")
			if diff := cmp.Diff([]string{"glue UpdateTable shop.orders", "glue UpdateTable shop.orders"}, operations(srv)); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if r := srv.Requests(); !r[0].Applied || r[1].Applied || !strings.HasPrefix(r[1].Header.Get("Amz-Sdk-Request"), "attempt=2") {
				t.Errorf("recorded %+v", r)
			}
		})
	}
}

func TestVerdictsOnUpdateTable(t *testing.T) {
	for _, test := range []struct {
		name    string
		verdict wiretest.Verdict
		code    string // Empty: the error is not AWS's.
		applied bool
	}{
		{"refused", wiretest.Refuse(400, awstest.AccessDeniedException), awstest.AccessDeniedException, false},
		{"throttled", wiretest.Refuse(400, awstest.ThrottlingException), awstest.ThrottlingException, false},
		{"not found", wiretest.Refuse(400, awstest.EntityNotFoundException), awstest.EntityNotFoundException, false},
		{"failed inside", wiretest.Refuse(500, awstest.InternalServiceException), awstest.InternalServiceException, false},
		{"done and failed", wiretest.DoThenRefuse(500, awstest.InternalServiceException), awstest.InternalServiceException, true},
		{"cut off", wiretest.Drop(), "", false},
		{"done and cut off", wiretest.DoThenDrop(), "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			srv, client := glueWithTable(t)
			srv.OnRequest(wiretest.Meet("UpdateTable", test.verdict))
			_, err := client.UpdateTable(t.Context(), &glue.UpdateTableInput{DatabaseName: aws.String("shop"), TableInput: tableInput("orders", "1")}, neverRetry)
			if err == nil {
				t.Fatal("the update succeeded")
			}
			if test.code != "" {
				wantCode(t, err, test.code)
			}
			if r := srv.Requests()[0]; r.Applied != test.applied || r.Code != test.code || (r.Status == 0) != (test.code == "") {
				t.Errorf("recorded %+v", r)
			}
			if test.applied {
				wantTable(t, srv, "1", "1")
			} else {
				wantTable(t, srv, "0", "0")
			}
		})
	}
}

func TestSDKRetriesThrottlingAndSlowDown(t *testing.T) {
	srv, client := glueWithTable(t)
	throttled := wiretest.Refuse(400, awstest.ThrottlingException)
	srv.OnRequest(wiretest.Meet("UpdateTable", throttled, throttled))
	if err := update(t, client, "1", aws.String("0")); err != nil {
		t.Errorf("throttled twice: %v", err)
	}
	store := s3WithBucket(t, srv)
	slower := wiretest.Refuse(503, awstest.SlowDown)
	srv.OnRequest(wiretest.Meet("PutObject", slower, slower))
	put(t, store, "a", []byte("a"))
	srv.OnRequest(wiretest.Meet("GetObject", wiretest.Refuse(403, awstest.AccessDenied)))
	_, err := store.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("lake"), Key: aws.String("a")})
	wantCode(t, err, awstest.AccessDenied)
	if got := len(srv.Requests()); got != 7 {
		t.Errorf("%d requests, want 7: %v", got, operations(srv))
	}
}

func TestHookSeesTheRequestBeforeItIsDone(t *testing.T) {
	srv, client := glueWithTable(t)
	var asked wiretest.Request
	srv.OnRequest(func(r *wiretest.Request) wiretest.Verdict {
		asked = *r
		wantTable(t, srv, "0", "0") // The hook may call the server.
		return wiretest.Do()
	})
	if err := update(t, client, "1", aws.String("0")); err != nil {
		t.Fatal(err)
	}
	if asked.String() != "glue UpdateTable shop.orders" || asked.VersionID != "0" || asked.Status != 0 || !strings.Contains(string(asked.Body), `"metadata_location":"1"`) {
		t.Errorf("asked about %+v", asked)
	}
}

func TestDelayedRequestIsDoneAfterItsClientGaveUp(t *testing.T) {
	srv, client := glueWithTable(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	srv.OnRequest(func(*wiretest.Request) wiretest.Verdict {
		close(arrived)
		<-release
		return wiretest.Do()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	in := &glue.UpdateTableInput{DatabaseName: aws.String("shop"), TableInput: tableInput("orders", "1"), VersionId: aws.String("0")}
	if _, err := client.UpdateTable(ctx, in); !errors.Is(err, context.Canceled) {
		t.Errorf("update: %v, want that it was canceled", err)
	}
	wantTable(t, srv, "0", "0")
	close(release)
	for !srv.Requests()[0].Applied {
		runtime.Gosched()
	}
	wantTable(t, srv, "1", "1")
}

func TestUnsignedRequestsAreRefused(t *testing.T) {
	srv := awstest.Start(t)
	srv.CreateBucket("lake")
	for _, target := range []string{"", "AWSGlue.GetDatabases"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL()+"/lake/key", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Amz-Target", target)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("target %q: status %d, want 403", target, resp.StatusCode)
		}
	}
}
