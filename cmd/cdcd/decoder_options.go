package main

import (
	"github.com/cdcd-project/cdcd/internal/config"
	"github.com/cdcd-project/cdcd/internal/debezium"
)

// decoderOptions returns how the records of a table are decoded. The configuration's values were validated.
func decoderOptions(c *config.Config, t config.Table) debezium.Options {
	o := decoderChoices(t.Shape, t.Time, t.Binary)
	o.Key, o.Types, o.Limits = t.Key, t.Types, debezium.DefaultLimits()
	o.Changelog = t.Mode == "changelog"
	o.Unsigned, o.Placeholder = t.Unsigned, t.Placeholder
	o.AddedPrefix, o.AddedHeaderPrefix, o.KeepAdded = t.Flattened.Prefix, t.Flattened.HeaderPrefix, t.Flattened.KeepAdded
	o.Truncate = map[string]debezium.TruncatePolicy{
		"halt": debezium.TruncateHalt, "apply": debezium.TruncateApply, "ignore": debezium.TruncateIgnore,
	}[t.Truncate]
	o.SideTopics = map[string]debezium.Rule{}
	for topic, rule := range t.SideTopics {
		o.SideTopics[topic] = debezium.Rule(rule)
	}
	setFormats(&o, c, t)
	return o
}

// decoderChoices returns the options that have a word for each value.
func decoderChoices(shape, time, binary string) debezium.Options {
	return debezium.Options{
		Shape: map[string]debezium.Shape{
			"auto": debezium.Auto, "envelope": debezium.Enveloped, "flattened": debezium.Flattened,
		}[shape],
		Time: map[string]debezium.TimeForm{"long": debezium.TimeAsLong, "string": debezium.TimeAsString, "time": debezium.TimeOfDay}[time],
		BinaryText: map[string]debezium.BinaryText{
			"bytes": debezium.BytesOnly, "base64": debezium.Base64, "base64-url-safe": debezium.Base64URL, "hex": debezium.Hex,
		}[binary],
	}
}
