package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// renamed is a record whose key has another form, and so may stand in another partition.
func renamed(r *kgo.Record) *kgo.Record {
	r.Key = bytes.Replace(r.Key, []byte("t.shop.item.Key"), []byte("t.shop.other.Key"), 1)
	return r
}

// overtaken makes the table apply an event of another key form, and halt at one of the form before that arrives only then.
func overtaken(k *walk) (before int64) {
	k.t.Helper()
	before = k.snapshot(0).ID
	k.send(renamed(k.m.source.PutItem(7001, k.rng)))
	k.equal()
	late := k.m.source.PutItem(7002, k.rng)
	late.Timestamp = time.Now().Add(-time.Minute)
	k.send(late)
	if l := k.halted("key_unordered"); !strings.Contains(l.Hint, "cdcd table rewind") {
		k.t.Errorf("the hint is %q", l.Hint)
	}
	return before
}

// Each way out of a halt at an event that came late, as the runbook names them.
func TestWayOutOfKeyUnordered(t *testing.T) {
	t.Run("rewind to before the form changed", func(t *testing.T) {
		t.Parallel()
		k := newWalk(t, items("shop.item"))
		k.decide("rewind", "-to-snapshot", fmt.Sprint(overtaken(k)), "-reason", "again, in order")
		k.equal() // What goes on comes in the form before, and must not be read ahead.
		k.goesOn()
	})
	t.Run("accept disorder", func(t *testing.T) {
		t.Parallel()
		k := newWalk(t, items("shop.item"))
		overtaken(k)
		k.decide("resume")
		k.halted("key_unordered")
		k.decide("resume", "-accept-disorder", "-reason", "no row has both events")
		k.goesOn()
	})
	t.Run("rewind by offsets", func(t *testing.T) {
		t.Parallel()
		k := newWalk(t, items("shop.item"))
		overtaken(k)
		k.decide("rewind", "-to-offset", k.m.topic+"/0=0") // The others are not read again.
		k.halted("key_unordered")
		var all []string
		for p := range partitions {
			all = append(all, fmt.Sprintf("%s/%d=0", k.m.topic, p))
		}
		k.decide("rewind", "-to-offset", strings.Join(all, ","))
		k.equal()
		k.goesOn()
	})
}
