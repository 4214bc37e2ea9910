package awstest_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/cdcd-project/cdcd/internal/awstest"
)

// glueWithTable returns a client and a catalog that holds shop.orders in version 0.
func glueWithTable(t *testing.T) (*awstest.Server, *glue.Client) {
	t.Helper()
	srv := awstest.Start(t)
	client := glue.NewFromConfig(srv.Config())
	if _, err := client.CreateDatabase(t.Context(), &glue.CreateDatabaseInput{DatabaseInput: &gluetypes.DatabaseInput{Name: aws.String("shop")}}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateTable(t.Context(), &glue.CreateTableInput{DatabaseName: aws.String("shop"), TableInput: tableInput("orders", "0")}); err != nil {
		t.Fatal(err)
	}
	srv.Reset()
	return srv, client
}

func tableInput(name, metadataLocation string) *gluetypes.TableInput {
	return &gluetypes.TableInput{
		Name: aws.String(name), TableType: aws.String("EXTERNAL_TABLE"),
		Parameters: map[string]string{"table_type": "ICEBERG", "metadata_location": metadataLocation},
	}
}

// update replaces shop.orders; without a version it does so unconditionally.
func update(t *testing.T, client *glue.Client, metadataLocation string, versionID *string) error {
	t.Helper()
	_, err := client.UpdateTable(t.Context(), &glue.UpdateTableInput{
		DatabaseName: aws.String("shop"), TableInput: tableInput("orders", metadataLocation), VersionId: versionID, SkipArchive: aws.Bool(true),
	})
	return err
}

// wantTable checks the version and the metadata location of shop.orders.
func wantTable(t *testing.T, srv *awstest.Server, versionID, metadataLocation string) {
	t.Helper()
	table, ok := srv.Table("shop", "orders")
	if !ok || table.VersionID != versionID || table.Parameters["metadata_location"] != metadataLocation {
		t.Errorf("table is version %q at %q (found: %t), want version %q at %q", table.VersionID, table.Parameters["metadata_location"], ok, versionID, metadataLocation)
	}
}

// s3WithBucket returns a client and an empty bucket called lake.
func s3WithBucket(t *testing.T, srv *awstest.Server) *s3.Client {
	t.Helper()
	srv.CreateBucket("lake")
	return s3.NewFromConfig(srv.Config())
}

func put(t *testing.T, client *s3.Client, key string, body []byte) {
	t.Helper()
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("lake"), Key: aws.String(key), Body: bytes.NewReader(body)}); err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
}

// wantCode checks AWS's code of an error.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	refusal, ok := errors.AsType[smithy.APIError](err)
	if !ok || refusal.ErrorCode() != code {
		t.Errorf("error is %v, want code %s", err, code)
	}
}

func operations(srv *awstest.Server) []string {
	var list []string
	for _, r := range srv.Requests() {
		list = append(list, r.String())
	}
	return list
}

// noise is the same bytes at every run.
func noise(size int) []byte {
	source := rand.NewChaCha8([32]byte{7})
	body := make([]byte, size)
	_, _ = source.Read(body) // Never fails.
	return body
}
