package simtest

import (
	"context"
	"errors"
	"time"

	"github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/sink"
)

// desk is the catalog as an operator's command sees it: reliable, and what it commits is checked as everything is.
type desk struct {
	*keeper

	w *world
}

// CommitTable implements catalog.Catalog.
func (d *desk) CommitTable(ctx context.Context, ident table.Identifier, reqs []table.Requirement, updates []table.Update) (table.Metadata, string, error) {
	return d.w.commit(ctx, "operator", ident, reqs, updates)
}

// tableOptions are what all processes are told about a table.
func tableOptions(name string) sink.TableOptions {
	return sink.TableOptions{Name: name, Ref: table.MainBranch, TargetFileBytes: 8 << 10, RetainSnapshots: 4, RetainAge: time.Hour}
}

// errNotThere is what the operator says when the table does not stand at the record, or not any more.
var errNotThere = errors.New("the table does not stand at the record")

// skip is the operator's way out of the halt at a record that cannot be applied: reading goes on behind it. It may be needed again, when
// the table is rolled back or the source repeats the record.
func (w *world) skip() {
	w.mu.Lock()
	place, halted := w.seen.refused[tableSour]
	w.mu.Unlock()
	if !w.plan.skip || !halted {
		return
	}
	s := sink.New(sink.Options{Catalog: &desk{w.catalog, w}, Version: "sim", Delete: true, Backoff: time.Second, Logger: w.log})
	_, err := s.Operate(context.Background(), tableOptions(tableSour), sink.Operation{
		Name: sink.OperationSkip, Reason: "it is sour",
		Decide: func(_ context.Context, at sink.Standing) (sink.Decision, error) {
			p, _ := at.Bookmark.Partition(place.topic, place.partition)
			if p.Next != place.offset {
				return sink.Decision{}, errNotThere
			}
			p.Next++
			after := at.Bookmark.Clone()
			after.Set(place.topic, "", p)
			return sink.Decision{Bookmark: after, Detail: sink.Detail{Skipped: &sink.Skipped{Topic: place.topic, Partition: p.Partition, Offset: place.offset}}}, nil
		},
	})
	switch {
	case err == nil:
		w.note(func(s *stats) { s.skipped++ })
	case !errors.Is(err, errNotThere):
		w.complain("operator: %w", err)
	}
}
