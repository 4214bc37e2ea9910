package pipeline

import (
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/kafka"
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

// readCoordinate reads what appendKey has written; s is quarantineSchema's.
func readCoordinate(s *row.Schema, key []byte) (r Quarantined, ok bool) {
	rows, err := s.ReadKey(key)
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
