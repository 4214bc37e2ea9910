package debezium

import (
	"fmt"

	"github.com/cdcd-project/cdcd/internal/row"
)

// Reason says why a record cannot be decoded. The reasons are a closed set: metrics, the quarantine table and
// `cdcd decode` name them.
type Reason string

// The reasons for which a record is refused.
const (
	InvalidJSON     Reason = "invalid_json"     // Also trailing bytes, an empty value, and nesting deeper than MaxDepth.
	NotAnObject     Reason = "not_an_object"    // Valid JSON, but no object.
	MissingOp       Reason = "missing_op"       // No envelope: the member op is absent.
	UnknownOp       Reason = "unknown_op"       // An op outside of c, r, u, d, t, m.
	MissingAfter    Reason = "missing_after"    // c, r or u without a row image.
	TypeMismatch    Reason = "type_mismatch"    // The JSON type does not fit the column's.
	SchemaMismatch  Reason = "schema_mismatch"  // A field of the embedded schema is absent, or an unknown one is present.
	NullInRequired  Reason = "null_in_required" // A null in a field that is not optional.
	OutOfRange      Reason = "out_of_range"     // A value beyond its type, or one the column cannot hold exactly.
	InvalidBase64   Reason = "invalid_base64"   // Bytes that are not standard base64 with padding.
	DuplicateMember Reason = "duplicate_member" // Two members, or two columns, of one name.
	InvalidUTF8     Reason = "invalid_utf8"     // Also an unpaired surrogate escape.
	NullKey         Reason = "null_key"         // Nothing says which row is meant.
	InvalidKey      Reason = "invalid_key"      // The record key cannot be read, or contradicts the row.
	ShortFrame      Reason = "short_frame"      // A registry's frame ends early, or is empty.
	UnknownMagic    Reason = "unknown_magic"    // The first byte is no known frame.
	ShortBody       Reason = "short_body"       // An Avro body ends early or late, or was not written with its schema.
	TooLarge        Reason = "too_large"        // One of Limits is exceeded.
	UnknownSchema   Reason = "unknown_schema"   // The registry does not know the schema, or there is no registry.
)

// Reasons returns all reasons, in the order of their definition.
func Reasons() []Reason {
	return []Reason{
		InvalidJSON, NotAnObject, MissingOp, UnknownOp, MissingAfter, TypeMismatch, SchemaMismatch, NullInRequired,
		OutOfRange, InvalidBase64, DuplicateMember, InvalidUTF8, NullKey, InvalidKey, ShortFrame, UnknownMagic, ShortBody,
		TooLarge, UnknownSchema,
	}
}

// Error refuses one record. Detail says where and why, and never repeats a value of the row, which may be confidential.
type Error struct {
	Reason Reason
	Detail string
	// Undecided: nothing tells whether the record is an envelope or flattened; as an envelope it is refused. Options.Shape
	// decides.
	Undecided bool
}

// Error implements error.
func (e *Error) Error() string { return string(e.Reason) + ": " + e.Detail }

func errorf(reason Reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// SchemaChange is returned, as an error, for a record that needs a table schema other than the bound one. The record
// itself is sound: it decodes after Want was bound.
type SchemaChange struct { //nolint:errname // It asks for a schema more than it reports an error.
	// Want is the schema that the record needs: the bound one with columns added or types changed, or the whole schema
	// of a table that does not exist yet. Columns are never removed, reordered or narrowed.
	Want *row.Schema
	// Lossless: every row of the bound schema can be read as a row of Want, by the promotions of the Iceberg
	// specification ("Schema Evolution"). Otherwise Want only shows what the record has.
	Lossless bool
	// Detail names what changes.
	Detail string
}

// Error implements error.
func (c *SchemaChange) Error() string { return "schema change: " + c.Detail }
