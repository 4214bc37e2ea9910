// Package halt says why one table must stop, and what an operator can do about it.
//
// A halted table commits nothing more until somebody has decided; all other tables go on. The reasons are a
// closed set, so that alerts and the runbook can name every one of them.
package halt

import "fmt"

// Reason is a code of the closed set below. It is used as a metric label and as a heading of the runbook.
type Reason string

// The reasons for which a table halts.
const (
	BadRecord        Reason = "bad_record"         // A record cannot be decoded, mapped or keyed.
	BadRecords       Reason = "bad_records"        // So many cannot that it must be a setting.
	SchemaChange     Reason = "schema_change"      // A record needs a schema that the table does not have.
	InvalidTable     Reason = "invalid_table"      // The table exists, but cdcd cannot maintain it as it is.
	ForeignRows      Reason = "foreign_rows"       // Another writer added, removed or changed rows.
	BookmarkLost     Reason = "bookmark_lost"      // The snapshot that carries the bookmark has expired.
	BookmarkInvalid  Reason = "bookmark_invalid"   // The bookmark cannot be read, or is of an unknown version.
	IncompleteStart  Reason = "incomplete_start"   // The topic no longer holds the table's beginning.
	RecordsLost      Reason = "records_lost"       // Retention removed records that were never applied.
	LogTruncated     Reason = "log_truncated"      // The log ends before the bookmark, or its tail was replaced.
	TopicRecreated   Reason = "topic_recreated"    // The topic's id differs from the bookmark's.
	TopicMissing     Reason = "topic_missing"      // The topic does not exist.
	ForeignCluster   Reason = "foreign_cluster"    // The bookmark was made on another Kafka cluster.
	PartitionsAdded  Reason = "partitions_added"   // The topic has more partitions than the bookmark (I13).
	IndexOverBudget  Reason = "index_over_budget"  // The key index does not fit into memory.index.
	TableDropped     Reason = "table_dropped"      // The table is gone from the catalog.
	AccessDenied     Reason = "access_denied"      // Storage, the catalog or the schema registry refuses cdcd's role.
	AnotherWriter    Reason = "another_writer"     // A bounded run met a second writer.
	TruncateRefused  Reason = "truncate_refused"   // A TRUNCATE arrived that no policy allows to apply.
	RecordOverBudget Reason = "record_over_budget" // One record alone exceeds memory.batches.
	KeyUnordered     Reason = "key_unordered"      // Two events of one key may stand in two partitions, in no known order (I13).
	Paused           Reason = "paused"             // An operator paused the table.
)

// Reasons returns all reasons, in the order of their definition.
func Reasons() []Reason {
	return []Reason{
		BadRecord, BadRecords, SchemaChange, InvalidTable, ForeignRows, BookmarkLost, BookmarkInvalid, IncompleteStart,
		RecordsLost, LogTruncated, TopicRecreated, TopicMissing, ForeignCluster, PartitionsAdded, IndexOverBudget,
		TableDropped, AccessDenied, AnotherWriter, TruncateRefused, RecordOverBudget, KeyUnordered, Paused,
	}
}

// Error stops one table. It wraps its cause; Hint tells an operator what to do, in one or two sentences.
type Error struct {
	Reason Reason
	Hint   string
	Err    error
}

// Newf returns an Error whose cause is the formatted text; %w wraps as in fmt.Errorf.
func Newf(reason Reason, hint, format string, args ...any) *Error {
	return &Error{Reason: reason, Hint: hint, Err: fmt.Errorf(format, args...)}
}

// Error implements error. The hint is not part of it: logs and commands show it beside the error.
func (e *Error) Error() string { return string(e.Reason) + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
