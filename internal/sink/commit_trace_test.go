package sink

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/readback"
	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// The requests of a commit, in order, whatever becomes of it. A change of the commit protocol shows up here as a difference of text.
//
// create makes the table. commit and truncate change it; their arguments say what becomes of the request that commits, or what happens
// just before it is done. open is what the next owner does. What is left behind nobody refers to.
func TestCommitTrace(t *testing.T) {
	for _, kind := range worldKinds() {
		t.Run(kind, func(t *testing.T) {
			tr := &tracer{t: t, world: newWorld(t, kind)}
			datadriven.RunTest(t, "testdata/commit_trace_"+kind, func(_ *testing.T, d *datadriven.TestData) string { return tr.run(d) })
		})
	}
}

// tracer runs the commands of a trace.
type tracer struct {
	*world
	t     *testing.T
	lines []string
	seen  int  // Requests that are in lines, or are nobody's.
	dead  bool // The process has died: what it still asks for is not in lines.
}

func (tr *tracer) run(d *datadriven.TestData) string {
	tr.lines = nil
	switch d.Cmd {
	case "create":
	case "commit":
		tr.commit(d)
	case "truncate":
		tr.settled = maps.Clone(tr.truth)
		tr.try(d, func(ctx context.Context) (Committed, error) { return tr.table.Commit(ctx, tr.truncation()) })
	case "bookmark":
		tr.next++
		tr.world.commit()
	case "open":
		tr.reopen()
	default:
		tr.t.Fatalf("%s: unknown command", d.Pos)
	}
	tr.catchUp()
	tr.heal()
	if d.Cmd != "create" {
		tr.report()
	}
	tr.forget()
	tr.seen, tr.dead = 0, false
	return strings.Join(tr.lines, "\n") + "\n"
}

// catchUp adds the requests that were made since the last call.
func (tr *tracer) catchUp() {
	if tr.dead {
		return
	}
	requests := tr.requests()
	for _, r := range requests[tr.seen:] {
		if tr.kind == "rest" && strings.HasSuffix(r.Key, ".metadata.json") {
			continue // The catalog reads and writes those.
		}
		tr.lines = append(tr.lines, lineOf(r))
		for _, line := range append(r.Requirements, r.Updates...) {
			tr.lines = append(tr.lines, "   "+line)
		}
		if r.Operation == "PutObject" && r.Header.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id") != kmsKey {
			tr.t.Errorf("%s is not encrypted with the key", r)
		}
	}
	tr.seen = len(requests)
}

// skip leaves what act requests out of the trace.
func (tr *tracer) skip(act func()) {
	tr.catchUp()
	act()
	tr.seen = len(tr.requests())
}

func (tr *tracer) commit(d *datadriven.TestData) {
	tr.settled = maps.Clone(tr.truth)
	for line := range strings.Lines(d.Input) {
		var id int64
		var name string
		if n, _ := fmt.Sscanf(line, "upsert %d %s", &id, &name); n == 2 {
			tr.upsert(id, name)
		} else if n, _ := fmt.Sscanf(line, "delete %d", &id); n == 1 {
			tr.delete(id)
		} else {
			tr.t.Fatalf("%s: %q", d.Pos, line)
		}
	}
	tr.try(d, func(ctx context.Context) (Committed, error) { return tr.table.Commit(ctx, tr.change()) })
}

// try commits under the fate that the arguments tell.
func (tr *tracer) try(d *datadriven.TestData, commit func(context.Context) (Committed, error)) {
	ctx, cancel := context.WithCancel(tr.ctx)
	defer cancel()
	for _, arg := range d.CmdArgs {
		tr.onCatalog(tr.fate(d, arg, cancel))
	}
	done, err := commit(ctx)
	switch {
	case err == nil:
		tr.catchUp()
		tr.add("-> committed at attempt %d", done.Attempts)
		tr.reset()
	case ctx.Err() != nil:
	case errors.Is(err, ErrStandDown):
		tr.catchUp()
		tr.add("-> stood down")
		tr.draft.Discard()
	default:
		tr.t.Fatalf("%s: %v", d.Pos, err)
	}
}

func (tr *tracer) add(format string, args ...any) {
	tr.lines = append(tr.lines, fmt.Sprintf(format, args...))
}

// fate returns the hook that an argument of commit asks for.
func (tr *tracer) fate(d *datadriven.TestData, arg datadriven.CmdArg, crash func()) func(*wiretest.Request) wiretest.Verdict {
	happens := func(what string, act func()) func(*wiretest.Request) wiretest.Verdict {
		return wiretest.Before(tr.commitOp, func() {
			tr.skip(act)
			tr.add("   (%s)", what)
		})
	}
	meets := func(what string, v wiretest.Verdict) func(*wiretest.Request) wiretest.Verdict {
		meet := wiretest.Meet(tr.commitOp, v)
		return func(r *wiretest.Request) wiretest.Verdict {
			if v := meet(r); r.Operation == tr.commitOp {
				tr.catchUp()
				if what != "" {
					tr.add("   (%s)", what)
					what = ""
				}
				return v
			}
			return wiretest.Do()
		}
	}
	switch arg.String() {
	case "meanwhile=compaction":
		return happens("before it is done, another tool compacts the table", func() { compact(tr.t, tr.cat, tr.table.ident) })
	case "meanwhile=rival":
		return happens("before it is done, another owner commits", func() {
			rival := tr.rival()
			rival.upsert(9, "rival")
			rival.commit()
			tr.truth = tr.settled
		})
	case "reply=lost":
		return meets("it is done, its reply is lost", wiretest.DoThenDrop())
	case "request=lost":
		return meets("it is lost", wiretest.Drop())
	case "crash=before":
		meet := meets("the process dies, and the request with it", wiretest.Drop())
		return func(r *wiretest.Request) wiretest.Verdict { return tr.dying(r, meet(r), crash) }
	case "crash=after":
		meet := meets("the process dies, and the request is done", wiretest.DoThenDrop())
		return func(r *wiretest.Request) wiretest.Verdict { return tr.dying(r, meet(r), crash) }
	}
	tr.t.Fatalf("%s: unknown argument %s", d.Pos, arg)
	return nil
}

// dying ends the process with the commit request: what it asks for afterwards is not in the trace. The process really ends with what it
// asks for next, when what becomes of the request has come about.
func (tr *tracer) dying(r *wiretest.Request, v wiretest.Verdict, crash func()) wiretest.Verdict {
	switch {
	case r.Operation == tr.commitOp:
		tr.dead = true
	case tr.dead && r.Operation == tr.loadOp:
		crash()
		return wiretest.Drop()
	}
	return v
}

// report adds what a reader sees, and what nobody refers to.
func (tr *tracer) report() {
	rows, err := readback.Map(tr.ctx, tr.cat, tr.table.o.Name, "cust_id")
	if err != nil {
		tr.t.Fatal(err)
	}
	tr.add("rows %s", strings.Join(slices.Sorted(maps.Values(rows)), " "))
	show, err := readback.Show(tr.ctx, tr.cat, tr.table.o.Name)
	if err != nil {
		tr.t.Fatal(err)
	}
	if show.Head != nil {
		mark, err := bookmark.Parse(show.Head.Summary[keyBookmark])
		if err != nil {
			tr.t.Fatal(err)
		}
		at, _ := mark.Partition("t", 0)
		tr.add("head is of operation %s, bookmark %d", show.Head.Operation, at.Next)
	}
	if orphans := tr.checkFiles(); len(orphans) > 0 {
		tr.add("left behind: %s", strings.Join(orphans, ", "))
	}
}
