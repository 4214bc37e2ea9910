package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cdcd-project/cdcd/internal/row"
)

const examplePath = "../../config.example.toml"

var compareTables = cmp.AllowUnexported(Config{}, Secret{})

// minimal is the shortest valid file.
const minimal = `
kafka.brokers = ["broker:9092"]
catalog.uri = "sqlite:///tmp/catalog.db"
catalog.warehouse = "file:///tmp/warehouse"
table = [{topic = "a.b.c", name = "b.c"}]
`

func load(t *testing.T, text string) (*Config, error) {
	t.Helper()
	return parse("cdcd.toml", []byte(text))
}

func mustLoad(t *testing.T, text string) *Config {
	t.Helper()
	c, err := load(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestExampleIsTheDefaultsAndTheRequiredKeys(t *testing.T) {
	got, err := Load(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Kafka.Brokers = []string{"127.0.0.1:9092"}
	want.Catalog.URI = "sqlite:///var/lib/cdcd/catalog.db"
	want.Catalog.Warehouse = "file:///var/lib/cdcd/warehouse"
	want.Catalog.Properties = map[string]string{}
	want.Defaults.Types = map[string]row.Type{}
	want.Defaults.SideTopics = map[string]string{}
	want.tables = []Table{
		{Topic: "shop.salesdb.customer", Name: "salesdb.customer", TableOptions: want.Defaults},
		{Topic: "shop.salesdb.order_item", Name: "salesdb.order_item", TableOptions: want.Defaults},
	}
	if diff := cmp.Diff(&want, got, compareTables); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestExampleShowsEveryKey(t *testing.T) {
	text, err := os.ReadFile(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	uncommented := regexp.MustCompile(`(?m)^#([\[a-z])`).ReplaceAll(text, []byte("$1"))
	positions := locate(uncommented)
	for _, path := range append(paths("", reflect.TypeFor[Config]()), paths("table", reflect.TypeFor[Table]())...) {
		option, ofTable := strings.CutPrefix(path, "table.")
		places := []string{path}
		if ofTable {
			places = append(places, "defaults."+option, "table[0]."+option, "table[1]."+option)
		}
		if !slices.ContainsFunc(places, func(place string) bool { _, ok := positions[place]; return ok }) {
			t.Errorf("config.example.toml lacks %s", path)
		}
	}
	for _, name := range []string{"CDCD_PASSWORD", "CDCD_REST_CREDENTIAL", "CDCD_REST_TOKEN", "CDCD_REGISTRY_PASSWORD", "CDCD_REGISTRY_TOKEN"} {
		t.Setenv(name, "secret")
	}
	_, err = parse("example", uncommented)
	for line := range strings.Lines(errorText(err)) {
		// The example's certificates are not on this machine, and the keys of other catalogs and registries contradict the example's own.
		if !strings.Contains(line, "/etc/cdcd/") && !strings.Contains(line, "is for catalog.type = ") && !strings.Contains(line, "is for registry.type = ") {
			t.Errorf("with every setting on: %s", line)
		}
	}
}

// paths returns the paths of all keys of a struct type.
func paths(prefix string, s reflect.Type) []string {
	var all []string
	for field := range s.Fields() {
		path, tag := prefix, field.Tag.Get("toml")
		if tag != "" {
			path = join(prefix, tag)
			all = append(all, path)
		}
		inner := field.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && (tag != "" || field.Anonymous) {
			all = append(all, paths(path, inner)...)
		}
	}
	return all
}

func TestDefaultsAreValid(t *testing.T) {
	c := mustLoad(t, minimal)
	d := Default()
	everyKey := &faults{file: "defaults", positions: map[string]position{}}
	for _, path := range paths("", reflect.TypeFor[Config]()) {
		everyKey.positions[path] = position{1, 1}
	}
	d.Kafka.Brokers, d.Catalog.URI, d.Catalog.Warehouse, d.tables = c.Kafka.Brokers, c.Catalog.URI, c.Catalog.Warehouse, c.tables
	everyKey.validate(&d)
	if err := everyKey.err(); err != nil {
		t.Error(err)
	}
}

func TestTableInheritsDefaultsKeyByKey(t *testing.T) {
	c := mustLoad(t, `
[[table]]
topic = "t1"
name = "n.t1"
commit_interval = "5s"
retain.snapshots = 7
types = {price = "decimal(10,2)", at = "timestamp"}
key = ["id"]

[[table]]
topic = "t1"
name = "n.t2"

[defaults]
commit_interval = "30s"
start = "earliest"
retain = {age = "1h"}
types = {at = "timestamptz"}

[kafka]
brokers = ["b:1"]
[catalog]
uri = "sqlite:catalog.db"
warehouse = "file:///w/"
`)
	options := Default().Defaults
	options.Start = "earliest"
	options.CommitInterval = Duration{30 * time.Second}
	options.Retain.Age = Duration{time.Hour}
	options.Types = map[string]row.Type{"at": {Kind: row.TimestampTZ}}
	first := Table{Topic: "t1", Name: "n.t1", Key: []string{"id"}, TableOptions: options}
	first.CommitInterval = Duration{5 * time.Second}
	first.Retain.Snapshots = 7
	first.Types = map[string]row.Type{"at": {Kind: row.Timestamp}, "price": {Kind: row.Decimal, Precision: 10, Scale: 2}}
	want := []Table{first, {Topic: "t1", Name: "n.t2", TableOptions: options}}
	if diff := cmp.Diff(want, c.Tables()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got, want := c.Tables()[0].Namespace()+" "+c.Tables()[0].Table(), "n t1"; got != want {
		t.Errorf("namespace and table = %q, want %q", got, want)
	}
	if got, want := c.Catalog.Warehouse, "file:///w"; got != want {
		t.Errorf("warehouse = %q, want %q", got, want)
	}
	if got, want := c.Catalog.Database(), "catalog.db"; got != want {
		t.Errorf("database = %q, want %q", got, want)
	}
}

func TestAbsentFileIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "absent.toml")
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("err = %v, want it to name %s", err, path)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func FuzzLoad(f *testing.F) {
	example, err := os.ReadFile(examplePath)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Add([]byte(minimal))
	seedFiles(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parse("cdcd.toml", text)
		if (c == nil) == (err == nil) {
			t.Fatalf("config %v and error %v", c, err)
		}
		for line := range strings.Lines(errorText(err)) {
			if !regexp.MustCompile(`^cdcd\.toml:\d+:\d+: .`).MatchString(line) {
				t.Fatalf("fault without a place: %q", line)
			}
		}
	})
}

// Formats that are "auto" are those of the registry.
func TestFormatsGoByTheRegistry(t *testing.T) {
	confluent := "registry.type = \"confluent\"\nregistry.url = \"http://r:8081\"\n"
	for _, tc := range []struct{ settings, value, key string }{
		{"", "json", "json"},
		{confluent, "avro-confluent", "avro-confluent"},
		{"registry.type = \"glue\"\n", "avro-glue", "avro-glue"},
		{confluent + "defaults.format = \"json\"\n", "json", "json"},
		{confluent + "defaults.key_format = \"json\"\n", "avro-confluent", "json"},
		{confluent + "defaults.format = \"json\"\ndefaults.key_format = \"auto\"\n", "json", "avro-confluent"},
	} {
		c := mustLoad(t, minimal+tc.settings)
		if value, key := c.Formats(c.Tables()[0]); value != tc.value || key != tc.key {
			t.Errorf("%q: got %s and %s, want %s and %s", tc.settings, value, key, tc.value, tc.key)
		}
	}
}
