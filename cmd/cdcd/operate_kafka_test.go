package main

import (
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// pausedWhile lets something happen while the daemon has let go of the table, so that it meets it when it comes back. The change by which the
// daemon notices is lost to it, or is not.
func (k *walk) pausedWhile(notice func(int), f func()) {
	k.t.Helper()
	k.decide("pause", "-reason", "the topic is being moved")
	notice(1) // An owner notices at its next commit.
	if l := k.halted("paused"); !strings.Contains(l.Err, "the topic is being moved") {
		k.t.Errorf("paused, and says %q", l.Err)
	}
	f()
	k.decide("resume")
}

func TestWayOutResume(t *testing.T) {
	t.Parallel()
	k := newWalk(t, items("shop.item"))
	before := k.rows()
	k.decide("pause", "-reason", "maintenance")
	k.change(20)
	k.halted("paused")
	if diff := cmp.Diff(before, k.rows()); diff != "" {
		t.Errorf("rows changed while the table was paused (-before +after):\n%s", diff)
	}
	k.decide("resume", "-reason", "done")
	k.equal()
	k.goesOn()
}

func TestWayOutAcceptGap(t *testing.T) {
	t.Run("records_lost", func(t *testing.T) {
		t.Parallel()
		k := newWalk(t, items("shop.item"))
		k.refused("no records were lost", "table", "accept-gap", k.m.name)
		k.pausedWhile(k.lose, func() {
			k.lose(40)
			for p := range int32(partitions) {
				if err := k.cluster.DeleteRecords(k.m.topic, p, -1); err != nil {
					t.Fatal(err)
				}
			}
			k.change(10)
		})
		if l := k.halted("records_lost"); !strings.Contains(l.Hint, "accept-gap") {
			t.Errorf("the hint is %q", l.Hint)
		}
		done, _ := k.decide("accept-gap", "-reason", "retention was too short")
		if len(done.Detail.Gaps) == 0 || done.Detail.Gaps[0].Kind != "lost" || done.Detail.Gaps[0].To <= done.Detail.Gaps[0].From {
			t.Errorf("the gaps are %+v", done.Detail.Gaps)
		}
		k.equal()
		k.goesOn()
	})
	t.Run("log_truncated", func(t *testing.T) {
		t.Parallel()
		k := newWalk(t, items("shop.item"))
		var cut atomic.Int64 // Where the leader's epoch ends; 0: where it does.
		k.cluster.ControlKey(int16(kmsg.OffsetForLeaderEpoch), func(request kmsg.Request) (kmsg.Response, error, bool) {
			k.cluster.KeepControl()
			req := request.(*kmsg.OffsetForLeaderEpochRequest)
			if cut.Load() == 0 {
				return nil, nil, false
			}
			resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
			for _, topic := range req.Topics {
				rt := kmsg.NewOffsetForLeaderEpochResponseTopic()
				rt.Topic = topic.Topic
				for _, p := range topic.Partitions {
					rp := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
					rp.Partition, rp.LeaderEpoch, rp.EndOffset = p.Partition, p.LeaderEpoch, 1<<40
					if p.Partition == 0 {
						rp.EndOffset = cut.Load()
					}
					rt.Partitions = append(rt.Partitions, rp)
				}
				resp.Topics = append(resp.Topics, rt)
			}
			return resp, nil, true
		})
		k.change(30)
		k.equal()
		k.pausedWhile(k.change, func() { cut.Store(2) })
		k.halted("log_truncated")
		done, _ := k.decide("accept-gap", "-reason", "unclean election")
		cut.Store(0)
		if g := done.Detail.Gaps; len(g) != 1 || g[0].Kind != "truncated" || g[0].From != 2 || g[0].Partition != 0 {
			t.Errorf("the gaps are %+v", g)
		}
		k.goesOn()
	})
}

func TestWayOutRebind(t *testing.T) {
	t.Run("topic_recreated", func(t *testing.T) {
		t.Parallel()
		k := newWalk(t, items("shop.item"))
		k.refused("are those of the bookmark", "table", "rebind", k.m.name)
		k.pausedWhile(k.lose, func() {
			if err := errors.Join(k.cluster.DeleteTopic(k.m.topic), k.cluster.CreateTopic(k.m.topic, partitions, nil)); err != nil {
				t.Fatal(err)
			}
			k.producer = k.newProducer()
			k.change(10)
		})
		k.halted("topic_recreated")
		k.decide("rebind", "-reason", "moved to new brokers")
		k.equal()
		k.goesOn()
	})
	t.Run("foreign_cluster", func(t *testing.T) {
		t.Parallel()
		k := newWalk(t, items("shop.item"))
		k.pausedWhile(k.lose, func() {
			_, text, _ := strings.Cut(k.cluster.ListenAddrs()[0], ":")
			port, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			k.cluster.Close()
			if k.cluster, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, k.m.topic), kfake.ClusterID("another"), kfake.Ports(port)); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(k.cluster.Close)
			k.producer = k.newProducer()
			k.change(10)
		})
		eventually(t, "it halts for the foreign cluster", func() bool {
			return len(k.p.log.find(func(l line) bool { return l.Reason == "foreign_cluster" })) > 0
		})
		k.decide("rebind", "-at", "earliest", "-reason", "new cluster")
		k.equal()
		k.goesOn()
	})
	t.Run("partitions_added", func(t *testing.T) {
		t.Parallel()
		k := newWalk(t, items("shop.item"))
		k.pausedWhile(k.change, func() {
			if _, err := kadm.NewClient(k.producer).CreatePartitions(t.Context(), 1, k.m.topic); err != nil {
				t.Fatal(err)
			}
		})
		k.halted("partitions_added")
		k.producer = k.newProducer()
		r := k.m.source.PutItem(7777, k.rng) // A key that nobody has seen, in the partition that is new.
		r.Partition = partitions
		k.send(r)
		k.refused("records wait", "table", "rebind", k.m.name) // That of pausedWhile.
		k.decide("rebind", "-accept-disorder", "-reason", "keys do not move")
		k.equal()
		k.goesOn()
	})
}
