package pipeline_test

import (
	"testing"
)

// recreate deletes a topic and creates it again under its name.
func (w *world) recreate(topic string) {
	w.t.Helper()
	if err := w.cluster.DeleteTopic(topic); err != nil {
		w.t.Fatal(err)
	}
	if err := w.cluster.CreateTopic(topic, 1, nil); err != nil {
		w.t.Fatal(err)
	}
	w.producer.PurgeTopicsFromClient(topic) // It remembers the old topic's id.
}

// A topic of the same name is another one, however its offsets compare with the bookmark (I9): its id tells.
func TestTopicRecreated(t *testing.T) {
	for _, test := range []struct {
		name    string
		records int // Of the topic made anew; the bookmark stands at 4.
	}{
		{"empty", 0},
		{"fewer records than the bookmark", 2},
		{"as many records", 4},
		{"more records", 7},
	} {
		for _, running := range []bool{false, true} {
			name := test.name + ", while down"
			if running {
				name = test.name + ", while running"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, "shop", bystander)
				log := people(customers("shop"), 1, 4)
				w.each(log...)
				p := w.start(both(), nil)
				w.eventually("the records are applied", func() bool { return w.next("d.t", "shop", 0) == 4 })
				release := func() {}
				if running {
					release = w.holdFetches() // The reader never sees the topic missing.
				} else if err := p.stop(); err != nil {
					t.Fatal(err)
				}
				w.recreate("shop")
				w.each(people(customers("shop"), 101, test.records)...)
				release()
				if !running {
					p = w.start(both(), nil)
				}
				hinted(t, p.halted("d.t", "topic_recreated"), "created again")
				w.goesOn()
				w.stands("d.t", "shop", fold(t, log...), 4)
			})
		}
	}
}
