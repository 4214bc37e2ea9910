package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/cdcd-project/cdcd/internal/config"
	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/row"
)

type decodeCommand struct {
	Key    []string          `help:"The identifier columns; default: the fields of the record key." placeholder:"COLUMN"`
	Shape  string            `default:"auto" enum:"auto,envelope,flattened" help:"What the values are: auto, envelope or flattened."`
	Time   string            `default:"long" enum:"long,string,time" help:"What a TIME column becomes: long, string or time."`
	Binary string            `default:"bytes" enum:"bytes,base64,base64-url-safe,hex" help:"The connector's binary.handling.mode: bytes, base64, base64-url-safe or hex."`
	Type   map[string]string `help:"Types of columns, for records without a schema." placeholder:"COLUMN=TYPE"`
	Config string            `help:"Configuration file, of which -table names a table: decode as cdcd run does for it." placeholder:"FILE"`
	Table  string            `help:"The table whose settings to take, as NAMESPACE.TABLE." placeholder:"NAME"`
}

// Help says what goes in and what comes out.
func (decodeCommand) Help() string {
	return `Each line of standard input is a JSON object that holds one record:

  name, topic   text
  key, value    text, or null for Kafka's null; base64 if key_encoding or value_encoding says so
  headers       an object of texts, optional; base64 if headers_encoding says so

  avro_key_schema, avro_value_schema
                the schemas, as JSON, that any registry's id in the record stands for; optional. Where one is given,
                the first bytes of key and value, or Confluent's headers, tell the wire format of each

For each line one JSON object is printed: name, action, and as they apply key, old_key (an update has moved the row), row, types, op, reason,
unchanged, detail. The actions are upsert, upsert_partial (the columns in unchanged keep their old value), append (of a table without a key), delete, truncate, ignore and
error. Columns are named as the record spells them; tables have them in lower case.

Every line stands alone: its table is the one that it would make, and nothing of the lines before it is remembered. So a tombstone is
ignored, as for topics of envelopes, where the delete before it has done the work, unless -shape flattened or the record's headers
say that the topic is flattened. With -shape auto, a record that has no mark of an envelope nor of a flattened row, but all fields of its
key, is taken as flattened; cdcd run asks for a setting there.

A line that holds no record is reported with its number, and the exit code is 1 at the end.`
}

// errDecodeLines is returned when lines of the input held no record.
var errDecodeLines = errors.New("some lines hold no record")

// Run decodes each line of the input.
func (cmd decodeCommand) Run(c *console) error {
	o, err := cmd.options()
	if err != nil {
		return usageError{err}
	}
	out := json.NewEncoder(c.out)
	out.SetEscapeHTML(false)
	lines, bad := newLineReader(c.in), false
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		var answer any
		if err == nil {
			answer, err = decodeLine(o, line)
		}
		if err != nil {
			if !errors.Is(err, errNoRecord) {
				return fmt.Errorf("read standard input: %w", err)
			}
			bad = true
			answer = badLine{Line: lines.number, Error: err.Error()}
		}
		if err := out.Encode(answer); err != nil {
			return fmt.Errorf("write the answer: %w", err)
		}
	}
	if bad {
		return errDecodeLines
	}
	return nil
}

func (cmd decodeCommand) options() (debezium.Options, error) {
	if cmd.Table != "" || cmd.Config != "" {
		return cmd.tableOptions()
	}
	o := decoderChoices(cmd.Shape, cmd.Time, cmd.Binary)
	o.Key, o.Types, o.Partial, o.Keyless, o.PlainAvro = cmd.Key, map[string]row.Type{}, true, true, true
	for name, text := range cmd.Type {
		t, err := row.ParseType(text)
		if err != nil {
			return o, fmt.Errorf("column %s: %w", name, err)
		}
		o.Types[name] = t
	}
	return o, nil
}

// tableOptions returns the options with which cdcd run decodes the records of a table.
func (cmd decodeCommand) tableOptions() (debezium.Options, error) {
	plain := decodeCommand{Config: cmd.Config, Table: cmd.Table, Shape: "auto", Time: "long", Binary: "bytes"}
	switch {
	case cmd.Table == "" || cmd.Config == "":
		return debezium.Options{}, errors.New("-config and -table go together")
	case len(cmd.Key)+len(cmd.Type) > 0 || cmd.Shape != plain.Shape || cmd.Time != plain.Time || cmd.Binary != plain.Binary:
		return debezium.Options{}, errors.New("-table takes all settings from the configuration: leave the others out")
	}
	conf, err := config.Load(cmd.Config)
	if err != nil {
		return debezium.Options{}, err
	}
	for _, t := range conf.Tables() {
		if t.Name == cmd.Table {
			o := decoderOptions(conf, t)
			o.Partial = true
			return o, nil
		}
	}
	return debezium.Options{}, fmt.Errorf("the configuration has no table %s", cmd.Table)
}

// badLine stands for a line of the input that holds no record.
type badLine struct {
	Line  int    `json:"line"`
	Error string `json:"error"`
}

// decodeLine decodes one line.
func decodeLine(o debezium.Options, line []byte) (answer, error) {
	l, err := parseRecordLine(line)
	if err != nil {
		return answer{}, err
	}
	if l.valueSchema != nil || l.keySchema != nil {
		o.Format = debezium.ByFraming
	}
	a, undecided := decodeRecord(o, l)
	if undecided {
		o.Shape = debezium.Flattened
		if flat, _ := decodeRecord(o, l); flat.Action != actionError {
			a = flat
		}
	}
	a.Name = l.name
	return a, nil
}

// decodeRecord decodes a record with a decoder of its own. undecided: nothing tells whether it is flattened.
func decodeRecord(o debezium.Options, l recordLine) (a answer, undecided bool) {
	d := debezium.NewDecoder(o)
	ev, rows, err := applyRecord(d, l)
	if refused, ok := errors.AsType[*debezium.Error](err); ok {
		return answer{Action: actionError, Reason: string(refused.Reason), Detail: refused.Detail}, refused.Undecided
	}
	if err != nil { // A schema that cannot be: the table has no usable key.
		return answer{Action: actionError, Reason: string(debezium.InvalidKey), Detail: err.Error()}, false
	}
	return describe(d, &ev, rows), false
}

// schemasMax is how many schemas a record may ask for, one after the other: those of a table, and its own two.
const schemasMax = 6

// applyRecord decodes a record into the table that it would make.
func applyRecord(d *debezium.Decoder, l recordLine) (ev debezium.Event, rows *row.Rows, err error) {
	var bound *row.Schema
	r := l.record
	if r.Value == nil {
		if bound, err = d.KeyTable(r); l.answer(d, err) {
			bound, err = d.KeyTable(r)
		}
		if err != nil {
			return ev, nil, err
		}
	}
	for range schemasMax {
		if bound != nil {
			d.Bind(bound)
			rows = row.NewRows(bound)
		}
		err = d.DecodeRecord(r, rows, &ev)
		if l.answer(d, err) {
			continue
		}
		change, ok := errors.AsType[*debezium.SchemaChange](err)
		if !ok || !change.Lossless {
			break
		}
		bound = change.Want
	}
	return ev, rows, err
}
