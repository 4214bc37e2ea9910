package row

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Kind is the kind of a column type. The names and meanings are those of the Iceberg specification.
type Kind uint8

// The kinds of columns. Date is days since 1970-01-01; Timestamp and TimestampTZ are microseconds since
// 1970-01-01T00:00:00, the former without a zone and the latter in UTC; Time is microseconds since midnight.
const (
	Boolean Kind = iota + 1
	Int
	Long
	Float
	Double
	Decimal
	Date
	Timestamp
	TimestampTZ
	String
	Binary
	Time
	Struct // Its fields are Type.Fields.
	List   // Its elements are of Type.Element.
)

// MaxPrecision is the largest number of decimal digits a Decimal column can have (Iceberg specification, "Primitive types").
const MaxPrecision = 38

// maxTypeDepth bounds how deeply structs and lists contain each other.
const maxTypeDepth = 16

var kindNames = [...]string{ //nolint:gochecknoglobals // A constant table.
	Boolean: "boolean", Int: "int", Long: "long", Float: "float", Double: "double", Decimal: "decimal",
	Date: "date", Timestamp: "timestamp", TimestampTZ: "timestamptz", String: "string", Binary: "binary", Time: "time",
	Struct: "struct", List: "list",
}

// Type is a column's type. Types are comparable with ==.
type Type struct {
	Kind             Kind
	Precision, Scale uint8  // Of a Decimal.
	Nested           string // What stands between the angle brackets of a Struct or List, as String writes it.
}

// A Field is one field of a struct.
type Field struct {
	Name string
	Type Type
}

// StructOf returns the type of structs with these fields, all of them optional. No name may be empty, occur twice, or
// contain one of the characters of CheckFieldName.
func StructOf(fields ...Field) (Type, error) {
	var text strings.Builder
	seen := map[string]bool{}
	for i, f := range fields {
		if err := CheckFieldName(f.Name); err != nil {
			return Type{}, err
		}
		if seen[f.Name] {
			return Type{}, fmt.Errorf("two fields %q", f.Name)
		}
		seen[f.Name] = true
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteString(f.Name + ": " + f.Type.String())
	}
	if len(fields) == 0 {
		return Type{}, fmt.Errorf("a struct without fields")
	}
	return Type{Kind: Struct, Nested: text.String()}, nil
}

// CheckFieldName refuses names of struct fields that the text of a type could not carry.
func CheckFieldName(name string) error {
	if name == "" || strings.ContainsAny(name, ":,<>() ") {
		return fmt.Errorf("a field name %q: empty, or with one of : , < > ( ) and space", name)
	}
	return nil
}

// ListOf returns the type of lists with elements of type t, which may be null.
func ListOf(t Type) Type { return Type{Kind: List, Nested: t.String()} }

// Fields returns the fields of a Struct.
func (t Type) Fields() []Field {
	var fields []Field
	for _, part := range splitTop(t.Nested) {
		name, text, _ := strings.Cut(part, ":")
		nested, _ := ParseType(strings.TrimSpace(text)) // StructOf wrote it.
		fields = append(fields, Field{Name: strings.TrimSpace(name), Type: nested})
	}
	return fields
}

// Element returns the type of a List's elements.
func (t Type) Element() Type {
	e, _ := ParseType(t.Nested) // ListOf wrote it.
	return e
}

// String returns the type as Iceberg writes it: "long", "decimal(10,2)", "struct<wkb: binary, srid: int>", "list<float>".
func (t Type) String() string {
	switch {
	case t.Kind == Decimal:
		return fmt.Sprintf("decimal(%d,%d)", t.Precision, t.Scale)
	case int(t.Kind) >= len(kindNames) || t.Kind == 0:
		return fmt.Sprintf("kind(%d)", t.Kind)
	case t.Kind == Struct || t.Kind == List:
		return kindNames[t.Kind] + "<" + t.Nested + ">"
	}
	return kindNames[t.Kind]
}

// ParseType reads what String writes; spaces around the digits of a decimal, and around the fields of a struct, are
// allowed.
func ParseType(text string) (Type, error) { return parseType(text, 0) }

func parseType(text string, depth int) (Type, error) {
	if depth > maxTypeDepth {
		return Type{}, fmt.Errorf("type %.40q: nested deeper than %d", text, maxTypeDepth)
	}
	if args, ok := strings.CutPrefix(text, "decimal("); ok {
		args, closed := strings.CutSuffix(args, ")")
		precision, scale, both := strings.Cut(args, ",")
		p, errP := strconv.ParseUint(strings.TrimSpace(precision), 10, 8)
		s, errS := strconv.ParseUint(strings.TrimSpace(scale), 10, 8)
		if !closed || !both || errP != nil || errS != nil || p == 0 || p > MaxPrecision || s > p {
			return Type{}, fmt.Errorf("type %q: write decimal(P,S) with 1 <= P <= %d and 0 <= S <= P", text, MaxPrecision)
		}
		return Type{Kind: Decimal, Precision: uint8(p), Scale: uint8(s)}, nil
	}
	if args, ok := cutBrackets(text, "struct<"); ok {
		return parseStruct(text, args, depth)
	}
	if args, ok := cutBrackets(text, "list<"); ok {
		e, err := parseType(strings.TrimSpace(args), depth+1)
		return ListOf(e), err
	}
	i := slices.Index(kindNames[:], text)
	if k := Kind(max(i, 0)); k == 0 || k == Decimal || k == Struct || k == List {
		return Type{}, fmt.Errorf("type %q: not one of boolean, int, long, float, double, decimal(P,S), date, time, timestamp, timestamptz, string, binary, "+
			"struct<NAME: TYPE, ...>, list<TYPE>", text)
	}
	return Type{Kind: Kind(i)}, nil
}

func cutBrackets(text, prefix string) (string, bool) {
	args, ok := strings.CutPrefix(text, prefix)
	args, closed := strings.CutSuffix(args, ">")
	return args, ok && closed
}

func parseStruct(text, args string, depth int) (Type, error) {
	var fields []Field
	for _, part := range splitTop(args) {
		name, typ, ok := strings.Cut(part, ":")
		if !ok {
			return Type{}, fmt.Errorf("type %q: write struct<NAME: TYPE, ...>", text)
		}
		t, err := parseType(strings.TrimSpace(typ), depth+1)
		if err != nil {
			return Type{}, err
		}
		fields = append(fields, Field{Name: strings.TrimSpace(name), Type: t})
	}
	t, err := StructOf(fields...)
	if err != nil {
		return Type{}, fmt.Errorf("type %q: %w", text, err)
	}
	return t, nil
}

// splitTop splits text at the commas that stand inside of no brackets.
func splitTop(text string) []string {
	var parts []string
	depth, start := 0, 0
	for i, c := range text {
		switch c {
		case '<', '(':
			depth++
		case '>', ')':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, text[start:i])
				start = i + 1
			}
		}
	}
	return append(parts, text[start:])
}
