package debezium

import (
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
	seen     uint32 // The last object of the projection that had the field.
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
	objects uint32 // Counts the decoded objects, so that field.seen need not be cleared.
}

func newProjection(target *row.Schema, u unknown) *projection {
	return &projection{byName: map[string]int{}, unknown: u, target: target, columns: columnsByName(target)}
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
	if p.unknown != refuseUnknown && len(p.fields) > limit {
		p.fields = nil
		clear(p.byName)
	}
}

// add appends a field and returns its index.
func (p *projection) add(f field) int {
	f.token = `"` + f.name + `":`
	if strings.ContainsAny(f.name, `"\`) {
		f.token = "\x00" // Is printed with escapes: never at this place in JSON.
	}
	p.fields = append(p.fields, f)
	p.byName[f.name] = len(p.fields) - 1
	return len(p.fields) - 1
}

// addTyped adds a field of an embedded schema, whose values go to the column with that index, decoded as src.
func (p *projection) addTyped(c *connectSchema, src source, column int) {
	if column != none {
		src.decode = src.decoder(p.target.Columns[column].Type)
	}
	p.add(field{source: src, name: c.field, kind: c.kind(), column: column, optional: c.optional})
}

// learn adds a field for a member of that name, seen for the first time in a record without schema.
func (p *projection) learn(name string) (int, *Error) {
	column, err := columnName(name)
	if err != nil {
		return none, err
	}
	f := field{name: name, column: none, optional: true}
	if i, ok := p.columns[column]; ok {
		t := p.target.Columns[i].Type
		f.source, f.column, f.kind = untyped(t), i, t.String()
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
		name, err := columnName(c.field)
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
