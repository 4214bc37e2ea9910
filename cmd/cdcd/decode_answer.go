package main

import (
	"encoding/json"
	"regexp"
	"slices"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/row"
)

// The actions that decode tells.
const (
	actionUpsert   = "upsert"
	actionPartial  = "upsert_partial"
	actionAppend   = "append"
	actionDelete   = "delete"
	actionTruncate = "truncate"
	actionIgnore   = "ignore"
	actionError    = "error"
)

// An answer says what cdcd would do with one record. Values are canonical text (row.Vector.AppendJSON).
type answer struct {
	Name      string            `json:"name"`
	Action    string            `json:"action"`
	Key       json.RawMessage   `json:"key,omitempty"`
	OldKey    json.RawMessage   `json:"old_key,omitempty"`
	Row       json.RawMessage   `json:"row,omitempty"`
	Types     map[string]string `json:"types,omitempty"`
	Op        string            `json:"op,omitempty"`
	Reason    string            `json:"reason,omitempty"`
	Unchanged []string          `json:"unchanged,omitempty"`
	Detail    string            `json:"detail,omitempty"`
}

// describe tells what became of a record that d has decoded.
func describe(d *debezium.Decoder, ev *debezium.Event, rows *row.Rows) answer {
	a := answer{Reason: string(ev.Ignored)}
	if ev.Op != 0 && ev.Op != debezium.Tombstone && ev.Op != debezium.Upsert {
		a.Op = ev.Op.String()
	}
	if ev.OldKey != nil {
		a.OldKey = keyJSON(d, ev.OldKey)
	}
	switch {
	case ev.Ignored != "":
		a.Action = actionIgnore
	case ev.Op == debezium.Truncate:
		a.Action = actionTruncate
	case ev.Op == debezium.Tombstone && !ev.Flattened:
		a.Action, a.Reason = actionIgnore, string(debezium.RuleTombstone)
		a.Key = keyJSON(d, ev.Key)
	case ev.IsDelete():
		a.Action, a.Key = actionDelete, keyJSON(d, ev.Key)
	case ev.IsAppend():
		a.Action = actionAppend
		a.describeRow(d, ev, rows)
	case len(ev.Unchanged) > 0:
		a.Action, a.Key = actionPartial, keyJSON(d, ev.Key)
		a.describeRow(d, ev, rows)
	default:
		a.Action, a.Key = actionUpsert, keyJSON(d, ev.Key)
		a.describeRow(d, ev, rows)
	}
	return a
}

func (a *answer) describeRow(d *debezium.Decoder, ev *debezium.Event, rows *row.Rows) {
	a.Types = map[string]string{}
	object := []byte{'{'}
	d.Image(func(name string, column int) {
		if column >= 0 && slices.Contains(ev.Unchanged, column) {
			a.Unchanged = append(a.Unchanged, name)
			return
		}
		if len(object) > 1 {
			object = append(object, ',')
		}
		object = append(row.AppendString(object, []byte(name)), ':')
		if column < 0 {
			object = append(object, "null"...)
			return
		}
		object = rows.Vectors[column].AppendJSON(object, 0)
		a.Types[name] = typeText(rows.Vectors[column].Type)
	})
	a.Row = append(object, '}')
}

// typeText writes a type with a space in decimals, as Iceberg's libraries print it.
func typeText(t row.Type) string {
	return regexp.MustCompile(`(decimal\(\d+),`).ReplaceAllString(t.String(), "$1, ")
}

// keyJSON writes a canonical key as an object of the identifier columns.
func keyJSON(d *debezium.Decoder, key []byte) json.RawMessage {
	values, err := d.ReadKey(key)
	if err != nil {
		return nil
	}
	object := []byte{'{'}
	for k := range values.Vectors {
		if k > 0 {
			object = append(object, ',')
		}
		object = append(row.AppendString(object, []byte(d.KeyName(k))), ':')
		object = values.Vectors[k].AppendJSON(object, 0)
	}
	return append(object, '}')
}
