package sink

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	iceio "github.com/apache/iceberg-go/io"

	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// After any number of commits a commit costs what it did before: requests and bytes of manifests and metadata at the
// 1,000th are those of the 100th within 1.1x, and the head has few manifests. Both ends are tried: a table that only grows,
// which ends with 1,000 live data files, and one whose rows are all replaced again and again.
//
// Merging comes in bursts, so what is compared are the means of 64 commits around each. Retention is full long before.
func TestThousandthCommitCostsWhatTheHundredthDid(t *testing.T) {
	if testing.Short() {
		t.Skip("two thousand commits, one after the other")
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for name, change := range map[string]func(w *writer, commit int){
		"inserts": func(w *writer, commit int) {
			for i := range 20 {
				w.upsert(int64(20*commit+i), fmt.Sprint("name ", rng.IntN(1000)))
			}
		},
		"updates": func(w *writer, _ int) {
			for range 20 {
				w.upsert(rng.Int64N(300), fmt.Sprint("name ", rng.IntN(1000)))
			}
			w.delete(rng.Int64N(300))
		},
	} {
		t.Run(name, func(t *testing.T) {
			early, late := thousandCommits(t, change)
			t.Logf("mean at the 100th commit:  %s", early.mean())
			t.Logf("mean at the 1000th commit: %s", late.mean())
			if float64(late.requests) > 1.1*float64(early.requests) {
				t.Errorf("%d requests, want at most 1.1 times %d", late.requests, early.requests)
			}
			if float64(late.metadataBytes) > 1.1*float64(early.metadataBytes) {
				t.Errorf("%d bytes of manifests and metadata, want at most 1.1 times %d", late.metadataBytes, early.metadataBytes)
			}
		})
	}
}

// thousandCommits returns what the commits around the 100th and around the 1,000th cost.
func thousandCommits(t *testing.T, change func(w *writer, commit int)) (early, late cost) {
	t.Helper()
	s, cat, desk := newTracedSink(t, iceio.NewMemFS(), nil)
	o := customerOptions()
	o.RetainSnapshots = 30
	w := newWriter(t, s, o)
	w.check(cat)
	desk.Reset()
	for commit := 1; commit <= 1000+window/2; commit++ {
		change(w, commit)
		w.commit()
		requests := desk.Requests()
		desk.Reset()
		switch {
		case commit > 100-window/2 && commit <= 100+window/2:
			early.add(requests)
		case commit > 1000-window/2:
			late.add(requests)
		}
		if n := len(w.table.live.manifests); n >= 50 {
			t.Fatalf("%d manifests after %d commits, want under 50", n, commit)
		}
	}
	w.check(cat)
	t.Logf("%d manifests, %d data files, %d delete files at the end", len(w.table.live.manifests), len(w.table.live.data), len(w.table.live.deletes))
	return early, late
}

const window = 64

// cost adds up requests.
type cost struct {
	requests, metadataBytes int
	kinds                   map[string]int
}

func (c *cost) add(requests []wiretest.Request) {
	if c.kinds == nil {
		c.kinds = map[string]int{}
	}
	for _, r := range requests {
		line := lineOf(r)
		c.kinds[line]++
		if r.Service == "sql" {
			continue
		}
		c.requests++
		if strings.Contains(line, "manifest") || strings.Contains(line, "metadata") {
			c.metadataBytes += int(r.RequestBytes)
		}
	}
}

func (c *cost) mean() string {
	var kinds []string
	for _, k := range slices.Sorted(maps.Keys(c.kinds)) {
		kinds = append(kinds, fmt.Sprintf("%s %.2f", k, float64(c.kinds[k])/window))
	}
	return fmt.Sprintf("%.2f requests, %.0f bytes of manifests and metadata (%s)",
		float64(c.requests)/window, float64(c.metadataBytes)/window, strings.Join(kinds, ", "))
}
