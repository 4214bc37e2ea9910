package glueproxy_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/cdcd-project/cdcd/e2e/glueproxy"
)

// lax is a Glue server that ignores VersionId, like the one that the proxy stands before.
type lax struct{ location string }

func (l *lax) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	switch r.Header.Get("X-Amz-Target") {
	case "AWSGlue.GetTable":
		_ = json.NewEncoder(w).Encode(map[string]any{"Table": map[string]any{
			"Name": "customer", "VersionId": "7", "Parameters": map[string]string{"metadata_location": l.location},
		}})
	case "AWSGlue.UpdateTable":
		var update struct {
			TableInput struct{ Parameters map[string]string }
		}
		_ = json.Unmarshal(body, &update)
		l.location = update.TableInput.Parameters["metadata_location"]
	case "AWSGlue.DeleteTable":
	default:
		_, _ = io.WriteString(w, "passed through: "+r.URL.Path)
	}
}

func call(t *testing.T, base, operation, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Amz-Target", "AWSGlue."+operation)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func version(t *testing.T, base string) string {
	t.Helper()
	_, body := call(t, base, "GetTable", `{"DatabaseName":"db","Name":"customer"}`)
	var answer struct {
		Table struct{ VersionId string } //nolint:revive // Glue's name.
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("GetTable: %v: %s", err, body)
	}
	return answer.Table.VersionId
}

func update(versionMember, location string) string {
	return `{"DatabaseName":"db",` + versionMember + `"TableInput":{"Name":"customer","Parameters":{"metadata_location":"` + location + `"}}}`
}

func start(t *testing.T) (base string, glue *lax, proxy *glueproxy.Proxy) {
	t.Helper()
	glue = &lax{location: "0"}
	upstream := httptest.NewServer(glue)
	t.Cleanup(upstream.Close)
	target, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy = glueproxy.New(target)
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.URL, glue, proxy
}

func TestStaleVersionIsRefusedAndChangesNothing(t *testing.T) {
	base, glue, proxy := start(t)
	stale := version(t, base)
	if status, body := call(t, base, "UpdateTable", update(`"VersionId":"`+stale+`",`, "first")); status != http.StatusOK {
		t.Fatalf("the first update: %d %s", status, body)
	}
	status, body := call(t, base, "UpdateTable", update(`"VersionId":"`+stale+`",`, "second"))
	if status != http.StatusBadRequest || !strings.Contains(body, `"__type":"ConcurrentModificationException"`) {
		t.Errorf("a stale update: %d %s, want 400 ConcurrentModificationException", status, body)
	}
	if glue.location != "first" {
		t.Errorf("the table points to %q after a refused update, want %q", glue.location, "first")
	}
	if _, refused := proxy.Calls(); refused != 1 {
		t.Errorf("%d requests refused, want 1", refused)
	}
}

func TestFreshVersionIsAcceptedAndCountsUp(t *testing.T) {
	base, glue, proxy := start(t)
	for _, location := range []string{"a", "b", "c"} {
		if status, body := call(t, base, "UpdateTable", update(`"VersionId":"`+version(t, base)+`",`, location)); status != http.StatusOK {
			t.Fatalf("update to %s: %d %s", location, status, body)
		}
	}
	if glue.location != "c" {
		t.Errorf("the table points to %q, want c", glue.location)
	}
	calls, _ := proxy.Calls()
	if want := []string{"GetTable db.customer", "UpdateTable db.customer"}; !slices.Equal(calls[:2], want) {
		t.Errorf("calls begin with %q, want %q", calls[:2], want)
	}
	if n := proxy.Versions()["db.customer"]; n != 3 {
		t.Errorf("version %d after three updates", n)
	}
}

func TestUpdateWithoutVersionIsNotChecked(t *testing.T) {
	base, glue, _ := start(t)
	before := version(t, base)
	if status, body := call(t, base, "UpdateTable", update("", "forced")); status != http.StatusOK || glue.location != "forced" {
		t.Errorf("an update without VersionId: %d %s, the table points to %q", status, body, glue.location)
	}
	if after := version(t, base); after == before {
		t.Error("an update without VersionId left the version as it was")
	}
}

func TestOtherServicesPassThrough(t *testing.T) {
	base, _, proxy := start(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/bucket/key", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Amz-Server-Side-Encryption", "aws:kms")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if objects, want := proxy.Objects(), []string{"GET /bucket/key aws:kms"}; !slices.Equal(objects, want) {
		t.Errorf("objects %q, want %q", objects, want)
	}
	if body, _ := io.ReadAll(response.Body); string(body) != "passed through: /bucket/key" {
		t.Errorf("answer %q", body)
	}
	if calls, _ := proxy.Calls(); len(calls) != 0 {
		t.Errorf("calls %q, want none", calls)
	}
}
