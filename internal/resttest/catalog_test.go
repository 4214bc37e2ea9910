package resttest_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/catalog/rest"
	"github.com/apache/iceberg-go/table"
	"github.com/google/go-cmp/cmp"

	"github.com/cdcd-project/cdcd/internal/resttest"
	"github.com/cdcd-project/cdcd/internal/wiretest"
)

func TestNamespaces(t *testing.T) {
	s := resttest.StartWith(t, resttest.Options{Prefix: "p"})
	cat := connect(t, s)
	ctx, shop := t.Context(), table.Identifier{"shop"}
	if exists, err := cat.CheckNamespaceExists(ctx, shop); exists || err != nil {
		t.Errorf("before it was created: %t, %v", exists, err)
	}
	if err := cat.CreateNamespace(ctx, shop, iceberg.Properties{"owner": "me"}); err != nil {
		t.Fatal(err)
	}
	if err := cat.CreateNamespace(ctx, shop, nil); !errors.Is(err, catalog.ErrNamespaceAlreadyExists) {
		t.Errorf("the second creation ended with %v", err)
	}
	if list, err := cat.ListNamespaces(ctx, nil); err != nil || !slices.EqualFunc(list, []table.Identifier{shop}, slices.Equal) {
		t.Errorf("listed %v, %v", list, err)
	}
	if properties, err := cat.LoadNamespaceProperties(ctx, shop); err != nil || properties["owner"] != "me" {
		t.Errorf("properties %v, %v", properties, err)
	}
	if err := cat.DropNamespace(ctx, shop); err != nil {
		t.Error(err)
	}
	if err := cat.DropNamespace(ctx, shop); !errors.Is(err, catalog.ErrNoSuchNamespace) {
		t.Errorf("the second drop ended with %v", err)
	}
	want := []string{
		"rest getConfig", "rest namespaceExists shop", "rest createNamespace", "rest createNamespace", "rest listNamespaces", "rest loadNamespaceMetadata shop",
		"rest dropNamespace shop", "rest dropNamespace shop",
	}
	if diff := cmp.Diff(want, operations(s)); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestTables(t *testing.T) {
	s, cat, created := connectWithTable(t)
	ctx := t.Context()
	if got := created.Location(); got != s.Warehouse()+"/shop/orders" {
		t.Errorf("the table is at %s", got)
	}
	if _, err := cat.CreateTable(ctx, orders(), created.Schema()); !errors.Is(err, catalog.ErrTableAlreadyExists) {
		t.Errorf("the second creation ended with %v", err)
	}
	if _, err := cat.CreateTable(ctx, table.Identifier{"none", "orders"}, created.Schema()); !errors.Is(err, catalog.ErrNoSuchNamespace) {
		t.Errorf("a creation in no namespace ended with %v", err)
	}
	for ident, err := range cat.ListTables(ctx, table.Identifier{"shop"}) {
		if err != nil || strings.Join(ident, ".") != "shop.orders" {
			t.Errorf("listed %v, %v", ident, err)
		}
	}
	if exists, err := cat.CheckTableExists(ctx, orders()); !exists || err != nil {
		t.Errorf("exists: %t, %v", exists, err)
	}
	if err := cat.DropNamespace(ctx, table.Identifier{"shop"}); !errors.Is(err, catalog.ErrNamespaceNotEmpty) {
		t.Errorf("the drop of a full namespace ended with %v", err)
	}
	if err := cat.DropTable(ctx, orders()); err != nil {
		t.Error(err)
	}
	if _, err := cat.LoadTable(ctx, orders()); !errors.Is(err, catalog.ErrNoSuchTable) {
		t.Errorf("loading what was dropped ended with %v", err)
	}
	if err := set(t, cat, created, "late"); !errors.Is(err, catalog.ErrNoSuchTable) {
		t.Errorf("a commit to what was dropped ended with %v", err)
	}
}

func TestCommitsAreCheckedAndApplied(t *testing.T) {
	s, cat, loaded := connectWithTable(t)
	if err := set(t, cat, loaded, "1"); err != nil {
		t.Fatal(err)
	}
	wantProperty(t, cat, "1")
	stale := []table.Requirement{table.AssertLastAssignedFieldID(99)}
	_, _, err := cat.CommitTable(t.Context(), orders(), stale, []table.Update{table.NewSetPropertiesUpdate(iceberg.Properties{"k": "2"})})
	if !errors.Is(err, table.ErrCommitFailed) {
		t.Errorf("a failed requirement ended with %v", err)
	}
	_, _, err = cat.CommitTable(t.Context(), orders(), nil, []table.Update{table.NewSetCurrentSchemaUpdate(99)})
	if !errors.Is(err, rest.ErrBadRequest) {
		t.Errorf("an impossible update ended with %v", err)
	}
	wantProperty(t, cat, "1")
	r := s.Requests()[0]
	if diff := cmp.Diff([]string{"assert-table-uuid"}, r.Requirements); diff != "" || !slices.Equal(r.Updates, []string{"set-properties"}) {
		t.Errorf("recorded requirements %v, updates %v", r.Requirements, r.Updates)
	}
	if r.Operation != "updateTable" || !r.Applied || r.Status != http.StatusOK || r.Code != "" {
		t.Errorf("recorded %+v", r)
	}
	if r := s.Requests()[2]; r.Applied || r.Status != http.StatusConflict || r.Code != resttest.CommitFailedException {
		t.Errorf("recorded %+v", r)
	}
}

func TestVerdictsOnUpdateTable(t *testing.T) {
	for _, test := range []struct {
		name    string
		verdict wiretest.Verdict
		want    error // nil: not one of the client's.
		applied bool
	}{
		{"conflict", wiretest.Refuse(http.StatusConflict, resttest.CommitFailedException), rest.ErrCommitFailed, false},
		{"forbidden", wiretest.Refuse(http.StatusForbidden, resttest.NotAuthorizedException), rest.ErrForbidden, false},
		{"busy", wiretest.Refuse(http.StatusServiceUnavailable, resttest.SlowDownException), rest.ErrCommitStateUnknown, false},
		{"done and failed", wiretest.DoThenRefuse(http.StatusInternalServerError, resttest.CommitStateUnknownException), rest.ErrCommitStateUnknown, true},
		{"cut off", wiretest.Drop(), nil, false},
		{"done and cut off", wiretest.DoThenDrop(), nil, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, cat, loaded := connectWithTable(t)
			s.OnRequest(func(r *wiretest.Request) wiretest.Verdict {
				if r.String() != "rest updateTable shop.orders" || r.Status != 0 {
					t.Errorf("asked about %+v", r)
				}
				return test.verdict
			})
			err := set(t, cat, loaded, "x")
			s.OnRequest(nil)
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("the commit ended with %v, want %v", err, test.want)
			}
			if r := s.Requests(); len(r) != 1 || r[0].Applied != test.applied || (r[0].Status == 0) != (test.want == nil) {
				t.Errorf("recorded %+v", r)
			}
			if test.applied {
				wantProperty(t, cat, "x")
			} else {
				wantProperty(t, cat, "")
			}
		})
	}
}

func TestWhatIsNotModelledIsRefused(t *testing.T) {
	s, cat, created := connectWithTable(t)
	if _, err := cat.RenameTable(t.Context(), orders(), table.Identifier{"shop", "other"}); !errors.Is(err, rest.ErrEndpointNotSupported) {
		t.Errorf("renaming ended with %v", err)
	}
	if err := cat.PurgeTable(t.Context(), orders()); !errors.Is(err, rest.ErrBadRequest) {
		t.Errorf("purging ended with %v", err)
	}
	staged := catalog.WithStagedUpdates(table.NewSetPropertiesUpdate(iceberg.Properties{"k": "v"}))
	if _, err := cat.CreateTable(t.Context(), table.Identifier{"shop", "staged"}, created.Schema(), staged); err == nil {
		t.Error("a staged creation succeeded")
	}
	s.Reset()
	resp, err := http.Get(s.URL() + "/v2/anything")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if r := s.Requests()[0]; resp.StatusCode != http.StatusNotAcceptable || r.Operation != "GET /v2/anything" || r.Code != resttest.UnsupportedOperationException {
		t.Errorf("status %d, recorded %+v", resp.StatusCode, r)
	}
}
