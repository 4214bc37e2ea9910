package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cdcd-project/cdcd/internal/captured"
)

const capturedDir = "../../internal/debezium/testdata/captured"

// cdcd decode, which forgets each record, says of the captured records of every type and form what MariaDB's own SELECT says of the
// rows that they lead to.
func TestDecodeAnswersTheCapturedRecords(t *testing.T) {
	for _, scenario := range []struct {
		name  string
		forms map[string][]string // With the arguments that each needs.
	}{
		{"b", map[string][]string{"schema": nil}}, // Without schemas its tables, and those of d, need declarations of their own.
		{"c", map[string][]string{
			"schema": nil, "plain": nil, "flattened": nil, "connect": nil,
			"text": {"-binary=base64"}, "iso": {"-binary=hex"}, "micros": {"-binary=base64-url-safe"},
		}},
		{"d", map[string][]string{"schema": nil}},
	} {
		tables, err := captured.Tables(capturedDir, scenario.name)
		if err != nil {
			t.Fatal(err)
		}
		types := map[string]string{} // By column: what records with schemas have told.
		foldAnswers(t, scenario.name, "schema", nil, types)
		for form, args := range scenario.forms {
			t.Run(scenario.name+"/"+form, func(t *testing.T) {
				if form == "plain" {
					args = declarations(types)
				}
				folds := foldAnswers(t, scenario.name, form, args, maps.Clone(types))
				if len(folds) != len(tables) {
					t.Fatalf("%d tables, want %d", len(folds), len(tables))
				}
				for name, rows := range folds {
					table := tables[name]
					for _, d := range table.Compare(form, slices.Collect(maps.Values(rows))) {
						t.Error(d)
					}
				}
			})
		}
	}
}

// declarations are the types that records without schema need; see "Records without a schema" in docs/types.md.
func declarations(types map[string]string) (args []string) {
	for column, typ := range types {
		switch {
		case strings.HasPrefix(typ, "struct"): // Stays JSON text.
			continue
		case typ == "timestamp":
			typ = "long"
		case strings.HasPrefix(column, "c_bit_") && typ != "boolean":
			typ = "binary"
		}
		args = append(args, "-type="+column+"="+typ)
	}
	return args
}

// foldAnswers decodes the records of a form and folds what is answered, by table and key.
func foldAnswers(t *testing.T, scenario, form string, args []string, types map[string]string) map[string]map[string]captured.Row {
	t.Helper()
	records, err := captured.Records(capturedDir, scenario, form)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range records {
		lines = append(lines, r.Line)
	}
	code, answers, log := decode(t, strings.Join(lines, "\n")+"\n", args...)
	if code != exitDone || len(answers) != len(records) {
		t.Fatalf("exit code %d, %d answers to %d records: %s", code, len(answers), len(records), log)
	}
	folds := map[string]map[string]captured.Row{}
	for i, a := range answers {
		table := records[i].Table()
		if folds[table] == nil {
			folds[table] = map[string]captured.Row{}
		}
		key := fmt.Sprint(a["key"])
		switch a["action"] {
		case actionUpsert:
			folds[table][key] = answeredRow(a, types)
		case actionDelete:
			delete(folds[table], key)
		case actionIgnore:
		default:
			t.Errorf("%s: %v", records[i].Name, a)
		}
	}
	return folds
}

func answeredRow(a map[string]any, types map[string]string) captured.Row {
	out := captured.Row{}
	told, _ := a["types"].(map[string]any)
	values, _ := a["row"].(map[string]any)
	for column, v := range values {
		typ, _ := told[column].(string)
		if v == nil {
			continue
		}
		if types[column] == "" {
			types[column] = typ
		}
		text, ok := v.(string)
		if g, isStruct := v.(map[string]any); isStruct {
			srid, known := g["srid"].(string)
			if !known {
				srid = "0"
			}
			text, ok = fmt.Sprintf(`{"wkb":%q,"srid":%q}`, g["wkb"], srid), true
		}
		if ok {
			out[column] = captured.Cell{Type: typ, Text: text}
		}
	}
	return out
}
