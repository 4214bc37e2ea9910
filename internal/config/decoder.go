package config

import (
	"strings"
)

// Decoder says how the records of a table are read. Its keys are those of [defaults].
type Decoder struct {
	Shape       string            `toml:"shape"`       // "auto", "envelope" or "flattened".
	Time        string            `toml:"time"`        // What a TIME becomes: "long", "string" or "time".
	Binary      string            `toml:"binary"`      // The connector's binary.handling.mode: "bytes", "base64", "base64-url-safe" or "hex".
	Unsigned    []string          `toml:"unsigned"`    // Columns that are BIGINT UNSIGNED.
	Placeholder string            `toml:"placeholder"` // The connector's unavailable.value.placeholder.
	Truncate    string            `toml:"truncate"`    // "halt", "apply" or "ignore".
	Flattened   Flattened         `toml:"flattened"`
	SideTopics  map[string]string `toml:"side_topics"` // Rule by the exact name of a topic whose records are ignored.
}

// Flattened says what ExtractNewRecordState adds to the rows that it makes.
type Flattened struct {
	Prefix       string `toml:"prefix"`        // add.fields.prefix
	HeaderPrefix string `toml:"header_prefix"` // add.headers.prefix
	KeepAdded    bool   `toml:"keep_added"`    // Whether the added fields become columns.
}

func defaultDecoder() Decoder {
	return Decoder{
		Shape: "auto", Time: "long", Binary: "bytes", Placeholder: "__debezium_unavailable_value", Truncate: "halt",
		Flattened: Flattened{Prefix: "__", HeaderPrefix: "__"},
	}
}

// decoder checks the keys of the decoder where the section at path sets them.
func (f *faults) decoder(path string, d *Decoder, check func(key string, rule func(at string))) {
	check("shape", func(at string) { f.choice(at, d.Shape, []string{"auto", "envelope", "flattened"}) })
	check("time", func(at string) { f.choice(at, d.Time, []string{"long", "string", "time"}) })
	check("binary", func(at string) { f.choice(at, d.Binary, []string{"bytes", "base64", "base64-url-safe", "hex"}) })
	check("truncate", func(at string) { f.choice(at, d.Truncate, []string{"halt", "apply", "ignore"}) })
	check("unsigned", func(at string) {
		for i, column := range d.Unsigned {
			f.column(element(at, i), column)
		}
	})
	check("placeholder", func(at string) {
		if d.Placeholder == "" {
			f.addf(at, "is empty, so that every empty text would keep its old value: write the connector's unavailable.value.placeholder")
		}
	})
	for key, prefix := range map[string]string{"prefix": d.Flattened.Prefix, "header_prefix": d.Flattened.HeaderPrefix} {
		check("flattened."+key, func(at string) {
			if prefix == "" {
				f.addf(at, "is empty, so that nothing would tell what was added from the row's own columns: set a prefix in the connector, and write it here")
			}
		})
	}
	for topic, rule := range d.SideTopics {
		check(strings.TrimPrefix(join(path+".side_topics", topic), path+"."), func(at string) {
			f.topic(at, topic)
			f.choice(at, rule, []string{"heartbeat", "transaction_metadata", "schema_change", "signal"})
		})
	}
}

// feeds checks that a table is not fed by a topic whose records are all ignored.
func (f *faults) feeds(at string, t *Table) {
	if rule, side := t.SideTopics[t.Topic]; side {
		f.addf(at+".topic", "is %q, whose records side_topics ignores (%s): remove it there", t.Topic, rule)
	}
}

// changelog checks that nothing contradicts a table that is only added to.
func (f *faults) changelog(at string, t *Table) {
	if t.Mode != "changelog" {
		return
	}
	if t.Key != nil {
		f.addf(at+".key", `contradicts mode = "changelog": every event is a row there, whatever its key; remove it`)
	}
	if t.Truncate == "apply" {
		f.addf(at+".truncate", `is "apply", which contradicts mode = "changelog", where no row ever goes: write "halt" or "ignore"`)
	}
}
