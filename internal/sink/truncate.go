package sink

import (
	"maps"

	"github.com/apache/iceberg-go"

	"github.com/cdcd-project/cdcd/internal/invariant"
	"github.com/cdcd-project/cdcd/internal/merge/keyindex"
)

// planTruncate plans a commit that leaves no row: each data and delete file of the head leaves the table, whatever it is by the time
// that the commit lands. So a truncate that meets another tool's compaction is staged again on what that has made.
func (t *Table) planTruncate(st *staged, c Change) []manifestPlan {
	invariant.Check(c.Draft == nil && (c.Batch == nil || c.Batch.Empty()), "I1: a truncate of %s with rows", t.o.Name)
	st.plan.Deleted = int64(t.Rows())
	maps.Copy(st.dropData, t.live.data)
	for _, d := range t.live.deletes {
		st.dropDeletes[d] = true
	}
	return t.planManifests(st, iceberg.ManifestContentData, nil, func(*manifest) bool { return true })
}

// apply brings the index to what a landed change has made of the table (I4).
func (t *Table) apply(c Change) {
	if c.Truncate {
		t.index = keyindex.New()
	}
	if c.Batch != nil {
		c.Batch.Apply(t.index)
	}
}
