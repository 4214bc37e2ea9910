package pipeline

import (
	"testing"

	"github.com/cdcd-project/cdcd/internal/bookmark"
)

// What record times leave open is taken for late. A broker's clock tells when an event arrived, not when it was made: one that comes with
// the form before may be as old as that. (kfake keeps no such times.)
func TestLateIsWhatMayBeOlder(t *testing.T) {
	key := &bookmark.Key{Form: "b", Since: 10, Until: 20, Was: "a"}
	for _, test := range []struct {
		name      string
		key       *bookmark.Key
		event     eventKey
		partition string // The form of the last event of its partition.
		want      bool
	}{
		{"no form was known", &bookmark.Key{}, eventKey{form: "a", time: 1}, "", false},
		{"before", key, eventKey{form: "c", time: 9}, "", true},
		{"in the same moment", key, eventKey{form: "c", time: 10}, "", true},
		{"after", key, eventKey{form: "c", time: 11}, "", false},
		{"the form before, after", key, eventKey{form: "a", time: 11}, "", false},
		{"before, behind one of the form", key, eventKey{form: "c", time: 9}, "b", false},
		{"before, behind one of the form before", key, eventKey{form: "c", time: 9}, "a", true},
		{"by a broker's clock", key, eventKey{form: "c", time: 11, clock: true}, "", false},
		{"the form before, by a broker's clock", key, eventKey{form: "a", time: 11, clock: true}, "", true},
		{"the form before, by a broker's clock, behind one of the form", key, eventKey{form: "a", time: 11, clock: true}, "b", false},
	} {
		h := held{place: place{progress: &progress{form: test.partition}}, key: test.event}
		if got := h.late(test.key); got != test.want {
			t.Errorf("%s: late %v, want %v", test.name, got, test.want)
		}
	}
}
