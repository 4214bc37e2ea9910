package awstest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
	icebergglue "github.com/apache/iceberg-go/catalog/glue"
	iceio "github.com/apache/iceberg-go/io"
	_ "github.com/apache/iceberg-go/io/gocloud/s3" // Storage for s3:// locations.
	"github.com/apache/iceberg-go/table"
	"github.com/apache/iceberg-go/utils"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/google/go-cmp/cmp"

	"github.com/cdcd-project/cdcd/internal/awstest"
	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// lake is iceberg-go's own Glue catalog and S3 storage on a server, found through the environment alone.
func lake(t *testing.T, srv *awstest.Server) (context.Context, *icebergglue.Catalog) {
	t.Helper()
	srv.CreateBucket("lake")
	srv.Setenv(t)
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cat, err := icebergglue.NewCatalog(icebergglue.WithAwsConfig(cfg))
	if err != nil {
		t.Fatal(err)
	}
	return utils.WithAwsConfig(t.Context(), &cfg), cat
}

func createOrders(ctx context.Context, t *testing.T, cat *icebergglue.Catalog) *table.Table {
	t.Helper()
	if err := cat.CreateNamespace(ctx, table.Identifier{"shop"}, iceberg.Properties{"location": "s3://lake/shop"}); err != nil {
		t.Fatal(err)
	}
	schema := iceberg.NewSchema(0,
		iceberg.NestedField{ID: 1, Name: "id", Type: iceberg.PrimitiveTypes.Int64, Required: true, Doc: "Key."},
		iceberg.NestedField{ID: 2, Name: "name", Type: iceberg.PrimitiveTypes.String},
	)
	tbl, err := cat.CreateTable(ctx, table.Identifier{"shop", "orders"}, schema)
	if err != nil {
		t.Fatal(err)
	}
	return tbl
}

// rows makes one Arrow table of consecutive ids.
func rows(t *testing.T, tbl *table.Table, from, to int64) arrow.Table {
	t.Helper()
	schema, err := table.SchemaToArrowSchema(tbl.Schema(), nil, false, false)
	if err != nil {
		t.Fatal(err)
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for id := from; id < to; id++ {
		b.Field(0).(*array.Int64Builder).Append(id)
		b.Field(1).(*array.StringBuilder).Append(fmt.Sprint("n", id))
	}
	return array.NewTableFromRecords(schema, []arrow.RecordBatch{b.NewRecordBatch()})
}

func scan(ctx context.Context, t *testing.T, tbl *table.Table) []int64 {
	t.Helper()
	found, err := tbl.Scan().ToArrowTable(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var ids []int64
	for _, chunk := range found.Column(0).Data().Chunks() {
		ids = append(ids, chunk.(*array.Int64).Int64Values()...)
	}
	return ids
}

func TestIcebergTableEndToEnd(t *testing.T) {
	servers(t, func(t *testing.T, srv *awstest.Server) {
		ctx, cat := lake(t, srv)
		tbl := createOrders(ctx, t, cat)
		var err error
		for from := int64(0); from < 6; from += 3 {
			if tbl, err = tbl.AppendTable(ctx, rows(t, tbl, from, from+3), 3, iceberg.Properties{"cdcd.test": "yes"}); err != nil {
				t.Fatal(err)
			}
		}
		tbl, err = cat.LoadTable(ctx, table.Identifier{"shop", "orders"})
		if err != nil {
			t.Fatal(err)
		}
		got := map[int64]bool{}
		for _, id := range scan(ctx, t, tbl) {
			got[id] = true
		}
		if diff := cmp.Diff(map[int64]bool{0: true, 1: true, 2: true, 3: true, 4: true, 5: true}, got); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
		held, _ := srv.Table("shop", "orders")
		if held.VersionID != "2" || held.Parameters["metadata_location"] != tbl.MetadataLocation() || held.Parameters["table_type"] != "ICEBERG" {
			t.Errorf("the catalog holds %+v", held)
		}
		for i := range cat.ListTables(ctx, table.Identifier{"shop"}) {
			if diff := cmp.Diff(table.Identifier{"shop", "orders"}, i); diff != "" {
				t.Errorf("listed table (-want +got):\n%s", diff)
			}
		}
		if err := cat.PurgeTable(ctx, table.Identifier{"shop", "orders"}); err != nil {
			t.Fatal(err)
		}
		if err := cat.DropNamespace(ctx, table.Identifier{"shop"}); err != nil {
			t.Fatal(err)
		}
		if keys := srv.Keys("lake"); len(keys) != 0 {
			t.Errorf("objects after the purge: %v", keys)
		}
	})
}

// Two writers loaded one version; Glue lets the first in and the second meets the conflict as iceberg-go's.
func TestIcebergCommitLosesARace(t *testing.T) {
	srv := awstest.Start(t)
	ctx, cat := lake(t, srv)
	tbl := createOrders(ctx, t, cat)
	raced := false
	srv.OnRequest(func(r *wiretest.Request) wiretest.Verdict {
		if r.Operation == "UpdateTable" && !raced {
			raced = true
			if _, err := tbl.AppendTable(ctx, rows(t, tbl, 0, 1), 1, nil); err != nil {
				t.Errorf("the other writer: %v", err)
			}
		}
		return wiretest.Do()
	})
	_, err := tbl.AppendTable(ctx, rows(t, tbl, 1, 2), 1, nil)
	wantCode(t, err, awstest.ConcurrentModificationException)
	srv.OnRequest(nil)
	if tbl, err = cat.LoadTable(ctx, table.Identifier{"shop", "orders"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int64{0}, scan(ctx, t, tbl)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestIcebergCommitLosesItsReply(t *testing.T) {
	srv := awstest.Start(t)
	ctx, cat := lake(t, srv)
	tbl := createOrders(ctx, t, cat)
	srv.OnRequest(wiretest.Meet("UpdateTable", wiretest.DoThenRefuse(http.StatusInternalServerError, awstest.InternalServiceException)))
	_, err := tbl.AppendTable(ctx, rows(t, tbl, 0, 1), 1, nil)
	wantCode(t, err, awstest.ConcurrentModificationException) // Of the retry, which meets the first attempt's success.
	if tbl, err = cat.LoadTable(ctx, table.Identifier{"shop", "orders"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int64{0}, scan(ctx, t, tbl)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestIcebergStorageUploadsInPartsAndReadsRanges(t *testing.T) {
	servers(t, func(t *testing.T, srv *awstest.Server) {
		ctx, _ := lake(t, srv)
		fs, err := iceio.LoadFS(ctx, nil, "s3://lake/")
		if err != nil {
			t.Fatal(err)
		}
		body := noise(17 << 20)
		f, err := fs.(iceio.WriteFileIO).Create("s3://lake/data/big")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(f, bytes.NewReader(body)); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if left := srv.Uploads("lake"); len(left) != 0 {
			t.Errorf("unfinished uploads: %v", left)
		}
		if o, _ := srv.Object("lake", "data/big"); o.Parts != 3 || !bytes.Equal(o.Body, body) {
			t.Errorf("object of %d bytes in %d parts", len(o.Body), o.Parts)
		}
		in, err := fs.Open("s3://lake/data/big")
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		part := make([]byte, 1000)
		if _, err := in.ReadAt(part, 8<<20-500); err != nil || !bytes.Equal(part, body[8<<20-500:8<<20+500]) {
			t.Errorf("read across the parts' border: %v", err)
		}
		if err := fs.Remove("s3://lake/data/big"); err != nil || len(srv.Keys("lake")) != 0 {
			t.Errorf("remove: %v; keys %v", err, srv.Keys("lake"))
		}
	})
}
