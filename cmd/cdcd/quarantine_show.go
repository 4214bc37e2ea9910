package main

import (
	"encoding/json"
	"fmt"

	"github.com/apache/iceberg-go/catalog"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/kafka"
)

type quarantineShow struct {
	catalogFlags

	Table  string `arg:"" help:"Table, as namespace.table."`
	Record string `arg:"" help:"The record, as TOPIC/PARTITION@OFFSET."`
}

// shownRecord is all that is known about a record.
type shownRecord struct {
	listedRecord

	Kafka  kafka.Record `json:"kafka"`            // Bytes that are no text are base64.
	Decode *answer      `json:"decode,omitempty"` // What cdcd would make of it now, in a table of its own.
}

// Run prints each record that stands or stood at a coordinate: topics of one name may be several.
func (o quarantineShow) Run(c *console) error {
	at, err := parseOffset(o.Record, "@")
	if err != nil {
		return err
	}
	decoder, err := o.decoder()
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
			if decoder != nil {
				a, _ := decodeRecord(*decoder, recordLine{record: debezium.Record{Topic: r.Topic, Key: r.Key, Value: r.Value, Headers: r.Headers}})
				a.Name = coordinate(&r)
				out.Decode = &a
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

// decoder returns the settings of the table's decoder, or nil if there is no configuration file, or records name schemas of a registry.
func (o quarantineShow) decoder() (*debezium.Options, error) {
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
	if t.Decoder.Format != debezium.JSON || t.Decoder.KeyFormat != debezium.JSON {
		return nil, nil //nolint:nilnil // Nothing is said without the schema; replay -dry-run asks for it.
	}
	t.Decoder.Partial = true // As the pipeline has it.
	return &t.Decoder, nil
}
