package row

import (
	"strings"
	"testing"
)

func TestTypesReadBackAsWritten(t *testing.T) {
	for _, text := range []string{
		"boolean", "int", "long", "float", "double", "decimal(38,10)", "decimal(1,0)", "date", "timestamp", "timestamptz", "string", "binary", "time", "list<float>",
		"struct<wkb: binary, srid: int>", "list<struct<a: decimal(4,2), b: list<list<string>>, ü: time>>",
	} {
		got, err := ParseType(text)
		if err != nil || got.String() != text {
			t.Errorf("%s: got %s, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"decimal( 20 , 0 )": "decimal(20,0)", "list< int >": "list<int>", "struct< a:int,b :  decimal( 4 ,2 ) >": "struct<a: int, b: decimal(4,2)>",
	} {
		if got, err := ParseType(text); err != nil || got.String() != want {
			t.Errorf("spaces: got %s, %v, want %s", got, err, want)
		}
	}
}

func TestUnknownTypesAreRefused(t *testing.T) {
	for _, text := range []string{
		"", "Long", "times", "uuid", "struct", "list", "struct<>", "struct<a>", "struct<a:>", "struct<: int>", "struct<a: int, a: long>", "struct<a b: int>",
		"struct<a: int", "list<>", "list<int", "list<int>>", "list<uuid>", "list<int, long>", "map<int, int>", strings.Repeat("list<", 20) + "int" + strings.Repeat(">", 20), "decimal", "decimal()", "decimal(10)", "decimal(0,0)", "decimal(39,0)", "decimal(4,5)", "decimal(4,-1)",
		"decimal(4,1", "decimal(4,1,1)", "decimal(+4,1)", "decimal(300,1)",
	} {
		if got, err := ParseType(text); err == nil {
			t.Errorf("%q: got %s, want an error", text, got)
		}
	}
}

func testSchema() *Schema {
	s := &Schema{Key: []int{2, 0}}
	for i := Boolean; i <= List; i++ {
		typ := Type{Kind: i}
		switch i { //nolint:exhaustive // All others need no more than their kind.
		case Decimal:
			typ.Precision, typ.Scale = 38, 2
		case Struct:
			typ, _ = ParseType("struct<a: string, b: struct<c: int, d: list<boolean>>>")
		case List:
			typ = ListOf(Type{Kind: String})
		}
		s.Columns = append(s.Columns, Column{Name: typ.String(), Type: typ})
	}
	return s
}

func TestKeySchemaHasTheIdentifiersInKeyOrder(t *testing.T) {
	k := testSchema().KeySchema()
	if len(k.Columns) != 2 || k.Columns[0].Name != "long" || k.Columns[1].Name != "boolean" || k.Key[0] != 0 || k.Key[1] != 1 {
		t.Errorf("got %+v", k)
	}
}

func TestEqualComparesColumnsAndKey(t *testing.T) {
	a, b := testSchema(), testSchema()
	if !a.Equal(b) {
		t.Error("equal schemas differ")
	}
	b.Key = []int{0, 2}
	if a.Equal(b) {
		t.Error("another key order is equal")
	}
	b = testSchema()
	b.Columns[3].Required = true
	if a.Equal(b) {
		t.Error("another column is equal")
	}
}

func TestTypesKnowTheirParts(t *testing.T) {
	typ, err := ParseType("struct<a: decimal(4,2), b: list<struct<c: int>>>")
	if err != nil {
		t.Fatal(err)
	}
	fields := typ.Fields()
	if len(fields) != 2 || fields[0] != (Field{"a", Type{Kind: Decimal, Precision: 4, Scale: 2}}) || fields[1].Name != "b" {
		t.Fatalf("got %v", fields)
	}
	if got := fields[1].Type.Element().String(); got != "struct<c: int>" {
		t.Errorf("got %s", got)
	}
	built, err := StructOf(fields...)
	if err != nil || built != typ {
		t.Errorf("got %v, %v, want %v", built, err, typ)
	}
}

func TestColumnsThatIdentifyNoRow(t *testing.T) {
	for i, c := range testSchema().Columns {
		s := testSchema()
		s.Key = []int{i}
		want := c.Type.Kind == Float || c.Type.Kind == Double || c.Type.Kind == Struct || c.Type.Kind == List
		err := s.CheckKey()
		if (err != nil) != want {
			t.Errorf("%s: got %v", c.Name, err)
		}
		if err != nil && !strings.Contains(err.Error(), c.Name) {
			t.Errorf("%s: the error does not name it: %v", c.Name, err)
		}
	}
}

func TestIndexFindsColumns(t *testing.T) {
	s := testSchema()
	if got := s.Index("date"); s.Columns[got].Type.Kind != Date {
		t.Errorf("got %d", got)
	}
	if got := s.Index("absent"); got != -1 {
		t.Errorf("got %d, want -1", got)
	}
}
