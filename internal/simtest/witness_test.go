package simtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// stats are what a seed counted. They add up over seeds.
type stats struct {
	seeds, commits, foreign, kills, freezes, starts, advised             int
	records, rows, snapshots, orphans, rebuilt, swept, skipped, spotless int
	quarantined, truncates, kept, avro, asked, turned                    int
	injected                                                             map[string]int // How often each fault was injected, by site and kind.
}

func (s *stats) add(o stats) {
	s.seeds++
	s.commits += o.commits
	s.foreign += o.foreign
	s.kills += o.kills
	s.freezes += o.freezes
	s.starts += o.starts
	s.advised += o.advised
	s.records += o.records
	s.rows += o.rows
	s.snapshots += o.snapshots
	s.orphans += o.orphans
	s.rebuilt += o.rebuilt
	s.swept += o.swept
	s.skipped += o.skipped
	s.spotless += o.spotless
	s.quarantined += o.quarantined
	s.truncates += o.truncates
	s.kept += o.kept
	s.avro += o.avro
	s.asked += o.asked
	s.turned += o.turned
	for k, n := range o.injected {
		s.injected[k] += n
	}
}

// seen is what processes said about themselves.
type seen struct {
	furthest map[string]bookmark.Bookmark // By table: the furthest bookmark that ever was.
	halts    map[string]bool              // Tables that halted, each with a reason.
	refused  map[string]refused           // By table: the record at which it halted last.
	opened   map[string]int               // By table: how often it was opened.
	stood    map[string]int               // By table: how often a process stood down.
	left     map[string]int               // By table: how often a process lost it before it knew what had become of its commit.
}

func newSeen() seen {
	return seen{
		furthest: map[string]bookmark.Bookmark{}, halts: map[string]bool{}, refused: map[string]refused{}, opened: map[string]int{}, stood: map[string]int{},
		left: map[string]int{},
	}
}

// reached moves a table's furthest bookmark; after a rollback the present one is behind it for a while.
func (s *seen) reached(name string, mark bookmark.Bookmark) {
	furthest := s.furthest[name].Clone()
	for _, t := range mark.Topics {
		for _, p := range t.Partitions {
			if at, known := furthest.Partition(t.Name, p.Partition); !known || p.Next > at.Next {
				furthest.Set(t.Name, t.ID, p)
			}
		}
	}
	s.furthest[name] = furthest
}

// refused is the place of a record that could not be applied.
type refused struct {
	topic     string
	partition int32
	offset    int64
}

// note changes the counts.
func (w *world) note(f func(*stats)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.stats)
}

func (w *world) count(site string, f fault) {
	w.note(func(s *stats) { s.injected[cell(site, f)]++ })
}

func cell(site string, f fault) string { return site + " " + f.String() }

// complain notes an invariant that was seen broken.
func (w *world) complain(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = append(w.broken, fmt.Errorf(format, args...))
}

// witness is the log: it takes note of what an operator would be told.
type witness struct {
	slog.Handler

	w     *world
	loud  bool
	table string
	at    refused // Of the record that the message is about.
}

// Enabled implements slog.Handler.
func (h *witness) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }

// WithAttrs implements slog.Handler.
func (h *witness) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.Handler = h.Handler.WithAttrs(attrs)
	for _, a := range attrs {
		switch a.Key {
		case "table":
			c.table = a.Value.String()
		case "topic":
			c.at.topic = a.Value.String()
		case "partition":
			c.at.partition = int32(a.Value.Int64())
		case "offset":
			c.at.offset = a.Value.Int64()
		}
	}
	return &c
}

// Handle implements slog.Handler.
func (h *witness) Handle(ctx context.Context, r slog.Record) error {
	h.w.mu.Lock()
	switch r.Message {
	case "halted table":
		reason := ""
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "reason" {
				reason = a.Value.String()
			}
			return true
		})
		h.w.seen.halts[h.table+" "+reason] = true
		if h.at.topic != "" {
			h.w.seen.refused[h.table] = h.at
		}
	case "built index":
		h.w.seen.opened[h.table]++
	case "stood down":
		h.w.seen.stood[h.table]++
	case "dropped open batch":
		r.Attrs(func(a slog.Attr) bool {
			if err, ok := a.Value.Any().(error); ok && errors.Is(err, sink.ErrUnsettled) {
				name := h.table
				if quarantine := name + pipeline.QuarantineSuffix; strings.Contains(err.Error(), quarantine) {
					name = quarantine
				}
				h.w.seen.left[name]++
			}
			return true
		})
	case "caught up with replaced files":
		h.w.stats.rebuilt++
	}
	h.w.mu.Unlock()
	if !h.loud {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// halts lists the tables that halted, with the reasons.
func (w *world) halts() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.seen.halts))
}
