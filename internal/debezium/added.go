package debezium

import (
	"slices"
	"strings"
)

// An addedField is a member of a flattened record that is no column of the source table: ExtractNewRecordState has added
// it (add.fields, and __deleted under the rewrite modes).
type addedField uint8

const (
	notAdded addedField = iota
	addedDeleted
	addedOp
	addedSourceMs
	addedSnapshot
	addedOther
)

// deletedField is the name under which the rewrite modes say whether a row was deleted. No setting changes it.
const deletedField = "__deleted"

// addedMembers is how many members an object may have beyond the columns of the largest table.
const addedMembers = 64

// addedNames tells added members from columns by their names.
type addedNames struct {
	prefix string
	keep   bool // They become columns as well.
}

// field returns what the member of that name adds. The names are a closed set: what the transformation can add of an envelope
// that this decoder knows. Every other member is a column.
func (a *addedNames) field(name string) addedField {
	if name == deletedField {
		return addedDeleted
	}
	name, ok := strings.CutPrefix(name, a.prefix)
	if !ok {
		return notAdded
	}
	switch name {
	case "op":
		return addedOp
	case "source_ts_ms":
		return addedSourceMs
	case "source_snapshot", "snapshot":
		return addedSnapshot
	case "ts_ms", "ts_us", "ts_ns", "transaction_id", "transaction_total_order", "transaction_data_collection_order":
		return addedOther
	}
	if slices.Contains(sourceFields(), strings.TrimPrefix(name, "source_")) {
		return addedOther
	}
	return notAdded
}

// sourceFields returns the members of the source blocks of MySQL and MariaDB.
func sourceFields() []string {
	return []string{
		"version", "connector", "name", "ts_ms", "ts_us", "ts_ns", "snapshot", "db", "sequence", "table", "server_id", "gtid", "file", "pos",
		"row", "thread", "query",
	}
}

// added is what the members of one flattened record have added to its row.
type added struct {
	op       Op // Zero: it was not told.
	deleted  deletion
	sourceMs int64
	snapshot Snapshot
}

// deletion is what __deleted says.
type deletion uint8

const (
	deletionUntold deletion = iota
	isKept
	isDeleted
)

// addedValue reads the value of an added member.
func (s *scanner) addedValue(f *field) bool {
	c := s.peek()
	if c == 'n' {
		return s.literal("null")
	}
	switch f.added {
	case addedDeleted:
		return s.addedDeleted(c)
	case addedOp:
		if c != '"' {
			return s.fail(UnknownOp, "%s is no string", f.name)
		}
		text, ok := s.unquoted()
		return ok && s.setOp(text)
	case addedSourceMs:
		x, ok := s.int64(&field{kind: f.name, source: source{min: -maxTemporalPart * 1000, max: maxTemporalPart * 1000}})
		s.added.sourceMs = x
		return ok
	case addedSnapshot:
		if c == '"' {
			text, ok := s.unquoted()
			s.added.snapshot = parseSnapshot(text)
			return ok
		}
	case addedOther, notAdded:
	}
	return s.skip()
}

func (s *scanner) setOp(text []byte) (ok bool) {
	if s.added.op, ok = parseOp(text); !ok {
		return s.fail(UnknownOp, "op %.16q is none of c, r, u, d, t, m", text)
	}
	return true
}

// addedDeleted reads __deleted: a string that holds a boolean, which some pipelines cast to one.
func (s *scanner) addedDeleted(c byte) bool {
	text, ok := []byte(nil), true
	switch c {
	case '"':
		text, ok = s.unquoted()
	case 't':
		text, ok = []byte("true"), s.literal("true")
	case 'f':
		text, ok = []byte("false"), s.literal("false")
	}
	return ok && s.setDeleted(text)
}

func (s *scanner) setDeleted(text []byte) bool {
	switch {
	case string(text) == "true":
		s.added.deleted = isDeleted
	case string(text) == "false":
		s.added.deleted = isKept
	default:
		return s.fail(TypeMismatch, "%s is neither true nor false", deletedField)
	}
	return true
}
