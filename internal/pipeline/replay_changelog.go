package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/kafka"
)

// log judges the wanted records of a partition of a changelog. Whatever came after them, their rows are only added: the order in a
// changelog is that of its own columns.
func (j *judge) log(ctx context.Context, topic, id string, number int32, wanted map[int64]int, out []Replayed, found []*candidate) error {
	for offset, i := range wanted {
		err := j.o.Kafka.Walk(ctx, topic, id, number, offset, offset+1, func(r *kgo.Record) (err error) {
			if out[i].Outcome, out[i].Detail, err = j.candidate(ctx, out[i].Record, r); out[i].Outcome == Applied {
				found[i] = &candidate{record: r, keys: j.keys()}
			}
			return err
		})
		if err != nil && !errors.Is(err, kafka.ErrGone) {
			return err
		}
	}
	return nil
}

// add refuses those of the records found good whose rows are there already. The rows of a replay and the marks in the quarantine table are two
// commits: this keeps a replay that died in between from adding its rows once more.
func (j *judge) add(ctx context.Context, out []Replayed) error {
	at := map[coordinate]int{}
	least, most := int64(-1), int64(-1)
	for i, c := range j.found {
		if c == nil {
			continue
		}
		offset := c.record.Offset
		if least < 0 || offset < least {
			least = offset
		}
		most = max(most, offset)
		at[coordinate{partition{c.record.Topic, c.record.Partition}, offset}] = i
	}
	if len(at) == 0 {
		return nil
	}
	own := debezium.ChangelogColumns()
	err := j.table.Places(ctx, own[2].Name, own[3].Name, own[4].Name, least, most, func(topic string, number int32, offset int64) {
		if i, ok := at[coordinate{partition{topic, number}, offset}]; ok {
			out[i].Outcome, j.found[i] = Refused, nil
			out[i].Detail = "the table has a row of its topic, partition and offset already: if that was added by a replay which was interrupted, mark the record as resolved with -dismiss; " +
				"it may also be of an earlier topic of the same name"
		}
	})
	if err != nil {
		return fmt.Errorf("look for the rows of the records: %w", err)
	}
	return nil
}
