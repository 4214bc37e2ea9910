package awstest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cdcd-project/cdcd/internal/awstest"
)

func TestTableKeepsEverythingItWasSent(t *testing.T) {
	srv, client := glueWithTable(t)
	accessed := time.Unix(1700000000, 0).UTC()
	sent := &gluetypes.TableInput{
		Name: aws.String("Line_Items"), Description: aws.String("Bought\nthings."), Owner: aws.String("shop"), TableType: aws.String("EXTERNAL_TABLE"),
		LastAccessTime: &accessed, Retention: 7, Parameters: map[string]string{"table_type": "ICEBERG", "Mixed.Case": "Kept", "empty": ""},
		PartitionKeys: []gluetypes.Column{{Name: aws.String("day"), Type: aws.String("date")}},
		StorageDescriptor: &gluetypes.StorageDescriptor{
			Location: aws.String("s3://lake/line_items"), AdditionalLocations: []string{"s3://lake/elsewhere"},
			Columns: []gluetypes.Column{{Name: aws.String("Id"), Type: aws.String("bigint"), Comment: aws.String("Key."), Parameters: map[string]string{"iceberg.field.id": "1"}}},
		},
	}
	if _, err := client.CreateTable(t.Context(), &glue.CreateTableInput{DatabaseName: aws.String("SHOP"), TableInput: sent}); err != nil {
		t.Fatal(err)
	}
	out, err := client.GetTable(t.Context(), &glue.GetTableInput{DatabaseName: aws.String("shop"), Name: aws.String("LINE_items")})
	if err != nil {
		t.Fatal(err)
	}
	got := out.Table
	want := &gluetypes.Table{
		Name: aws.String("line_items"), DatabaseName: aws.String("shop"), VersionId: aws.String("0"), CatalogId: aws.String(awstest.AccountID),
		CreateTime: got.CreateTime, UpdateTime: got.UpdateTime, CreatedBy: got.CreatedBy,
		Description: sent.Description, Owner: sent.Owner, TableType: sent.TableType, LastAccessTime: sent.LastAccessTime, Retention: sent.Retention,
		Parameters: sent.Parameters, PartitionKeys: sent.PartitionKeys, StorageDescriptor: sent.StorageDescriptor,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(gluetypes.Table{}, gluetypes.Column{}, gluetypes.StorageDescriptor{})); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	if got.CreateTime == nil || time.Since(*got.CreateTime) > time.Hour {
		t.Errorf("created at %v, want about now", got.CreateTime)
	}
	r := srv.Requests()[0]
	if r.Namespace != "SHOP" || r.Table != "Line_Items" || r.AccessKeyID != awstest.AccessKeyID || r.SignedFor != awstest.Region+"/glue" || r.RequestBytes == 0 {
		t.Errorf("recorded %+v", r)
	}
}

func TestUpdateTableWithStaleVersionConflicts(t *testing.T) {
	srv, client := glueWithTable(t)
	if err := update(t, client, "1", aws.String("0")); err != nil {
		t.Fatal(err)
	}
	err := update(t, client, "mine", aws.String("0"))
	if _, ok := errors.AsType[*gluetypes.ConcurrentModificationException](err); !ok {
		t.Errorf("stale version: %v, want ConcurrentModificationException", err)
	}
	wantTable(t, srv, "1", "1")
	if err := update(t, client, "2", nil); err != nil {
		t.Errorf("without a version: %v", err)
	}
	wantTable(t, srv, "2", "2")
	for _, r := range srv.Requests() {
		if !r.SkipArchive {
			t.Errorf("%v: SkipArchive was not recorded", r)
		}
	}
	if r := srv.Requests()[1]; r.VersionID != "0" || r.Status != 400 || r.Code != awstest.ConcurrentModificationException || r.Applied {
		t.Errorf("recorded conflict as %+v", r)
	}
}

func TestVersionsAreArchivedUnlessSkipped(t *testing.T) {
	_, client := glueWithTable(t)
	if err := update(t, client, "1", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := client.UpdateTable(t.Context(), &glue.UpdateTableInput{DatabaseName: aws.String("shop"), TableInput: tableInput("orders", "2")}); err != nil {
		t.Fatal(err)
	}
	out, err := client.GetTableVersions(t.Context(), &glue.GetTableVersionsInput{DatabaseName: aws.String("shop"), TableName: aws.String("orders")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range out.TableVersions {
		got = append(got, aws.ToString(v.VersionId)+"="+v.Table.Parameters["metadata_location"])
	}
	if diff := cmp.Diff([]string{"2=2", "1=1"}, got); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
}

func TestGlueRefusals(t *testing.T) {
	column := func(c gluetypes.Column) *gluetypes.TableInput {
		in := tableInput("new", "0")
		in.StorageDescriptor = &gluetypes.StorageDescriptor{Columns: []gluetypes.Column{c}}
		return in
	}
	create := func(in *gluetypes.TableInput) func(*testing.T, *glue.Client) error {
		return func(t *testing.T, client *glue.Client) error {
			_, err := client.CreateTable(t.Context(), &glue.CreateTableInput{DatabaseName: aws.String("shop"), TableInput: in})
			return err
		}
	}
	id := aws.String("id")
	for _, test := range []struct {
		name, code string
		call       func(*testing.T, *glue.Client) error
	}{
		{"a second table of one name in another case", awstest.AlreadyExistsException, create(tableInput("ORDERS", "0"))},
		{"an empty table name", awstest.ValidationException, create(tableInput("", "0"))},
		{"a table name of 256 bytes", awstest.ValidationException, create(tableInput(strings.Repeat("t", 256), "0"))},
		{"a column comment of 256 bytes", awstest.ValidationException, create(column(gluetypes.Column{Name: id, Comment: aws.String(strings.Repeat("é", 128))}))},
		{"a column comment of two lines", awstest.ValidationException, create(column(gluetypes.Column{Name: id, Comment: aws.String("a\nb")}))},
		{"a column name of 256 bytes", awstest.ValidationException, create(column(gluetypes.Column{Name: aws.String(strings.Repeat("c", 256))}))},
		{"a column type of 131073 bytes", awstest.ValidationException, create(column(gluetypes.Column{Name: id, Type: aws.String(strings.Repeat("x", 131073))}))},
		{"a missing table", awstest.EntityNotFoundException, func(t *testing.T, client *glue.Client) error {
			_, err := client.GetTable(t.Context(), &glue.GetTableInput{DatabaseName: aws.String("shop"), Name: aws.String("gone")})
			return err
		}},
		{"an update of a missing table", awstest.EntityNotFoundException, func(t *testing.T, client *glue.Client) error {
			_, err := client.UpdateTable(t.Context(), &glue.UpdateTableInput{DatabaseName: aws.String("shop"), TableInput: tableInput("gone", "1")})
			return err
		}},
		{"tables of a missing database", awstest.EntityNotFoundException, func(t *testing.T, client *glue.Client) error {
			_, err := client.GetTables(t.Context(), &glue.GetTablesInput{DatabaseName: aws.String("gone")})
			return err
		}},
		{"another account's catalog", awstest.AccessDeniedException, func(t *testing.T, client *glue.Client) error {
			_, err := client.GetTable(t.Context(), &glue.GetTableInput{CatalogId: aws.String("999999999999"), DatabaseName: aws.String("shop"), Name: aws.String("orders")})
			return err
		}},
		{"an operation that is not modelled", "UnknownOperationException", func(t *testing.T, client *glue.Client) error {
			_, err := client.GetPartitions(t.Context(), &glue.GetPartitionsInput{DatabaseName: aws.String("shop"), TableName: aws.String("orders")})
			return err
		}},
		{"an input that is not modelled", awstest.InvalidInputException, func(t *testing.T, client *glue.Client) error {
			_, err := client.GetTables(t.Context(), &glue.GetTablesInput{DatabaseName: aws.String("shop"), Expression: aws.String("o.*")})
			return err
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			srv, client := glueWithTable(t)
			wantCode(t, test.call(t, client), test.code)
			if r := srv.Requests(); len(r) != 1 || r[0].Applied || r[0].Code != test.code {
				t.Errorf("recorded %+v", r)
			}
		})
	}
	t.Run("limits are kept to the byte", func(t *testing.T) {
		_, client := glueWithTable(t)
		if err := create(column(gluetypes.Column{Name: aws.String(strings.Repeat("c", 255)), Comment: aws.String(strings.Repeat("\t", 255))}))(t, client); err != nil {
			t.Error(err)
		}
	})
}

func TestListsArePaged(t *testing.T) {
	_, client := glueWithTable(t)
	for i := range 250 {
		if _, err := client.CreateTable(t.Context(), &glue.CreateTableInput{DatabaseName: aws.String("shop"), TableInput: tableInput(fmt.Sprintf("t%03d", i), "0")}); err != nil {
			t.Fatal(err)
		}
	}
	for _, limit := range []*int32{nil, aws.Int32(1), aws.Int32(99), aws.Int32(100)} {
		var got []string
		pages := glue.NewGetTablesPaginator(client, &glue.GetTablesInput{DatabaseName: aws.String("shop"), MaxResults: limit})
		for pages.HasMorePages() {
			out, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, table := range out.TableList {
				got = append(got, aws.ToString(table.Name))
			}
		}
		if len(got) != 251 || got[0] != "orders" || got[1] != "t000" || got[250] != "t249" {
			t.Errorf("limit %v: listed %d tables: %v", aws.ToInt32(limit), len(got), got)
		}
	}
}

func TestDatabaseLifecycle(t *testing.T) {
	srv, client := glueWithTable(t)
	input := &gluetypes.DatabaseInput{Name: aws.String("Shop"), Description: aws.String("Sales."), LocationUri: aws.String("s3://lake/shop"), Parameters: map[string]string{"a": "b"}}
	if _, err := client.UpdateDatabase(t.Context(), &glue.UpdateDatabaseInput{Name: aws.String("shop"), DatabaseInput: input}); err != nil {
		t.Fatal(err)
	}
	out, err := client.GetDatabase(t.Context(), &glue.GetDatabaseInput{Name: aws.String("SHOP")})
	if err != nil {
		t.Fatal(err)
	}
	if d := out.Database; aws.ToString(d.Name) != "shop" || aws.ToString(d.LocationUri) != "s3://lake/shop" || d.Parameters["a"] != "b" || d.CreateTime == nil {
		t.Errorf("database is %+v", d)
	}
	_, err = client.CreateDatabase(t.Context(), &glue.CreateDatabaseInput{DatabaseInput: input})
	wantCode(t, err, awstest.AlreadyExistsException)
	if _, err := client.DeleteDatabase(t.Context(), &glue.DeleteDatabaseInput{Name: aws.String("shop")}); err != nil {
		t.Fatal(err)
	}
	if _, ok := srv.Table("shop", "orders"); ok {
		t.Error("the table outlived its database")
	}
	_, err = client.GetDatabase(t.Context(), &glue.GetDatabaseInput{Name: aws.String("shop")})
	wantCode(t, err, awstest.EntityNotFoundException)
	list, err := client.GetDatabases(t.Context(), &glue.GetDatabasesInput{})
	if err != nil || len(list.DatabaseList) != 0 {
		t.Errorf("listed %v, %v", list, err)
	}
}
