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
	partition int32
	offset    int64
	key       string // Canonical: the key's fields, sorted by name.
	names     []string
	row       rowText     // nil: the key has no row after this record.
	sour      bool        // It cannot be applied, and halts its table.
	bad       *kgo.Record // It cannot be applied, and goes to quarantine; nil: it does not.
}

// readLog reads all topics again, from their beginning, with a client that knows nothing of cdcd, and takes the records apart with
// the standard library's JSON: the oracle is made of what the log says, and shares no code with what it judges.
func (w *world) readLog() (map[string][]logged, error) {
	offsets := map[string]map[int32]kgo.Offset{}
	for _, topic := range w.topics() {
		offsets[topic] = map[int32]kgo.Offset{}
		for p := range int32(partitions) {
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
		}
	}
	return out, nil
}

func parse(r *kgo.Record) (logged, error) {
	l := logged{partition: r.Partition, offset: r.Offset}
	if isSpoiled(r.Value) {
		l.bad = r
		return l, nil
	}
	key, err := payload(r.Key)
	if err != nil {
		return l, err
	}
	if l.key, l.names, err = canonical(key); err != nil || r.Value == nil {
		return l, err
	}
	value, err := payload(r.Value)
	if err != nil {
		return l, err
	}
	var op string
	if err := json.Unmarshal(value["op"], &op); err != nil {
		return l, err
	}
	if op == "d" {
		return l, nil
	}
	after, err := fields(value["after"])
	if err != nil {
		return l, err
	}
	l.row = rowText{}
	for name, v := range after {
		if l.row[name], err = text(v); err != nil {
			return l, err
		}
	}
	l.sour = l.row["v"] == "sour"
	return l, nil
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

// position is a place in a topic's partition.
type position struct {
	topic     string
	partition int32
}

// truth is what a table's rows are after the records before the limits, by canonical key.
type truth struct {
	names []string // The key's columns.
	rows  map[string]rowText
	sour  map[position]int64 // Where the first record stands that cannot be applied.
}

// fold applies the log's records in order.
func fold(log map[string][]logged, topics []string, limit func(position) int64) truth {
	t := truth{rows: map[string]rowText{}, sour: map[position]int64{}}
	for _, topic := range topics {
		for _, l := range log[topic] {
			at := position{topic, l.partition}
			if l.sour {
				if _, again := t.sour[at]; !again {
					t.sour[at] = l.offset
				}
			}
			switch {
			case l.sour || l.bad != nil || l.offset >= limit(at):
				continue
			case l.row == nil:
				delete(t.rows, l.key)
			default:
				t.rows[l.key] = l.row
			}
			t.names = l.names
		}
	}
	return t
}
