package kafka

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cdcd-project/cdcd/internal/bookmark"
)

func TestSkipStepsOverWhatCannotBeRead(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, "shop"), kfake.SeedTopics(1, "empty"), kfake.NumBrokers(2))
	producer := newProducer(t, cluster, kgo.TransactionalID("tx"))
	transaction(t, producer, "c", 2, kgo.TryCommit) // Offsets 0 and 1, marker 2.
	transaction(t, producer, "a", 3, kgo.TryAbort)  // Offsets 3 to 5, marker 6.
	transaction(t, producer, "c", 1, kgo.TryCommit) // Offset 7, marker 8.
	transaction(t, producer, "a", 1, kgo.TryAbort)  // Offset 9, marker 10.
	must(t, producer.BeginTransaction())
	produce(t, producer, "shop", 0, "open", 1) // Offset 11.
	c := open(t, cluster)
	for from, want := range map[int64]int64{0: 0, 1: 1, 2: 7, 3: 7, 4: 7, 6: 7, 7: 7, 8: 11, 9: 11, 10: 11, 11: 11} {
		if got, err := c.Skip(t.Context(), "shop", before(from)); err != nil || got.Next != want {
			t.Errorf("from %d: got %d, %v; want %d", from, got.Next, err, want)
		}
	}
	if got, err := c.Skip(t.Context(), "empty", before(0)); err != nil || got != before(0) {
		t.Errorf("empty partition: got %+v, %v; want where it was", got, err)
	}
	must(t, producer.EndTransaction(t.Context(), kgo.TryAbort))
}

// before is the position before an offset, after a record of an epoch that nobody ever had.
func before(next int64) bookmark.Partition { return bookmark.Partition{Next: next, Epoch: 77} }

// The position that Skip returns is compared with the leaders' epochs later: it must have the epoch of what was stepped over.
func TestSkipTellsTheEpochOfWhatItStepsOver(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, "shop"), kfake.NumBrokers(2))
	producer := newProducer(t, cluster, kgo.TransactionalID("tx"))
	move := func() {
		t.Helper()
		must(t, cluster.MoveTopicPartition("shop", 0, 1-cluster.LeaderFor("shop", 0)))
	}
	transaction(t, producer, "c", 1, kgo.TryCommit) // Offset 0, marker 1.
	move()
	transaction(t, producer, "a", 1, kgo.TryAbort) // Offset 2, marker 3, in epoch 1.
	move()
	transaction(t, producer, "c", 1, kgo.TryCommit) // Offset 4, marker 5, in epoch 2.
	move()
	transaction(t, producer, "a", 1, kgo.TryAbort) // Offset 6, marker 7, in epoch 3.
	c := open(t, cluster)
	for from, want := range map[int64]bookmark.Partition{0: before(0), 2: {Next: 4, Epoch: 1}, 5: {Next: 8, Epoch: 3}, 8: before(8)} {
		if got, err := c.Skip(t.Context(), "shop", before(from)); err != nil || got != want {
			t.Errorf("from %d: got %+v, %v; want %+v", from, got, err, want)
		}
	}
}

// The tail of a compacted log may have no batch at all before its end.
func TestSkipBelievesRepeatedEmptyAnswers(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, "shop"))
	produce(t, newProducer(t, cluster), "shop", 0, "v", 5)
	asked := 0
	emptyFetches(cluster, func() int32 { asked++; return 0 })
	if got, err := open(t, cluster).Skip(t.Context(), "shop", before(2)); err != nil || got != (bookmark.Partition{Next: 5, Epoch: -1}) {
		t.Errorf("got %+v, %v; want the end 5 of an unknown epoch", got, err)
	}
	if asked != skipEmptyAnswers {
		t.Errorf("asked %d times, want %d", asked, skipEmptyAnswers)
	}
}

// A broker that enforces a quota answers with nothing: believing that would skip records.
func TestSkipDoesNotBelieveThrottledAnswers(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, "shop"))
	produce(t, newProducer(t, cluster), "shop", 0, "v", 5)
	asked := 0
	emptyFetches(cluster, func() int32 {
		if asked++; asked > 2*skipEmptyAnswers {
			return -1
		}
		return 1
	})
	if got, err := open(t, cluster).Skip(t.Context(), "shop", before(2)); err != nil || got != before(2) {
		t.Errorf("got %+v, %v; want where it was", got, err)
	}
}

// emptyFetches answers fetches of shop/0, which ends at 5, without any batch and with the throttle time that next
// returns in milliseconds, until it is negative.
func emptyFetches(cluster *kfake.Cluster, next func() int32) {
	cluster.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		throttle := next()
		if throttle < 0 {
			return nil, nil, false
		}
		cluster.KeepControl()
		req := request.(*kmsg.FetchRequest)
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		resp.ThrottleMillis = throttle
		rt := kmsg.NewFetchResponseTopic()
		rt.Topic, rt.TopicID = req.Topics[0].Topic, req.Topics[0].TopicID
		rp := kmsg.NewFetchResponseTopicPartition()
		rp.HighWatermark, rp.LastStableOffset, rp.LogStartOffset = 5, 5, 0
		rt.Partitions = append(rt.Partitions, rp)
		resp.Topics = append(resp.Topics, rt)
		return resp, nil, true
	})
}

func TestSkipReportsErrors(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, "shop"))
	c := open(t, cluster)
	if _, err := c.Skip(t.Context(), "shop", before(1)); err == nil {
		t.Error("an offset beyond the end was accepted")
	}
	for _, topic := range []string{"shop", "missing"} {
		if _, err := c.Skip(t.Context(), topic, bookmark.Partition{Partition: 4}); err == nil {
			t.Errorf("partition 4 of topic %s was found", topic)
		}
	}
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "shop", Err: kerr.TopicAuthorizationFailed, Count: 1})
	if _, err := c.Skip(t.Context(), "shop", before(0)); err == nil {
		t.Error("a refused fetch was taken for an empty partition")
	}
}
