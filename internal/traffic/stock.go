package traffic

import (
	"fmt"
	"math/rand/v2"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Stock returns a table with a composite key, whose records carry no schema.
func Stock(topic string, partitions int32) *Source {
	return &Source{
		Topic: topic, Key: []string{"place", "n"}, Partitions: partitions, Rows: map[string]string{}, change: changeStock,
		Types: map[string]string{"place": "string", "n": "int", "v": "long"},
	}
}

func changeStock(s *Source, r *rand.Rand) []*kgo.Record {
	place, n := string(rune('a'+r.IntN(6))), r.IntN(10)
	switch r.IntN(7) {
	case 0:
		return s.deleteStock(place, n)
	case 1:
		return append(s.deleteStock(place, n), s.putStock(place+"'", n, r))
	}
	return []*kgo.Record{s.putStock(place, n, r)}
}

func (s *Source) putStock(place string, n int, r *rand.Rand) *kgo.Record {
	value, text := "null", "∅"
	if r.IntN(4) > 0 {
		value = fmt.Sprint(r.Int64N(1 << 62))
		text = value
	}
	s.Rows[fmt.Sprintf("%s|%d", place, n)] = fmt.Sprintf("%s|%d|%s", place, n, text)
	return s.record(StockKey(place, n), fmt.Sprintf(`{"before":null,"after":{"place":%q,"n":%d,"v":%s},%s,"op":"c","ts_ms":1}`, place, n, value, Origin))
}

func (s *Source) deleteStock(place string, n int) []*kgo.Record {
	delete(s.Rows, fmt.Sprintf("%s|%d", place, n))
	return []*kgo.Record{
		s.record(StockKey(place, n), fmt.Sprintf(`{"before":{"place":%q,"n":%d,"v":null},"after":null,%s,"op":"d","ts_ms":1}`, place, n, Origin)),
		s.record(StockKey(place, n), ""),
	}
}

// StockKey returns the key of the records of a row that Stock has made.
func StockKey(place string, n int) string { return fmt.Sprintf(`{"place":%q,"n":%d}`, place, n) }
