package debezium

import (
	"os"
	"strings"
	"testing"

	"github.com/cdcd-project/cdcd/internal/row"
)

// typeLine is one line of the table in docs/types.md.
type typeLine struct {
	column, setting, literal, name, parameters, iceberg, athena string
}

func readTypes(t *testing.T) []typeLine {
	t.Helper()
	text, err := os.ReadFile("../../docs/types.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text2, _ := strings.Cut(string(text), "## Records with a schema\n")
	text2, _, _ = strings.Cut(text2, "\n## ")
	var lines []typeLine
	for line := range strings.SplitSeq(text2, "\n") {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| source column ") {
			continue
		}
		cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|"), "|")
		if len(cells) != 8 {
			t.Fatalf("%d cells in %s", len(cells), line)
		}
		for i := range cells {
			if cells[i] = strings.TrimSpace(cells[i]); cells[i] == "-" {
				cells[i] = ""
			}
		}
		lines = append(lines, typeLine{cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6]})
	}
	return lines
}

// options returns cdcd's own settings of a line.
func (l *typeLine) options() Options {
	var o Options
	switch {
	case strings.Contains(l.setting, "time = string in cdcd"):
		o.Time = TimeAsString
	case strings.Contains(l.setting, "time = time in cdcd"):
		o.Time = TimeOfDay
	case !strings.Contains(l.setting, "the same in cdcd"):
	case strings.Contains(l.setting, "=base64-url-safe"):
		o.BinaryText = Base64URL
	case strings.Contains(l.setting, "=base64"):
		o.BinaryText = Base64
	case strings.Contains(l.setting, "=hex"):
		o.BinaryText = Hex
	}
	return o
}

// schema returns the Connect schema of a line, with 10 and 2 for P and S.
func (l *typeLine) schema() *connectSchema {
	c := &connectSchema{literal: l.literal, name: l.name, parameters: map[string]string{}}
	for pair := range strings.SplitSeq(l.parameters, ", ") {
		name, value, _ := strings.Cut(pair, "=")
		switch value {
		case "P":
			value = "10"
		case "S":
			value = "2"
		}
		c.parameters[name] = value
	}
	switch {
	case l.literal == "struct" && l.name == "":
		c.fields = []*connectSchema{{literal: "int32", field: "a"}, {literal: "string", field: "b"}}
	case strings.Contains(l.name, "geometry"):
		c.fields = []*connectSchema{{literal: "bytes", field: "wkb"}, {literal: "int32", field: "srid"}}
	case l.literal == "array" && l.name == "":
		c.items = &connectSchema{literal: "int32"}
	}
	return c
}

func TestPublishedTypesAreThoseOfTheCode(t *testing.T) {
	lines := readTypes(t)
	if len(lines) < 50 {
		t.Fatalf("only %d lines", len(lines))
	}
	published := map[string]bool{}
	for _, l := range lines {
		d := NewDecoder(l.options())
		src, err := d.typing.sourceOf(l.schema(), "c")
		if err != nil {
			t.Errorf("%s (%s): %v", l.column, l.setting, err)
			continue
		}
		want, err := row.ParseType(strings.NewReplacer("P", "10", "S", "2").Replace(l.iceberg))
		if err != nil || src.typ != want {
			t.Errorf("%s (%s): the code says %s, the page %s", l.column, l.setting, src.typ, l.iceberg)
		}
		if got := athenaType(src.typ); got != strings.NewReplacer("P", "10", "S", "2").Replace(l.athena) {
			t.Errorf("%s (%s): Athena calls a %s %s, the page says %s", l.column, l.setting, src.typ, got, l.athena)
		}
		if len(d.typing.unknown) > 0 {
			t.Errorf("%s: the code does not know the name %s", l.column, l.name)
		}
		published[l.literal+" "+l.name] = true
	}
	for _, m := range mappings() {
		if !published[m.literal+" "+m.name] {
			t.Errorf("the page does not have %s %s", m.literal, m.name)
		}
		delete(published, m.literal+" "+m.name)
	}
	for unknown := range published {
		t.Errorf("the code does not have %s", unknown)
	}
}

// athenaType returns Athena's name of an Iceberg type (Athena documentation, "Supported data types for Iceberg tables").
func athenaType(t row.Type) string {
	switch t.Kind { //nolint:exhaustive // All others have the same name.
	case row.Long:
		return "bigint"
	case row.TimestampTZ:
		return "timestamp with time zone"
	case row.Time:
		return "not readable"
	case row.List:
		return "array<" + athenaType(t.Element()) + ">"
	case row.Struct:
		var fields []string
		for _, f := range t.Fields() {
			fields = append(fields, f.Name+":"+athenaType(f.Type))
		}
		return "struct<" + strings.Join(fields, ",") + ">"
	}
	return t.String()
}
