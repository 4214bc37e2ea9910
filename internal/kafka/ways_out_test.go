package kafka

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/halt"
)

// located returns the bookmark at the beginning of shop, whose partitions hold five records each.
func located(t *testing.T, c *Client) bookmark.Bookmark {
	t.Helper()
	at, err := c.Locate(t.Context(), []string{"shop"}, bookmark.Bookmark{})
	must(t, err)
	return at.Start
}

// atShop moves both partitions of shop; the leader epoch is 0 unless the offset is.
func atShop(b bookmark.Bookmark, next0, next1 int64) bookmark.Bookmark {
	b = b.Clone()
	for p, next := range []int64{next0, next1} {
		b.Set("shop", "", bookmark.Partition{Partition: int32(p), Next: next, Epoch: min(0, int32(next)-1)})
	}
	return b
}

func nexts(b bookmark.Bookmark) string {
	t, _ := b.Topic("shop")
	var out []string
	for _, p := range t.Partitions {
		out = append(out, fmt.Sprintf("%d@%d/%d", p.Partition, p.Next, p.Epoch))
	}
	return strings.Join(out, " ")
}

func TestAcceptGapGoesOnWhereTheLogCanBeRead(t *testing.T) {
	for _, test := range []struct {
		name     string
		prepare  func(t *testing.T, c *kfake.Cluster)
		from     [2]int64
		want     string // Partition@offset/epoch.
		wantGaps []Gap
	}{
		{
			"retention", func(t *testing.T, c *kfake.Cluster) { must(t, c.DeleteRecords("shop", 0, 4)) },
			[2]int64{2, 3},
			"0@4/-1 1@3/0",
			[]Gap{{"shop", 0, false, 2, 4}},
		},
		{
			"end before the bookmark", func(*testing.T, *kfake.Cluster) {},
			[2]int64{9, 3},
			"0@5/0 1@3/0",
			[]Gap{{"shop", 0, true, 5, 9}},
		},
		{
			"leader epoch that ends before the bookmark", func(_ *testing.T, c *kfake.Cluster) { endOfEpoch(c, 3) },
			[2]int64{4, 3},
			"0@3/0 1@3/0",
			[]Gap{{"shop", 0, true, 3, 4}},
		},
		{
			"both at once", func(t *testing.T, c *kfake.Cluster) { must(t, c.DeleteRecords("shop", 0, 4)) },
			[2]int64{2, 7},
			"0@4/-1 1@5/0",
			[]Gap{{"shop", 0, false, 2, 4}, {"shop", 1, true, 5, 7}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			cluster, c := newShop(t)
			from := atShop(located(t, c), test.from[0], test.from[1])
			test.prepare(t, cluster)
			to, gaps, err := c.AcceptGap(t.Context(), []string{"shop"}, from)
			must(t, err)
			if diff := cmp.Diff(test.wantGaps, gaps); diff != "" || nexts(to) != test.want {
				t.Errorf("goes on at %s, want %s; gaps (-want +got):\n%s", nexts(to), test.want, diff)
			}
		})
	}
}

// A leader that knows nothing of the epoch cannot tell which records were applied: all that it has is read.
func TestAcceptGapOfAnUnknownEpochBeginsAtTheLogStart(t *testing.T) {
	_, c := newShop(t)
	from := atShop(located(t, c), 4, 3)
	from.Topics[0].Partitions[0].Epoch = 9
	to, gaps, err := c.AcceptGap(t.Context(), []string{"shop"}, from)
	must(t, err)
	if diff := cmp.Diff([]Gap{{"shop", 0, true, 0, 4}}, gaps); diff != "" || nexts(to) != "0@0/-1 1@3/0" {
		t.Errorf("goes on at %s; gaps (-want +got):\n%s", nexts(to), diff)
	}
}

func TestAcceptGapRefusesWhatIsNoGap(t *testing.T) {
	cluster, c := newShop(t)
	from := atShop(located(t, c), 2, 3)
	if _, _, err := c.AcceptGap(t.Context(), []string{"shop"}, from); !errors.Is(err, ErrNoGap) {
		t.Errorf("got %v, want ErrNoGap", err)
	}
	must(t, cluster.DeleteTopic("shop"))
	_, _, err := c.AcceptGap(t.Context(), []string{"shop"}, from)
	if h := wantHalt(t, err); h.Reason != halt.TopicMissing {
		t.Errorf("got %v, want topic_missing", h)
	}
}

func TestRebindBindsToTheTopicsThatAreThere(t *testing.T) {
	recreate := func(partitions int32) func(*testing.T, *kfake.Cluster, *kgo.Client) {
		return func(t *testing.T, c *kfake.Cluster, p *kgo.Client) {
			t.Helper()
			must(t, c.DeleteTopic("shop"))
			must(t, c.CreateTopic("shop", partitions, nil))
			p.PurgeTopicsFromProducing("shop")
			for n := range partitions {
				produce(t, p, "shop", n, "new", 4)
			}
			must(t, c.DeleteRecords("shop", 0, 1))
		}
	}
	grow := func(t *testing.T, _ *kfake.Cluster, p *kgo.Client) {
		t.Helper()
		_, err := kadm.NewClient(p).CreatePartitions(t.Context(), 1, "shop")
		must(t, err)
	}
	for _, test := range []struct {
		name    string
		prepare func(*testing.T, *kfake.Cluster, *kgo.Client)
		cluster string // Of the bookmark; "": the brokers'.
		next    [2]int64
		origin  Origin
		want    string
		waiting int
	}{
		{"topic recreated, earliest", recreate(2), "", [2]int64{5, 5}, Earliest, "0@1/-1 1@0/-1", 0},
		{"topic recreated, latest", recreate(2), "", [2]int64{5, 5}, Latest, "0@4/-1 1@4/-1", 0},
		{"topic recreated, keep", recreate(2), "", [2]int64{2, 3}, Keep, "0@2/-1 1@3/-1", 0},
		{"topic recreated with fewer partitions", recreate(1), "", [2]int64{2, 3}, Earliest, "0@1/-1", 0},
		{"another cluster, earliest", nil, "elsewhere", [2]int64{2, 3}, Earliest, "0@0/-1 1@0/-1", 0},
		{"another cluster, keep", nil, "elsewhere", [2]int64{2, 3}, Keep, "0@2/-1 1@3/-1", 0},
		{"partitions added, all read", grow, "", [2]int64{5, 5}, Earliest, "0@5/0 1@5/0 2@0/-1", 0},
		{"partitions added, records wait", grow, "", [2]int64{5, 3}, Earliest, "0@5/0 1@3/0 2@0/-1", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			cluster, c := newShop(t)
			from := atShop(located(t, c), test.next[0], test.next[1])
			from.Set("left", "old-id", bookmark.Partition{Next: 9, Epoch: 1})
			if test.cluster != "" {
				from.Cluster = test.cluster
			}
			if test.prepare != nil {
				test.prepare(t, cluster, newProducer(t, cluster))
			}
			from.SetKey("shop", &bookmark.Key{Form: "confluent:42"})
			to, waiting, err := c.Rebind(t.Context(), []string{"shop"}, from, test.origin)
			must(t, err)
			other := test.cluster != "" || strings.Contains(test.name, "recreated")
			if shop, _ := to.Topic("shop"); (shop.Key == nil) != (other && test.origin != Keep) {
				t.Errorf("the form of its keys is %v", shop.Key)
			}
			if nexts(to) != test.want || len(waiting) != test.waiting {
				t.Errorf("goes on at %s, want %s; records wait in %q, want %d partitions", nexts(to), test.want, waiting, test.waiting)
			}
			if left, ok := to.Partition("left", 0); !ok || left.Next != 9 {
				t.Errorf("the entry of a topic that left the configuration is %v, want it carried on", left)
			}
			if again, err := c.Locate(t.Context(), []string{"shop"}, to); err != nil || !again.Start.Equal(to) {
				t.Errorf("it does not locate to itself: %v, %v", again.Start, err)
			}
		})
	}
	t.Run("nothing to rebind", func(t *testing.T) {
		_, c := newShop(t)
		if _, _, err := c.Rebind(t.Context(), []string{"shop"}, atShop(located(t, c), 2, 3), Earliest); !errors.Is(err, ErrBound) {
			t.Errorf("got %v, want ErrBound", err)
		}
	})
}

func TestFirstIsTheNextReadableRecord(t *testing.T) {
	cluster, c := newShop(t)
	producer := newProducer(t, cluster, kgo.TransactionalID("tx"))
	must(t, producer.BeginTransaction())
	produce(t, producer, "shop", 0, "aborted", 3)
	must(t, producer.EndTransaction(t.Context(), kgo.TryAbort))
	produce(t, newProducer(t, cluster), "shop", 0, "after", 1)
	for from, want := range map[int64]int64{0: 0, 3: 3, 5: 9, 9: 9} {
		r, err := c.First(t.Context(), "shop", 0, from)
		must(t, err)
		if r == nil || r.Offset != want {
			t.Errorf("the first record from %d is %v, want that at %d", from, r, want)
		}
	}
	if r, err := c.First(t.Context(), "shop", 0, 10); r != nil || err != nil {
		t.Errorf("got %v, %v behind the end, want none", r, err)
	}
}

// newShop returns a cluster whose topic shop has two partitions with five records each.
func newShop(t *testing.T) (*kfake.Cluster, *Client) {
	t.Helper()
	cluster := newCluster(t, kfake.SeedTopics(2, "shop"))
	producer := newProducer(t, cluster)
	for p := range int32(2) {
		produce(t, producer, "shop", p, "v", 5)
	}
	return cluster, open(t, cluster)
}

// What is printed of a record is enough to produce it again, whatever its bytes are.
func TestRecordIsPrintedWhole(t *testing.T) {
	record := &kgo.Record{Topic: "shop", Partition: 1, Offset: 7, Key: []byte(`{"id":1}`), Timestamp: time.UnixMilli(1000)}
	for want, change := range map[string]func(){
		`"key":"{\"id\":1}","value":null,"headers":{}}`:          func() {},
		`"value":"","headers":{}}`:                               func() { record.Value = []byte{} },
		`"value":"/w==","headers":{},"value_encoding":"base64"}`: func() { record.Value = []byte{0xff} },
		`"headers":{"a":"2"},"all_headers":[["a","1"],["a","2"]]}`: func() {
			record.Headers = []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte("2")}}
		},
		`"headers":{"a":"/w=="},"headers_encoding":"base64"}`:                                      func() { record.Headers = []kgo.RecordHeader{{Key: "a", Value: []byte{0xff}}} },
		`{"name":"shop/1@7","topic":"shop","partition":1,"offset":7,"time":"1970-01-01T00:00:01Z"`: func() {},
	} {
		record.Value, record.Headers = nil, nil
		change()
		text, err := json.Marshal(Record{record})
		must(t, err)
		if !strings.Contains(string(text), want) {
			t.Errorf("printed %s, want %s in it", text, want)
		}
	}
}
