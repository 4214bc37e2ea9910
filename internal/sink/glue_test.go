package sink

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/cdcd-project/cdcd/internal/awstest"
	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/wiretest"
)

const kmsKey = "arn:aws:kms:eu-central-1:123456789012:key/cdcd"

// newGlueWriter returns a writer whose table is in Glue and whose objects are in S3, encrypted with a key.
func newGlueWriter(t *testing.T) (*writer, *awstest.Server, *Catalog) {
	t.Helper()
	server := awstest.Start(t)
	server.Setenv(t)
	server.CreateBucket("lake")
	cat, err := OpenCatalog(t.Context(), CatalogOptions{Type: "glue", Warehouse: "s3://lake/cdc", AWS: AWSOptions{
		Region: awstest.Region, S3Endpoint: server.URL(), GlueEndpoint: server.URL(), KMSKeyID: kmsKey,
	}})
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Catalog: cat, Version: "test", Delete: true, Backoff: time.Millisecond, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	return newWriterIn(cat.Context(t.Context()), t, s, customerOptions()), server, cat
}

// A success whose reply is lost is not repeated by the SDK, which would make a conflict of it: the door looks into the table.
func TestGlueLostReplyCountsOnce(t *testing.T) {
	w, server, cat := newGlueWriter(t)
	w.upsert(1, "a")
	w.commit()
	for name, verdict := range map[string]wiretest.Verdict{
		"500 after it was done": wiretest.DoThenRefuse(http.StatusInternalServerError, awstest.InternalServiceException),
		"connection dropped":    wiretest.DoThenDrop(),
	} {
		t.Run(name, func(t *testing.T) {
			server.Reset()
			server.OnRequest(wiretest.Meet("UpdateTable", verdict))
			before := len(w.table.meta.Snapshots())
			w.upsert(1, name)
			w.commit()
			w.check(cat)
			if n := len(w.table.meta.Snapshots()); n != before+1 {
				t.Errorf("%d snapshots, want %d (I5)", n, before+1)
			}
			if n := wiretest.Count(server.Requests(), "UpdateTable"); n != 1 {
				t.Errorf("UpdateTable was called %d times, want once", n)
			}
		})
	}
}

func TestGlueRefusalsAreRetried(t *testing.T) {
	w, server, cat := newGlueWriter(t)
	for _, c := range []struct {
		operation string
		verdict   wiretest.Verdict
	}{
		{"UpdateTable", wiretest.Refuse(http.StatusBadRequest, awstest.ConcurrentModificationException)},
		{"UpdateTable", wiretest.Refuse(http.StatusBadRequest, awstest.ThrottlingException)},
		{"UpdateTable", wiretest.Refuse(http.StatusInternalServerError, awstest.InternalServiceException)},
		{"GetTable", wiretest.Refuse(http.StatusBadRequest, awstest.ThrottlingException)},
		{"PutObject", wiretest.Refuse(http.StatusServiceUnavailable, awstest.SlowDown)},
	} {
		server.OnRequest(wiretest.Meet(c.operation, c.verdict))
		w.upsert(1, c.operation)
		w.commit()
		w.check(cat)
	}
}

func TestGlueAccessDeniedHalts(t *testing.T) {
	w, server, _ := newGlueWriter(t)
	server.OnRequest(func(r *wiretest.Request) wiretest.Verdict {
		if r.Operation == "UpdateTable" {
			return wiretest.Refuse(http.StatusBadRequest, awstest.AccessDeniedException)
		}
		return wiretest.Do()
	})
	w.upsert(1, "a")
	_, err := w.table.Commit(w.ctx, w.change())
	if h, ok := errors.AsType[*halt.Error](err); !ok || h.Reason != halt.AccessDenied {
		t.Fatalf("commit ended with %v, want access_denied", err)
	}
	server.OnRequest(func(r *wiretest.Request) wiretest.Verdict {
		if r.Operation == "GetObject" {
			return wiretest.Refuse(http.StatusForbidden, awstest.AccessDenied)
		}
		return wiretest.Do()
	})
	_, err = w.table.s.Open(w.ctx, w.table.o)
	if h, ok := errors.AsType[*halt.Error](err); !ok || h.Reason != halt.AccessDenied {
		t.Fatalf("opening ended with %v, want access_denied", err)
	}
}

// Lake Formation, optimizers and people set things on a Glue table that are none of ours.
func TestGlueKeepsWhatOthersSet(t *testing.T) {
	w, server, _ := newGlueWriter(t)
	client := glue.NewFromConfig(server.Config())
	got, err := client.GetTable(w.ctx, &glue.GetTableInput{DatabaseName: aws.String("salesdb"), Name: aws.String("customer")})
	if err != nil {
		t.Fatal(err)
	}
	storage := *got.Table.StorageDescriptor
	storage.AdditionalLocations = []string{"s3://lake/elsewhere"}
	parameters := got.Table.Parameters
	parameters["theirs"] = "kept"
	if _, err := client.UpdateTable(w.ctx, &glue.UpdateTableInput{DatabaseName: aws.String("salesdb"), TableInput: &types.TableInput{
		Name: aws.String("customer"), Owner: aws.String("analysts"), Description: aws.String("all customers"), Retention: 7,
		TableType: got.Table.TableType, Parameters: parameters, StorageDescriptor: &storage,
	}}); err != nil {
		t.Fatal(err)
	}
	w.upsert(1, "a")
	w.commit()
	got, err = client.GetTable(w.ctx, &glue.GetTableInput{DatabaseName: aws.String("salesdb"), Name: aws.String("customer")})
	if err != nil {
		t.Fatal(err)
	}
	g := got.Table
	if aws.ToString(g.Owner) != "analysts" || aws.ToString(g.Description) != "all customers" || g.Retention != 7 ||
		g.Parameters["theirs"] != "kept" || len(g.StorageDescriptor.AdditionalLocations) != 1 {
		t.Errorf("owner %q, description %q, retention %d, parameter %q, locations %v", aws.ToString(g.Owner), aws.ToString(g.Description),
			g.Retention, g.Parameters["theirs"], g.StorageDescriptor.AdditionalLocations)
	}
	if location := g.Parameters["metadata_location"]; !strings.HasPrefix(location, "s3://lake/cdc/") {
		t.Errorf("metadata_location is %q", location)
	}
	if len(g.StorageDescriptor.Columns) != 2 || aws.ToString(g.StorageDescriptor.Columns[0].Type) != "bigint" {
		t.Errorf("columns are %+v", g.StorageDescriptor.Columns)
	}
}
