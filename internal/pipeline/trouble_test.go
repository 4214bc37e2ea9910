package pipeline_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/pipeline"
)

// fold is the oracle: what a table of customers must hold after these records, which have schemas and are given in partition order.
func fold(t testing.TB, records ...*kgo.Record) map[string]string {
	t.Helper()
	rows := map[string]string{}
	for _, r := range records {
		var key struct {
			Payload struct {
				ID json.Number `json:"id"`
			} `json:"payload"`
		}
		var value struct {
			Payload struct {
				After *struct {
					Name string `json:"name"`
				} `json:"after"`
			} `json:"payload"`
		}
		if err := json.Unmarshal(r.Key, &key); err != nil {
			t.Fatal(err)
		}
		if r.Value != nil {
			if err := json.Unmarshal(r.Value, &value); err != nil {
				t.Fatal(err)
			}
		}
		id := key.Payload.ID.String()
		if value.Payload.After == nil {
			delete(rows, id)
			continue
		}
		rows[id] = id + "|" + value.Payload.After.Name
	}
	return rows
}

// people returns the records of n new customers, from an id on.
func people(e events, from, n int) []*kgo.Record {
	var out []*kgo.Record
	for id := from; id < from+n; id++ {
		out = append(out, e.upsert("c", fmt.Sprint(id), fmt.Sprintf(`"%s%d"`, e.topic, id)))
	}
	return out
}

// each produces every record in a batch of its own, so that the log can be cut between any two.
func (w *world) each(records ...*kgo.Record) {
	w.t.Helper()
	for _, r := range records {
		w.produce(r)
	}
}

// bystander is a table that nothing happens to: it must go on whatever becomes of the other.
const bystander = "bystander"

// both are a table of the topic "shop" and the bystander.
func both() []pipeline.Table { return soon(mirror("d.t", "shop"), mirror("d.bystander", bystander)) }

// goesOn proves that the bystander still applies what comes.
func (w *world) goesOn() {
	w.t.Helper()
	before := len(w.rows("d.bystander", "id"))
	w.produce(people(customers(bystander), 1+before, 1)...)
	w.eventually("the other table goes on", func() bool { return len(w.rows("d.bystander", "id")) == before+1 })
}

// mark returns the bookmark that the head carries.
func (w *world) mark(table string) bookmark.Bookmark {
	w.t.Helper()
	all := w.snapshots(table)
	if len(all) == 0 {
		return bookmark.Bookmark{}
	}
	b, err := bookmark.Parse(all[len(all)-1].Summary["cdcd.bookmark"])
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// stands fails the test unless the table holds these rows and its bookmark stands at next, by partition.
func (w *world) stands(table, topic string, rows map[string]string, next ...int64) {
	w.t.Helper()
	w.expect(table, []string{"id"}, rows)
	at, _ := w.mark(table).Topic(topic)
	if len(at.Partitions) != len(next) {
		w.t.Fatalf("the bookmark of %s has %d partitions, want %d: %s", table, len(at.Partitions), len(next), w.mark(table))
	}
	for i, p := range at.Partitions {
		if p.Next != next[i] {
			w.t.Errorf("the bookmark of %s stands at %d in partition %d, want %d", table, p.Next, p.Partition, next[i])
		}
	}
}

// hinted fails the test unless a halt's log entry says what to do.
func hinted(t testing.TB, entry map[string]any, words ...string) {
	t.Helper()
	for _, word := range words {
		if hint := fmt.Sprint(entry["hint"]); !strings.Contains(hint, word) {
			t.Errorf("the hint does not say %q: %s", word, hint)
		}
	}
}

// quickly lets a process look after quiet tables all the time.
func quickly(o *pipeline.Options) {
	o.QuietInterval, o.WatchInterval = 100*time.Millisecond, 50*time.Millisecond
}
