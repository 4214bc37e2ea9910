package debezium

import (
	"fmt"
	"strings"
	"unicode/utf16"
)

// columnName returns the name of the source column that a field holds. The connector's field.name.adjustment.mode changes
// names that Avro does not allow; where the original name is propagated, and the field's name is what became of it, it is
// restored. A field that was renamed later keeps its new name.
func (c *connectSchema) columnName() string {
	original := c.parameters[sourceNameParameter]
	if original != "" && original != c.field && (c.field == avroName(original, "_") || c.field == avroName(original, "_u%04x")) {
		return original
	}
	return c.field
}

// avroName returns what Debezium's SchemaNameAdjuster makes of a name: each UTF-16 unit that Avro does not allow there (Avro
// specification, "Names") becomes the replacement. If that tells the units apart, the underscore is one of them.
func avroName(name, replacement string) string {
	var out strings.Builder
	unicode := replacement != "_"
	for i, unit := range utf16.Encode([]rune(name)) {
		letter := unit|0x20 >= 'a' && unit|0x20 <= 'z' || unit == '_' && !unicode
		switch {
		case letter || i > 0 && unit >= '0' && unit <= '9':
			out.WriteByte(byte(unit))
		case unicode:
			fmt.Fprintf(&out, replacement, unit)
		default:
			out.WriteString(replacement)
		}
	}
	return out.String()
}
