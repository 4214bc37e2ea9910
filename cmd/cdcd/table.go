package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/readback"
	"github.com/cdcd-project/cdcd/internal/sink"
)

type tableCommand struct {
	List      tableList      `cmd:"" help:"List the tables of the catalog."`
	Show      tableShow      `cmd:"" help:"Show a table's columns, key, head and bookmark."`
	Rows      tableRows      `cmd:"" help:"Show the rows of a table, as any reader sees them."`
	Files     tableFiles     `cmd:"" help:"Show the live data and delete files of a table."`
	Snapshots tableSnapshots `cmd:"" help:"Show the snapshots of a table, newest first."`

	Resume    tableResume    `cmd:"" help:"Make a halted table try again; end a pause."`
	Pause     tablePause     `cmd:"" help:"Keep a table from being committed to until it is resumed."`
	Rewind    tableRewind    `cmd:"" help:"Take a table back to an earlier snapshot, or read again from earlier offsets."`
	AcceptGap tableAcceptGap `cmd:"" name:"accept-gap" help:"Go on although records were lost between bookmark and log."`
	Rebind    tableRebind    `cmd:"" help:"Go on with a recreated topic, another cluster, or added partitions."`
	Skip      tableSkip      `cmd:"" help:"Leave out the record at which a table stands; it is printed first."`
}

// catalogFlags say which catalog a command looks at, and how it prints.
type catalogFlags struct {
	Config string `help:"Configuration file (TOML)." placeholder:"FILE" env:"CDCD_CONFIG" xor:"catalog" required:""`
	Dir    string `help:"Folder of cdcd demo, in place of a configuration file." placeholder:"DIR" xor:"catalog" required:""`
	JSON   bool   `name:"json" help:"Print JSON: one object a line."`
}

// with calls f with the catalog, and makes it the one that the command's context knows.
func (o catalogFlags) with(c *console, f func(catalog.Catalog) error) error {
	cat, err := o.open(c.ctx)
	if err != nil {
		return err
	}
	c.ctx = cat.Context(c.ctx)
	return errors.Join(f(cat), cat.Close())
}

func (o catalogFlags) open(ctx context.Context) (*sink.Catalog, error) {
	if o.Dir == "" {
		conf, err := configFlag{o.Config}.load()
		if err != nil {
			return nil, err
		}
		return openCatalog(ctx, conf)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	return sink.OpenCatalog(ctx, sink.CatalogOptions{
		Type: "sql", URI: "sqlite:" + filepath.Join(dir, demoCatalog), Warehouse: "file://" + filepath.Join(dir, demoWarehouse),
	})
}

type tableList struct{ catalogFlags }

// Run prints one line a table.
func (o tableList) Run(c *console) error {
	return o.with(c, func(cat catalog.Catalog) error {
		names, err := readback.Tables(c.ctx, cat)
		if err != nil {
			return err
		}
		p := newPrinter(c.out, o.JSON, "TABLE", "RECORDS", "DEAD", "DATA FILES", "DELETE FILES", "COMMITTED")
		for _, name := range names {
			t, err := readback.Show(c.ctx, cat, name)
			if err != nil {
				return err
			}
			var summary map[string]string
			committed := "never"
			if t.Head != nil {
				summary, committed = t.Head.Summary, t.Head.Time.Format("2006-01-02T15:04:05Z")
			}
			p.row(t, name, summary["total-records"], summary["total-position-deletes"], summary["total-data-files"], summary["total-delete-files"], committed)
		}
		return p.end()
	})
}

type tableShow struct {
	catalogFlags
	Name string `arg:"" help:"Table, as namespace.table."`
}

// Run prints a table's description.
func (o tableShow) Run(c *console) error {
	return o.with(c, func(cat catalog.Catalog) error {
		t, err := readback.Show(c.ctx, cat, o.Name)
		if err != nil {
			return err
		}
		p := newPrinter(c.out, o.JSON, "COLUMN", "TYPE", "")
		if o.JSON {
			p.row(t)
			return p.end()
		}
		_, _ = fmt.Fprintf(c.out, "table     %s\nlocation  %s\nmetadata  %s\n", t.Name, t.Location, t.Metadata)
		if t.Head != nil {
			_, _ = fmt.Fprintf(c.out, "head      %d (%s, %s)\nbookmark  %s\n", t.Head.ID, t.Head.Operation, t.Head.Time.Format("2006-01-02T15:04:05.000Z"), t.Head.Summary["cdcd.bookmark"])
		}
		_, _ = fmt.Fprintln(c.out)
		for _, column := range t.Columns {
			note := ""
			if slices.Contains(t.Key, column.Name) {
				note = "key"
			}
			p.row(nil, column.Name, column.Type, note)
		}
		return p.end()
	})
}

type tableRows struct {
	catalogFlags
	Name  string `arg:"" help:"Table, as namespace.table."`
	Limit int    `default:"40" help:"How many rows to print at most; 0: all."`
}

var errLimit = errors.New("limit reached")

// Run prints rows in the order in which a scan gives them.
func (o tableRows) Run(c *console) error {
	return o.with(c, func(cat catalog.Catalog) error {
		var p *printer
		n := 0
		err := readback.Rows(c.ctx, cat, o.Name, table.MainBranch, func(names []string, values []*string) error {
			if p == nil {
				p = newPrinter(c.out, o.JSON, names...)
			}
			if o.Limit > 0 && n == o.Limit {
				return errLimit
			}
			n++
			cells, object := make([]string, len(values)), map[string]*string{}
			for i, v := range values {
				cells[i] = "NULL"
				if v != nil {
					cells[i] = printable(*v)
				}
				object[names[i]] = v
			}
			p.row(object, cells...)
			return nil
		})
		if err != nil && !errors.Is(err, errLimit) || p == nil {
			return err
		}
		if errors.Is(err, errLimit) {
			_, _ = fmt.Fprintf(c.err, "stopped after %d rows; -limit 0 prints all\n", n)
		}
		return p.end()
	})
}

type tableFiles struct {
	catalogFlags
	Name string `arg:"" help:"Table, as namespace.table."`
}

// Run prints one line a live file.
func (o tableFiles) Run(c *console) error {
	return o.with(c, func(cat catalog.Catalog) error {
		files, err := readback.Files(c.ctx, cat, o.Name)
		if err != nil {
			return err
		}
		p := newPrinter(c.out, o.JSON, "CONTENT", "RECORDS", "BYTES", "SEQUENCE", "PATH")
		for _, f := range files {
			p.row(f, f.Content, fmt.Sprint(f.Records), fmt.Sprint(f.Bytes), fmt.Sprint(f.Sequence), f.Path)
		}
		return p.end()
	})
}

type tableSnapshots struct {
	catalogFlags
	Name string `arg:"" help:"Table, as namespace.table."`
}

// Run prints one line a snapshot.
func (o tableSnapshots) Run(c *console) error {
	return o.with(c, func(cat catalog.Catalog) error {
		snapshots, err := readback.Snapshots(c.ctx, cat, o.Name)
		if err != nil {
			return err
		}
		p := newPrinter(c.out, o.JSON, "SNAPSHOT", "TIME", "OPERATION", "ADDED", "DEAD", "REFS", "BOOKMARK")
		for _, s := range snapshots {
			p.row(s, fmt.Sprint(s.ID), s.Time.Format("2006-01-02T15:04:05.000Z"), s.Operation, orZero(s.Summary["added-records"]),
				orZero(s.Summary["added-position-deletes"]), strings.Join(s.Refs, ","), s.Summary["cdcd.bookmark"])
		}
		return p.end()
	})
}

// printable quotes a value that would disturb the terminal or the columns.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

func orZero(s string) string {
	if s == "" {
		return "0"
	}
	return s
}
