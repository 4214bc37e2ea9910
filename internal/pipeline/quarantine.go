package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/merge"
	"github.com/cdcd-project/cdcd/internal/row"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// QuarantineSuffix makes the name of a table's quarantine table out of its own.
const QuarantineSuffix = "_quarantine"

// The columns of a quarantine table; docs/quarantine.md says what they hold. The first four are its key.
const (
	columnTopic         = "topic"
	columnTopicID       = "topic_id"
	columnPartition     = "partition"
	columnOffset        = "offset"
	columnRecordTime    = "record_time"
	columnKey           = "key"
	columnValue         = "value"
	columnHeaders       = "headers"
	columnReason        = "reason"
	columnDetail        = "detail"
	columnVersion       = "cdcd_version"
	columnQuarantinedAt = "quarantined_at"
	columnResolvedAt    = "resolved_at"
)

// QuarantineOf returns the settings of the table that takes what a target cannot: it lives as the target does.
func QuarantineOf(target sink.TableOptions) sink.TableOptions {
	o := target
	o.Name, o.Changelog = o.Name+QuarantineSuffix, false
	o.Key = []string{columnTopic, columnTopicID, columnPartition, columnOffset}
	return o
}

func quarantineSchema() *row.Schema {
	text, binary, instant := row.Type{Kind: row.String}, row.Type{Kind: row.Binary}, row.Type{Kind: row.TimestampTZ}
	header, err := row.StructOf(row.Field{Name: "key", Type: binary}, row.Field{Name: "value", Type: binary})
	if err != nil {
		panic(err) // Its names are plain.
	}
	return &row.Schema{
		Columns: []row.Column{
			{Name: columnTopic, Type: text, Required: true},
			{Name: columnTopicID, Type: text, Required: true, Doc: "Kafka's id of the topic; empty if the brokers have none"},
			{Name: columnPartition, Type: row.Type{Kind: row.Int}, Required: true},
			{Name: columnOffset, Type: row.Type{Kind: row.Long}, Required: true},
			{Name: columnRecordTime, Type: instant},
			{Name: columnKey, Type: binary},
			{Name: columnValue, Type: binary},
			{Name: columnHeaders, Type: row.ListOf(header)},
			{Name: columnReason, Type: text},
			{Name: columnDetail, Type: text},
			{Name: columnVersion, Type: text, Doc: "the version of cdcd that could not apply the record"},
			{Name: columnQuarantinedAt, Type: instant},
			{Name: columnResolvedAt, Type: instant, Doc: "when it was replayed or dismissed; null: it is still missing from the table"},
		},
		Key: []int{0, 1, 2, 3},
	}
}

// Quarantined is one row of a quarantine table.
type Quarantined struct {
	Topic, TopicID string
	Partition      int32
	Offset         int64
	Time           time.Time
	Key, Value     []byte // Nil: Kafka's null.
	Headers        []debezium.Header
	Reason, Detail string
	Version        string
	At             time.Time // When it was quarantined.
	Resolved       time.Time // Zero: it is not.
}

// Record returns the record as an operator sees it.
func (r *Quarantined) Record() kafka.Record {
	out := &kgo.Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Time, Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, kgo.RecordHeader(h))
	}
	return kafka.Record{Record: out}
}

// appendKey appends the canonical key of the row: the record's coordinate.
func (r *Quarantined) appendKey(key []byte) []byte {
	key = row.AppendKeyBytes(row.AppendKeyBytes(key, []byte(r.Topic)), []byte(r.TopicID))
	return row.AppendKeyInt(row.AppendKeyInt(key, int64(r.Partition)), r.Offset)
}

// appendTo appends the row. Columns that somebody added to the table are null.
func (r *Quarantined) appendTo(rows *row.Rows) {
	for i, c := range rows.Schema.Columns {
		v := &rows.Vectors[i]
		switch c.Name {
		case columnTopic:
			v.AppendBytes([]byte(r.Topic))
		case columnTopicID:
			v.AppendBytes([]byte(r.TopicID))
		case columnPartition:
			v.AppendInt32(r.Partition)
		case columnOffset:
			v.AppendInt64(r.Offset)
		case columnRecordTime:
			v.AppendInt64(r.Time.UnixMicro())
		case columnKey:
			appendBinary(v, r.Key)
		case columnValue:
			appendBinary(v, r.Value)
		case columnHeaders:
			appendHeaders(v, r.Headers)
		case columnReason:
			v.AppendBytes([]byte(r.Reason))
		case columnDetail:
			v.AppendBytes([]byte(strings.ToValidUTF8(r.Detail, "\uFFFD")))
		case columnVersion:
			v.AppendBytes([]byte(r.Version))
		case columnQuarantinedAt:
			v.AppendInt64(r.At.UnixMicro())
		case columnResolvedAt:
			if r.Resolved.IsZero() {
				v.AppendNull()
			} else {
				v.AppendInt64(r.Resolved.UnixMicro())
			}
		default:
			v.AppendNull()
		}
	}
	rows.End()
}

func appendBinary(v *row.Vector, b []byte) {
	if b == nil {
		v.AppendNull()
		return
	}
	v.AppendBytes(b)
}

func appendHeaders(v *row.Vector, headers []debezium.Header) {
	list := &v.Children[0]
	for _, h := range headers {
		list.Children[0].AppendBytes([]byte(h.Key))
		appendBinary(&list.Children[1], h.Value)
		list.EndStruct()
	}
	v.EndList()
}

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

// checkQuarantine refuses a table that is no quarantine table. It may have more columns than cdcd knows, if they take nulls.
func checkQuarantine(have *row.Schema) error {
	want := quarantineSchema()
	for _, c := range want.Columns {
		if i := have.Index(c.Name); i < 0 || have.Columns[i].Type != c.Type {
			return halt.Newf(halt.InvalidTable, "Drop or rename it: cdcd creates it anew.", "it is no quarantine table of cdcd: it has no column %s of type %s", c.Name, c.Type)
		}
	}
	for _, c := range have.Columns {
		if want.Index(c.Name) < 0 && c.Required {
			return halt.Newf(halt.InvalidTable, "Drop the column, or let it be null.", "its column %s takes no null", c.Name)
		}
	}
	return nil
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
	rows := q.batch.Chunk()
	if rows == nil {
		return nil
	}
	file, first, err := q.draft.Write(ctx, rows)
	if err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	q.written += int64(rows.Bytes())
	q.batch.Placed(file, first)
	return nil
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
	return q.sink.Values(ctx, []string{columnKey, columnValue, columnReason, columnResolvedAt}, func(key []byte) bool {
		r, ok := readCoordinate(key)
		return ok && want(&r)
	}, func(key []byte, values *row.Rows, i int) error {
		if v := values.Vectors; v[3].IsNull(i) {
			r, _ := readCoordinate(key)
			r.Key, r.Value, r.Reason = bytesOf(&v[0], i), bytesOf(&v[1], i), string(v[2].Slice(i))
			return f(&r)
		}
		return nil
	})
}

// readCoordinate reads what appendKey has written.
func readCoordinate(key []byte) (r Quarantined, ok bool) {
	rows, err := quarantineSchema().ReadKey(key)
	if err != nil {
		return r, false
	}
	v := rows.Vectors
	r.Topic, r.TopicID, r.Partition, r.Offset = string(v[0].Slice(0)), string(v[1].Slice(0)), v[2].Int32s[0], v[3].Int64s[0]
	return r, true
}

func bytesOf(v *row.Vector, i int) []byte {
	if v.IsNull(i) {
		return nil
	}
	return v.Slice(i)
}
