package kafka

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/halt"
)

func TestLocateCompletesTheBookmark(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(2, "known"), kfake.SeedTopics(1, "first"))
	producer := newProducer(t, cluster)
	produce(t, producer, "known", 0, "v", 3)
	produce(t, producer, "first", 0, "v", 5)
	if err := cluster.DeleteRecords("first", 0, 2); err != nil {
		t.Fatal(err)
	}
	from := at("known", 0, 1, 1, 0)
	from.Set("left", "old-id", bookmark.Partition{Partition: 0, Next: 9, Epoch: 1})
	before := from.String()
	got, err := open(t, cluster).Locate(t.Context(), []string{"known", "first", "known"}, from)
	if err != nil {
		t.Fatal(err)
	}
	id := func(topic string) string { return formatID(cluster.TopicInfo(topic).TopicID) }
	position := func(known0, known1, first int64) bookmark.Bookmark {
		b := bookmark.Bookmark{Cluster: "cluster-a"}
		b.Set("known", id("known"), bookmark.Partition{Partition: 0, Next: known0, Epoch: -1})
		b.Set("known", id("known"), bookmark.Partition{Partition: 1, Next: known1, Epoch: -1})
		b.Set("first", id("first"), bookmark.Partition{Partition: 0, Next: first, Epoch: -1})
		return b
	}
	start := position(1, 0, 2)
	start.Set("left", "old-id", bookmark.Partition{Partition: 0, Next: 9, Epoch: 1})
	if diff := cmp.Diff(Position{Start: start, End: position(3, 0, 5), LogStart: position(0, 0, 2)}, got); diff != "" {
		t.Error(diff)
	}
	if from.String() != before {
		t.Error("the bookmark given was changed")
	}
	if again, err := open(t, cluster).Locate(t.Context(), []string{"known", "first"}, got.Start); err != nil || !again.Start.Equal(got.Start) {
		t.Errorf("a completed bookmark does not locate to itself: %v, %v", again.Start, err)
	}
}

func TestLocateWithoutTopicsCarriesTheBookmarkOn(t *testing.T) {
	from := at("left", 0, 3)
	got, err := open(t, newCluster(t)).Locate(t.Context(), nil, from)
	if err != nil {
		t.Fatal(err)
	}
	from.Cluster = "cluster-a"
	if !got.Start.Equal(from) {
		t.Errorf("got %v, want %v", got.Start, from)
	}
}

// I9 and I13: every way in which a bookmark cannot be continued halts the table with its own reason.
func TestLocateHalts(t *testing.T) {
	withEpoch := func(b bookmark.Bookmark, epoch int32) bookmark.Bookmark {
		b.Topics[0].Partitions[0].Epoch = epoch
		return b
	}
	for _, test := range []struct {
		name    string
		prepare func(t *testing.T, cluster *kfake.Cluster, producer *kgo.Client)
		from    func(located bookmark.Bookmark) bookmark.Bookmark // From where shop's beginning was located before prepare.
		want    halt.Reason                                       // "" if the bookmark can be continued.
	}{
		{
			name:    "log start after the bookmark",
			prepare: func(t *testing.T, c *kfake.Cluster, _ *kgo.Client) { must(t, c.DeleteRecords("shop", 0, 3)) },
			from:    func(bookmark.Bookmark) bookmark.Bookmark { return at("shop", 0, 2) },
			want:    halt.RecordsLost,
		},
		{
			name:    "log start after a bookmark at zero",
			prepare: func(t *testing.T, c *kfake.Cluster, _ *kgo.Client) { must(t, c.DeleteRecords("shop", 0, 3)) },
			from:    func(located bookmark.Bookmark) bookmark.Bookmark { return located },
			want:    halt.RecordsLost,
		},
		{
			name:    "log start at the bookmark",
			prepare: func(t *testing.T, c *kfake.Cluster, _ *kgo.Client) { must(t, c.DeleteRecords("shop", 0, 3)) },
			from:    func(bookmark.Bookmark) bookmark.Bookmark { return at("shop", 0, 3) },
		},
		{
			name: "everything deleted up to the bookmark, and the leader moved",
			prepare: func(t *testing.T, c *kfake.Cluster, _ *kgo.Client) {
				must(t, c.DeleteRecords("shop", 0, -1))
				endOfEpoch(c, -1)
			},
			from: func(bookmark.Bookmark) bookmark.Bookmark { return withEpoch(at("shop", 0, 5), 0) },
		},
		{
			name: "end before the bookmark",
			from: func(bookmark.Bookmark) bookmark.Bookmark { return at("shop", 0, 6) },
			want: halt.LogTruncated,
		},
		{
			name: "end at the bookmark",
			from: func(bookmark.Bookmark) bookmark.Bookmark { return at("shop", 0, 5) },
		},
		{
			name: "leader epoch as written",
			from: func(bookmark.Bookmark) bookmark.Bookmark { return withEpoch(at("shop", 0, 4), 0) },
		},
		{
			name:    "leader epoch ends before the bookmark",
			prepare: func(_ *testing.T, c *kfake.Cluster, _ *kgo.Client) { endOfEpoch(c, 3) },
			from:    func(bookmark.Bookmark) bookmark.Bookmark { return withEpoch(at("shop", 0, 4), 0) },
			want:    halt.LogTruncated,
		},
		{
			name: "leader epoch that the leader never had",
			from: func(bookmark.Bookmark) bookmark.Bookmark { return withEpoch(at("shop", 0, 4), 9) },
			want: halt.LogTruncated,
		},
		{
			name: "topic recreated with the same offsets",
			prepare: func(t *testing.T, c *kfake.Cluster, _ *kgo.Client) {
				must(t, c.DeleteTopic("shop"))
				must(t, c.CreateTopic("shop", 1, nil))
			},
			from: func(located bookmark.Bookmark) bookmark.Bookmark { return located },
			want: halt.TopicRecreated,
		},
		{
			name: "fewer partitions than the bookmark",
			from: func(bookmark.Bookmark) bookmark.Bookmark { return at("shop", 0, 1, 1, 1) },
			want: halt.TopicRecreated,
		},
		{
			name:    "topic deleted",
			prepare: func(t *testing.T, c *kfake.Cluster, _ *kgo.Client) { must(t, c.DeleteTopic("shop")) },
			from:    func(located bookmark.Bookmark) bookmark.Bookmark { return located },
			want:    halt.TopicMissing,
		},
		{
			name: "another cluster",
			from: func(located bookmark.Bookmark) bookmark.Bookmark { located.Cluster = "cluster-b"; return located },
			want: halt.ForeignCluster,
		},
		{
			name: "partitions added",
			prepare: func(t *testing.T, _ *kfake.Cluster, producer *kgo.Client) {
				_, err := kadm.NewClient(producer).CreatePartitions(t.Context(), 1, "shop")
				must(t, err)
			},
			from: func(located bookmark.Bookmark) bookmark.Bookmark { return located },
			want: halt.PartitionsAdded,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			cluster := newCluster(t, kfake.SeedTopics(1, "shop"))
			producer := newProducer(t, cluster)
			produce(t, producer, "shop", 0, "v", 5)
			c := open(t, cluster)
			located, err := c.Locate(t.Context(), []string{"shop"}, bookmark.Bookmark{})
			must(t, err)
			if test.prepare != nil {
				test.prepare(t, cluster, producer)
			}
			from := test.from(located.Start)
			got, err := c.Locate(t.Context(), []string{"shop"}, from)
			if test.want == "" {
				must(t, err)
				if diff := cmp.Diff(from.Topics[0].Partitions, got.Start.Topics[0].Partitions); diff != "" {
					t.Error(diff)
				}
				return
			}
			if halted := wantHalt(t, err); halted.Reason != test.want {
				t.Errorf("got %v, want %s", halted, test.want)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestLocateEndIsTheLastStableOffset(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, "shop"))
	produce(t, newProducer(t, cluster), "shop", 0, "v", 2)
	producer := newProducer(t, cluster, kgo.TransactionalID("tx"))
	must(t, producer.BeginTransaction())
	produce(t, producer, "shop", 0, "open", 3)
	got, err := open(t, cluster).Locate(t.Context(), []string{"shop"}, bookmark.Bookmark{})
	must(t, err)
	if end, _ := got.End.Partition("shop", 0); end.Next != 2 {
		t.Errorf("the end is %d, want 2: the transaction is open", end.Next)
	}
	must(t, producer.EndTransaction(t.Context(), kgo.TryAbort))
}

// Brokers that are away or busy never halt a table.
func TestLocateErrorsThatPassAreNotHalts(t *testing.T) {
	for _, test := range []struct {
		name string
		key  kmsg.Key
		err  *kerr.Error
	}{
		{"metadata", kmsg.Metadata, kerr.TopicAuthorizationFailed},
		{"offsets", kmsg.ListOffsets, kerr.TopicAuthorizationFailed},
		{"leader epochs", kmsg.OffsetForLeaderEpoch, kerr.TopicAuthorizationFailed},
	} {
		t.Run(test.name, func(t *testing.T) {
			cluster := newCluster(t, kfake.SeedTopics(1, "shop"))
			produce(t, newProducer(t, cluster), "shop", 0, "v", 2)
			cluster.Fault(kfake.Fault{Keys: []kmsg.Key{test.key}, Topic: "shop", Err: test.err, Count: -1})
			from := at("shop", 0, 1)
			from.Topics[0].Partitions[0].Epoch = 0
			_, err := open(t, cluster).Locate(t.Context(), []string{"shop"}, from)
			if _, halted := err.(*halt.Error); err == nil || halted { //nolint:errorlint // Locate promises the type itself.
				t.Errorf("got %v, want an error that may pass", err)
			}
		})
	}
	t.Run("no broker", func(t *testing.T) {
		cluster := newCluster(t)
		c := open(t, cluster)
		cluster.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := c.Locate(ctx, []string{"shop"}, bookmark.Bookmark{})
		if _, halted := err.(*halt.Error); err == nil || halted { //nolint:errorlint // Locate promises the type itself.
			t.Errorf("got %v, want an error that may pass", err)
		}
	})
}
