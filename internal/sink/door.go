package sink

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	icetable "github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/invariant"
)

// Committed tells what a commit did.
type Committed struct {
	SnapshotID                          int64
	Operation                           string
	Inserted, Updated, Deleted, Unknown int64 // Keys, as merge.Plan counts them.
	DataFiles, DeleteFiles              int   // Files added.
	Bytes                               int64 // Bytes of the files added.
	Duration                            time.Duration
	Attempts                            int
}

// Commit is the one door: every change of the table goes through it. It lands on the head that the table stands for,
// or not at all (I2); rows, schema and bookmark land together (I1); and it returns without error only for a commit that landed.
//
// Storage and catalog troubles are retried for as long as ctx lives. Other errors: ErrStandDown, ErrStaleFiles and
// ErrUnsettled, after which the table must be opened again; *halt.Error; and for a draft whose last file could not be
// written the batch must be read again.
func (t *Table) Commit(ctx context.Context, c Change) (Committed, error) {
	started := time.Now()
	moved := c.Bookmark.MovedBack(t.bookmark)
	invariant.Check(moved == "", "I3: bookmark of %s moved back: %s", t.o.Name, moved)
	if c.Draft != nil {
		if err := c.Draft.finish(ctx); err != nil {
			return Committed{}, err
		}
	}
	id, err := t.newSnapshotID()
	if err != nil {
		return Committed{}, err
	}
	for attempt := 1; ; attempt++ {
		if c.Draft.stale() {
			return Committed{}, ErrStaleFiles
		}
		st, err := t.stage(ctx, id, c)
		if err != nil {
			return Committed{}, fmt.Errorf("stage commit: %w", err)
		}
		outcome, err := t.send(ctx, st, c.Draft)
		if err != nil {
			return Committed{}, err
		}
		if outcome.landed || st.hopeless(outcome.meta) {
			t.removeSentMetadata(outcome)
		}
		if outcome.landed {
			done, err := t.land(ctx, st, outcome, c)
			done.Attempts, done.Duration = attempt, time.Since(started)
			t.s.metrics.duration.WithLabelValues(t.o.Name).Observe(done.Duration.Seconds())
			return done, err
		}
		if err := t.catchUp(ctx, st, outcome, c.Draft); err != nil {
			return Committed{}, err
		}
	}
}

// newSnapshotID returns a random snapshot id that the table does not use. It is also the identity of the commit: the
// table's metadata tell by it whether the commit landed (I5).
func (t *Table) newSnapshotID() (int64, error) {
	for {
		var b [8]byte
		if _, err := rand.Read(b[:]); err != nil {
			return 0, fmt.Errorf("draw snapshot id: %w", err)
		}
		id := int64(binary.BigEndian.Uint64(b[:]) &^ (1 << 63))
		if id != 0 && t.meta.SnapshotByID(id) == nil {
			return id, nil
		}
	}
}

// outcome is a settled commit request.
type outcome struct {
	landed   bool
	loaded   *icetable.Table   // The table as it was read to settle; nil if the catalog's own answer settled.
	meta     icetable.Metadata // The table's metadata after the request.
	location string            // Of meta's metadata.json.
}

// send sends the staged commit until its outcome is settled (I5). Whatever error CommitTable returns proves nothing:
// only the table does. While the head is still the pinned one the same request is sent again, with the same snapshot
// id, which the catalog accepts once only. It returns a not landed outcome as soon as this request never can land.
//
// No request is sent for files that have grown too old, however long the process was frozen or the catalog away: the table
// is opened again, and its head tells what became of the requests before.
func (t *Table) send(ctx context.Context, st *staged, d *Draft) (outcome, error) {
	wait := t.s.o.Backoff
	for attempt := 1; ; attempt++ {
		switch {
		case !t.s.tooOld(st.begun) && !d.stale():
		case attempt == 1: // Nothing that was sent names this attempt's objects.
			for _, path := range st.written {
				t.remove(path)
			}
			return outcome{}, ErrStaleFiles
		default:
			return outcome{}, ErrStaleFiles
		}
		if d != nil {
			d.sent = true
		}
		meta, location, err := t.request(ctx, st)
		if err == nil && meta.SnapshotByID(st.snapshot.SnapshotID) != nil {
			t.count(outcomeCommitted)
			t.s.watch.see(t.o, version(meta, t.o.Ref))
			return outcome{landed: true, meta: meta, location: location}, nil
		}
		t.log.Warn("retried commit", "attempt", attempt, "snapshot_id", st.snapshot.SnapshotID, "err", err)
		loaded, loadErr := t.load(ctx)
		switch {
		case noTable(loadErr):
			return outcome{}, halt.Newf(halt.TableDropped, hintDropped, "the table was dropped: %w", loadErr)
		case loadErr != nil:
			return outcome{}, unsettled(ctx, loadErr)
		}
		now := loaded.Metadata()
		switch {
		case now.TableUUID() != t.meta.TableUUID():
			return outcome{}, halt.Newf(halt.TableDropped, hintDropped, "the table was dropped and created again")
		case now.SnapshotByID(st.snapshot.SnapshotID) != nil:
			t.count(outcomeCommitted)
			return outcome{landed: true, loaded: loaded, meta: now, location: loaded.MetadataLocation()}, nil
		case !samePin(now, t.o.Ref, st), now.LastSequenceNumber() >= st.snapshot.SequenceNumber,
			now.CurrentSchema().ID != t.meta.CurrentSchema().ID, now.DefaultPartitionSpec() != t.meta.DefaultPartitionSpec():
			t.count(outcomeConflict)
			return outcome{loaded: loaded, meta: now, location: loaded.MetadataLocation()}, nil
		}
		if refused := refusal(err, attempt); refused != nil {
			return outcome{}, refused // Nothing was done, and repeating it does not help.
		}
		t.count(outcomeUnknown)
		if err := sleep(ctx, wait); err != nil {
			return outcome{}, unsettled(ctx, err)
		}
		wait = min(2*wait, BackoffMax)
	}
}

const hintDropped = "Rebuild the table, or remove it from the configuration."

// refusalsMax is how many requests the catalog may call invalid in one commit before that is believed: a gateway on the way
// may say so for a moment.
const refusalsMax = 5

// refusal returns the halt that a refused request means, or nil if it is worth repeating.
func refusal(err error, attempt int) error {
	if denied, ok := errors.AsType[*halt.Error](accessDenied(err)); ok {
		return denied
	}
	if attempt >= refusalsMax && invalidRequest(err) {
		return halt.Newf(halt.InvalidTable, "Read what the catalog says about the table: it may hold a limit that the table has reached, such as the size of its "+
			"parameters, or a rule that the commit breaks. Restart cdcd when that is mended.", "the catalog refuses the commit: %w", err)
	}
	return nil
}

// request sends the commit request once.
func (t *Table) request(ctx context.Context, st *staged) (meta icetable.Metadata, location string, err error) {
	err = bounded(ctx, func(ctx context.Context) error {
		meta, location, err = t.s.o.Catalog.CommitTable(ctx, t.ident, st.requirements, st.updates)
		return err
	})
	return meta, location, err
}

func (t *Table) count(outcome string) { t.s.metrics.commits.WithLabelValues(t.o.Name, outcome).Inc() }

func unsettled(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ErrUnsettled, err)
	}
	return err
}

// samePin reports whether the branch still stands where the commit was pinned.
func samePin(meta icetable.Metadata, ref string, st *staged) bool {
	head := meta.SnapshotByName(ref)
	if head == nil || st.snapshot.ParentSnapshotID == nil {
		return head == nil && st.snapshot.ParentSnapshotID == nil
	}
	return head.SnapshotID == *st.snapshot.ParentSnapshotID
}
