package main

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// Members that come and go all the time, while every commit takes its time, hand tables over in the middle of commits:
// the group waits for these, so that nobody meets anybody at a table, and nothing is lost or done twice.
func TestTablesMoveInTheMiddleOfCommits(t *testing.T) {
	t.Parallel()
	w := newCloudWorld(t, items("shop.a"), stock("shop.b"), items("shop.c"), stock("shop.d"))
	var commits, met atomic.Int32 // Commits under way, and members that joined meanwhile.
	w.cloud.meddle(func(r *wiretest.Request) wiretest.Verdict {
		if r.Operation == "UpdateTable" {
			commits.Add(1)
			time.Sleep(time.Duration(20+rand.IntN(60)) * time.Millisecond)
			commits.Add(-1)
		}
		return wiretest.Do()
	})
	w.cluster.ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		w.cluster.KeepControl()
		if commits.Load() > 0 {
			met.Add(1)
		}
		return nil, nil, false
	})
	f := &fleet{w: w, config: w.deploy("churn.toml", deployment{group: "churn", interval: "20ms", session: "6s", mirrors: w.mirrors})}
	end := w.flow(43)
	f.add()
	f.watch(f.shares())
	rng := rand.New(rand.NewPCG(43, 43))
	for change := 0; change < 10 || change < 60 && met.Load() < 5; change++ {
		if p := f.members[rng.IntN(len(f.members))]; len(f.members) == 3 || len(f.members) > 1 && rng.IntN(2) == 0 {
			p.stop(syscall.SIGTERM)
			f.remove(p)
		} else {
			f.add().await(1, says("started", ""))
		}
		sleepUpTo(rng, 500*time.Millisecond)
	}
	f.watch(f.shares())
	end()
	for _, p := range slices.Clone(f.members) {
		p.stop(syscall.SIGTERM)
	}
	healer := w.backfill(f.config)
	w.compare()
	w.committers(append(f.all, healer)...)
	f.peaceful()
	t.Logf("%d processes, %d joins in the middle of commits", len(f.all), met.Load())
	if met.Load() < 5 {
		t.Errorf("only %d members joined in the middle of a commit", met.Load())
	}
}
