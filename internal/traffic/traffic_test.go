package traffic_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cdcd-project/cdcd/internal/traffic"
)

// The order of a key's events is that of one partition (I13), and the same seed makes the same history.
func TestEventsOfAKeyStayInOnePartition(t *testing.T) {
	for name, build := range map[string]func(string, int32) *traffic.Source{"items": traffic.Items, "stock": traffic.Stock} {
		t.Run(name, func(t *testing.T) {
			history := func() (*traffic.Source, []string) {
				s, r, lines := build("topic", 3), rand.New(rand.NewPCG(1, 1)), []string(nil)
				partitions, used := map[string]int32{}, map[int32]bool{}
				for range 500 {
					for _, record := range s.Change(r) {
						key := string(record.Key)
						if before, known := partitions[key]; known && before != record.Partition {
							t.Fatalf("key %s is in partitions %d and %d", key, before, record.Partition)
						}
						partitions[key], used[record.Partition] = record.Partition, true
						lines = append(lines, fmt.Sprintf("%d %s %s", record.Partition, record.Key, record.Value))
					}
				}
				if len(used) != 3 {
					t.Errorf("%d of 3 partitions have records", len(used))
				}
				return s, lines
			}
			s, first := history()
			again, second := history()
			if diff := cmp.Diff(first, second); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(s.Rows, again.Rows); diff != "" || len(s.Rows) == 0 {
				t.Errorf("%d rows; %s", len(s.Rows), diff)
			}
		})
	}
}

// A change that never happened leaves the oracle alone.
func TestPhantomLeavesTheRows(t *testing.T) {
	s, r := traffic.Items("topic", 3), rand.New(rand.NewPCG(1, 1))
	for range 50 {
		s.Change(r)
	}
	before := maps.Clone(s.Rows)
	for range 50 {
		if len(s.Phantom(r)) == 0 {
			t.Fatal("a phantom without records")
		}
	}
	if diff := cmp.Diff(before, s.Rows); diff != "" {
		t.Error(diff)
	}
}
