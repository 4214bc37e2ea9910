package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/cdcd-project/cdcd/internal/config"
	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// configFlag is the configuration file of a command.
type configFlag struct {
	Config string `required:"" help:"Configuration file (TOML)." placeholder:"FILE" env:"CDCD_CONFIG"`
}

func (f configFlag) load() (*config.Config, error) {
	c, err := config.Load(f.Config)
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

func newLogger(c *console, o config.Log) *slog.Logger {
	options := &slog.HandlerOptions{Level: o.SlogLevel()}
	if o.Format == "text" {
		return slog.New(slog.NewTextHandler(c.err, options))
	}
	return slog.New(slog.NewJSONHandler(c.err, options))
}

func openCatalog(ctx context.Context, c *config.Config) (*sink.Catalog, error) {
	return sink.OpenCatalog(ctx, sink.CatalogOptions{
		Type: c.Catalog.Type, URI: c.Catalog.URI, Warehouse: c.Catalog.Warehouse, Properties: c.Catalog.Properties,
		Credential: c.Catalog.Credential.Reveal(), Token: c.Catalog.Token.Reveal(),
		AWS: awsOptions(c),
	})
}

func awsOptions(c *config.Config) sink.AWSOptions {
	return sink.AWSOptions{
		Region: c.AWS.Region, S3Endpoint: c.AWS.S3Endpoint, GlueEndpoint: c.AWS.GlueEndpoint, PathStyle: c.AWS.PathStyle,
		KMSKeyID: c.AWS.KMSKeyID, RoleARN: c.AWS.RoleARN,
	}
}

func openKafka(c *config.Config, log *slog.Logger, r prometheus.Registerer) (*kafka.Client, error) {
	tlsConfig, err := c.Kafka.TLS.Client()
	if err != nil {
		return nil, usageError{err}
	}
	mechanism, err := saslMechanism(c.Kafka.SASL)
	if err != nil {
		return nil, usageError{err}
	}
	return kafka.Open(kafka.Options{
		Brokers: c.Kafka.Brokers, Group: c.Kafka.Group, ClientID: c.Kafka.ClientID, Rack: c.Kafka.Rack, TLS: tlsConfig, SASL: mechanism,
		QueueBytes: int64(c.Memory.Batches) / 4, SessionTimeout: c.Kafka.SessionTimeout.Duration, RebalanceTimeout: c.GracePeriod.Duration + rebalanceMargin, Logger: log, Registerer: r,
	})
}

func saslMechanism(s *config.SASL) (sasl.Mechanism, error) {
	if s == nil {
		return nil, nil //nolint:nilnil // No SASL is a valid configuration and not an error.
	}
	switch auth := (scram.Auth{User: s.Username, Pass: s.Password.Reveal()}); s.Mechanism {
	case "scram-sha-512":
		return auth.AsSha512Mechanism(), nil
	case "scram-sha-256":
		return auth.AsSha256Mechanism(), nil
	case "plain":
		return plain.Auth{User: s.Username, Pass: s.Password.Reveal()}.AsMechanism(), nil
	}
	return nil, fmt.Errorf("kafka.sasl.mechanism %q is unknown", s.Mechanism)
}

// pipelineTables returns the tables as the pipeline takes them.
func pipelineTables(c *config.Config) []pipeline.Table {
	var out []pipeline.Table
	for _, t := range c.Tables() {
		out = append(out, pipeline.Table{
			Topics:  []string{t.Topic},
			Decoder: decoderOptions(c, t),
			Sink: sink.TableOptions{
				Name: t.Name, Key: t.Key, Changelog: t.Mode == "changelog", Ref: "main", TargetFileBytes: int64(t.TargetFileSize),
				RetainSnapshots: t.Retain.Snapshots, RetainAge: t.Retain.Age.Duration,
			},
			BadRecords: pipeline.BadRecords{
				Quarantine: t.OnBadRecord == "quarantine", QuarantineConflicts: t.OnSchemaConflict == "quarantine",
				Max: int64(t.BadRecordLimit.Records), Percent: int64(t.BadRecordLimit.Percent),
			},
			CommitInterval: t.CommitInterval.Duration, CommitBytes: int64(t.CommitBytes), FromEarliest: t.Start == "earliest", DisjointKeys: t.DisjointKeys,
		})
	}
	return out
}

// hintOf returns what an operator can do about an error, if it is a halt.
func hintOf(err error) string {
	if h, ok := errors.AsType[*halt.Error](err); ok {
		return h.Hint
	}
	return ""
}
