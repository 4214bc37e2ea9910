package pipeline_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// BenchmarkUnavailable measures updates of every row of a table in one bounded run: with the whole row image, and with two of its four
// columns unavailable, whose values are read from the table.
func BenchmarkUnavailable(b *testing.B) {
	const rows, size = 100_000, 400
	for _, whole := range []bool{true, false} {
		b.Run(fmt.Sprintf("whole=%v", whole), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				w := newWorld(b, "shop")
				e := documents("shop").schemaless()
				fill := func(op string, doc, photo func(i int) string) {
					var records []*kgo.Record
					for i := range rows {
						records = append(records, e.put(op, document{fmt.Sprint(i * 7919 % rows), fmt.Sprint("n", i), doc(i), photo(i)}))
					}
					w.produce(records...)
				}
				some := func(i int) string { return noise(uint64(i), size/2) }
				fill("c", some, some)
				table := mirror("d.t", "shop")
				table.CommitBytes = 256 << 20
				w.mustRunToEnd(table)
				if whole {
					fill("u", some, some)
				} else {
					gone := func(int) string { return unavailable }
					fill("u", gone, gone)
				}
				b.StartTimer()
				began := time.Now()
				w.mustRunToEnd(table)
				b.ReportMetric(rows/time.Since(began).Seconds(), "events/s")
			}
		})
	}
}
