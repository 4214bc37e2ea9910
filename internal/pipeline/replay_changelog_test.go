package pipeline_test

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/apache/iceberg-go/table"
	"github.com/google/go-cmp/cmp"

	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/readback"
)

// newBadLog returns a world with a changelog that has the first and the fourth of five events, and the records in between in quarantine.
func newBadLog(t *testing.T) (*world, pipeline.Table) {
	t.Helper()
	w := newWorld(t, "shop")
	e := customers("shop")
	w.produce(e.upsert("c", "1", `"Ann"`), e.upsert("u", "1", long()), e.remove("1", long())[0], e.upsert("c", "1", `"An"`), badRecords(e)[0].record)
	target := changelog(lenient("d.shop", 100, "shop"))
	w.settle(target)
	return w, target
}

// count returns how many rows a table has.
func (w *world) count(target string) (n int) {
	w.t.Helper()
	err := readback.Rows(w.t.Context(), w.catalog, target, table.MainBranch, func([]string, []*string) error {
		n++
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// whole are the rows of newBadLog after all was replayed that can be.
func wholeLog() map[string]string {
	want := map[string]string{}
	for offset, r := range [][3]string{{"1", "Ann", "c"}, {"1", strings.Trim(long(), `"`), "u"}, {"1", strings.Trim(long(), `"`), "d"}, {"1", "An", "c"}} {
		at, text := logRow(r[0], r[1], r[2], 0, offset)
		want[at] = text
	}
	return want
}

// A record of a changelog is added, whatever came after it; and never twice.
func TestReplayAddsToAChangelog(t *testing.T) {
	t.Parallel()
	w, target := newBadLog(t)
	records := w.set("d.shop")
	if diff := cmp.Diff(map[string]string{"shop/0@1": "applied", "shop/0@2": "applied", "shop/0@4": "refused"}, w.replay(mended(target), nil)); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	w.logged("d.shop", wholeLog())
	if n := w.resolved("d.shop"); n != 2 {
		t.Errorf("%d records are resolved, want 2", n)
	}
	again := w.replay(mended(target), func(o *pipeline.ReplayOptions) { o.Records = records })
	if got := slices.Sorted(maps.Values(again)); !slices.Equal(got, []string{"refused", "refused", "refused"}) {
		t.Errorf("again: %v", again)
	}
	w.logged("d.shop", wholeLog())
	w.trim("shop", 2)
	if got := w.replay(mended(target), func(o *pipeline.ReplayOptions) { o.Records = records[:1] }); got["shop/0@1"] != pipeline.Refused {
		t.Errorf("what retention has taken: %v", got)
	}
	if n := w.count("d.shop"); n != 4 {
		t.Errorf("%d rows, want 4", n)
	}
}

// A replay that dies at either of its commits, before it or after it, and is repeated, adds each row once.
func TestReplayAddsToAChangelogOnceAcrossCrashes(t *testing.T) {
	for at := 1; at <= 2; at++ {
		for _, lose := range []bool{false, true} {
			t.Run(fmt.Sprintf("change %d, lost %v", at, lose), func(t *testing.T) {
				t.Parallel()
				w, target := newBadLog(t)
				log := slog.New(slog.DiscardHandler)
				client, err := kafka.Open(kafka.Options{Brokers: w.cluster.ListenAddrs(), Group: "cdcd", Logger: log})
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				f := &fuse{at: at, lose: lose, Catalog: w.catalog}
				ctx, kill := contextUntil(t, f)
				defer kill()
				_, err = pipeline.Replay(ctx, pipeline.ReplayOptions{Kafka: client, Sink: w.sink(f, log, nil), Table: mended(target), Records: w.set("d.shop"), Logger: log})
				if err == nil {
					t.Fatal("the replay did not die")
				}
				got := w.replay(mended(target), nil)
				landed := at == 2 || lose
				if want := map[bool]string{false: pipeline.Applied, true: pipeline.Refused}[landed]; got["shop/0@1"] != want && w.resolved("d.shop") != 2 {
					t.Errorf("got %v, want %s", got, want)
				}
				w.logged("d.shop", wholeLog())
				if n := w.count("d.shop"); n != 4 {
					t.Errorf("%d rows, want 4", n)
				}
			})
		}
	}
}

// Of two replays at once each row comes from one.
func TestReplayAddsToAChangelogBesideAnother(t *testing.T) {
	t.Parallel()
	w, target := newBadLog(t)
	overtaken := 0
	ahead := &overtaker{wire: &wire{Catalog: w.catalog}, before: func() {
		if overtaken++; overtaken == 1 {
			w.replay(mended(target), only(1))
		}
	}}
	got := w.replay(mended(target), func(o *pipeline.ReplayOptions) { o.Sink = w.sink(ahead, o.Logger, nil) })
	if got["shop/0@1"] != pipeline.Refused || got["shop/0@2"] != pipeline.Applied {
		t.Errorf("got %v", got)
	}
	w.logged("d.shop", wholeLog())
	if n := w.count("d.shop"); n != 4 {
		t.Errorf("%d rows, want 4", n)
	}
}
