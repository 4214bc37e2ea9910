package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/merge"
	"github.com/cdcd-project/cdcd/internal/row"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// quarantine is the quarantine table of a session, opened at its first bad record.
//
// Its bookmark is a position in a topic that does not exist, and counts its commits: so it moves with each and never back, a
// commit of anybody else is noticed exactly (I2, I3), and nothing is read by it. What decides whether a record is there already is
// its coordinate, which is the table's key.
type quarantine struct {
	sink    *sink.Table
	batch   *merge.Batch
	draft   *sink.Draft
	written int64            // Bytes of the open batch's rows that were handed to the draft.
	reasons map[string]int64 // How many records of the open batch, by reason.
	key     []byte           // Of the record at hand.
	digests sink.Digests     // Of the records that were compared last.
}

// counterTopic is the topic of a quarantine table's bookmark.
const counterTopic = "cdcd.quarantine"

// counted returns the bookmark of the commit after one with the bookmark b.
func counted(b bookmark.Bookmark) bookmark.Bookmark {
	at, _ := b.Partition(counterTopic, 0)
	next := b.Clone()
	next.Set(counterTopic, "", bookmark.Partition{Partition: 0, Next: at.Next + 1, Epoch: -1})
	return next
}

// openQuarantine opens a table's quarantine table, which is made if there is none.
func openQuarantine(ctx context.Context, s *sink.Sink, target sink.TableOptions) (*quarantine, error) {
	q, err := findQuarantine(ctx, s, target)
	if q != nil || err != nil {
		return q, err
	}
	o := QuarantineOf(target)
	return newQuarantine(o, func() (*sink.Table, error) { return s.Create(ctx, o, quarantineSchema()) })
}

// findQuarantine opens a table's quarantine table, and returns nil if there is none.
func findQuarantine(ctx context.Context, s *sink.Sink, target sink.TableOptions) (*quarantine, error) {
	o := QuarantineOf(target)
	q, err := newQuarantine(o, func() (*sink.Table, error) { return s.Open(ctx, o) })
	if errors.Is(err, sink.ErrNoTable) {
		return nil, nil //nolint:nilnil // That there is none is no error.
	}
	return q, err
}

func newQuarantine(o sink.TableOptions, open func() (*sink.Table, error)) (*quarantine, error) {
	opened, err := open()
	if err != nil {
		return nil, quarantineError(o.Name, err)
	}
	if err := checkQuarantine(opened.Schema()); err != nil {
		opened.Close()
		return nil, quarantineError(o.Name, err)
	}
	return &quarantine{sink: opened, batch: merge.NewBatch(opened.Schema()), draft: opened.Draft(), reasons: map[string]int64{}}, nil
}

// quarantineError makes an error of a quarantine table one of its target. That it was dropped is none: it is created again.
func quarantineError(name string, err error) error {
	halted, ok := errors.AsType[*halt.Error](err)
	switch {
	case !ok:
		return fmt.Errorf("quarantine table %s: %w", name, err)
	case halted.Reason == halt.TableDropped:
		return fmt.Errorf("quarantine table %s: it is created again: %s", name, halted.Err.Error())
	}
	return halt.Newf(halted.Reason, "This is about the quarantine table "+name+": "+halted.Hint, "quarantine table %s: %w", name, err)
}

func (q *quarantine) empty() bool { return q == nil || q.batch.Empty() }

// bytes returns the memory of the open batch (I7).
func (q *quarantine) bytes() int {
	if q == nil {
		return 0
	}
	return q.batch.Bytes()
}

// size returns the bytes of the open batch, written out or not.
func (q *quarantine) size() int64 {
	if q == nil {
		return 0
	}
	return q.written + int64(q.batch.Bytes())
}

// knows reports whether a record stands in the table, at its coordinate. Another one may stand there: a log that lost its tail has other
// records at the same offsets, and so has a recreated topic whose brokers give no ids. Then the coordinate's row becomes that of the
// record that the log has.
func (q *quarantine) knows(ctx context.Context, r *Quarantined) (bool, error) {
	q.key = r.appendKey(q.key[:0])
	if !q.sink.Has(q.key) {
		return false, nil
	}
	d, err := q.sink.Digest(ctx, q.key, &q.digests, columnKey, columnValue)
	if err != nil {
		return false, err
	}
	return d == sink.DigestOf(r.Key, r.Value), nil
}

// add takes a row into the open batch.
func (q *quarantine) add(ctx context.Context, r *Quarantined) error {
	r.appendTo(q.batch.Rows())
	q.key = r.appendKey(q.key[:0])
	q.batch.Upsert(q.key)
	q.reasons[r.Reason]++
	if q.batch.Rows().Bytes() > chunkBytes {
		return q.writeChunk(ctx)
	}
	return nil
}

func (q *quarantine) writeChunk(ctx context.Context) error {
	bytes, err := writeChunk(ctx, q.batch, q.draft)
	q.written += bytes
	return err
}

// commit commits the open batch with the next count for a bookmark, as what an operator decided if name is not empty.
func (q *quarantine) commit(ctx context.Context, name sink.OperationName, d sink.Detail) (sink.Committed, error) {
	if err := q.writeChunk(ctx); err != nil {
		return sink.Committed{}, err
	}
	change := sink.Change{Batch: q.batch, Draft: q.draft, Bookmark: counted(q.sink.Bookmark())}
	if name == "" {
		return q.sink.Commit(ctx, change)
	}
	return q.sink.CommitOperation(ctx, name, d, change)
}

// next begins the next batch.
func (q *quarantine) next() {
	q.batch.Reset(q.sink.Schema())
	q.draft, q.written = q.sink.Draft(), 0
	clear(q.reasons)
}

// close drops what is open.
func (q *quarantine) close() {
	if q != nil {
		q.draft.Discard()
		q.sink.Close()
	}
}

// unresolved calls f with the coordinate, key, value and reason of each unresolved record whose coordinate f wants, in no order. The
// record is valid until f returns.
func (q *quarantine) unresolved(ctx context.Context, want func(*Quarantined) bool, f func(*Quarantined) error) error {
	schema := quarantineSchema()
	return q.sink.Values(ctx, []string{columnKey, columnValue, columnReason, columnResolvedAt}, func(key []byte) bool {
		r, ok := readCoordinate(schema, key)
		return ok && want(&r)
	}, func(key []byte, values *row.Rows, i int) error {
		if v := values.Vectors; v[3].IsNull(i) {
			r, _ := readCoordinate(schema, key)
			r.Key, r.Value, r.Reason = bytesOf(&v[0], i), bytesOf(&v[1], i), string(v[2].Slice(i))
			return f(&r)
		}
		return nil
	})
}
