package simtest

import (
	"context"
	"math/rand/v2"

	"github.com/twmb/franz-go/pkg/kgo"
)

// mover makes other brokers the leaders of partitions.
type mover struct {
	w      *world
	db     *database
	client *kgo.Client
}

func newMover(w *world) *mover {
	m := &mover{w: w, db: newDatabase(w.seed + 1), client: w.client()}
	m.db.fillers = 2000
	return m
}

// move moves one partition. No request of a process reaches the brokers before something was written in its new epoch.
func (m *mover) move(rng *rand.Rand) {
	open := m.w.shut()
	defer open()
	topics := m.w.topics()
	topic := topics[rng.IntN(len(topics))]
	if err := m.w.cluster.MoveTopicPartition(topic, int32(rng.IntN(int(partitionsOf(topic)))), int32(rng.IntN(brokers))); err != nil {
		m.w.complain("move leader: %w", err)
	}
	if err := m.client.ProduceSync(context.Background(), records(m.db.filler(topic))...).FirstErr(); err != nil {
		m.w.complain("produce: %w", err)
	}
}

// shut keeps requests from the brokers until open is called.
func (w *world) shut() (open func()) {
	ch := make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.barrier = ch
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.barrier = nil
		close(ch)
	}
}

// pass waits while the brokers are shut.
func (w *world) pass() {
	w.mu.Lock()
	ch := w.barrier
	w.mu.Unlock()
	if ch != nil {
		<-ch
	}
}
