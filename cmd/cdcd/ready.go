package main

import (
	"errors"

	"github.com/cdcd-project/cdcd/internal/kafka"
)

// errUnassigned is why a process is not ready: Kafka has not answered, or the group is still rebalancing.
var errUnassigned = errors.New("waiting for the first assignment from the consumer group")

// readiness returns what /readyz answers: a process is ready as soon as the group has told it which tables it owns, be
// it none. That gates rollouts: the next pod is replaced only when this one can do its part. A process that was ready
// once stays so, since taking a consumer out of a service helps nobody; the metrics tell how it fares. A bounded run joins
// no group and is ready at once.
func readiness(client *kafka.Client, bounded bool) func() error {
	return func() error {
		if bounded || client.Assigned() {
			return nil
		}
		return errUnassigned
	}
}
