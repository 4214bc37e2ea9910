package merge

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/cdcd-project/cdcd/internal/merge/keyindex"
	"github.com/cdcd-project/cdcd/internal/row"
)

// The scripts in testdata fold changes line by line and print what becomes of them. Commands:
//
//	upsert   one k=v a line     delete   one key a line
//	chunk                       placed   file=F first=P
//	plan    apply    reset      index    (prints the index)
//	size                        (prints keys touched and changes folded in)
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := script{batch: NewBatch(pairSchema()), index: keyindex.New()}
		datadriven.RunTest(t, path, s.run)
	})
}

type script struct {
	batch *Batch
	index *keyindex.Index
}

// run executes one command. A broken invariant is an outcome like any other.
func (s *script) run(t *testing.T, d *datadriven.TestData) (out string) {
	defer func() {
		if broken := recover(); broken != nil {
			out = fmt.Sprintln(broken)
		}
	}()
	switch d.Cmd {
	case "upsert":
		for line := range strings.Lines(d.Input) {
			k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
			upsert(s.batch, k, v)
		}
	case "delete":
		for key := range strings.FieldsSeq(d.Input) {
			s.batch.Delete([]byte(key))
		}
	case "chunk":
		return printRows(s.batch.Chunk())
	case "placed":
		var file, first int
		d.ScanArgs(t, "file", &file)
		d.ScanArgs(t, "first", &first)
		s.batch.Placed(uint32(file), int64(first))
	case "plan":
		return printPlan(s.batch.Plan(s.index))
	case "apply":
		s.batch.Apply(s.index)
		s.batch.Reset(pairSchema())
		return printIndex(s.index)
	case "reset":
		s.batch.Reset(pairSchema())
	case "index":
		return printIndex(s.index)
	case "size":
		return fmt.Sprintf("keys %d, changes %d, empty %t\n", s.batch.Len(), s.batch.Changes(), s.batch.Empty())
	default:
		d.Fatalf(t, "unknown command %s", d.Cmd)
	}
	return ""
}

func pairSchema() *row.Schema {
	return &row.Schema{
		Columns: []row.Column{{Name: "k", Type: row.Type{Kind: row.String}}, {Name: "v", Type: row.Type{Kind: row.String}}},
		Key:     []int{0},
	}
}

func upsert(b *Batch, k, v string) {
	r := b.Rows()
	r.Vectors[0].AppendBytes([]byte(k))
	r.Vectors[1].AppendBytes([]byte(v))
	r.End()
	b.Upsert([]byte(k))
}

func pairs(r *row.Rows) []pair {
	if r == nil {
		return nil
	}
	all := make([]pair, r.Len())
	for i := range all {
		all[i] = pair{string(r.Vectors[0].Slice(i)), string(r.Vectors[1].Slice(i))}
	}
	return all
}

type pair struct{ k, v string }

func printRows(r *row.Rows) string {
	if r == nil {
		return "no live row\n"
	}
	var out strings.Builder
	for i, p := range pairs(r) {
		fmt.Fprintf(&out, "row %d: %s=%s\n", i, p.k, p.v)
	}
	return out.String()
}

func printPlan(p Plan) string {
	return fmt.Sprintf("dead %v\ninserted %d, updated %d, deleted %d, unknown %d, undone %d\n",
		p.Dead, p.Inserted, p.Updated, p.Deleted, p.Unknown, p.Undone)
}

func dump(ix *keyindex.Index) map[string]keyindex.Location {
	all := map[string]keyindex.Location{}
	for key, l := range ix.All() {
		all[string(key)] = l
	}
	return all
}

func printIndex(ix *keyindex.Index) string {
	all := dump(ix)
	if len(all) == 0 {
		return "empty index\n"
	}
	var out strings.Builder
	for _, key := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&out, "%s at %v\n", key, all[key])
	}
	return out.String()
}
