package row

import (
	"strings"
	"testing"
)

func TestTypesReadBackAsWritten(t *testing.T) {
	for _, text := range []string{
		"boolean", "int", "long", "float", "double", "decimal(38,10)", "decimal(1,0)", "date", "timestamp", "timestamptz", "string", "binary",
	} {
		got, err := ParseType(text)
		if err != nil || got.String() != text {
			t.Errorf("%s: got %s, %v", text, got, err)
		}
	}
	if got, err := ParseType("decimal( 20 , 0 )"); err != nil || got.String() != "decimal(20,0)" {
		t.Errorf("spaces: got %s, %v", got, err)
	}
}

func TestUnknownTypesAreRefused(t *testing.T) {
	for _, text := range []string{
		"", "Long", "time", "uuid", "decimal", "decimal()", "decimal(10)", "decimal(0,0)", "decimal(39,0)", "decimal(4,5)", "decimal(4,-1)",
		"decimal(4,1", "decimal(4,1,1)", "decimal(+4,1)", "decimal(300,1)",
	} {
		if got, err := ParseType(text); err == nil {
			t.Errorf("%q: got %s, want an error", text, got)
		}
	}
}

func testSchema() *Schema {
	s := &Schema{Key: []int{2, 0}}
	for i := Boolean; i <= Binary; i++ {
		typ := Type{Kind: i}
		if i == Decimal {
			typ.Precision, typ.Scale = 38, 2
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

func TestFloatingPointColumnsIdentifyNoRow(t *testing.T) {
	for i, c := range testSchema().Columns {
		s := testSchema()
		s.Key = []int{i}
		want := c.Type.Kind == Float || c.Type.Kind == Double
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
