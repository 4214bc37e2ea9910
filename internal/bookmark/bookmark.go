// Package bookmark records, per topic and partition, the next offset to read.
//
// A bookmark is committed in the summary of the Iceberg snapshot that holds the rows it stands for (I1), and it
// alone decides where reading resumes (I8). docs/format.md specifies its JSON form.
package bookmark

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Version is the only version of the JSON form that this package reads and writes.
const Version = 1

// ErrVersion is wrapped by Parse for a bookmark of a version that this build does not know.
var ErrVersion = errors.New("unknown bookmark version")

// Bookmark is a position in all topics that feed one table. The zero value is the position before the first record
// of anything. Topics are sorted by name and partitions by number, so equal positions have equal JSON.
type Bookmark struct {
	Cluster string  `json:"cluster"` // Kafka's cluster id; empty while unknown.
	Topics  []Topic `json:"topics"`
}

// Topic is a position in one topic.
type Topic struct {
	Name       string      `json:"name"`
	ID         string      `json:"id"`            // Kafka's topic id (a UUID); empty if the broker has none.
	Key        *Key        `json:"key,omitempty"` // Nil: nothing is known of its keys. What it points to is never changed.
	Partitions []Partition `json:"partitions"`
}

// Partition is a position in one partition.
type Partition struct {
	Partition int32 `json:"p"`
	Next      int64 `json:"next"`  // The next offset to read. Invariant: Next >= 0.
	Epoch     int32 `json:"epoch"` // The leader epoch of the last record before Next, or -1.
}

// wire is the JSON form: the version stands first, and is checked before anything else is read.
type wire struct {
	Version int `json:"v"`
	Bookmark
}

// Parse reads the JSON form. Unknown fields, unknown versions, duplicates and negative offsets are errors: a bookmark
// that is half understood must not decide where reading resumes.
func Parse(text string) (Bookmark, error) {
	var version struct {
		Version int `json:"v"`
	}
	if err := json.Unmarshal([]byte(text), &version); err != nil {
		return Bookmark{}, fmt.Errorf("parse bookmark: %w", err)
	}
	if version.Version != Version {
		return Bookmark{}, fmt.Errorf("parse bookmark: %w %d (this build knows %d)", ErrVersion, version.Version, Version)
	}
	var w wire
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&w); err != nil {
		return Bookmark{}, fmt.Errorf("parse bookmark: %w", err)
	}
	b := w.Bookmark
	b.sort()
	return b, b.check()
}

// String returns the JSON form, which Parse reads back.
func (b Bookmark) String() string {
	c := b.Clone()
	c.sort()
	text, err := json.Marshal(wire{Version, c})
	if err != nil {
		panic(err) // Strings and integers always marshal.
	}
	return string(text)
}

// IsZero reports whether b is the position before the first record of anything.
func (b Bookmark) IsZero() bool { return b.Cluster == "" && len(b.Topics) == 0 }

// Clone returns a copy that shares nothing with b.
func (b Bookmark) Clone() Bookmark {
	c := Bookmark{Cluster: b.Cluster, Topics: slices.Clone(b.Topics)}
	if c.Topics == nil {
		c.Topics = []Topic{}
	}
	for i := range c.Topics {
		c.Topics[i].Partitions = slices.Clone(c.Topics[i].Partitions)
		if c.Topics[i].Partitions == nil {
			c.Topics[i].Partitions = []Partition{}
		}
	}
	return c
}

// Equal reports whether both bookmarks stand for the same position in the same topics of the same cluster.
func (b Bookmark) Equal(c Bookmark) bool { return b.String() == c.String() }

// Topic returns the position in the named topic.
func (b Bookmark) Topic(name string) (Topic, bool) {
	for _, t := range b.Topics {
		if t.Name == name {
			return t, true
		}
	}
	return Topic{}, false
}

// Partition returns the position in one partition.
func (b Bookmark) Partition(topic string, partition int32) (Partition, bool) {
	t, _ := b.Topic(topic)
	for _, p := range t.Partitions {
		if p.Partition == partition {
			return p, true
		}
	}
	return Partition{}, false
}

// Set moves one partition to p, adding topic and partition if b does not have them. id replaces the topic's id unless
// it is empty.
func (b *Bookmark) Set(topic, id string, p Partition) {
	i := slices.IndexFunc(b.Topics, func(t Topic) bool { return t.Name == topic })
	if i < 0 {
		b.Topics = append(b.Topics, Topic{Name: topic})
		b.sort()
		i = slices.IndexFunc(b.Topics, func(t Topic) bool { return t.Name == topic })
	}
	t := &b.Topics[i]
	if id != "" {
		t.ID = id
	}
	j, found := slices.BinarySearchFunc(t.Partitions, p.Partition, func(q Partition, n int32) int { return int(q.Partition) - int(n) })
	if found {
		t.Partitions[j] = p
		return
	}
	t.Partitions = slices.Insert(t.Partitions, j, p)
}

// SetKey sets what is known of the keys of a topic that b has.
func (b *Bookmark) SetKey(topic string, k *Key) {
	for i := range b.Topics {
		if b.Topics[i].Name == topic {
			b.Topics[i].Key = k
		}
	}
}

// MovedBack names the first partition in which b stands before from, or is missing (I3). It returns "" if there is none.
func (b Bookmark) MovedBack(from Bookmark) string {
	for _, t := range from.Topics {
		for _, p := range t.Partitions {
			q, ok := b.Partition(t.Name, p.Partition)
			if !ok || q.Next < p.Next {
				return fmt.Sprintf("%s/%d from %d to %d", t.Name, p.Partition, p.Next, q.Next)
			}
		}
	}
	return ""
}

func (b *Bookmark) sort() {
	slices.SortFunc(b.Topics, func(x, y Topic) int { return strings.Compare(x.Name, y.Name) })
	for i := range b.Topics {
		slices.SortFunc(b.Topics[i].Partitions, func(x, y Partition) int { return int(x.Partition) - int(y.Partition) })
	}
}

func (b Bookmark) check() error {
	for i, t := range b.Topics {
		if t.Name == "" {
			return errors.New("parse bookmark: a topic without a name")
		}
		if i > 0 && b.Topics[i-1].Name == t.Name {
			return fmt.Errorf("parse bookmark: topic %s twice", t.Name)
		}
		if err := t.Key.check(); err != nil {
			return fmt.Errorf("parse bookmark: %s: %w", t.Name, err)
		}
		for j, p := range t.Partitions {
			if p.Partition < 0 || p.Next < 0 || p.Epoch < -1 {
				return fmt.Errorf("parse bookmark: %s: negative position %+v", t.Name, p)
			}
			if j > 0 && t.Partitions[j-1].Partition == p.Partition {
				return fmt.Errorf("parse bookmark: %s: partition %d twice", t.Name, p.Partition)
			}
		}
	}
	return nil
}
