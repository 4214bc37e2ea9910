package kafka

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Record is one record as an operator sees it.
type Record struct{ *kgo.Record }

// printedRecord is a record as one JSON object, from which it can be produced again. Bytes that are no UTF-8 text are base64, and
// the encoding says so; a null key or value is null.
type printedRecord struct {
	Name            string            `json:"name"`
	Topic           string            `json:"topic"`
	Partition       int32             `json:"partition"`
	Offset          int64             `json:"offset"`
	Time            time.Time         `json:"time"`
	Key             *string           `json:"key"`
	Value           *string           `json:"value"`
	Headers         map[string]string `json:"headers"`
	KeyEncoding     string            `json:"key_encoding,omitempty"`
	ValueEncoding   string            `json:"value_encoding,omitempty"`
	HeadersEncoding string            `json:"headers_encoding,omitempty"`
	AllHeaders      [][2]string       `json:"all_headers,omitempty"` // In order, if a name stands there twice; encoded as headers.
}

const base64Encoding = "base64"

// MarshalJSON implements json.Marshaler.
func (r Record) MarshalJSON() ([]byte, error) {
	out := printedRecord{
		Name: fmt.Sprintf("%s/%d@%d", r.Topic, r.Partition, r.Offset), Topic: r.Topic, Partition: r.Partition, Offset: r.Offset,
		Time: r.Timestamp.UTC(), Headers: map[string]string{},
	}
	out.Key, out.KeyEncoding = printableBytes(r.Key)
	out.Value, out.ValueEncoding = printableBytes(r.Value)
	for _, h := range r.Headers {
		if !utf8.Valid(h.Value) {
			out.HeadersEncoding = base64Encoding
		}
	}
	var all [][2]string
	for _, h := range r.Headers {
		text := string(h.Value)
		if out.HeadersEncoding != "" {
			text = base64.StdEncoding.EncodeToString(h.Value)
		}
		out.Headers[h.Key] = text
		all = append(all, [2]string{h.Key, text})
	}
	if len(all) > len(out.Headers) {
		out.AllHeaders = all
	}
	return json.Marshal(out)
}

func printableBytes(b []byte) (text *string, encoding string) {
	switch {
	case b == nil:
		return nil, ""
	case utf8.Valid(b):
		return new(string(b)), ""
	}
	return new(base64.StdEncoding.EncodeToString(b)), base64Encoding
}
