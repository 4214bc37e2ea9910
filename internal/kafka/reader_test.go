package kafka

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cdcd-project/cdcd/internal/halt"
)

func TestReadsFromExactlyTheBookmark(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(2, "shop"))
	producer := newProducer(t, cluster)
	produce(t, producer, "shop", 0, "a", 4)
	produce(t, producer, "shop", 1, "b", 3)
	c := open(t, cluster)
	run(t, c)
	s := c.Subscribe("t", at("shop", 0, 2, 1, 1))
	got := collect(t, s, 4)
	slices.Sort(got)
	if diff := cmp.Diff([]string{"0:2=a2", "0:3=a3", "1:1=b1", "1:2=b2"}, got); diff != "" {
		t.Error(diff)
	}
	produce(t, producer, "shop", 1, "later", 1)
	if diff := cmp.Diff([]string{"1:3=later0"}, collect(t, s, 1)); diff != "" {
		t.Error(diff)
	}
	if fetches, err := s.Poll(t.Context(), 10*time.Millisecond); fetches != nil || err != nil {
		t.Errorf("Poll without records: %v, %v; want nil, nil", fetches, err)
	}
}

// I8: an offset that somebody committed to the group must not influence what is read.
func TestCommittedGroupOffsetsDoNotMatter(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, "shop"))
	producer := newProducer(t, cluster)
	produce(t, producer, "shop", 0, "v", 5)
	var ahead kadm.Offsets
	ahead.AddOffset("shop", 0, 5, -1)
	if err := kadm.NewClient(producer).CommitAllOffsets(t.Context(), "g", ahead); err != nil {
		t.Fatal(err)
	}
	c := open(t, cluster)
	run(t, c)
	j := join(t, c, Table{Name: "t", Topics: []string{"shop"}})
	j.await(t, "t")
	s := c.Subscribe("t", at("shop", 0, 1))
	if diff := cmp.Diff([]string{"0:1=v1", "0:2=v2", "0:3=v3", "0:4=v4"}, collect(t, s, 4)); diff != "" {
		t.Error(diff)
	}
}

func TestSharedTopicIsFetchedOnceAndEachSkipsBelowItsOwn(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, "shop"))
	produce(t, newProducer(t, cluster), "shop", 0, "v", 5)
	c := open(t, cluster)
	low, high := c.Subscribe("low", at("shop", 0, 1)), c.Subscribe("high", at("shop", 0, 3))
	run(t, c)
	if diff := cmp.Diff([]string{"0:3=v3", "0:4=v4"}, collect(t, high, 2)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"0:1=v1", "0:2=v2", "0:3=v3", "0:4=v4"}, collect(t, low, 4)); diff != "" {
		t.Error(diff)
	}
}

func TestLateLowerSubscriptionStartsTheTopicAgainForItselfOnly(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, "shop"))
	producer := newProducer(t, cluster)
	produce(t, producer, "shop", 0, "v", 4)
	c := open(t, cluster)
	run(t, c)
	high := c.Subscribe("high", at("shop", 0, 2))
	collect(t, high, 2)
	low := c.Subscribe("low", at("shop", 0, 0))
	if diff := cmp.Diff([]string{"0:0=v0", "0:1=v1", "0:2=v2", "0:3=v3"}, collect(t, low, 4)); diff != "" {
		t.Error(diff)
	}
	produce(t, producer, "shop", 0, "w", 1)
	for _, s := range []*Subscription{high, low} {
		if diff := cmp.Diff([]string{"0:4=w0"}, collect(t, s, 1)); diff != "" {
			t.Errorf("%s: %s", s.name, diff)
		}
	}
}

// A table that stands down closes its subscription and starts again, before or after where it was.
func TestSubscribeAgainDeliversFromExactlyThatOffset(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, "shop"))
	producer := newProducer(t, cluster)
	produce(t, producer, "shop", 0, "v", 50)
	c := open(t, cluster)
	run(t, c)
	for round, from := range []int64{10, 3, 40, 0, 49, 25} {
		s := c.Subscribe("t", at("shop", 0, from))
		got := collect(t, s, 1)
		if want := fmt.Sprintf("0:%d=v%d", from, from); got[0] != want {
			t.Errorf("round %d: first record %s, want %s", round, got[0], want)
		}
		s.Close()
		s.Close()
		if _, err := s.Poll(t.Context(), 0); err != ErrClosed { //nolint:errorlint // Poll returns it bare.
			t.Errorf("Poll after Close: %v", err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.queued != 0 {
		t.Errorf("%d bytes are still counted as queued", c.queued)
	}
}

func TestCloseGivesTheQueueBack(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, "shop"))
	produce(t, newProducer(t, cluster), "shop", 0, "v", 5)
	c := open(t, cluster)
	run(t, c)
	closing, staying := c.Subscribe("closing", at("shop", 0, 0)), c.Subscribe("staying", at("shop", 0, 0))
	collect(t, staying, 5)
	closing.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.queued != 0 {
		t.Errorf("%d bytes are still counted as queued", c.queued)
	}
}

func TestReaderNeverResets(t *testing.T) {
	c := open(t, newCluster(t))
	if got := c.reader.OptValue(kgo.ConsumeResetOffset); got != kgo.NoResetOffset() {
		t.Errorf("the reader resets to %v", got)
	}
}

func TestOnlyTheTopicsAskedForAreRead(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, "shop", "left"))
	producer := newProducer(t, cluster)
	produce(t, producer, "left", 0, "x", 1)
	produce(t, producer, "shop", 0, "v", 1)
	c := open(t, cluster)
	run(t, c)
	start := at("shop", 0, 0)
	start.Set("left", "", at("left", 0, 0).Topics[0].Partitions[0])
	s := c.Subscribe("t", start, "shop")
	if diff := cmp.Diff([]string{"0:0=v0"}, collect(t, s, 1)); diff != "" {
		t.Error(diff)
	}
	if fetches, err := s.Poll(t.Context(), 100*time.Millisecond); fetches != nil || err != nil {
		t.Errorf("got %v, %v from a topic that was not asked for", fetches, err)
	}
}

// I7: what waits is bounded, and everything arrives once somebody takes it.
func TestFetchingPausesWhenTheQueuesAreFull(t *testing.T) {
	const value, count = 10_000, 800 // 8 MB in two partitions.
	cluster := newCluster(t, kfake.SeedTopics(2, "shop"), kfake.SeedTopics(1, "other"))
	producer := newProducer(t, cluster, kgo.ProducerBatchMaxBytes(50_000)) // A broker sends one batch at least, however large.
	for i := range count {
		producer.Produce(t.Context(), &kgo.Record{Topic: "shop", Partition: int32(i % 2), Value: make([]byte, value)}, nil)
	}
	if err := producer.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	limit := int64(1 << 20)
	c := open(t, cluster, func(o *Options) { o.QueueBytes = limit })
	run(t, c)
	slow, other := c.Subscribe("slow", at("shop", 0, 0, 1, 0)), c.Subscribe("other", at("other", 0, 0))
	queued := func() int64 {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.queued
	}
	deadline := time.Now().Add(patience)
	for queued() < limit {
		if time.Now().After(deadline) {
			t.Fatalf("only %d bytes were queued", queued())
		}
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(500 * time.Millisecond) // Time to break the bound in.
	bound := limit + 2*limit/4         // One fetch that began below the limit, and one of the partition of which nothing waited.
	if got := queued(); got > bound {
		t.Errorf("%d bytes are queued; the limit and one fetch are %d", got, bound)
	}
	// A table that keeps up is not held up.
	produce(t, producer, "other", 0, "o", 1)
	collect(t, other, 1)
	// One that comes to the topic starts it again, and breaks the bound no more than the first.
	late := c.Subscribe("late", at("shop", 0, 0, 1, 0))
	for range 20 {
		time.Sleep(50 * time.Millisecond)
		if got := queued(); got > bound {
			t.Fatalf("with another reader %d bytes are queued; the limit and one fetch are %d", got, bound)
		}
	}
	late.Close()

	next, records := map[int32]int64{}, 0
	for records < count && time.Now().Before(deadline) {
		fetches, err := slow.Poll(t.Context(), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fetches {
			for _, r := range f.Records {
				if r.Offset != next[f.Partition] {
					t.Fatalf("partition %d: offset %d follows %d", f.Partition, r.Offset, next[f.Partition]-1)
				}
				next[f.Partition]++
				records++
			}
		}
		if got := queued(); got > bound {
			t.Errorf("%d bytes are queued; the limit and one fetch are %d", got, bound)
		}
	}
	if records != count {
		t.Errorf("got %d of %d records", records, count)
	}
}

// I9: retention overtakes a table that is reading. What was read before is handed out; then the table halts, and others go on.
func TestOffsetOutOfRangeWhileReadingHaltsWithoutReset(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, kfake.SeedTopics(1, "shop", "other"))
	producer := newProducer(t, cluster)
	produce(t, producer, "shop", 0, "v", 10)
	c := open(t, cluster)
	run(t, c)
	high, other := c.Subscribe("high", at("shop", 0, 8)), c.Subscribe("other", at("other", 0, 0))
	collect(t, high, 2)
	if err := cluster.DeleteRecords("shop", 0, 6); err != nil {
		t.Fatal(err)
	}
	low := c.Subscribe("low", at("shop", 0, 2))
	halted := pollHalt(t, low)
	if halted.Reason != halt.RecordsLost {
		t.Errorf("got %v, want %s", halted, halt.RecordsLost)
	}
	if _, err := low.Poll(t.Context(), 0); err != error(halted) { //nolint:errorlint // The halt stays the same.
		t.Errorf("the halt did not stay: %v", err)
	}
	produce(t, producer, "shop", 0, "w", 1)
	produce(t, producer, "other", 0, "o", 1)
	if diff := cmp.Diff([]string{"0:10=w0"}, collect(t, high, 1)); diff != "" {
		t.Error(diff)
	}
	collect(t, other, 1)
}

func TestPositionBeyondTheEndHalts(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, "shop"))
	produce(t, newProducer(t, cluster), "shop", 0, "v", 3)
	c := open(t, cluster)
	run(t, c)
	if halted := pollHalt(t, c.Subscribe("t", at("shop", 0, 7))); halted.Reason != halt.LogTruncated {
		t.Errorf("got %v, want %s", halted, halt.LogTruncated)
	}
}

// A log that was cut and has grown again since holds other records at the position: being in range is no excuse.
func TestPositionThatIsInRangeAgainHalts(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, "shop"))
	produce(t, newProducer(t, cluster), "shop", 0, "v", 3)
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "shop", Err: kerr.OffsetOutOfRange, Count: 1})
	c := open(t, cluster)
	run(t, c)
	if halted := pollHalt(t, c.Subscribe("t", at("shop", 0, 1))); halted.Reason != halt.LogTruncated {
		t.Errorf("got %v, want %s", halted, halt.LogTruncated)
	}
}

func TestTopicRecreatedWhileReadingHaltsAndCanBeReadAnew(t *testing.T) {
	t.Parallel() // Most of it is waiting: kgo believes an unknown topic id only after some time.
	cluster := newCluster(t, kfake.SeedTopics(1, "shop"))
	producer := newProducer(t, cluster)
	produce(t, producer, "shop", 0, "v", 3)
	c := open(t, cluster)
	run(t, c)
	p, err := c.Locate(t.Context(), []string{"shop"}, at("shop", 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	s := c.Subscribe("t", p.Start)
	collect(t, s, 3)
	if err := cluster.DeleteTopic("shop"); err != nil {
		t.Fatal(err)
	}
	if err := cluster.CreateTopic("shop", 1, nil); err != nil {
		t.Fatal(err)
	}
	if halted := pollHalt(t, s); halted.Reason != halt.TopicRecreated {
		t.Errorf("got %v, want %s", halted, halt.TopicRecreated)
	}
	s.Close()
	produce(t, newProducer(t, cluster), "shop", 0, "new", 1)
	again := c.Subscribe("t", at("shop", 0, 0))
	if diff := cmp.Diff([]string{"0:0=new0"}, collect(t, again, 1)); diff != "" {
		t.Error(diff)
	}
}

func TestTopicRecreatedBeforeTheFirstFetchHalts(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, "shop"))
	produce(t, newProducer(t, cluster), "shop", 0, "v", 3)
	c := open(t, cluster)
	run(t, c)
	start := at("shop", 0, 0)
	start.Topics[0].ID = "of-another-topic"
	s := c.Subscribe("t", start)
	if halted := pollHalt(t, s); halted.Reason != halt.TopicRecreated {
		t.Errorf("got %v, want %s", halted, halt.TopicRecreated)
	}
}

func TestTopicDeletedWhileReadingHalts(t *testing.T) {
	t.Parallel() // Most of it is waiting: kgo believes an unknown topic id only after some time.
	cluster := newCluster(t, kfake.SeedTopics(1, "shop"))
	produce(t, newProducer(t, cluster), "shop", 0, "v", 1)
	c := open(t, cluster)
	run(t, c)
	s := c.Subscribe("t", at("shop", 0, 0))
	collect(t, s, 1)
	if err := cluster.DeleteTopic("shop"); err != nil {
		t.Fatal(err)
	}
	if halted := pollHalt(t, s); halted.Reason != halt.TopicMissing {
		t.Errorf("got %v, want %s", halted, halt.TopicMissing)
	}
}

func TestCutKeepsEveryRecordAndEndsWhereTheFetchDoes(t *testing.T) {
	record := func(offset int64, size int) *kgo.Record {
		return &kgo.Record{Offset: offset, LeaderEpoch: int32(offset), Value: make([]byte, size)}
	}
	whole := Fetch{Topic: "shop", Next: 9, Epoch: 7, HighWatermark: 20}
	for _, c := range []struct {
		name    string
		records []*kgo.Record
		next    []int64
		epochs  []int32
	}{
		{"no records", nil, []int64{9}, []int32{7}},
		{"one record", []*kgo.Record{record(3, 10)}, []int64{9}, []int32{7}},
		{"large records", []*kgo.Record{record(3, chunkBytes), record(5, chunkBytes), record(6, 1)}, []int64{4, 6, 9}, []int32{3, 5, 7}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var next []int64
			var epochs []int32
			var records []*kgo.Record
			for _, piece := range cut(whole, c.records) {
				next, epochs, records = append(next, piece.Next), append(epochs, piece.Epoch), append(records, piece.Records...)
			}
			if diff := cmp.Diff(c.next, next); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.epochs, epochs); diff != "" {
				t.Error(diff)
			}
			if !slices.Equal(records, c.records) {
				t.Error("the records are not the same")
			}
		})
	}
}

// Transactions leave control records and aborted records behind. Positions move over both; records skip both.
func TestPositionsMoveOverControlAndAbortedRecords(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, "shop"))
	producer := newProducer(t, cluster, kgo.TransactionalID("tx"))
	transaction(t, producer, "committed", 2, kgo.TryCommit) // Offsets 0 and 1, marker 2.
	transaction(t, producer, "aborted", 3, kgo.TryAbort)    // Offsets 3 to 5, marker 6.
	c := open(t, cluster)
	run(t, c)
	located, err := c.Locate(t.Context(), []string{"shop"}, at("shop", 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if end, _ := located.End.Partition("shop", 0); end.Next != 7 {
		t.Fatalf("the end is %d, want 7", end.Next)
	}
	s := c.Subscribe("t", located.Start)
	var got []string
	next, deadline := int64(0), time.Now().Add(patience)
	for next < 7 && time.Now().Before(deadline) {
		fetches, err := s.Poll(t.Context(), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fetches {
			next = f.Next
			for _, r := range f.Records {
				got = append(got, string(r.Value))
			}
		}
	}
	if diff := cmp.Diff([]string{"committed0", "committed1"}, got); diff != "" {
		t.Error(diff)
	}
	if next != 7 {
		t.Errorf("the position ended at %d, want the end 7", next)
	}
}

// transaction writes count records to shop/0 and ends the transaction.
func transaction(t *testing.T, producer *kgo.Client, prefix string, count int, end kgo.TransactionEndTry) {
	t.Helper()
	if err := producer.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	produce(t, producer, "shop", 0, prefix, count)
	if err := producer.EndTransaction(t.Context(), end); err != nil {
		t.Fatal(err)
	}
}

// A leader that took over without the records that were read (unclean election) says so when asked for the epoch.
func TestDivergedLogHalts(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, "shop"))
	produce(t, newProducer(t, cluster), "shop", 0, "v", 5)
	endOfEpoch(cluster, 2)
	c := open(t, cluster)
	run(t, c)
	start := at("shop", 0, 4)
	start.Topics[0].Partitions[0].Epoch = 0
	halted := pollHalt(t, c.Subscribe("t", start))
	if halted.Reason != halt.LogTruncated {
		t.Errorf("got %v, want %s", halted, halt.LogTruncated)
	}
}

// endOfEpoch makes every answer about a leader epoch say that it ends at offset.
func endOfEpoch(cluster *kfake.Cluster, offset int64) {
	cluster.ControlKey(int16(kmsg.OffsetForLeaderEpoch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		req := request.(*kmsg.OffsetForLeaderEpochRequest)
		resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
		for _, t := range req.Topics {
			rt := kmsg.NewOffsetForLeaderEpochResponseTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				rp := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
				rp.Partition, rp.LeaderEpoch, rp.EndOffset = p.Partition, p.LeaderEpoch, offset
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
}

func TestErrorsThatPassAreRetriedFromTheSamePosition(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, "shop"))
	produce(t, newProducer(t, cluster), "shop", 0, "v", 3)
	fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "shop", Err: kerr.TopicAuthorizationFailed, Count: 1})
	registry := prometheus.NewRegistry()
	c := open(t, cluster, func(o *Options) { o.Registerer = registry })
	run(t, c)
	s := c.Subscribe("t", at("shop", 0, 1))
	if diff := cmp.Diff([]string{"0:1=v1", "0:2=v2"}, collect(t, s, 2)); diff != "" {
		t.Error(diff)
	}
	if fault.Hits() == 0 {
		t.Error("the fault was never met")
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "cdcd_fetch_errors_total" && f.GetMetric()[0].GetCounter().GetValue() >= 1 {
			return
		}
	}
	t.Error("no fetch error was counted")
}

// The client may move an offset into the log's range by itself, in a corner that no setting closes. Then what it hands
// over does not follow what was delivered.
func TestFetchThatDoesNotFollowThePositionHalts(t *testing.T) {
	records := func(offsets ...int64) []*kgo.Record {
		var rs []*kgo.Record
		for _, o := range offsets {
			rs = append(rs, &kgo.Record{Topic: "shop", Offset: o})
		}
		return rs
	}
	for _, test := range []struct {
		name     string
		fetched  kgo.FetchPartition
		low      halt.Reason // Of the subscription at offset 5, or "" if it goes on.
		high     halt.Reason // Of the subscription at offset 9.
		received int         // Records of the subscription at offset 5.
	}{
		{"compacted offsets are no loss", kgo.FetchPartition{Records: records(7, 8), LogStartOffset: 2}, "", "", 2},
		{"log start overtook one", kgo.FetchPartition{Records: records(8, 9), LogStartOffset: 8}, halt.RecordsLost, "", 0},
		{"log start overtook both", kgo.FetchPartition{Records: records(12), LogStartOffset: 12}, halt.RecordsLost, halt.RecordsLost, 0},
		{"log ends before", kgo.FetchPartition{Records: records(3, 4, 5)}, halt.LogTruncated, halt.LogTruncated, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Open(Options{Brokers: []string{"localhost:1"}})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			low, high := c.Subscribe("low", at("shop", 0, 5)), c.Subscribe("high", at("shop", 0, 9))
			c.steer()
			c.mu.Lock()
			c.deliver("shop", [16]byte{}, test.fetched)
			c.deliver("shop", [16]byte{}, kgo.FetchPartition{Records: records(20)}) // After a fault, only a restart delivers again.
			c.mu.Unlock()
			for s, want := range map[*Subscription]halt.Reason{low: test.low, high: test.high} {
				if want == "" && s.err != nil || want != "" && (s.err == nil || wantHalt(t, s.err).Reason != want) {
					t.Errorf("%s: got %v, want %q", s.name, s.err, want)
				}
			}
			received := 0
			for _, q := range low.queue {
				received += len(q.Records)
			}
			if test.received > 0 {
				test.received++
			}
			if received != test.received {
				t.Errorf("received %d records, want %d", received, test.received)
			}
		})
	}
}
