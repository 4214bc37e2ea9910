package main

import (
	"context"
	"log/slog"

	"github.com/cdcd-project/cdcd/internal/config"
	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/registry"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// openRegistry returns a client of the configured schema registry, or nil if there is none. It asks nothing yet.
func openRegistry(ctx context.Context, c *config.Config, log *slog.Logger) (*registry.Client, error) {
	o := registry.Options{
		URL: c.Registry.URL, Username: c.Registry.Username, Password: c.Registry.Password.Reveal(), Token: c.Registry.Token.Reveal(),
		GlueEndpoint: c.AWS.GlueEndpoint, Logger: log,
	}
	var err error
	switch c.Registry.Type {
	case "confluent":
		if o.TLS, err = c.Registry.TLS.Client(); err != nil {
			return nil, usageError{err}
		}
	case "glue":
		if o.Glue, err = sink.LoadAWS(ctx, awsOptions(c)); err != nil {
			return nil, err
		}
	default:
		return nil, nil //nolint:nilnil // No registry is a valid configuration and not an error.
	}
	return registry.Open(o)
}

// setFormats says what the bytes of a table's records are.
func setFormats(o *debezium.Options, c *config.Config, t config.Table) {
	formats := map[string]debezium.Format{"json": debezium.JSON, "avro-confluent": debezium.AvroConfluent, "avro-glue": debezium.AvroGlue}
	value, key := c.Formats(t)
	o.Format, o.KeyFormat, o.PlainAvro = formats[value], formats[key], t.PlainAvro
}

// registryName says what is asked, for people.
func registryName(c *config.Config) string {
	if c.Registry.Type == "confluent" {
		return c.Registry.URL
	}
	return "AWS Glue Schema Registry"
}
