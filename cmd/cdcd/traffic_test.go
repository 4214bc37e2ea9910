package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/traffic"
)

// partitions is how many partitions each topic has.
const partitions = 3

// mirror is a table with the source table that it mirrors.
type mirror struct {
	name, topic string
	key         []string
	settings    string            // More lines of the table's configuration.
	truth       map[string]string // The oracle: the source's rows.
	source      *traffic.Source
}

// items is a table with an integer key, whose records carry their schema.
func items(name string) *mirror { return mirrorOf(name, traffic.Items("t."+name, partitions)) }

// stock is a table with a composite key, whose records carry no schema.
func stock(name string) *mirror { return mirrorOf(name, traffic.Stock("t."+name, partitions)) }

func mirrorOf(name string, s *traffic.Source) *mirror {
	m := &mirror{name: name, topic: s.Topic, key: s.Key, truth: s.Rows, source: s}
	if len(s.Types) > 0 {
		var types []string
		for _, column := range slices.Sorted(maps.Keys(s.Types)) {
			types = append(types, fmt.Sprintf("%s = %q", column, s.Types[column]))
		}
		m.settings = "types = { " + strings.Join(types, ", ") + " }"
	}
	return m
}

// halting makes a table halt at a record that cannot be applied.
func halting(m *mirror) *mirror {
	m.settings += "\non_bad_record = \"halt\""
	return m
}

// produce lets each source table change n times, and returns the number of records.
func (w *world) produce(seed uint64, n int) int {
	w.t.Helper()
	rng, records := rand.New(rand.NewPCG(seed, 1)), []*kgo.Record(nil)
	for range n {
		for _, m := range w.mirrors {
			records = append(records, m.source.Change(rng)...)
		}
	}
	w.send(records...)
	return len(records)
}

// flow lets the source tables change all the time, with a few milliseconds in between, until the returned function is
// called: that returns the number of records.
func (w *world) flow(seed uint64) (end func() int) {
	mirrors := slices.Clone(w.mirrors)
	enough, sent := make(chan struct{}), make(chan int, 1)
	go func() {
		rng, n := rand.New(rand.NewPCG(seed, 2)), 0
		defer func() { sent <- n }()
		for {
			select {
			case <-enough:
				return
			default:
			}
			records := mirrors[rng.IntN(len(mirrors))].source.Change(rng)
			if err := w.producer.ProduceSync(w.t.Context(), records...).FirstErr(); err != nil {
				if w.t.Context().Err() == nil { // Otherwise the test has given up before the end.
					w.t.Error(err)
				}
				return
			}
			n += len(records)
			time.Sleep(time.Duration(rng.IntN(6)) * time.Millisecond)
		}
	}()
	var once sync.Once
	total := 0
	end = func() int {
		once.Do(func() { close(enough); total = <-sent })
		return total
	}
	w.t.Cleanup(func() { end() })
	return end
}
