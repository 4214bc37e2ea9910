package debezium

import "strconv"

// Op is what happened to a row: Debezium's op, or a tombstone.
type Op uint8

// The operations. All but Tombstone and Upsert are the letters of Debezium's envelope.
const (
	Create    Op = 'c'
	Read      Op = 'r' // A row of a Debezium snapshot.
	Update    Op = 'u'
	Delete    Op = 'd'
	Truncate  Op = 't'
	Message   Op = 'm' // A logical decoding message, which is no row.
	Tombstone Op = '0' // A Kafka record with a null value.
	Upsert    Op = 'f' // A flattened row that does not say whether it was created, read or updated.
)

// Ops returns the operations that change rows.
func Ops() []Op { return []Op{Create, Read, Update, Delete, Tombstone, Upsert, Truncate} }

// String returns Debezium's letter, "tombstone" or "upsert".
func (o Op) String() string {
	switch o {
	case Create, Read, Update, Delete, Truncate, Message:
		return string(rune(o))
	case Tombstone:
		return "tombstone"
	case Upsert:
		return "upsert"
	}
	return "op(" + strconv.Itoa(int(o)) + ")"
}

// Rule names why a sound record changes no row. The rules are a closed set: every ignored record is counted by one (I6).
type Rule string

// The rules for ignoring a record.
const (
	RuleTombstone           Rule = "tombstone" // One that does not carry the identifier columns, or precedes the table.
	RuleHeartbeat           Rule = "heartbeat"
	RuleTransactionMetadata Rule = "transaction_metadata"
	RuleSchemaChange        Rule = "schema_change" // A record of the connector's schema change topic.
	RuleSignal              Rule = "signal"
	RuleMessage             Rule = "op_m"
	RuleTruncateIgnored     Rule = "truncate_ignored" // By TruncateIgnore.
)

// Rules returns all rules, in the order of their definition.
func Rules() []Rule {
	return []Rule{
		RuleTombstone, RuleHeartbeat, RuleTransactionMetadata, RuleSchemaChange, RuleSignal, RuleMessage, RuleTruncateIgnored,
	}
}

// Snapshot is the marker source.snapshot of a change event: where in a Debezium snapshot it stands.
type Snapshot uint8

// The snapshot markers (Debezium's SnapshotRecord). Streaming is "false" or null.
const (
	Streaming Snapshot = iota
	SnapshotTrue
	SnapshotFirst
	SnapshotFirstInDataCollection
	SnapshotLastInDataCollection
	SnapshotLast // The last row of the whole snapshot.
	SnapshotIncremental
	SnapshotOther // A marker that is not of this list.
)

var snapshotNames = [...]string{ //nolint:gochecknoglobals // A constant table.
	Streaming: "false", SnapshotTrue: "true", SnapshotFirst: "first",
	SnapshotFirstInDataCollection: "first_in_data_collection", SnapshotLastInDataCollection: "last_in_data_collection",
	SnapshotLast: "last", SnapshotIncremental: "incremental", SnapshotOther: "other",
}

// String returns the marker as Debezium writes it.
func (s Snapshot) String() string { return snapshotNames[s] }

func parseSnapshot(text []byte) Snapshot {
	for s, name := range snapshotNames[:SnapshotOther] {
		if string(text) == name {
			return Snapshot(s)
		}
	}
	return SnapshotOther
}

// Event is a decoded change event. Exactly one holds of every event: it is an upsert, an append, a delete, a truncate, or
// Ignored names the rule by which it changes nothing.
type Event struct {
	Op        Op
	Ignored   Rule     // Empty unless the record is ignored.
	Key       []byte   // Upserts and deletes: the canonical key (row.Rows.AppendKey), valid until the next Decode.
	OldKey    []byte   // Updates that move their row to Key: the canonical key that it had before. Valid until the next Decode.
	Unordered bool     // The record key is no part of Key: two events of Key may stand in two partitions, in no order (I13).
	Unchanged []int    // Upserts: the bound columns that keep their old value, which the row has as nulls. Valid until the next Decode.
	SourceMs  int64    // source.ts_ms: when the source database committed, in milliseconds since 1970; 0 if unknown.
	Snapshot  Snapshot // source.snapshot.
	Flattened bool     // The record is not enveloped.
	Logged    bool     // Its row is one of a changelog, whatever Op says.
}

// IsUpsert reports whether the event's row replaces the row of its key. A Create is one too: Debezium delivers at
// least once, and a snapshot may overlap the stream, so the key may exist already. Without Options.Partial, Unchanged is empty.
func (e *Event) IsUpsert() bool { return e.Ignored == "" && e.hasRow() && e.Key != nil }

// IsAppend reports whether the event's row is one more row of a table without a key (Options.Keyless, Options.Changelog).
func (e *Event) IsAppend() bool { return e.Logged || e.Ignored == "" && e.hasRow() && e.Key == nil }

func (e *Event) hasRow() bool {
	return e.Op == Create || e.Op == Read || e.Op == Update || e.Op == Upsert
}

// IsDelete reports whether the event removes the row of its key, if there is one. A tombstone does so as well: a
// compacted topic may have kept nothing else of a delete.
func (e *Event) IsDelete() bool {
	return e.Ignored == "" && !e.Logged && (e.Op == Delete || e.Op == Tombstone)
}
