package pipeline_test

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// lead moves a partition to another broker, in a leader epoch of its own.
func (w *world) lead(topic string, node int32) {
	w.t.Helper()
	if err := w.cluster.MoveTopicPartition(topic, 0, node); err != nil {
		w.t.Fatal(err)
	}
}

// Leaders come and go: reading goes on, and the bookmark has the epoch of the last record before it.
func TestLeaderMoves(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, kfake.NumBrokers(3), kfake.SeedTopics(1, "shop"))
	log := people(customers("shop"), 1, 30)
	p := w.start(soon(mirror("d.t", "shop")), nil)
	for i := range 10 {
		w.produce(log[3*i : 3*i+3]...)
		if i%2 == 1 {
			w.eventually("the records are applied", func() bool { return w.next("d.t", "shop", 0) == int64(3*i+3) })
			if at, _ := w.mark("d.t").Partition("shop", 0); at.Epoch != w.cluster.PartitionInfo("shop", 0).Epoch {
				t.Errorf("the bookmark is of epoch %d, want %d", at.Epoch, w.cluster.PartitionInfo("shop", 0).Epoch)
			}
		}
		w.lead("shop", int32(i%3))
	}
	w.eventually("all records are applied", func() bool { return w.next("d.t", "shop", 0) == 30 })
	w.stands("d.t", "shop", fold(t, log...), 30)
	if n := p.metric("cdcd_table_halted") + p.metric("cdcd_table_restarts_total"); n != 0 {
		t.Errorf("%v halts and restarts, want none", n)
	}
	if n := p.metric("cdcd_records_consumed_total"); n != 30 {
		t.Errorf("consumed %v records, want 30", n)
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	// Between the bookmark's epoch and the leader's own lie elections that wrote nothing.
	more := people(customers("shop"), 31, 2)
	w.produce(more...)
	w.mustRunToEnd(mirror("d.t", "shop"))
	w.stands("d.t", "shop", fold(t, append(log, more...)...), 32)
}

// durable is a world whose cluster can be put back to an earlier state, as an unclean election does: a replica without the
// last records becomes the leader.
type durable struct {
	*world
	dir  string
	port int
}

func newDurable(t testing.TB, topics ...string) *durable {
	t.Helper()
	d := &durable{dir: t.TempDir()}
	d.world = newWorldOf(t, kfake.DataDir(d.dir), kfake.SeedTopics(1, topics...), kfake.SyncWrites())
	_, port, err := net.SplitHostPort(d.cluster.ListenAddrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	if d.port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	return d
}

// open opens a cluster of what a folder holds; port 0 is any.
func (d *durable) open(dir string, port int) *kfake.Cluster {
	d.t.Helper()
	opts := []kfake.Opt{kfake.NumBrokers(1), kfake.DataDir(dir), kfake.SyncWrites()}
	if port > 0 {
		opts = append(opts, kfake.Ports(port))
	}
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		d.t.Fatal(err)
	}
	return c
}

// replica returns a copy of the brokers' disk, as it is at this moment; the brokers restart.
func (d *durable) replica() string {
	d.t.Helper()
	d.cluster.Close()
	dir := d.t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(d.dir)); err != nil {
		d.t.Fatal(err)
	}
	d.cluster = d.open(d.dir, d.port)
	return dir
}

// elect makes a replica the leader, in an epoch of its own, and has it take records before anybody else sees it.
func (d *durable) elect(dir string, records ...*kgo.Record) {
	d.t.Helper()
	d.cluster.Close()
	hidden := &world{t: d.t, cluster: d.open(dir, 0)}
	hidden.cluster.ShufflePartitionLeaders()
	if len(records) > 0 {
		hidden.oneBatch(records...)
	}
	hidden.cluster.Close()
	d.cluster = d.open(dir, d.port)
}

// A leader without the last records takes over. Whether its log ends before the bookmark or has grown past it with other records:
// the table halts, since what it holds is no longer what the log has (I9).
func TestUncleanElection(t *testing.T) {
	for _, test := range []struct {
		name    string
		refill  int  // Records that the leader takes; it has lost 2 of 6.
		halts   bool // Otherwise nothing that was applied is lost.
		applied int
	}{
		{"log ends before the bookmark", 0, true, 6},
		{"log ends before the bookmark again", 1, true, 6},
		{"log has grown to the bookmark", 2, true, 6},
		{"log has grown past the bookmark", 5, true, 6},
		{"nothing that was applied is lost", 3, false, 4},
	} {
		for _, running := range []bool{false, true} {
			if running && !test.halts {
				continue
			}
			t.Run(fmt.Sprintf("%s/running=%v", test.name, running), func(t *testing.T) {
				t.Parallel()
				d := newDurable(t, "shop", bystander)
				e := customers("shop")
				log := people(e, 1, 6)
				d.each(log[:4]...)
				replica := d.replica()
				apply := func(n int64) *process {
					p := d.start(both(), nil)
					d.eventually("the records are applied", func() bool { return d.next("d.t", "shop", 0) == n })
					return p
				}
				var p *process
				if test.applied == 4 {
					p = apply(4)
					if err := p.stop(); err != nil {
						t.Fatal(err)
					}
				}
				d.each(log[4:]...)
				if test.applied == 6 {
					p = apply(6)
					if !running {
						if err := p.stop(); err != nil {
							t.Fatal(err)
						}
					}
				}
				others := people(e, 101, test.refill)
				d.elect(replica, others...)
				if !running {
					p = d.start(both(), nil)
				}
				if !test.halts {
					d.eventually("the table goes on", func() bool { return d.next("d.t", "shop", 0) == int64(4+test.refill) })
					d.stands("d.t", "shop", fold(t, append(log[:4:4], others...)...), int64(4+test.refill))
					return
				}
				hinted(t, p.halted("d.t", "log_truncated"), "unclean leader elections")
				d.goesOn()
				d.stands("d.t", "shop", fold(t, log...), 6)
			})
		}
	}
}
