package main

import (
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/cdcd-project/cdcd/internal/awstest"
	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// A process that is told to stop while it commits to a catalog that is away gives up within its grace period, says that it
// dropped the open batch, and ends as usual, for that is no loss: the next one goes on from the bookmark.
func TestSignalWhileTheCatalogIsAway(t *testing.T) {
	const grace = 2 * time.Second
	refused := wiretest.Refuse(http.StatusInternalServerError, awstest.InternalServiceException)
	for name, away := range map[string]func(w *world, p *process) *gate{
		"refuses": func(w *world, _ *process) *gate {
			w.cloud.meddle(func(r *wiretest.Request) wiretest.Verdict {
				if r.Service == awstest.Glue {
					return refused
				}
				return wiretest.Do()
			})
			return nil
		},
		"commits and does not say so": func(w *world, _ *process) *gate {
			w.cloud.meddle(func(r *wiretest.Request) wiretest.Verdict {
				switch {
				case r.Operation == "UpdateTable":
					return wiretest.DoThenDrop()
				case r.Service == awstest.Glue:
					return refused
				}
				return wiretest.Do()
			})
			return nil
		},
		"hangs": func(w *world, p *process) *gate {
			return w.cloud.hold(p, func(r *wiretest.Request) bool { return r.Operation == "UpdateTable" })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newCloudWorld(t, items("shop.item"), stock("shop.stock"))
			config := w.deploy("outage.toml", deployment{group: "outage", interval: "30ms", grace: grace.String(), mirrors: w.mirrors})
			end := w.flow(53)
			p := w.run(config)
			for _, m := range w.mirrors {
				p.await(2, says("committed snapshot", m.name))
			}
			if g := away(w, p); g != nil {
				g.await(t)
			} else {
				for _, m := range w.mirrors {
					p.await(1, func(l line) bool {
						return l.Table == m.name && (l.Message == "retried commit" || l.Message == "retried")
					})
				}
			}
			end()
			began := time.Now()
			p.stop(syscall.SIGTERM)
			if took := time.Since(began); took < grace || took > grace+5*time.Second {
				t.Errorf("it took %s to stop, with a grace period of %s", took, grace)
			}
			dropped := 0
			for _, m := range w.mirrors {
				if p.await(1, func(l line) bool {
					return l.Table == m.name && (l.Message == "stopped" || l.Message == "dropped open batch")
				}).Message == "dropped open batch" {
					dropped++
				}
			}
			if dropped == 0 {
				t.Error("no table says that it dropped its open batch")
			}
			w.cloud.meddle(nil)
			for _, g := range w.cloud.allGates() {
				g.open()
			}
			healer := w.backfill(config)
			w.compare()
			p.killed = true // It never had the answer to its last commit.
			w.committers(p, healer)
		})
	}
}
