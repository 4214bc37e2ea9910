package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cdcd-project/cdcd/internal/sink"
)

// A record that cannot be applied is printed, and left out.
func TestWayOutSkip(t *testing.T) {
	for reason, poison := range map[string]string{
		"bad_record":       `{"op":"c","after":"nonsense"}`,
		"truncate_refused": itemValue(`{"before":null,"after":null,` + source + `,"op":"t","ts_ms":1}`),
		"schema_change": strings.ReplaceAll(itemValue(`{"before":null,"after":{"id":5,"name":7,"price":"AA==","at":1},`+source+`,"op":"c","ts_ms":1}`),
			`{"type":"string","optional":true,"field":"name"}`, `{"type":"int64","optional":true,"field":"name"}`),
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			k := newWalk(t, items("shop.item"))
			bad := &kgo.Record{
				Topic: k.m.topic, Partition: 1, Key: []byte(itemKey(5)), Value: []byte(poison),
				Headers: []kgo.RecordHeader{{Key: "trace", Value: []byte{0xff, 1}}},
			}
			k.send(bad)
			k.halted(reason)
			where := fmt.Sprintf("%s/1@", k.m.topic)
			k.refused(fmt.Sprintf("stands at offset %d", bad.Offset), "table", "skip", k.m.name, where+fmt.Sprint(bad.Offset+1))
			k.refused(fmt.Sprintf("stands at %d", bad.Offset), "table", "skip", k.m.name, where+fmt.Sprint(bad.Offset-1))
			k.refused("no partition", "table", "skip", k.m.name, k.m.topic+"/9@0")
			done, out := k.decide("skip", where+fmt.Sprint(bad.Offset), "-reason", "cannot be mended")
			sum := sha256.Sum256([]byte(poison))
			want := sink.Detail{
				Reason: "cannot be mended", By: "tester", Moved: []sink.Move{{Topic: k.m.topic, Partition: 1, From: bad.Offset, To: bad.Offset + 1}},
				Skipped: &sink.Skipped{Topic: k.m.topic, Partition: 1, Offset: bad.Offset, SHA256: hex.EncodeToString(sum[:])},
			}
			if diff := cmp.Diff(want, done.Detail); diff != "" {
				t.Errorf("recorded (-want +got):\n%s", diff)
			}
			printed := objectsOf[printedRecord](t, strings.Split(out, "\n")[:1])[0]
			if printed.Value == nil || *printed.Value != poison || *printed.Key != itemKey(5) || printed.Offset != bad.Offset ||
				printed.Headers["trace"] != "/wE=" || printed.Encoding != "base64" {
				t.Errorf("printed %+v", printed)
			}
			k.goesOn()
		})
	}
}

// printedRecord is what skip prints of a record.
type printedRecord struct {
	Key, Value *string
	Offset     int64
	Headers    map[string]string
	Encoding   string `json:"headers_encoding"`
}

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
		r := k.m.putItem(7777, k.rng) // A key that nobody has seen, in the partition that is new.
		r.Partition = partitions
		k.send(r)
		k.refused("records wait", "table", "rebind", k.m.name) // That of pausedWhile.
		k.decide("rebind", "-accept-disorder", "-reason", "keys do not move")
		k.equal()
		k.goesOn()
	})
}

// Other writers' rows go when the table is rewound to its last own snapshot, and so does what hides the bookmark.
func TestWayOutRewindFromForeignHeads(t *testing.T) {
	for reason, meddle := range map[string]func(k *walk){
		"foreign_rows":     func(k *walk) { k.appendStock("x", 77) },
		"bookmark_invalid": func(k *walk) { k.putOnTop(map[string]string{"cdcd.bookmark": `{"v":9}`}) },
		"bookmark_lost": func(k *walk) {
			lost := k.putOnTop(nil)
			k.putOnTop(nil)
			k.commit(table.NewRemoveSnapshotsUpdate([]int64{lost}, false))
			k.forget()
		},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			k := newWalk(t, stock("shop.stock"))
			own := k.snapshot(0).ID
			meddle(k)
			k.change(5)
			if l := k.halted(reason); !strings.Contains(l.Hint, fmt.Sprintf("cdcd table rewind TABLE -to-snapshot %d", own)) {
				t.Errorf("the hint is %q, want the command that goes back to %d", l.Hint, own)
			}
			k.refused(reason, "table", "resume", k.m.name)
			k.decide("rewind", "-to-snapshot", fmt.Sprint(own), "-reason", "not ours")
			k.equal()
			k.goesOn()
		})
	}
}

// A table that is rewound while its owner commits is read again from there, and ends equal.
func TestWayOutRewindUnderTraffic(t *testing.T) {
	for name, target := range map[string]func(k *walk, earlier int64) []string{
		"to a snapshot": func(_ *walk, earlier int64) []string { return []string{"-to-snapshot", fmt.Sprint(earlier)} },
		"to a time": func(k *walk, earlier int64) []string {
			return []string{"-to-time", k.snapshot(earlier).Time.Format("2006-01-02T15:04:05.000Z")}
		},
		"to offsets": func(k *walk, _ int64) []string {
			return []string{"-to-offset", fmt.Sprintf("%s/0=0,%s/1=1,%s/2=0", k.m.topic, k.m.topic, k.m.topic)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newWalk(t, items("shop.item"))
			earlier := k.snapshot(0).ID
			end := k.flow(uint64(len(name)))
			commits := func() int { return len(k.p.log.find(says("committed snapshot", ""))) }
			eventually(t, "it commits", func() bool { return commits() >= 5 })
			done, _ := k.decide("rewind", target(k, earlier)...)
			if (name == "to offsets") == (done.Detail.Snapshot == earlier) {
				t.Errorf("went back to the rows of %d, want %d", done.Detail.Snapshot, earlier)
			}
			k.p.await(1, says("stood down", ""))
			after := commits()
			eventually(t, "it commits again", func() bool { return commits() >= after+5 })
			end()
			k.equal()
			k.goesOn()
			if len(k.p.log.find(says("halted table", ""))) > 0 {
				t.Error("the table halted")
			}
		})
	}
}

func TestOperatorsWrongUsage(t *testing.T) {
	t.Parallel()
	k := newWalk(t, items("shop.item"))
	for want, args := range map[string][]string{
		"these are: shop.item":        {"resume", "shop.itme"},
		"say why":                     {"pause", "shop.item"},
		"one of the flags is missing": {"rewind", "shop.item"},
		"TOPIC/PARTITION=OFFSET":      {"rewind", "shop.item", "-to-offset", "t.shop.item=5"},
		"stands there twice":          {"rewind", "shop.item", "-to-offset", "t.shop.item/0=5,t.shop.item/0=6"},
		"TOPIC/PARTITION@OFFSET":      {"skip", "shop.item", "t.shop.item/0"},
		"earliest":                    {"rebind", "shop.item", "-at", "middle"},
	} {
		before := k.snapshot(0).ID
		code, out, log := command(t, append(append([]string{"table"}, args...), "-config", k.config)...)
		if code != exitUsage || out != "" || !strings.Contains(log.text(), want) && want != "one of the flags is missing" {
			t.Errorf("%v: exit code %d, %q; want %d and %q", args, code, log.text(), exitUsage, want)
		}
		if k.snapshot(0).ID != before {
			t.Errorf("%v has committed", args)
		}
	}
	k.refused("is ahead of it", "table", "rewind", "shop.item", "-to-offset", "t.shop.item/0=5000")
	k.refused("has expired or never was", "table", "rewind", "shop.item", "-to-snapshot", "4711")
	k.refused("no snapshot", "table", "rewind", "shop.item", "-to-time", "2001-01-01T00:00:00Z")
}

// commit does what another tool does to the table.
func (k *walk) commit(updates ...table.Update) {
	k.t.Helper()
	k.inCatalog(func(cat catalog.Catalog) error {
		_, _, err := cat.CommitTable(k.t.Context(), strings.Split(k.m.name, "."), nil, updates)
		return err
	})
}

func (k *walk) load(f func(*table.Table) error) {
	k.t.Helper()
	k.inCatalog(func(cat catalog.Catalog) error {
		loaded, err := cat.LoadTable(k.t.Context(), strings.Split(k.m.name, "."))
		if err != nil {
			return err
		}
		return f(loaded)
	})
}

// putOnTop adds a snapshot with the head's rows, as another tool that replaces files, and returns its id.
func (k *walk) putOnTop(summary map[string]string) int64 {
	k.t.Helper()
	var s table.Snapshot
	k.load(func(loaded *table.Table) error {
		s = *loaded.CurrentSnapshot()
		s.ParentSnapshotID, s.SnapshotID, s.SequenceNumber = new(s.SnapshotID), s.SnapshotID/2+1, loaded.Metadata().LastSequenceNumber()+1
		s.Summary = &table.Summary{Operation: table.OpReplace, Properties: iceberg.Properties(summary)}
		return nil
	})
	k.commit(table.NewAddSnapshotUpdate(&s), table.NewSetSnapshotRefUpdate("main", s.SnapshotID, table.BranchRef, 0, 0, 0))
	return s.SnapshotID
}

// forget removes the old metadata.json files, so that nothing tells of what has expired.
func (k *walk) forget() {
	k.t.Helper()
	k.load(func(loaded *table.Table) error {
		for e := range loaded.Metadata().PreviousFiles() {
			if err := os.Remove(strings.TrimPrefix(e.MetadataFile, "file://")); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	})
}

// appendStock adds a row as another engine does.
func (k *walk) appendStock(place string, n int32) {
	k.t.Helper()
	k.load(func(loaded *table.Table) error {
		schema, err := table.SchemaToArrowSchema(loaded.Schema(), nil, true, false)
		if err != nil {
			return err
		}
		b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		for i, f := range schema.Fields() {
			switch f.Name {
			case "place":
				b.Field(i).(*array.StringBuilder).Append(place)
			case "n":
				b.Field(i).(*array.Int32Builder).Append(n)
			default:
				b.Field(i).AppendNull()
			}
		}
		reader, err := array.NewRecordReader(schema, []arrow.RecordBatch{b.NewRecordBatch()})
		if err != nil {
			return err
		}
		tx := loaded.NewTransaction()
		if err := tx.Append(k.t.Context(), reader, nil); err != nil {
			return err
		}
		_, err = tx.Commit(k.t.Context())
		return err
	})
}
