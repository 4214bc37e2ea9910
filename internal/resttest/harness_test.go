package resttest_test

import (
	"testing"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog/rest"
	"github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/resttest"
)

// connect returns iceberg-go's client of a server.
func connect(t *testing.T, s *resttest.Server, options ...rest.Option) *rest.Catalog {
	t.Helper()
	cat, err := rest.NewCatalog(t.Context(), "test", s.URL(), append(options, rest.WithWarehouseLocation(s.Warehouse()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cat.Close(); err != nil {
			t.Error(err)
		}
	})
	return cat
}

func orders() table.Identifier { return table.Identifier{"shop", "orders"} }

// connectWithTable returns a client of a catalog that holds shop.orders.
func connectWithTable(t *testing.T) (*resttest.Server, *rest.Catalog, *table.Table) {
	t.Helper()
	s := resttest.Start(t)
	cat := connect(t, s)
	if err := cat.CreateNamespace(t.Context(), table.Identifier{"shop"}, nil); err != nil {
		t.Fatal(err)
	}
	schema := iceberg.NewSchema(0, iceberg.NestedField{ID: 1, Name: "id", Type: iceberg.PrimitiveTypes.Int64, Required: true})
	loaded, err := cat.CreateTable(t.Context(), orders(), schema)
	if err != nil {
		t.Fatal(err)
	}
	s.Reset()
	return s, cat, loaded
}

// set commits a property, under the requirement that the table is the one that was loaded.
func set(t *testing.T, cat *rest.Catalog, loaded *table.Table, value string) error {
	t.Helper()
	_, _, err := cat.CommitTable(t.Context(), orders(),
		[]table.Requirement{table.AssertTableUUID(loaded.Metadata().TableUUID())},
		[]table.Update{table.NewSetPropertiesUpdate(iceberg.Properties{"k": value})})
	return err
}

// wantProperty checks the property of shop.orders, and that metadata.json says the same.
func wantProperty(t *testing.T, cat *rest.Catalog, value string) {
	t.Helper()
	loaded, err := cat.LoadTable(t.Context(), orders())
	if err != nil {
		t.Fatal(err)
	}
	fs, err := loaded.FS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file, err := fs.Open(loaded.MetadataLocation())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	stored, err := table.ParseMetadata(file)
	if err != nil {
		t.Fatal(err)
	}
	if got, kept := loaded.Properties()["k"], stored.Properties()["k"]; got != value || kept != value {
		t.Errorf("the property is %q, in metadata.json %q; want %q", got, kept, value)
	}
}

func operations(s *resttest.Server) []string {
	var list []string
	for _, r := range s.Requests() {
		list = append(list, r.String())
	}
	return list
}
