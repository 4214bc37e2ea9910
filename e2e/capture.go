package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A capturedRecord is a line of the golden messages' format: text where the bytes are text, else base64.
type capturedRecord struct {
	Name            string            `json:"name"`
	Topic           string            `json:"topic"`
	Partition       int32             `json:"partition"`
	Offset          int64             `json:"offset"`
	Key             *string           `json:"key"`
	Value           *string           `json:"value"`
	KeyEncoding     string            `json:"key_encoding,omitempty"`
	ValueEncoding   string            `json:"value_encoding,omitempty"`
	Headers         map[string]string `json:"headers"`
	HeadersEncoding string            `json:"headers_encoding,omitempty"`
}

// capture writes every record of the play's tables, in the order of partitions and offsets, and beside it what SELECT *
// says at the end: <scenario>-<form>-<connector>.jsonl (with .gz where schemas make it long) and <scenario>-<connector>.select.jsonl.
func (p *play) capture(ctx context.Context, forms ...form) error {
	if p.w.options.capture == "" {
		return nil
	}
	version, err := p.connect.version(ctx)
	if err != nil {
		return err
	}
	for _, f := range forms {
		var topics []string
		for _, t := range p.tables {
			topics = append(topics, topic(p.database, f, t.name))
		}
		records, err := p.w.kafka.records(ctx, topics...)
		if err != nil {
			return err
		}
		slices.SortFunc(records, func(a, b *kgo.Record) int {
			if a.Topic != b.Topic {
				return slices.Index(topics, a.Topic) - slices.Index(topics, b.Topic)
			}
			if a.Partition != b.Partition {
				return int(a.Partition - b.Partition)
			}
			return int(a.Offset - b.Offset)
		})
		var out []any
		for _, r := range records {
			out = append(out, captured(p.scenario, r))
		}
		name := fmt.Sprintf("%s-%s-%s.jsonl", p.scenario, f, version)
		if f != plain {
			name += ".gz" // The schemas repeat in every record.
		}
		if err := p.writeCapture(name, out); err != nil {
			return err
		}
	}
	var selected []any
	for _, t := range p.tables {
		source, err := sourceRows(ctx, p.db, t.name, "")
		if err != nil {
			return err
		}
		selected = append(selected, struct {
			Table   string      `json:"table"`
			Columns []string    `json:"columns"`
			Rows    [][]*string `json:"rows"`
		}{p.database + "." + t.name, source.columns, source.rows})
	}
	return p.writeCapture(fmt.Sprintf("%s-%s.select.jsonl", p.scenario, version), selected)
}

// writeCapture writes values as JSON, one a line.
func (p *play) writeCapture(name string, values []any) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	for _, v := range values {
		if err := encoder.Encode(v); err != nil {
			return err
		}
	}
	if strings.HasSuffix(name, ".gz") {
		var packed bytes.Buffer
		zip, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		if err != nil {
			return err
		}
		if _, err := zip.Write(b.Bytes()); err != nil {
			return err
		}
		if err := zip.Close(); err != nil {
			return err
		}
		b = packed
	}
	if err := os.MkdirAll(p.w.options.capture, 0o755); err != nil {
		return err
	}
	progress("  captured %d lines, %d bytes: %s", len(values), b.Len(), name)
	return os.WriteFile(filepath.Join(p.w.options.capture, name), b.Bytes(), 0o644)
}

func captured(scenario string, r *kgo.Record) capturedRecord {
	c := capturedRecord{
		Name: fmt.Sprintf("%s_%s_%d_%d", scenario, r.Topic, r.Partition, r.Offset), Topic: r.Topic, Partition: r.Partition, Offset: r.Offset,
		Headers: map[string]string{},
	}
	c.Key, c.KeyEncoding = text(r.Key)
	c.Value, c.ValueEncoding = text(r.Value)
	for _, h := range r.Headers {
		c.Headers[h.Key] = string(h.Value)
	}
	return c
}

// text returns bytes as a string, or as base64 where they are not UTF-8; nil is Kafka's null.
func text(b []byte) (value *string, encoding string) {
	if b == nil {
		return nil, ""
	}
	s := string(b)
	if !utf8.Valid(b) {
		s, encoding = base64.StdEncoding.EncodeToString(b), "base64"
	}
	return &s, encoding
}

// version returns the name and version of the connector, for file names.
func (c *connect) version(ctx context.Context) (string, error) {
	var plugins []struct{ Class, Version string }
	if err := c.get(ctx, "/connector-plugins", &plugins); err != nil {
		return "", err
	}
	for _, plugin := range plugins {
		if plugin.Class == connectorClass {
			return "mariadb-" + plugin.Version, nil
		}
	}
	return "", fmt.Errorf("%s is not among the plugins", connectorClass)
}
