package debezium

import (
	"slices"
	"strings"
	"unicode"

	"github.com/cdcd-project/cdcd/internal/row"
)

// maxNameBytes bounds a column's name: Glue, and with it Athena, takes 255.
const maxNameBytes = 255

// A field is one member of a row or key object, and what becomes of it.
type field struct {
	source

	name     string // As the record spells it.
	token    string // What JsonConverter prints for the name, quotes and colon included.
	kind     string // The type, for errors.
	column   int    // The vector that the value goes to, or none.
	optional bool   // A null is allowed.
	keeps    bool   // An unavailable value is allowed.
	added    addedField
	seen     uint32    // The last object of the projection that had the field.
	wire     avroValue // Of Avro: how the record has it.
	plain    bool      // It goes to a column, and to nothing else.
	short    short

	decode  decodeFunc
	nested  *projection // Of structs.
	element *field      // Of lists.
}

// none is the column of a field that is read over.
const none = -1

// unknown says what to do with a member that the projection does not know.
type unknown uint8

const (
	refuseUnknown unknown = iota // The embedded schema lists all members.
	evolveUnknown                // It is a column that the table does not have.
	skipUnknown                  // It is no identifier column.
	foreignInKey                 // The record key has a field that is no identifier column.
	foreignInPart                // A declared struct does not have the field.
)

// A projection tells how the members of an object become one row of a schema. It is computed once per pair of embedded
// schema and bound schema; without an embedded schema it is learned, member by member.
//
// Invariant: no two fields have the same name.
type projection struct {
	fields  []field
	byName  map[string]int // By the record's own spelling.
	unknown unknown
	columns map[string]int // The target's columns by lower-case name, for learning.
	target  *row.Schema
	typing  *typing
	added   *addedNames    // Of flattened records; nil: nothing is added.
	partial bool           // Unavailable values are allowed.
	others  map[string]int // Of a record key: all columns of the table.
	objects uint32         // Counts the decoded objects, so that field.seen need not be cleared.
	lead    int            // The last of the leading fields that are, in any order, the bound schema's identifier; none: they are not.
	marked  bool           // A field is one that only flattened records have.
	ordered gate           // Of inOrder.
	passed  gate           // Of passInOrder.
	order   []int          // Of Avro: the fields in the order in which they are written; nil: their own.
}

func newProjection(t *typing, target *row.Schema, u unknown) *projection {
	return &projection{byName: map[string]int{}, unknown: u, target: target, columns: columnsByName(target), typing: t, lead: none}
}

// newParts returns the projection of an object to the fields of a struct of type t.
func newParts(parts *structure, t row.Type) *projection {
	p := &projection{byName: map[string]int{}, unknown: foreignInPart, lead: none}
	if parts.strict {
		p.unknown = refuseUnknown
	}
	children := t.Fields()
	for _, part := range parts.fields {
		f := field{source: part.source, name: part.name, kind: part.kind, optional: part.optional, column: part.column, wire: part.wire}
		if f.column != none {
			f.resolve(children[f.column].Type)
		}
		p.add(f)
	}
	return p
}

// columnsByName returns the indexes of the columns by their lower-case names.
func columnsByName(s *row.Schema) map[string]int {
	columns := make(map[string]int, len(s.Columns))
	for i, c := range s.Columns {
		columns[strings.ToLower(c.Name)] = i
	}
	return columns
}

// start prepares for the next object. What was learned is forgotten once it is more than a table can have, such as after
// many records whose member names are all different.
func (p *projection) start(limit int) {
	p.objects++
	if p.unknown != refuseUnknown && len(p.fields) > limit+addedMembers {
		p.fields, p.lead, p.marked = nil, none, false
		clear(p.byName)
	}
}

// add appends a field and returns its index.
func (p *projection) add(f field) int {
	f.token = `"` + f.name + `":`
	if strings.ContainsAny(f.name, `"\`) {
		f.token = "\x00" // Is printed with escapes: never at this place in JSON.
	}
	f.plain = f.column != none && f.added == notAdded
	p.fields = append(p.fields, f)
	p.byName[f.name] = len(p.fields) - 1
	p.findLead()
	p.marked = p.marked || f.added == addedOp || f.added == addedDeleted
	return len(p.fields) - 1
}

// findLead sets lead.
func (p *projection) findLead() {
	p.lead = none
	if p.target == nil || len(p.target.Key) == 0 || len(p.fields) < len(p.target.Key) {
		return
	}
	for i := range p.target.Key {
		if f := &p.fields[i]; !f.plain || !slices.Contains(p.target.Key, f.column) {
			return
		}
	}
	p.lead = len(p.target.Key) - 1
}

// resolve sets how the values of f are decoded into a column of type t, which they fit.
func (f *field) resolve(t row.Type) {
	f.means = f.as(t)
	f.decode, f.short = jsonDecoder(f.means), f.shortCut(t)
	if f.wire.typ != nil {
		f.decode = avroDecoder(f.means, f.wire.typ)
	}
	switch t.Kind { //nolint:exhaustive // All others have no parts.
	case row.Struct:
		f.nested = newParts(f.parts, t)
	case row.List:
		e := &f.parts.fields[0]
		f.element = &field{source: e.source, name: e.name, kind: e.kind, optional: e.optional, wire: e.wire}
		f.element.resolve(t.Element())
	}
}

// addTyped adds a field of an embedded schema, whose values go to the column with that index.
func (p *projection) addTyped(c *connectSchema, src source, column int, added addedField) {
	f := field{source: src, name: c.field, kind: c.kind(), column: column, optional: c.optional, keeps: p.partial, added: added, wire: c.wire}
	if column != none {
		f.resolve(p.target.Columns[column].Type)
	}
	p.add(f)
}

// writtenAs takes the order in which Avro writes the fields of a schema, all of which were added.
func (p *projection) writtenAs(fields []*connectSchema) {
	p.order = make([]int, len(fields))
	for i, c := range fields {
		p.order[i] = p.byName[c.field]
	}
}

// learn adds a field for a member of that name, seen for the first time in a record without schema.
func (p *projection) learn(name string) (int, *Error) {
	column, err := columnName(name)
	if err != nil {
		return none, err
	}
	f := field{name: name, column: none, optional: true, keeps: p.partial}
	if p.added != nil {
		f.added = p.added.field(name)
	}
	if i, ok := p.columns[column]; ok && (f.added == notAdded || p.added.keep) {
		t := p.target.Columns[i].Type
		f.source, f.column, f.kind = p.typing.untyped(t, column), i, t.String()
		f.resolve(t)
	}
	return p.add(f), nil
}

// columnName returns the name that a field has in the table: lower case, since Athena takes no other (I12).
func columnName(name string) (string, *Error) {
	switch {
	case name == "":
		return "", errorf(SchemaMismatch, "a column without a name")
	case len(name) > maxNameBytes:
		return "", errorf(TooLarge, "a column name of %d bytes exceeds the limit of %d", len(name), maxNameBytes)
	case strings.ContainsFunc(name, unicode.IsControl):
		return "", errorf(SchemaMismatch, "control characters in the column name %q", name)
	}
	return strings.ToLower(name), nil
}

// fieldNames checks the names of a struct's fields and returns their column names. Two names that differ in case only
// are refused: engines that ignore case could not tell their columns apart.
func fieldNames(fields []*connectSchema) ([]string, *Error) {
	names := make([]string, len(fields))
	spellings := make(map[string]string, len(fields))
	for i, c := range fields {
		name, err := columnName(c.columnName())
		if err != nil {
			return nil, err
		}
		if other, ok := spellings[name]; ok {
			return nil, errorf(DuplicateMember, "the columns %q and %q are equal ignoring case", other, c.field)
		}
		names[i], spellings[name] = name, c.field
	}
	return names, nil
}
