package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// fileMaxBytes is what a Kubernetes ConfigMap can hold.
const fileMaxBytes = 1 << 20

// Load reads the file at path over the defaults, follows its secret references, and checks it. The error lists every
// fault, one a line, as file:line:column: what is wrong, and what to write instead.
func Load(path string) (*Config, error) {
	text, err := readSmall(path, fileMaxBytes)
	if err != nil {
		return nil, err
	}
	return parse(path, text)
}

// parse is Load for the text of a file that faults call name.
func parse(name string, text []byte) (*Config, error) {
	values := map[string]any{}
	if err := toml.Unmarshal(text, &values); err != nil {
		return nil, syntaxFault(name, err)
	}
	f := &faults{file: name, positions: locate(text)}
	c := Default()
	tables, written := values["table"]
	delete(values, "table")
	f.decode("", values, reflect.ValueOf(&c).Elem())
	if written {
		c.tables = f.tables(tables, c.Defaults)
	}
	f.validate(&c)
	if err := f.err(); err != nil {
		return nil, err
	}
	return &c, nil
}

// tables decodes each [[table]] over the defaults.
func (f *faults) tables(value any, defaults TableOptions) []Table {
	array, ok := value.([]any)
	if !ok {
		f.addf("table", "is %s: write a section [[table]] for each table", kindOf(value))
		return nil
	}
	tables := make([]Table, len(array))
	for i, item := range array {
		tables[i].TableOptions = defaults
		f.value(element("table", i), item, reflect.ValueOf(&tables[i]).Elem())
	}
	return tables
}

// syntaxFault reports text that is not TOML. There is only one such fault, as what follows it cannot be understood.
func syntaxFault(name string, err error) error {
	decode, ok := errors.AsType[*toml.DecodeError](err)
	if !ok {
		return fmt.Errorf("%s: %w", name, err)
	}
	line, column := decode.Position()
	return fmt.Errorf("%s:%d:%d: not TOML: %s", name, line, column, strings.TrimPrefix(decode.Error(), "toml: "))
}
