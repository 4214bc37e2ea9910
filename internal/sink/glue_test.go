package sink

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
)

// Lake Formation, optimizers and people set things on a Glue table that are none of ours.
func TestGlueKeepsWhatOthersSet(t *testing.T) {
	w := newWorld(t, "glue")
	client := glue.NewFromConfig(*w.cat.(*Catalog).aws)
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
