package config

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/cdcd-project/cdcd/internal/row"
)

// decode puts the values of the table at path into a struct, by its toml tags. A value that does not fit is a fault,
// leaves the field as it was, and does not keep the rest from being looked at.
func (f *faults) decode(path string, values map[string]any, into reflect.Value) {
	fields := fieldsOf(into)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		at := join(path, key)
		if field, ok := fields[key]; ok {
			f.value(at, values[key], field)
		} else if remedy, ok := later(general(at)); ok {
			f.addf(at, "is not supported by this version: %s", remedy)
		} else {
			f.add(at, fmt.Sprintf("unknown key %s: %s", at, suggest(key, slices.Sorted(maps.Keys(fields)))))
		}
	}
}

// fieldsOf returns the settable fields of a struct by their toml tags; those of an embedded struct belong to it.
func fieldsOf(s reflect.Value) map[string]reflect.Value {
	fields := map[string]reflect.Value{}
	for i := range s.NumField() {
		field := s.Type().Field(i)
		if field.Anonymous {
			maps.Copy(fields, fieldsOf(s.Field(i)))
		} else if tag := field.Tag.Get("toml"); tag != "" {
			fields[tag] = s.Field(i)
		}
	}
	return fields
}

// value puts one value into a field.
func (f *faults) value(path string, value any, into reflect.Value) {
	if into.Kind() == reflect.Pointer { // A section that is there only if the file has it.
		section := reflect.New(into.Type().Elem())
		if table, ok := f.table(path, value); ok {
			f.decode(path, table, section.Elem())
			into.Set(section)
		}
		return
	}
	if read, form := reader(into); read != nil {
		text, ok := value.(string)
		if !ok {
			f.addf(path, "is %s: write %s", kindOf(value), form)
		} else if err := read(text); err != nil {
			f.add(path, path+": "+err.Error())
		}
		return
	}
	switch into.Kind() {
	case reflect.Struct:
		if table, ok := f.table(path, value); ok {
			f.decode(path, table, into)
		}
	case reflect.Map:
		if table, ok := f.table(path, value); ok {
			f.entries(path, table, into)
		}
	case reflect.Slice:
		f.elements(path, value, into)
	default:
		f.scalar(path, value, into)
	}
}

func (f *faults) table(path string, value any) (map[string]any, bool) {
	table, ok := value.(map[string]any)
	if !ok {
		header := "[" + general(path) + "]"
		if strings.HasSuffix(path, "]") {
			header = "[" + header + "]"
		}
		f.addf(path, "is %s: write a section %s", kindOf(value), header)
	}
	return table, ok
}

// entries adds to a map. The map itself is replaced, since the one that is there may be inherited from [defaults].
func (f *faults) entries(path string, table map[string]any, into reflect.Value) {
	merged := reflect.MakeMap(into.Type())
	for k, v := range into.Seq2() {
		merged.SetMapIndex(k, v)
	}
	for key, value := range table {
		entry := reflect.New(into.Type().Elem()).Elem()
		f.value(join(path, key), value, entry)
		merged.SetMapIndex(reflect.ValueOf(key), entry)
	}
	into.Set(merged)
}

func (f *faults) elements(path string, value any, into reflect.Value) {
	array, ok := value.([]any)
	if !ok {
		f.addf(path, `is %s: write an array of strings, such as ["a", "b"]`, kindOf(value))
		return
	}
	items := reflect.MakeSlice(into.Type(), len(array), len(array))
	for i, item := range array {
		f.value(element(path, i), item, items.Index(i))
	}
	into.Set(items)
}

func (f *faults) scalar(path string, value any, into reflect.Value) {
	switch into.Kind() {
	case reflect.String:
		text, ok := value.(string)
		switch {
		case !ok:
			f.addf(path, "is %s: write a string in quotes", kindOf(value))
		case strings.Contains(text, "${"):
			f.addf(path, "has a reference ${...}, which is followed in secrets only: write the value itself")
		default:
			into.SetString(text)
		}
	case reflect.Int:
		number, ok := value.(int64)
		if !ok {
			f.addf(path, "is %s: write a whole number", kindOf(value))
			return
		}
		into.SetInt(number)
	case reflect.Bool:
		truth, ok := value.(bool)
		if !ok {
			f.addf(path, "is %s: write true or false", kindOf(value))
			return
		}
		into.SetBool(truth)
	default:
		panic("config: no rule for fields of type " + into.Type().String())
	}
}

// reader returns how a field reads itself from a string and the form it wants, or nil if it is none that does.
func reader(into reflect.Value) (read func(string) error, form string) {
	switch target := into.Addr().Interface().(type) {
	case *Duration:
		form = durationForm
	case *Size:
		form = sizeForm
	case *Secret:
		form = secretForm
	case *row.Type:
		return func(text string) (err error) { *target, err = row.ParseType(text); return err }, `a column type in quotes, such as "decimal(10,2)"`
	}
	unmarshaler, ok := reflect.TypeAssert[encoding.TextUnmarshaler](into.Addr())
	if !ok {
		return nil, ""
	}
	return func(text string) error { return unmarshaler.UnmarshalText([]byte(text)) }, form
}

// kindOf names a TOML value's type, with its article. It never repeats the value, which may be a secret.
func kindOf(value any) string {
	switch value.(type) {
	case string:
		return "a string"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case bool:
		return "a boolean"
	case []any:
		return "an array"
	case map[string]any:
		return "a table"
	default:
		return "a date or time"
	}
}
