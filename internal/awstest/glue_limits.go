package awstest

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of the Glue API (structures Database, TableInput, StorageDescriptor and Column), in bytes.
const (
	nameBytesMax        = 255
	commentBytesMax     = 255
	descriptionBytesMax = 2048
	locationBytesMax    = 2056
	locationURIBytesMax = 1024
	typeBytesMax        = 131072
	keyBytesMax         = 255
	valueBytesMax       = 512000
)

// limits gathers all violations, because Glue reports them at once.
type limits struct{ faults []string }

// line checks a member that Glue calls a single-line string: tabs, but no other control characters.
func (l *limits) line(path, value string, bytesMin, bytesMax int) {
	l.length(path, value, bytesMin, bytesMax)
	control := func(r rune) bool { return r < ' ' && r != '\t' }
	if strings.ContainsFunc(value, control) || !utf8.ValidString(value) {
		l.fault(path, value, `satisfy regular expression pattern: [\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*`)
	}
}

func (l *limits) length(path, value string, bytesMin, bytesMax int) {
	if len(value) < bytesMin {
		l.fault(path, value, fmt.Sprintf("have length greater than or equal to %d", bytesMin))
	}
	if len(value) > bytesMax {
		l.fault(path, value, fmt.Sprintf("have length less than or equal to %d", bytesMax))
	}
}

func (l *limits) fault(path, value, rule string) {
	l.faults = append(l.faults, fmt.Sprintf("Value '%.300s' at '%s' failed to satisfy constraint: Member must %s", value, path, rule))
}

func (l *limits) parameters(path string, parameters map[string]string) {
	for key, value := range parameters {
		l.line(path+".key", key, 1, keyBytesMax)
		l.length(path+"."+key, value, 0, valueBytesMax)
	}
}

func (l *limits) columns(path string, columns []column) {
	for i, c := range columns {
		at := fmt.Sprintf("%s.%d.member", path, i+1)
		l.line(at+".name", c.Name, 1, nameBytesMax)
		l.line(at+".type", c.Type, 0, typeBytesMax)
		l.line(at+".comment", c.Comment, 0, commentBytesMax)
		l.parameters(at+".parameters", c.Parameters)
	}
}

func (l *limits) err() error {
	switch len(l.faults) {
	case 0:
		return nil
	case 1:
		return glueRefusal(ValidationException, "1 validation error detected: %s", l.faults[0])
	default:
		return glueRefusal(ValidationException, "%d validation errors detected: %s", len(l.faults), strings.Join(l.faults, "; "))
	}
}

// column is the part of Glue's Column that has limits.
type column struct {
	Name, Type, Comment string
	Parameters          map[string]string
}

// checkTable checks a TableInput, folds its name in place and returns it.
func checkTable(input record) (string, error) {
	var t struct {
		Name, Description, Owner string
		Parameters               map[string]string
		PartitionKeys            []column
		StorageDescriptor        struct {
			Location string
			Columns  []column
		}
	}
	if err := input.read(&t); err != nil {
		return "", err
	}
	var l limits
	l.line("tableInput.name", t.Name, 1, nameBytesMax)
	l.length("tableInput.description", t.Description, 0, descriptionBytesMax)
	l.line("tableInput.owner", t.Owner, 0, nameBytesMax)
	l.parameters("tableInput.parameters", t.Parameters)
	l.columns("tableInput.partitionKeys", t.PartitionKeys)
	l.length("tableInput.storageDescriptor.location", t.StorageDescriptor.Location, 0, locationBytesMax)
	l.columns("tableInput.storageDescriptor.columns", t.StorageDescriptor.Columns)
	return input.fold(t.Name), l.err()
}

// checkDatabase checks a DatabaseInput, folds its name in place and returns it.
func checkDatabase(input record) (string, error) {
	var d struct {
		Name, Description string
		LocationURI       *string
		Parameters        map[string]string
	}
	if err := input.read(&d); err != nil {
		return "", err
	}
	var l limits
	l.line("databaseInput.name", d.Name, 1, nameBytesMax)
	l.length("databaseInput.description", d.Description, 0, descriptionBytesMax)
	if d.LocationURI != nil {
		l.length("databaseInput.locationUri", *d.LocationURI, 1, locationURIBytesMax)
	}
	l.parameters("databaseInput.parameters", d.Parameters)
	return input.fold(d.Name), l.err()
}

func (r record) read(into any) error {
	if r == nil {
		return glueRefusal(ValidationException, "1 validation error detected: the input must not be null")
	}
	all, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode record: %w", err)
	}
	if err := json.Unmarshal(all, into); err != nil {
		return glueRefusal(InvalidInputException, "awstest cannot read the input: %v.", err)
	}
	return nil
}

// fold lower-cases the record's name, as Glue does before it stores it.
func (r record) fold(name string) string {
	r.set("Name", fold(name))
	return fold(name)
}
