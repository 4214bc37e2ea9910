package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/readback"
)

type quarantineCommand struct {
	List   quarantineList   `cmd:"" help:"List the records of a table that could not be applied."`
	Show   quarantineShow   `cmd:"" help:"Show one of them, and what cdcd would make of it now."`
	Replay quarantineReplay `cmd:"" help:"Apply records late, after the cause was mended; or mark them as resolved."`
}

type quarantineList struct {
	catalogFlags

	Table      string `arg:"" help:"Table whose records are listed, as namespace.table."`
	Reason     string `help:"Only those of this reason." placeholder:"REASON"`
	Unresolved bool   `help:"Only those that are missing from the table."`
	Limit      int    `default:"40" help:"How many to print at most; 0: all."`
}

// listedRecord is a record of a quarantine table as it is listed: without its bytes.
type listedRecord struct {
	Record        string     `json:"record"`
	TopicID       string     `json:"topic_id"`
	Time          time.Time  `json:"record_time"`
	Reason        string     `json:"reason"`
	Detail        string     `json:"detail"`
	Version       string     `json:"cdcd_version"`
	QuarantinedAt time.Time  `json:"quarantined_at"`
	ResolvedAt    *time.Time `json:"resolved_at"`
}

func listed(r *pipeline.Quarantined) listedRecord {
	out := listedRecord{
		Record: coordinate(r), TopicID: r.TopicID, Time: r.Time, Reason: r.Reason, Detail: r.Detail, Version: r.Version, QuarantinedAt: r.At,
	}
	if !r.Resolved.IsZero() {
		out.ResolvedAt = &r.Resolved
	}
	return out
}

// reasonCount says how many records a quarantine table has of one reason.
type reasonCount struct {
	Reason     string `json:"reason"`
	Records    int    `json:"records"`
	Unresolved int    `json:"unresolved"`
}

// Run prints one line a record, in the order of their coordinates, and then one a reason.
func (o quarantineList) Run(c *console) error {
	return o.with(c, func(cat catalog.Catalog) error {
		records, counts := []listedRecord{}, map[string]*reasonCount{}
		err := quarantined(c.ctx, cat, o.Table, func(r *pipeline.Quarantined) {
			n := counts[r.Reason]
			if n == nil {
				n = &reasonCount{Reason: r.Reason}
				counts[r.Reason] = n
			}
			n.Records++
			if r.Resolved.IsZero() {
				n.Unresolved++
			}
			if (o.Reason == "" || o.Reason == r.Reason) && (!o.Unresolved || r.Resolved.IsZero()) {
				records = append(records, listed(r))
			}
		})
		if err != nil {
			return err
		}
		slices.SortFunc(records, func(a, b listedRecord) int {
			return cmp.Or(a.QuarantinedAt.Compare(b.QuarantinedAt), cmp.Compare(a.Record, b.Record))
		})
		return o.print(c, records, counts)
	})
}

func (o quarantineList) print(c *console, records []listedRecord, counts map[string]*reasonCount) error {
	p := newPrinter(c.out, o.JSON, "RECORD", "TIME", "REASON", "RESOLVED", "DETAIL")
	for i, r := range records {
		if o.Limit > 0 && i == o.Limit {
			_, _ = fmt.Fprintf(c.err, "stopped after %d of %d records; -limit 0 prints all\n", i, len(records))
			break
		}
		resolved := "-"
		if r.ResolvedAt != nil {
			resolved = r.ResolvedAt.Format(time.RFC3339)
		}
		p.row(r, r.Record, r.Time.Format(time.RFC3339), r.Reason, resolved, printable(r.Detail))
	}
	if !o.JSON {
		p.cells(nil)
		p.cells([]string{"REASON", "RECORDS", "UNRESOLVED"})
	}
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		n := counts[reason]
		p.row(n, reason, strconv.Itoa(n.Records), strconv.Itoa(n.Unresolved))
	}
	return p.end()
}

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

func coordinate(r *pipeline.Quarantined) string {
	return fmt.Sprintf("%s/%d@%d", r.Topic, r.Partition, r.Offset)
}

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
