package sink

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/catalog/glue"
	"github.com/apache/iceberg-go/catalog/rest"
	_ "github.com/apache/iceberg-go/io/gocloud/s3" // Storage under s3://.
	"github.com/apache/iceberg-go/table"
	"github.com/apache/iceberg-go/utils"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
)

// CatalogOptions name a catalog and the place of its tables.
type CatalogOptions struct {
	Type       string // "sql", "glue" or "rest".
	URI        string // sql: "sqlite:///absolute/path" or "sqlite:relative/path". rest: "https://…". glue: empty.
	Warehouse  string // "file:///path" or "s3://bucket/prefix": tables without a location of their own are made below it.
	Credential string // rest: the OAuth2 client credential, "id:secret" or "secret".
	Token      string // rest: a bearer token.
	Properties map[string]string
	AWS        AWSOptions
}

// Catalog is an open catalog.
type Catalog struct {
	catalog.Catalog
	aws   *aws.Config // nil: nothing of AWS is used.
	glue  *glueTables // nil: the catalog is not Glue.
	close func() error
}

// catalogName is the name under which the catalog is known: in an SQL catalog the catalog_name column, by which other Iceberg
// libraries find the tables as well.
const catalogName = "cdcd"

// OpenCatalog connects to a catalog.
func OpenCatalog(ctx context.Context, o CatalogOptions) (*Catalog, error) {
	c := &Catalog{close: func() error { return nil }}
	if o.Type != "sql" || strings.HasPrefix(o.Warehouse, "s3://") { // A REST catalog may keep any warehouse in S3.
		cfg, err := awsConfig(ctx, o.AWS)
		if err != nil {
			return nil, fmt.Errorf("open catalog: %w", err)
		}
		c.aws = &cfg
	}
	ctx = c.Context(ctx)
	properties := o.AWS.storageProperties()
	maps.Copy(properties, o.Properties)
	var err error
	switch o.Type {
	case "sql":
		c.Catalog, c.close, err = openSQL(ctx, o, properties)
	case "glue":
		c.glue = &glueTables{seen: map[tableVersion]types.Table{}, sent: map[[2]string][]string{}}
		c.Catalog, err = openGlue(c.aws, c.glue, o, properties)
	case "rest":
		c.Catalog, c.close, err = openREST(ctx, c.aws, o, properties)
	default:
		err = errors.New(`write type "sql", "glue" or "rest"`)
	}
	if err != nil {
		return nil, fmt.Errorf("open catalog of type %q at %q: %w", o.Type, o.URI, err)
	}
	return c, nil
}

// Context returns a context in which storage and catalog use the catalog's one AWS configuration: without it each call
// would load the configuration, and make connections, of its own.
func (c *Catalog) Context(ctx context.Context) context.Context {
	if c.aws == nil {
		return ctx
	}
	return utils.WithAwsConfig(ctx, c.aws)
}

// sentMetadata returns the metadata.json files that commits to a table have written since the last call, where this process writes
// them and can tell: each attempt at a commit writes one of its own before its request makes it the table's.
func (c *Catalog) sentMetadata(ident table.Identifier) []string {
	if c.glue == nil {
		return nil
	}
	return c.glue.take(ident)
}

// Close closes the catalog.
func (c *Catalog) Close() error { return c.close() }

func openGlue(cfg *aws.Config, tables *glueTables, o CatalogOptions, properties iceberg.Properties) (catalog.Catalog, error) {
	properties["warehouse"] = o.Warehouse
	glueConfig := cfg.Copy()
	glueConfig.APIOptions = append(slices.Clip(glueConfig.APIOptions), tables.middleware)
	if o.AWS.GlueEndpoint != "" {
		glueConfig.BaseEndpoint = &o.AWS.GlueEndpoint
	}
	return glue.NewCatalog(glue.WithAwsConfig(glueConfig), glue.WithAwsProperties(glue.AwsProperties(properties)))
}

func openREST(ctx context.Context, cfg *aws.Config, o CatalogOptions, properties iceberg.Properties) (catalog.Catalog, func() error, error) {
	options, err := sessionOptions(properties)
	if err != nil {
		return nil, nil, err
	}
	properties["snapshot-loading-mode"] = "all" // Expiry and the removal of objects must see every snapshot.
	options = append(options, rest.WithAdditionalProps(properties), rest.WithAwsConfig(*cfg), rest.WithTransportFactory(stayingTransport))
	if o.Warehouse != "" {
		options = append(options, rest.WithWarehouseLocation(o.Warehouse))
	}
	if o.Credential != "" {
		options = append(options, rest.WithCredential(o.Credential), rest.WithTransportFactory(newRenewal))
	}
	if o.Token != "" {
		options = append(options, rest.WithOAuthToken(o.Token))
	}
	c, err := rest.NewCatalog(ctx, catalogName, o.URI, options...)
	if err != nil {
		return nil, nil, err
	}
	return c, c.Close, nil
}

// sessionOptions are the properties that the very first request, getConfig, depends on: iceberg-go reads them from its
// additional properties only after that request.
func sessionOptions(properties iceberg.Properties) ([]rest.Option, error) {
	var options []rest.Option
	if properties.GetBool("rest.sigv4-enabled", false) {
		options = append(options, rest.WithSigV4RegionSvc(properties["rest.signing-region"], properties["rest.signing-name"]))
	}
	for name, option := range map[string]func(string) rest.Option{"scope": rest.WithScope, "audience": rest.WithAudience, "resource": rest.WithResource} {
		if v := properties[name]; v != "" {
			options = append(options, option(v))
		}
	}
	for _, name := range []string{"rest.authorization-url", "oauth2-server-uri"} { // The later wins.
		if v := properties[name]; v != "" {
			u, err := url.Parse(v)
			if err != nil {
				return nil, fmt.Errorf("read property %s: %w", name, err)
			}
			options = append(options, rest.WithAuthURI(u))
		}
	}
	return options, nil
}
