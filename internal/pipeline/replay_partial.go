package pipeline

import (
	"context"
	"fmt"
	"slices"

	"github.com/cdcd-project/cdcd/internal/debezium"
)

// unresolved is a record that was set aside, and is missing from the table for all that is known.
type unresolved struct {
	coordinate

	keys []string // Those that it is about;
	told bool     // not told: they may be any.
}

// isAbout reports whether a record may have changed the row of a key.
func (u *unresolved) isAbout(key string) bool { return !u.told || slices.Contains(u.keys, key) }

// allUnresolved returns the unresolved records of the table's topics, in no order. They are read once.
func (j *judge) allUnresolved(ctx context.Context) ([]unresolved, error) {
	if j.looked {
		return j.unresolved, nil
	}
	q, err := j.openAside(ctx)
	if err != nil {
		return nil, err
	}
	reader := newKeyReader(j.o.Table.Decoder, j.learn).bind(j.table.Schema())
	err = q.unresolved(ctx, func(r *Quarantined) bool {
		topic, ok := j.mark.Topic(r.Topic)
		return ok && topic.ID == r.TopicID
	}, func(r *Quarantined) error {
		keys, told, err := reader.keys(ctx, debezium.Record{Topic: r.Topic, Key: r.Key, Value: r.Value}, r.Reason)
		u := unresolved{coordinate: coordinate{partition{r.Topic, r.Partition}, r.Offset}, told: told}
		for _, key := range keys {
			u.keys = append(u.keys, string(key))
		}
		j.unresolved = append(j.unresolved, u)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read quarantine table %s: %w", QuarantineOf(j.o.Table.Sink).Name, err)
	}
	j.looked = true
	return j.unresolved, nil
}

// keep refuses those of the records found good that keep values of a row which is in doubt, or is not there. Where no later event of
// its key counts, the table has the row as it was before the record, but for what was set aside before it: all of that must be applied
// together with it. What came between those and the record is not looked at, which refuses more than it must.
func (j *judge) keep(ctx context.Context, out []Replayed) error {
	changed := map[string]bool{} // By key: the last of the records found good leaves it a row.
	for i, c := range j.found {
		if c == nil {
			continue
		}
		if c.kept != nil {
			why, err := j.unkept(ctx, out[i].Record, c, changed)
			if err != nil {
				return err
			}
			if why != "" {
				out[i].Outcome, out[i].Detail, j.found[i] = Refused, why, nil
				continue
			}
		}
		for _, key := range c.keys[1:] {
			changed[key] = false
		}
		changed[c.keys[0]] = c.upsert
	}
	return nil
}

// unkept says why a record cannot keep values of a row; "": it can. The row is that of its own key or, if it moves one, of the old key.
func (j *judge) unkept(ctx context.Context, r *Quarantined, c *candidate, changed map[string]bool) (string, error) {
	all, err := j.allUnresolved(ctx)
	if err != nil {
		return "", err
	}
	for _, u := range all {
		same := u.partition == partition{r.Topic, r.Partition}
		if same && u.offset < r.Offset && slices.ContainsFunc(c.keys, u.isAbout) && !j.applies(u.coordinate) {
			return fmt.Sprintf("it keeps values of its row, which %s may have changed, and that was set aside before it: replay both together, or mark that one as resolved "+
				"with -dismiss if a later event counts, or if it has not changed the row", u), nil
		}
		if !same && (u.told || u.topic == r.Topic && keysMoved(j.mark, r.Topic)) && slices.ContainsFunc(c.keys, u.isAbout) {
			return fmt.Sprintf("it keeps values of its row, which %s may have changed, and nothing tells which of them came first: mark that one as resolved with -dismiss if a later event counts", u), nil
		}
	}
	has := func(key string) bool {
		if row, ok := changed[key]; ok {
			return row
		}
		return j.table.Has([]byte(key))
	}
	if !slices.ContainsFunc(c.keys, has) {
		return "it keeps values of an earlier row, which the table does not have any more", nil
	}
	return "", nil
}

// applies reports whether a record was found good.
func (j *judge) applies(at coordinate) bool {
	return slices.ContainsFunc(j.found, func(c *candidate) bool {
		return c != nil && at == coordinate{partition{c.record.Topic, c.record.Partition}, c.record.Offset}
	})
}
