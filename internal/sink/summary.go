package sink

import (
	"maps"
	"strconv"

	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
)

// Keys of cdcd in the snapshot summary; docs/format.md specifies them.
const (
	keyBookmark     = "cdcd.bookmark"
	keyValidThrough = "cdcd.valid-through-ms"
	keyVersion      = "cdcd.version"
	KeyStart        = "cdcd.start"
	keyOperation    = "cdcd.operation"
	keyDetail       = "cdcd.operation.detail"
	keyPaused       = "cdcd.paused"
)

// summaryOf returns a snapshot's summary, which other writers may have left out.
func summaryOf(s *icetable.Snapshot) icetable.Summary {
	if s.Summary == nil {
		return icetable.Summary{Operation: icetable.OpOverwrite}
	}
	return *s.Summary
}

// operation names what a staged commit does to the rows, in the words of the Iceberg specification ("Snapshots"): replace
// means that no row changed.
func (st *staged) operation() icetable.Operation {
	adds := len(st.addData) > 0
	removes := st.plan.Updated+st.plan.Deleted > 0
	switch {
	case adds && removes:
		return icetable.OpOverwrite
	case adds:
		return icetable.OpAppend
	case removes:
		return icetable.OpDelete
	}
	return icetable.OpReplace
}

// summary returns the snapshot summary of a staged commit: Iceberg's counters, and cdcd's own keys.
func (t *Table) summary(st *staged, c Change) *icetable.Summary {
	p := iceberg.Properties{keyBookmark: c.Bookmark.String(), keyVersion: t.s.o.Version}
	maps.Copy(p, c.Summary)
	if c.ValidThroughMs > 0 {
		p[keyValidThrough] = strconv.FormatInt(c.ValidThroughMs, 10)
	}
	count := func(key string, n int64) {
		if n > 0 {
			p[key] = strconv.FormatInt(n, 10)
		}
	}
	var added, removed tally
	for _, f := range st.addData {
		added.add(f.file)
	}
	for _, f := range st.dropData {
		removed.add(f.file)
	}
	count("added-data-files", added.files)
	count("added-records", added.records)
	count("deleted-data-files", removed.files)
	count("deleted-records", removed.records)
	var addedDeletes, removedDeletes tally
	for _, d := range st.addDeletes {
		addedDeletes.add(d.file)
	}
	for d := range st.dropDeletes {
		removedDeletes.add(d.file)
	}
	count("added-delete-files", addedDeletes.files)
	count("added-position-delete-files", addedDeletes.files)
	count("added-position-deletes", addedDeletes.records)
	count("removed-delete-files", removedDeletes.files)
	count("removed-position-delete-files", removedDeletes.files)
	count("removed-position-deletes", removedDeletes.records)
	count("added-files-size", added.bytes+addedDeletes.bytes)
	count("removed-files-size", removed.bytes+removedDeletes.bytes)
	t.totals(p, added, removed, addedDeletes, removedDeletes)
	return &icetable.Summary{Operation: st.operation(), Properties: p}
}

// totals sets the total-* counters: those of the live files, after the commit.
func (t *Table) totals(p iceberg.Properties, added, removed, addedDeletes, removedDeletes tally) {
	var data, deletes tally
	for _, f := range t.live.data {
		data.add(f.file)
	}
	for _, d := range t.live.deletes {
		deletes.add(d.file)
	}
	total := func(key string, n int64) { p[key] = strconv.FormatInt(n, 10) }
	total("total-data-files", data.files+added.files-removed.files)
	total("total-records", data.records+added.records-removed.records)
	total("total-delete-files", deletes.files+addedDeletes.files-removedDeletes.files)
	total("total-position-deletes", deletes.records+addedDeletes.records-removedDeletes.records)
	total("total-equality-deletes", 0)
	total("total-files-size", data.bytes+deletes.bytes+added.bytes+addedDeletes.bytes-removed.bytes-removedDeletes.bytes)
}

// tally counts files.
type tally struct{ files, records, bytes int64 }

func (t *tally) add(f iceberg.DataFile) {
	t.files++
	t.records += f.Count()
	t.bytes += f.FileSizeBytes()
}
