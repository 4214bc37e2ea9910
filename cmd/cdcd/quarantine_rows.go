package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/readback"
)

// find returns the records of a quarantine table at the given places, or all that are unresolved. A place without a record is an error.
func find(ctx context.Context, cat catalog.Catalog, name string, places []offset, all bool) ([]pipeline.Quarantined, error) {
	var out []pipeline.Quarantined
	missing := map[offset]bool{}
	for _, at := range places {
		missing[at] = true
	}
	err := quarantined(ctx, cat, name, func(r *pipeline.Quarantined) {
		at := offset{place{r.Topic, r.Partition}, r.Offset}
		if slices.Contains(places, at) || all && r.Resolved.IsZero() {
			delete(missing, at)
			out = append(out, *r)
		}
	})
	for at := range missing {
		err = errors.Join(err, fmt.Errorf("%s@%d is not in %s", at.place, at.next, name+pipeline.QuarantineSuffix))
	}
	return out, err
}

// quarantined calls f with each row of a table's quarantine table; none if there is no such table.
func quarantined(ctx context.Context, cat catalog.Catalog, name string, f func(r *pipeline.Quarantined)) error {
	name += pipeline.QuarantineSuffix
	exists, err := cat.CheckTableExists(ctx, strings.Split(name, "."))
	if err != nil || !exists {
		return err
	}
	return readback.Rows(ctx, cat, name, table.MainBranch, func(names []string, values []*string) error {
		v := map[string]*string{}
		for i, column := range names {
			v[column] = values[i]
		}
		r, err := parseQuarantined(v)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		f(&r)
		return nil
	})
}

// parseQuarantined reads a row of a quarantine table from its canonical text.
func parseQuarantined(v map[string]*string) (pipeline.Quarantined, error) {
	p := cells{v: v}
	r := pipeline.Quarantined{
		Topic: p.text("topic"), TopicID: p.text("topic_id"), Partition: int32(p.number("partition")), Offset: p.number("offset"),
		Time: p.instant("record_time"), Key: p.bytes(v["key"]), Value: p.bytes(v["value"]), Reason: p.text("reason"), Detail: p.text("detail"),
		Version: p.text("cdcd_version"), At: p.instant("quarantined_at"), Resolved: p.instant("resolved_at"),
	}
	var headers []struct {
		Key   *string `json:"key"`
		Value *string `json:"value"`
	}
	if text := v["headers"]; text != nil {
		p.note(json.Unmarshal([]byte(*text), &headers))
	}
	for _, h := range headers {
		r.Headers = append(r.Headers, debezium.Header{Key: string(p.bytes(h.Key)), Value: p.bytes(h.Value)})
	}
	return r, p.err
}

// cells reads values of one row. The first error stays.
type cells struct {
	v   map[string]*string
	err error
}

func (p *cells) note(err error) {
	if p.err == nil {
		p.err = err
	}
}

func (p *cells) text(column string) string {
	if s := p.v[column]; s != nil {
		return *s
	}
	return ""
}

func (p *cells) number(column string) int64 {
	n, err := strconv.ParseInt(p.text(column), 10, 64)
	p.note(err)
	return n
}

func (p *cells) instant(column string) time.Time {
	if p.v[column] == nil {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, *p.v[column])
	p.note(err)
	return t
}

func (p *cells) bytes(text *string) []byte {
	if text == nil {
		return nil
	}
	b, err := hex.DecodeString(strings.TrimPrefix(*text, "hex:"))
	p.note(err)
	return b
}
