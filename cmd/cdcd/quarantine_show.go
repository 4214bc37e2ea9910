package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/apache/iceberg-go/catalog"

	"github.com/cdcd-project/cdcd/internal/config"
	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/registry"
)

type quarantineShow struct {
	catalogFlags

	Table  string `arg:"" help:"Table, as namespace.table."`
	Record string `arg:"" help:"The record, as TOPIC/PARTITION@OFFSET."`

	Timeout time.Duration `default:"10s" help:"How long the schema registry may take to answer."`
}

// shownRecord is all that is known about a record.
type shownRecord struct {
	listedRecord

	Kafka  kafka.Record `json:"kafka"`            // Bytes that are no text are base64.
	Decode *answer      `json:"decode,omitempty"` // What cdcd would make of it now, in a table of its own; nil: that is not known.
}

// Run prints each record that stands or stood at a coordinate: topics of one name may be several.
func (o quarantineShow) Run(c *console) error {
	at, err := parseOffset(o.Record, "@")
	if err != nil {
		return err
	}
	preview, err := o.preview()
	if err != nil {
		return err
	}
	return o.with(c, func(cat catalog.Catalog) error {
		found, err := find(c.ctx, cat, o.Table, []offset{at}, false)
		if err != nil {
			return err
		}
		for _, r := range found {
			out := shownRecord{listedRecord: listed(&r), Kafka: r.Record()}
			if preview != nil {
				if out.Decode, err = preview.decode(c.ctx, &r); err != nil {
					_, _ = fmt.Fprintf(c.err, "what cdcd would make of the record is left out: the schema registry could not be asked: %v\n", err)
				}
			}
			if err := printShown(c, o.JSON, out); err != nil {
				return err
			}
		}
		return nil
	})
}

func printShown(c *console, asJSON bool, out shownRecord) error {
	text, err := json.Marshal(out)
	if err == nil && !asJSON {
		text, err = json.MarshalIndent(out, "", "  ")
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.out, string(text))
	return err
}

// preview tells what cdcd run would make of records of one table.
type preview struct {
	conf    *config.Config
	options debezium.Options
	timeout time.Duration

	schemas *registry.Client // Nil before it is needed.
	err     error            // Why the registry could not be asked: it is not asked again.
}

// preview returns nil if there is no configuration file.
func (o quarantineShow) preview() (*preview, error) {
	if o.Config == "" {
		return nil, nil //nolint:nilnil // The folder of the demo has no file, which is no error.
	}
	conf, err := configFlag{o.Config}.load()
	if err != nil {
		return nil, err
	}
	t, err := configured(pipelineTables(conf), o.Table)
	if err != nil {
		return nil, err
	}
	t.Decoder.Partial = true // As the pipeline has it.
	return &preview{conf: conf, options: t.Decoder, timeout: o.Timeout}, nil
}

// decode decodes a record with the schemas that the registry has by now. An error says why it could not be asked.
func (p *preview) decode(ctx context.Context, r *pipeline.Quarantined) (*answer, error) {
	a, _ := decodeRecord(p.options, recordLine{
		record: debezium.Record{Topic: r.Topic, Key: r.Key, Value: r.Value, Headers: r.Headers},
		ask: func(d *debezium.Decoder, needed *debezium.SchemaNeeded) bool {
			if p.err == nil {
				p.err = p.ask(ctx, d, needed)
			}
			return p.err == nil
		},
	})
	if p.err != nil {
		return nil, p.err
	}
	a.Name = coordinate(r)
	return &a, nil
}

func (p *preview) ask(ctx context.Context, d *debezium.Decoder, needed *debezium.SchemaNeeded) (err error) {
	if p.conf.Registry.Type == "none" {
		return errors.New("none is configured")
	}
	if p.schemas == nil {
		if p.schemas, err = openRegistry(ctx, p.conf, slog.New(slog.DiscardHandler)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.timeout, fmt.Errorf("no answer within %s", p.timeout))
	defer cancel()
	schema, err := p.schemas.Schema(ctx, needed.Ref)
	return registry.Tell(d, needed, schema, err)
}
