package config

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	commitIntervalLimit = 10 * time.Millisecond
	targetFileSizeMin   = 64 * KiB
	columnNameMax       = 255 // Bytes, the limit of the Glue Data Catalog.
	tableNameMax        = 255 // So is this, for both parts of a table's name.
	badRecordsMax       = 1_000_000_000

	// quarantineSuffix makes the name of a quarantine table out of its target's.
	quarantineSuffix = "_quarantine"
)

// allTables checks each table on its own, and that no two have one name. Two tables may mirror one topic.
func (f *faults) allTables(c *Config) {
	if len(c.tables) == 0 && !f.set("table") {
		f.addf("table", `is missing: write a section [[table]] with topic = "..." and name = "namespace.table"`)
	}
	first := map[string]int{}
	for i := range c.tables {
		at, t := element("table", i), &c.tables[i]
		f.topic(at+".topic", t.Topic)
		f.tableName(at+".name", t.Name)
		f.quarantineName(at+".name", t)
		f.key(at+".key", t.Key)
		f.options(at, &t.TableOptions)
		f.feeds(at, t)
		f.changelog(at, t)
		if other, twice := first[t.Name]; twice && t.Name != "" {
			f.addf(at+".name", "is %q, which is the name of the table in line %d already: give each table a name of its own",
				t.Name, f.position(element("table", other)+".name").line)
		} else {
			first[t.Name] = i
		}
	}
}

// topic checks a topic's name by the rules of Kafka's own Topic.validate.
func (f *faults) topic(at, topic string) {
	switch {
	case topic == "":
		f.addf(at, `is missing: write the topic that the table mirrors, such as "shop.salesdb.customer"`)
	case len(topic) > 249 || topic == "." || topic == ".." || !regexp.MustCompile(`^[A-Za-z0-9._-]+$`).MatchString(topic):
		f.addf(at, "is %q, which no Kafka topic can be called: write at most 249 letters, digits, dots, underscores and hyphens", topic)
	}
}

// tableName checks a table's name, so that it names nothing outside the warehouse (I11) and Athena can read it (I12).
func (f *faults) tableName(at, name string) {
	switch {
	case name == "":
		f.addf(at, `is missing: write the table's namespace and name, such as "salesdb.customer"`)
	case strings.ContainsAny(name, "{}"):
		f.addf(at, `is %q, and templates are not supported by this version: write a name such as "salesdb.customer"`, name)
	case !regexp.MustCompile(`^[a-z0-9_]{1,252}\.[a-z0-9_]{1,255}$`).MatchString(name):
		f.addf(at, `is %q: write "namespace.table" in lower-case letters, digits and underscores, at most 252 and 255 of them`, name)
	}
}

// quarantineName checks that a table is not taken for the quarantine table of another one, and has room for its own.
func (f *faults) quarantineName(at string, t *Table) {
	switch room := tableNameMax - len(quarantineSuffix); {
	case strings.HasSuffix(t.Name, quarantineSuffix):
		f.addf(at, "is %q: names that end in %s are those of quarantine tables: write another", t.Name, quarantineSuffix)
	case len(t.Table()) <= tableNameMax && len(t.Table()) > room && (t.OnBadRecord == "quarantine" || t.OnSchemaConflict == "quarantine"):
		f.addf(at, "is %d bytes long behind the dot: leave room for %s, and write at most %d; or set on_bad_record and on_schema_conflict to \"halt\"",
			len(t.Table()), quarantineSuffix, room)
	}
}

func (f *faults) within(at string, value, least, most int) {
	if value < least || value > most {
		f.addf(at, "is %d: write a whole number from %d to %d", value, least, most)
	}
}

func splitName(name string) (namespace, table string) {
	namespace, table, _ = strings.Cut(name, ".")
	return namespace, table
}

func (f *faults) key(at string, key []string) {
	if key != nil && len(key) == 0 {
		f.addf(at, "is empty: name the columns that identify a row, or remove it to take the fields of the record key")
	}
	for i, column := range key {
		f.column(element(at, i), column)
		if slices.Index(key, column) < i {
			f.addf(element(at, i), "is %q once more: name each column once", column)
		}
	}
}

func (f *faults) column(at, name string) {
	if name == "" || len(name) > columnNameMax {
		f.addf(at, "names no column: write a column's name of 1 to %d bytes", columnNameMax)
	}
}

// options checks the keys that [defaults] and [[table]] share, where the section at path sets them.
func (f *faults) options(path string, o *TableOptions) {
	check := func(key string, rule func(at string)) {
		if at := path + "." + key; f.set(at) {
			rule(at)
		}
	}
	f.decoder(path, &o.Decoder, check)
	check("mode", func(at string) { f.choice(at, o.Mode, []string{"upsert", "changelog"}, "soft-delete") })
	check("on_bad_record", func(at string) { f.choice(at, o.OnBadRecord, []string{"quarantine", "halt"}) })
	check("bad_record_limit.records", func(at string) { f.within(at, o.BadRecordLimit.Records, 0, badRecordsMax) })
	check("bad_record_limit.percent", func(at string) { f.within(at, o.BadRecordLimit.Percent, 0, 100) })
	check("on_schema_conflict", func(at string) {
		f.choice(at, o.OnSchemaConflict, []string{"halt", "quarantine"}, "new-column")
	})
	check("start", func(at string) { f.choice(at, o.Start, []string{"complete", "earliest"}) })
	check("format_version", func(at string) { f.formatVersion(at, o.FormatVersion) })
	check("commit_interval", func(at string) {
		if o.CommitInterval.Duration < commitIntervalLimit {
			f.addf(at, "is %s: write at least %s", o.CommitInterval, commitIntervalLimit)
		}
	})
	check("commit_bytes", func(at string) { f.positive(at, int64(o.CommitBytes)) })
	check("target_file_size", func(at string) {
		if o.TargetFileSize < targetFileSizeMin {
			f.addf(at, "is %s: write at least %s", o.TargetFileSize, targetFileSizeMin)
		}
	})
	check("retain.snapshots", func(at string) {
		if o.Retain.Snapshots < 1 {
			f.addf(at, "is %d: write at least 1, for the newest snapshot is the table", o.Retain.Snapshots)
		}
	})
	for name := range o.Types {
		check(strings.TrimPrefix(join(path+".types", name), path+"."), func(at string) { f.column(at, name) })
	}
}

func (f *faults) formatVersion(at string, version int) {
	switch version {
	case 2:
	case 3:
		f.addf(at, "is 3, which is not supported by this version: write 2")
	default:
		f.addf(at, "is %d, which cdcd does not write: write 2", version)
	}
}
