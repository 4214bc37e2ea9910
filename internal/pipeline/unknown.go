package pipeline

import "github.com/prometheus/client_golang/prometheus"

// unknownNames tells of semantic types that cdcd does not know, whose values are stored as their literal types: a new Debezium
// may mean something by them.
type unknownNames struct {
	counter prometheus.Counter
	told    map[string]int // How many fields of each name were told.
}

// tellUnknown counts the fields of unknown semantic types that the decoder has met since the last call, and logs each name once.
func (t *table) tellUnknown() {
	for name, n := range t.decoder.UnknownNames() {
		told := t.unknown.told[name]
		if told == n {
			continue
		}
		if told == 0 {
			t.log.Warn("stored unknown type as it is", "schema_name", name, "hint", "A newer version of cdcd may know what it means; until then the column has its literal type.")
		}
		if t.unknown.told == nil {
			t.unknown.told = map[string]int{}
		}
		t.unknown.told[name] = n
		t.unknown.counter.Add(float64(n - told))
	}
}
