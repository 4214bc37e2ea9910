package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/apache/iceberg-go/catalog"

	"github.com/cdcd-project/cdcd/internal/pipeline"
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

func coordinate(r *pipeline.Quarantined) string {
	return fmt.Sprintf("%s/%d@%d", r.Topic, r.Partition, r.Offset)
}
