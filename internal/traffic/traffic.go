// Package traffic makes source tables whose every change is a Debezium event, and knows what their rows are after all events.
//
// It is for tests only: the rows are folded from the changes as they are made, and never from what reads them back.
package traffic

import (
	"hash/fnv"
	"math/rand/v2"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Source is a source table with its topic. It belongs to one goroutine.
type Source struct {
	Topic      string
	Key        []string          // The columns that identify a row.
	Types      map[string]string // Of the columns, where the records carry no schema.
	Partitions int32             // Of the topic.

	// Rows is the oracle: each row's columns joined by "|", by its key columns joined by "|", NULL as "∅".
	Rows map[string]string

	change func(s *Source, r *rand.Rand) []*kgo.Record
}

// Change changes the table once: an insert or an update, a delete with its tombstone, or a change of the primary key, which
// Debezium tells as a delete and an insert. It returns the records, which must reach their partitions in this order.
func (s *Source) Change(r *rand.Rand) []*kgo.Record { return s.change(s, r) }

// Phantom returns the records of a change that is never to happen, as an aborted transaction leaves them.
func (s *Source) Phantom(r *rand.Rand) []*kgo.Record {
	phantom := *s
	phantom.Rows = map[string]string{}
	return phantom.Change(r)
}

// record puts an event where a producer does that hashes keys: the same key always into the same partition.
func (s *Source) record(key, value string) *kgo.Record {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	r := &kgo.Record{Topic: s.Topic, Partition: int32(h.Sum32() % uint32(s.Partitions)), Key: []byte(key)}
	if value != "" {
		r.Value = []byte(value)
	}
	return r
}

// Origin is the source block of all events, with its name.
const Origin = `"source":{"version":"3.4.3.Final","connector":"mysql","name":"t","ts_ms":1715682030498,"snapshot":"false","db":"shop","table":"t","server_id":1,"file":"b.1","pos":1,"row":0}`
