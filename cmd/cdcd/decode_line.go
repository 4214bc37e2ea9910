package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/cdcd-project/cdcd/internal/debezium"
)

// errNoRecord refuses a line that holds no record.
var errNoRecord = errors.New("no record")

func noRecord(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errNoRecord, fmt.Errorf(format, args...))
}

// lineBytesMax bounds a line: the largest record in its longest spelling.
const lineBytesMax = 512 << 20

// lineReader splits its input at line feeds alone: values may hold other characters that end lines elsewhere.
type lineReader struct {
	in     *bufio.Reader
	number int // Of the last line, from 1.
	text   []byte
}

func newLineReader(in io.Reader) *lineReader { return &lineReader{in: bufio.NewReaderSize(in, 64<<10)} }

// next returns the next line that is not blank. The error is errNoRecord for a line that is too long, and io.EOF at the end.
func (l *lineReader) next() ([]byte, error) {
	for {
		long, err := l.read()
		if err != nil {
			return nil, err
		}
		if long {
			return nil, noRecord("a line of more than %d bytes", lineBytesMax)
		}
		if len(bytes.TrimSpace(l.text)) > 0 {
			return l.text, nil
		}
	}
}

// read reads one line into text, unless it is too long.
func (l *lineReader) read() (long bool, err error) {
	l.text = l.text[:0]
	l.number++
	for {
		part, err := l.in.ReadSlice('\n')
		if long = long || len(l.text)+len(part) > lineBytesMax; long {
			l.text = l.text[:0]
		} else {
			l.text = append(l.text, part...)
		}
		switch {
		case err == nil, errors.Is(err, io.EOF) && (long || len(l.text) > 0):
			return long, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return false, err
		}
	}
}

// recordLine is one line of the input.
type recordLine struct {
	name   string
	record debezium.Record
	// What any registry's id stands for; nil: the registry does not know it.
	valueSchema, keySchema *string
	// Asks a registry in their place, if it is not nil; false: it has not answered.
	ask func(d *debezium.Decoder, needed *debezium.SchemaNeeded) bool
}

// answer answers what a registry would be asked, and reports whether err asks.
func (l *recordLine) answer(d *debezium.Decoder, err error) bool {
	needed, ok := errors.AsType[*debezium.SchemaNeeded](err)
	if !ok {
		return false
	}
	if l.ask != nil {
		return l.ask(d, needed)
	}
	text := l.valueSchema
	if needed.ForKey {
		text = l.keySchema
	}
	if text == nil {
		d.RefuseSchema(needed, debezium.UnknownSchema, "the line does not have it")
	} else {
		d.AddSchema(needed, debezium.WriterSchema{Text: *text})
	}
	return true
}

// schemaText returns the text of a schema, which may be written as JSON or, as registries keep it, as a string that holds JSON.
func schemaText(raw json.RawMessage) *string {
	if raw == nil || string(raw) == "null" {
		return nil
	}
	text := string(raw)
	var inner string
	if json.Unmarshal(raw, &inner) == nil && json.Valid([]byte(inner)) {
		text = inner
	}
	return &text
}

func parseRecordLine(line []byte) (recordLine, error) {
	if !utf8.Valid(line) || hasLoneSurrogate(line) {
		return recordLine{}, noRecord("the line is not UTF-8: encode keys and values as base64")
	}
	var l struct {
		Name            string             `json:"name"`
		Topic           string             `json:"topic"`
		Key             json.RawMessage    `json:"key"`
		Value           json.RawMessage    `json:"value"`
		Headers         map[string]*string `json:"headers"`
		KeyEncoding     string             `json:"key_encoding"`
		ValueEncoding   string             `json:"value_encoding"`
		HeadersEncoding string             `json:"headers_encoding"`
		AvroValueSchema json.RawMessage    `json:"avro_value_schema"`
		AvroKeySchema   json.RawMessage    `json:"avro_key_schema"`
	}
	if err := json.Unmarshal(line, &l); err != nil {
		return recordLine{}, noRecord("%w", err)
	}
	out := recordLine{name: l.Name, record: debezium.Record{Topic: l.Topic}, valueSchema: schemaText(l.AvroValueSchema), keySchema: schemaText(l.AvroKeySchema)}
	for _, part := range []struct {
		name, encoding string
		text           json.RawMessage
		out            *[]byte
	}{{"key", l.KeyEncoding, l.Key, &out.record.Key}, {"value", l.ValueEncoding, l.Value, &out.record.Value}} {
		if part.text == nil {
			return recordLine{}, noRecord("the member %q is absent; write null for Kafka's null", part.name)
		}
		var text *string
		if err := json.Unmarshal(part.text, &text); err != nil {
			return recordLine{}, noRecord("%s: %w", part.name, err)
		}
		var err error
		if *part.out, err = encoded(text, part.encoding); err != nil {
			return recordLine{}, noRecord("%s: %w", part.name, err)
		}
	}
	for name, text := range l.Headers {
		value, err := encoded(text, l.HeadersEncoding)
		if err != nil {
			return recordLine{}, noRecord("header %s: %w", name, err)
		}
		out.record.Headers = append(out.record.Headers, debezium.Header{Key: name, Value: value})
	}
	return out, nil
}

// encoded returns the bytes that text stands for; none for nil.
func encoded(text *string, encoding string) ([]byte, error) {
	switch {
	case text == nil:
		return nil, nil
	case encoding == "":
		return []byte(*text), nil
	case encoding == "base64":
		b, err := base64.StdEncoding.DecodeString(*text)
		if err == nil && b == nil {
			b = []byte{}
		}
		return b, err
	}
	return nil, fmt.Errorf("the encoding %q is not base64", encoding)
}

// hasLoneSurrogate reports whether an escape of the line is half of a surrogate pair, which encoding/json would replace in
// silence.
func hasLoneSurrogate(line []byte) bool {
	for i := 0; i < len(line); i++ {
		if line[i] != '\\' {
			continue
		}
		high, ok := unicodeEscape(line[i:])
		if !ok {
			i++
			continue
		}
		if i += 5; !utf16.IsSurrogate(high) {
			continue
		}
		low, ok := unicodeEscape(line[i+1:])
		if !ok || utf16.DecodeRune(high, low) == utf8.RuneError {
			return true
		}
		i += 6
	}
	return false
}

// unicodeEscape reads \uXXXX at the beginning of text.
func unicodeEscape(text []byte) (rune, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	x, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	return rune(x), err == nil
}
