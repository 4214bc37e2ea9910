package demo

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/bookmark"
)

func startBroker(t *testing.T, topics ...string) *Broker {
	t.Helper()
	var tables []Table
	for _, topic := range topics {
		tables = append(tables, Table{Topic: topic})
	}
	b, err := StartBroker(tables)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// consume reads n records of a topic, in the order of each partition.
func consume(t *testing.T, b *Broker, topic string, from kgo.Offset, n int) []*kgo.Record {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addresses()...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(from))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var records []*kgo.Record
	for len(records) < n {
		fetches := client.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		records = append(records, fetches.Records()...)
	}
	return records
}

func TestEventsOfAKeyStayInOrder(t *testing.T) {
	const keys, each = 50, 40
	b := startBroker(t, "a")
	for i := range each {
		for k := range keys {
			if err := b.Send(t.Context(), Message{Topic: "a", Key: fmt.Append(nil, k), Value: fmt.Append(nil, i)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen, homes := map[string]int{}, map[string]int32{}
	for _, r := range consume(t, b, "a", kgo.NewOffset().AtStart(), keys*each) {
		key := string(r.Key)
		if want := fmt.Sprint(seen[key]); string(r.Value) != want {
			t.Fatalf("key %s: %s, want %s", key, r.Value, want)
		}
		if home, known := homes[key]; known && home != r.Partition {
			t.Fatalf("key %s is in partitions %d and %d", key, home, r.Partition)
		}
		seen[key]++
		homes[key] = r.Partition
	}
	total := int64(0)
	for _, p := range b.Written("a") {
		total += p.Next
	}
	if total != keys*each || len(b.Written("a")) != partitions {
		t.Errorf("written %+v, want %d records in %d partitions", b.Written("a"), keys*each, partitions)
	}
}

func TestTombstoneHasNoValue(t *testing.T) {
	b := startBroker(t, "a")
	if err := b.Send(t.Context(), Message{Topic: "a", Key: []byte("k"), Value: []byte("{}")}, Message{Topic: "a", Key: []byte("k")}); err != nil {
		t.Fatal(err)
	}
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	records := consume(t, b, "a", kgo.NewOffset().AtStart(), 2)
	if records[0].Value == nil || records[1].Value != nil {
		t.Errorf("values %q and %q, want the second to be null", records[0].Value, records[1].Value)
	}
}

func TestTrimLetsGoOfWhatIsCommittedOnly(t *testing.T) {
	b := startBroker(t, "a")
	for i := range 10 {
		if err := b.Send(t.Context(), Message{Topic: "a", Key: []byte("k"), Value: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	end := b.Written("a")[0]
	var committed bookmark.Bookmark
	committed.Set("a", "", bookmark.Partition{Partition: end.Partition, Next: 6})
	if err := b.Trim(t.Context(), "a", committed); err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, r := range consume(t, b, "a", kgo.NewOffset().AtStart(), 4) {
		left = append(left, string(r.Value))
	}
	if diff := cmp.Diff([]string{"6", "7", "8", "9"}, left); diff != "" {
		t.Error(diff)
	}
	if err := b.Trim(t.Context(), "a", bookmark.Bookmark{}); err != nil {
		t.Errorf("trim without a bookmark: %v", err)
	}
}

func TestSendFailsForAnUnknownTopic(t *testing.T) {
	b := startBroker(t, "a")
	err := b.Send(t.Context(), Message{Topic: "b", Key: []byte("k")})
	if err == nil {
		err = b.Flush(t.Context())
	}
	if err == nil {
		t.Error("no error")
	}
}

func TestCovers(t *testing.T) {
	var mark bookmark.Bookmark
	mark.Set("a", "", bookmark.Partition{Partition: 0, Next: 5})
	mark.Set("a", "", bookmark.Partition{Partition: 2, Next: 3})
	for _, test := range []struct {
		name string
		ends []bookmark.Partition
		want bool
	}{
		{"nothing was written", nil, true},
		{"all ends are reached", []bookmark.Partition{{Partition: 0, Next: 5}, {Partition: 2, Next: 2}}, true},
		{"one is not", []bookmark.Partition{{Partition: 0, Next: 5}, {Partition: 2, Next: 4}}, false},
		{"a partition is not in the bookmark", []bookmark.Partition{{Partition: 1, Next: 1}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := covers(mark, "a", slices.Clone(test.ends)); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}
