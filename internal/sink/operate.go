package sink

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/apache/iceberg-go/catalog"
	icetable "github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/halt"
)

// OperationName says what an operator decided, as the value of cdcd.operation; docs/format.md specifies them.
type OperationName string

// The operators' ways out of a halt, and the way into one.
const (
	OperationResume    OperationName = "resume"     // Try again from the bookmark; a pause ends.
	OperationPause     OperationName = "pause"      // Commit nothing until resume.
	OperationRewind    OperationName = "rewind"     // Go back to an earlier snapshot, or read from earlier offsets.
	OperationAcceptGap OperationName = "accept-gap" // Go on although records were lost.
	OperationRebind    OperationName = "rebind"     // Go on with another topic, cluster or number of partitions of the same name.
	OperationSkip      OperationName = "skip"       // Leave one record out.
	OperationReplay    OperationName = "replay"     // Apply records that were set aside.
	OperationDismiss   OperationName = "dismiss"    // Leave records that were set aside out for good.
)

// Operation is an operator's decision about one table. It lands in one snapshot on top of the head, so that history stays
// one line, and owners that run meanwhile find a descendant of their head (I2).
type Operation struct {
	Name   OperationName
	Reason string // What the operator says about it; of a pause also what the halt says.
	By     string // Who the operator is; may be empty.
	DryRun bool   // Work everything out, and write nothing.

	// Decide says what becomes of the table. It is called again with a fresh view when the owner's commit came first, and
	// has no effect of its own that matters if it is.
	Decide func(ctx context.Context, at Standing) (Decision, error)
}

// Decision is where an operator wants a table to stand.
type Decision struct {
	// Snapshot is the retained snapshot whose rows and bookmark come back; 0: the rows stay.
	Snapshot int64
	// Bookmark is from where reading goes on if the rows stay. It may stand before the present one: this is the only place
	// where I3 is lifted.
	Bookmark bookmark.Bookmark
	Detail   Detail
}

// Operated tells what an operation did, or what a dry run would have done.
type Operated struct {
	Parent        int64 // The head before; 0: the table had no snapshot.
	SnapshotID    int64 // 0 after a dry run.
	Before, After bookmark.Bookmark
	Detail        Detail
	Paused        bool // Whether the table is paused now.
}

// ErrDecidedMeanwhile is returned by Operate when another operator's decision landed after the table had been looked at.
var ErrDecidedMeanwhile = errors.New("another operator decided about the table at the same time; look at it, and decide again")

// operateAttempts bounds how often an operation starts again because the owner's commit came first.
const operateAttempts = 100

// Operate commits an operator's decision. It opens tables that Open refuses, and builds no index: an operator's machine need not
// have the memory. The commit is pinned to the head that Decide saw (I2), and its outcome is settled as any commit's (I5).
//
// Its errors are ErrNoTable, ErrDecidedMeanwhile, ErrUnsettled, what Decide said, and *halt.Error for a table that the
// decision does not bring back; nothing was committed unless the error is ErrUnsettled.
func (s *Sink) Operate(ctx context.Context, o TableOptions, op Operation) (Operated, error) {
	t := &Table{
		s: s, o: o, ident: strings.Split(o.Name, "."), numbers: map[string]uint32{},
		log: s.o.Logger.With("table", o.Name),
	}
	done, err := t.operate(ctx, op)
	if errors.Is(err, catalog.ErrNoSuchTable) || errors.Is(err, catalog.ErrNoSuchNamespace) {
		err = ErrNoTable
	}
	if err != nil {
		return done, fmt.Errorf("%s table %s: %w", op.Name, o.Name, err)
	}
	return done, nil
}

func (t *Table) operate(ctx context.Context, op Operation) (Operated, error) {
	loaded, err := t.load(ctx)
	if err != nil {
		return Operated{}, err
	}
	var id int64
	for range operateAttempts {
		at, err := t.stand(ctx, loaded)
		if err != nil {
			return Operated{}, err
		}
		if id == 0 {
			if id, err = t.newSnapshotID(); err != nil {
				return Operated{}, err
			}
		}
		st, done, err := t.stageOperation(ctx, id, op, at)
		if err != nil || op.DryRun {
			return done, err
		}
		outcome, err := t.send(ctx, st, nil)
		if err != nil {
			return done, fmt.Errorf("commit snapshot %d: %w", id, err)
		}
		if outcome.landed {
			t.removeMetadata(t.meta, outcome.meta)
			done.SnapshotID = id
			return done, nil
		}
		if !samePin(outcome.meta, t.o.Ref, st) { // The head moved past it without this attempt: its objects are nobody's.
			for _, path := range st.written {
				t.remove(path)
			}
		}
		decided, err := decidedSince(t.historyOf(ctx, outcome.meta), t.o.Ref, t.head)
		if decided != nil {
			err = fmt.Errorf("snapshot %d (%s): %w", decided.SnapshotID, summaryOf(decided).Properties[keyOperation], ErrDecidedMeanwhile)
		}
		if err != nil {
			return Operated{}, err
		}
		loaded = outcome.loaded
	}
	return Operated{}, fmt.Errorf("the owner's commits came first %d times; pause the table, then try again", operateAttempts)
}

// Standing is a table as an operator finds it.
type Standing struct {
	Head     int64             // 0: the branch has no snapshot yet.
	Bookmark bookmark.Bookmark // What the rows stand for; zero if Fault says that nobody can tell.
	Fault    *halt.Error       // Why an owner refuses to open the table; nil: it does not.

	history *history
	ref     string
}

// stand makes a loaded table the one that t stands for, and tells how an operator finds it.
func (t *Table) stand(ctx context.Context, loaded *icetable.Table) (Standing, error) {
	if err := t.adoptMetadata(ctx, loaded); err != nil {
		return Standing{}, err
	}
	at := Standing{history: t.historyOf(ctx, t.meta), ref: t.o.Ref}
	if t.head != nil {
		at.Head = t.head.SnapshotID
	}
	mark, err := resume(at.history, t.o.Ref)
	if err != nil {
		fault, ok := errors.AsType[*halt.Error](err)
		if !ok {
			return at, err
		}
		at.Fault = fault
	}
	at.Bookmark, t.bookmark = mark, mark
	return at, nil
}

// Resumable reports whether an owner would open the table, but for a pause; otherwise it returns why not.
func (at Standing) Resumable() error {
	if at.Fault == nil || at.Fault.Reason == halt.Paused {
		return nil
	}
	return at.Fault
}

// AsOf returns the newest retained snapshot with a whole bookmark at or before an instant. It looks at the ancestors of the head and
// at those of the tag, which are still there when the head's ancestry is broken.
func (at Standing) AsOf(instant time.Time) (int64, error) {
	var found *icetable.Snapshot
	for _, name := range []string{at.ref, tagName(at.ref)} {
		for s := at.history.meta.SnapshotByName(name); s != nil; s = parentOf(at.history.meta, s) {
			if s.TimestampMs > instant.UnixMilli() || found != nil && s.SequenceNumber <= found.SequenceNumber {
				continue
			}
			if _, err := bookmark.Parse(summaryOf(s).Properties[keyBookmark]); err == nil {
				found = s
			}
		}
	}
	if found == nil {
		return 0, fmt.Errorf("no snapshot of %s with a bookmark is left from before %s", at.ref, instant.UTC().Format(time.RFC3339Nano))
	}
	return found.SnapshotID, nil
}
