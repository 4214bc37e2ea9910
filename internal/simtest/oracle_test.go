package simtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// null is how a missing value is written.
const null = "∅"

// row is a row as text by column.
type rowText map[string]string

// logged is a record of the log as a plain consumer sees it.
type logged struct {
	*kgo.Record

	key      string // Canonical: the key's fields, sorted by name.
	names    []string
	row      rowText // nil: the key has no row after this record.
	keeps    string  // The column whose value is that of the row before; "": none.
	old      string  // The canonical key that the row had before, where the record tells; else "".
	sour     bool    // It cannot be applied, and halts its table.
	bad      bool    // It cannot be applied, and goes to quarantine.
	truncate bool    // It empties the table.
}

// readLog reads all topics again, from their beginning, with a client that knows nothing of cdcd, and takes the records apart with
// the standard library's JSON: the oracle is made of what the log says, and shares no code with what it judges.
func (w *world) readLog() (map[string][]logged, error) {
	offsets := map[string]map[int32]kgo.Offset{}
	for _, topic := range w.topics() {
		offsets[topic] = map[int32]kgo.Offset{}
		for p := range partitionsOf(topic) {
			offsets[topic][p] = kgo.NewOffset().AtStart()
		}
	}
	c := w.client(kgo.ConsumePartitions(offsets), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	defer c.Close()
	out := map[string][]logged{}
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		fetches := c.PollFetches(ctx)
		cancel()
		if fetches.NumRecords() == 0 {
			break
		}
		for r := range fetches.RecordsAll() {
			l, err := parse(r)
			if err != nil {
				return nil, fmt.Errorf("log %s/%d offset %d: %w", r.Topic, r.Partition, r.Offset, err)
			}
			out[r.Topic] = append(out[r.Topic], l)
			w.stats.records++
			if topicAvro == r.Topic {
				w.stats.avro++
			}
		}
	}
	return out, nil
}

func parse(r *kgo.Record) (l logged, err error) {
	l.Record = r
	switch {
	case isSpoiled(r):
		l.bad = true
		return l, parseSpoiled(r, &l)
	case r.Topic == topicAvro:
		err = parseAvro(r, &l)
	default:
		err = parseJSON(r, &l)
	}
	for name, v := range l.row {
		if v == unavailable {
			l.keeps = name
		}
	}
	l.sour = l.row["v"] == "sour"
	return l, err
}

// parseSpoiled takes the key of a bad record apart where it is that of a row.
func parseSpoiled(r *kgo.Record, l *logged) (err error) {
	switch r.Topic {
	case topicAvro:
		key := avroReader{rest: r.Key[5:]}
		l.key = "id=" + fmt.Sprint(key.number())
	case topicWide:
		l.key, _, err = canonicalKey(r.Key)
	}
	return err
}

// parseJSON takes a record of all other topics apart.
func parseJSON(r *kgo.Record, l *logged) (err error) {
	if r.Key != nil {
		if l.key, l.names, err = canonicalKey(r.Key); err != nil || r.Value == nil {
			return err
		}
	}
	for _, h := range r.Headers {
		if h.Key == oldKeyHeader {
			if l.old, _, err = canonicalKey(h.Value); err != nil {
				return err
			}
		}
	}
	value, err := payload(r.Value)
	if err != nil {
		return err
	}
	var op string
	if err := json.Unmarshal(value["op"], &op); err != nil {
		return err
	}
	if l.truncate = op == "t"; l.truncate || op == "d" {
		return nil
	}
	after, err := fields(value["after"])
	if err != nil {
		return err
	}
	l.row = rowText{}
	for name, v := range after {
		if l.row[name], err = text(v); err != nil {
			return err
		}
	}
	return nil
}

func canonicalKey(b []byte) (string, []string, error) {
	key, err := payload(b)
	if err != nil {
		return "", nil, err
	}
	return canonical(key)
}

// payload returns the object that a record carries, without the schema that may come with it.
func payload(b []byte) (map[string]json.RawMessage, error) {
	o, err := fields(b)
	if err != nil {
		return nil, err
	}
	if inner, ok := o["payload"]; ok {
		return fields(inner)
	}
	return o, nil
}

func fields(b []byte) (o map[string]json.RawMessage, err error) {
	err = json.Unmarshal(b, &o)
	return o, err
}

// text is a value as readback writes it.
func text(v json.RawMessage) (string, error) {
	switch {
	case string(v) == "null":
		return null, nil
	case bytes.HasPrefix(v, []byte(`"`)):
		var s string
		err := json.Unmarshal(v, &s)
		return s, err
	}
	return string(v), nil
}

func canonical(key map[string]json.RawMessage) (string, []string, error) {
	names := slices.Sorted(maps.Keys(key))
	var parts []string
	for _, name := range names {
		v, err := text(key[name])
		if err != nil {
			return "", nil, err
		}
		parts = append(parts, name+"="+v)
	}
	return strings.Join(parts, "|"), names, nil
}
