package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"
)

// Other writers' rows go when the table is rewound to its last own snapshot, and so does what hides the bookmark.
func TestWayOutRewindFromForeignHeads(t *testing.T) {
	for reason, meddle := range map[string]func(k *walk){
		"foreign_rows":     func(k *walk) { k.appendStock("x", 77) },
		"bookmark_invalid": func(k *walk) { k.putOnTop(map[string]string{"cdcd.bookmark": `{"v":9}`}) },
		"bookmark_lost": func(k *walk) {
			lost := k.putOnTop(nil)
			k.putOnTop(nil)
			k.commit(table.NewRemoveSnapshotsUpdate([]int64{lost}, false))
			k.forget()
		},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			k := newWalk(t, stock("shop.stock"))
			own := k.snapshot(0).ID
			meddle(k)
			k.change(5)
			if l := k.halted(reason); !strings.Contains(l.Hint, fmt.Sprintf("cdcd table rewind TABLE -to-snapshot %d", own)) {
				t.Errorf("the hint is %q, want the command that goes back to %d", l.Hint, own)
			}
			k.refused(reason, "table", "resume", k.m.name)
			k.decide("rewind", "-to-snapshot", fmt.Sprint(own), "-reason", "not ours")
			k.equal()
			k.goesOn()
		})
	}
}

// A table that is rewound while its owner commits is read again from there, and ends equal.
func TestWayOutRewindUnderTraffic(t *testing.T) {
	for name, target := range map[string]func(k *walk, earlier int64) []string{
		"to a snapshot": func(_ *walk, earlier int64) []string { return []string{"-to-snapshot", fmt.Sprint(earlier)} },
		"to a time": func(k *walk, earlier int64) []string {
			return []string{"-to-time", k.snapshot(earlier).Time.Format("2006-01-02T15:04:05.000Z")}
		},
		"to offsets": func(k *walk, _ int64) []string {
			return []string{"-to-offset", fmt.Sprintf("%s/0=0,%s/1=1,%s/2=0", k.m.topic, k.m.topic, k.m.topic)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newWalk(t, items("shop.item"))
			earlier := k.snapshot(0).ID
			end := k.flow(uint64(len(name)))
			commits := func() int { return len(k.p.log.find(says("committed snapshot", ""))) }
			eventually(t, "it commits", func() bool { return commits() >= 5 })
			done, _ := k.decide("rewind", target(k, earlier)...)
			if (name == "to offsets") == (done.Detail.Snapshot == earlier) {
				t.Errorf("went back to the rows of %d, want %d", done.Detail.Snapshot, earlier)
			}
			k.p.await(1, says("stood down", ""))
			after := commits()
			eventually(t, "it commits again", func() bool { return commits() >= after+5 })
			end()
			k.equal()
			k.goesOn()
			if len(k.p.log.find(says("halted table", ""))) > 0 {
				t.Error("the table halted")
			}
		})
	}
}

// commit does what another tool does to the table.
func (k *walk) commit(updates ...table.Update) {
	k.t.Helper()
	k.inCatalog(func(cat catalog.Catalog) error {
		_, _, err := cat.CommitTable(k.t.Context(), strings.Split(k.m.name, "."), nil, updates)
		return err
	})
}

func (k *walk) load(f func(*table.Table) error) {
	k.t.Helper()
	k.inCatalog(func(cat catalog.Catalog) error {
		loaded, err := cat.LoadTable(k.t.Context(), strings.Split(k.m.name, "."))
		if err != nil {
			return err
		}
		return f(loaded)
	})
}

// putOnTop adds a snapshot with the head's rows, as another tool that replaces files, and returns its id.
func (k *walk) putOnTop(summary map[string]string) int64 {
	k.t.Helper()
	var s table.Snapshot
	k.load(func(loaded *table.Table) error {
		s = *loaded.CurrentSnapshot()
		s.ParentSnapshotID, s.SnapshotID, s.SequenceNumber = new(s.SnapshotID), s.SnapshotID/2+1, loaded.Metadata().LastSequenceNumber()+1
		s.Summary = &table.Summary{Operation: table.OpReplace, Properties: iceberg.Properties(summary)}
		return nil
	})
	k.commit(table.NewAddSnapshotUpdate(&s), table.NewSetSnapshotRefUpdate("main", s.SnapshotID, table.BranchRef, 0, 0, 0))
	return s.SnapshotID
}

// forget removes the old metadata.json files, so that nothing tells of what has expired.
func (k *walk) forget() {
	k.t.Helper()
	k.load(func(loaded *table.Table) error {
		for e := range loaded.Metadata().PreviousFiles() {
			if err := os.Remove(strings.TrimPrefix(e.MetadataFile, "file://")); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	})
}

// appendStock adds a row as another engine does.
func (k *walk) appendStock(place string, n int32) {
	k.t.Helper()
	k.load(func(loaded *table.Table) error {
		schema, err := table.SchemaToArrowSchema(loaded.Schema(), nil, true, false)
		if err != nil {
			return err
		}
		b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		for i, f := range schema.Fields() {
			switch f.Name {
			case "place":
				b.Field(i).(*array.StringBuilder).Append(place)
			case "n":
				b.Field(i).(*array.Int32Builder).Append(n)
			default:
				b.Field(i).AppendNull()
			}
		}
		reader, err := array.NewRecordReader(schema, []arrow.RecordBatch{b.NewRecordBatch()})
		if err != nil {
			return err
		}
		tx := loaded.NewTransaction()
		if err := tx.Append(k.t.Context(), reader, nil); err != nil {
			return err
		}
		_, err = tx.Commit(k.t.Context())
		return err
	})
}
