package config

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

func (f *faults) catalog(c *Catalog) {
	f.choice("catalog.type", c.Type, []string{"sql", "glue", "rest"})
	f.catalogURI(c)
	f.warehouse(c)
	for _, secret := range []struct {
		key   string
		value Secret
	}{{"credential", c.Credential}, {"token", c.Token}} {
		if secret.value.Reveal() != "" && c.Type != "rest" {
			f.addf(join("catalog", secret.key), `is for catalog.type = "rest" only: remove it`)
		}
	}
	for key := range c.Properties {
		if slices.Contains([]string{"type", "uri", "warehouse", "sql.dialect", "sql.driver", "init_catalog_tables", "credential", "token"}, key) {
			f.addf(join("catalog.properties", key), "is set by cdcd itself: remove it, and use the keys of [catalog]")
		}
	}
}

func (f *faults) catalogURI(c *Catalog) {
	switch {
	case c.Type == "glue" && c.URI != "":
		f.addf("catalog.uri", "is not for Glue: remove it, and write aws.glue_endpoint for another endpoint than the region's")
	case c.Type == "rest" && !webAddress(c.URI):
		f.addf("catalog.uri", `is %q: write the address of the REST catalog, "https://host/path"`, c.URI)
	case c.Type != "sql":
	case c.URI == "":
		f.addf("catalog.uri", `is missing: write uri = "sqlite:///absolute/path/catalog.db" into [catalog]`)
	case c.Database() == "":
		f.addf("catalog.uri", `is %q: write "sqlite:///absolute/path/catalog.db" or "sqlite:relative/path/catalog.db", without ?, # and %%`, c.URI)
	}
}

// bucket is what a warehouse on S3 looks like: a bucket and a folder in it, since some engines refuse a table at the root.
var bucket = regexp.MustCompile(`^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9!_.*'()=-]+)+/?$`)

func (f *faults) warehouse(c *Catalog) {
	if c.Type == "rest" {
		return // The server's own name for it, in whatever form.
	}
	folder, local := strings.CutPrefix(c.Warehouse, "file://")
	switch {
	case c.Warehouse == "":
		f.addf("catalog.warehouse", `is missing: write warehouse = "file:///absolute/path" or "s3://bucket/prefix" into [catalog]`)
	case strings.HasPrefix(c.Warehouse, "s3:") && !bucket.MatchString(c.Warehouse), strings.HasPrefix(c.Warehouse, "s3a:"):
		f.addf("catalog.warehouse", `is %q: write "s3://bucket/prefix"`, c.Warehouse)
	case strings.HasPrefix(c.Warehouse, "s3:"):
		c.Warehouse = strings.TrimSuffix(c.Warehouse, "/")
	case c.Type == "glue":
		f.addf("catalog.warehouse", `is %q, which Glue's readers cannot reach: write "s3://bucket/prefix"`, c.Warehouse)
	case !local || !path.IsAbs(folder) || path.Clean(folder) != strings.TrimSuffix(folder, "/") || strings.ContainsAny(folder, "?#%"):
		f.addf("catalog.warehouse", `is %q: write "file:///absolute/path", without .., ?, # and %%, or "s3://bucket/prefix"`, c.Warehouse)
	default:
		c.Warehouse = strings.TrimSuffix(c.Warehouse, "/")
	}
}

func (f *faults) aws(a *AWS, c *Config) {
	if a.S3Endpoint != "" && !webAddress(a.S3Endpoint) {
		f.addf("aws.s3_endpoint", `is %q: write "https://host:port"`, a.S3Endpoint)
	}
	if a.GlueEndpoint != "" && !webAddress(a.GlueEndpoint) {
		f.addf("aws.glue_endpoint", `is %q: write "https://host:port"`, a.GlueEndpoint)
	}
	if a.GlueEndpoint != "" && c.Catalog.Type != "glue" && c.Registry.Type != registryGlue {
		f.addf("aws.glue_endpoint", `is for catalog.type = "glue" and registry.type = "glue" only: remove it`)
	}
	if a.RoleARN != "" && !regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:role/.+$`).MatchString(a.RoleARN) {
		f.addf("aws.role_arn", `is %q: write "arn:aws:iam::123456789012:role/name"`, a.RoleARN)
	}
}

// webAddress reports whether text is an absolute HTTP address without user, query and fragment.
func webAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

// Database returns the path of the SQLite file that the catalog's uri names, or "" if the uri is of another form. A
// database in memory is no catalog: bookmarks must outlive the process.
func (c *Catalog) Database() string {
	file, ok := strings.CutPrefix(c.URI, "sqlite:")
	if absolute, authority := strings.CutPrefix(file, "//"); authority {
		file, ok = absolute, ok && path.IsAbs(absolute)
	}
	if !ok || strings.ContainsAny(file, "?#%:") || strings.HasSuffix(file, "/") {
		return ""
	}
	return file
}
