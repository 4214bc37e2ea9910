package pipeline

import (
	"context"
	"fmt"
	"slices"

	"github.com/cdcd-project/cdcd/internal/debezium"
)

// unresolved is a record that was set aside, and is missing from the table for all that is known.
type unresolved struct {
	offset int64
	keys   []string // Those that it is about;
	told   bool     // not told: they may be any.
}

// isAbout reports whether a record may have changed the row of a key.
func (u *unresolved) isAbout(key string) bool { return !u.told || slices.Contains(u.keys, key) }

// unresolvedOf returns the unresolved records of a partition, by offset. They are read once, for all partitions.
func (j *judge) unresolvedOf(ctx context.Context, p partition) ([]unresolved, error) {
	if j.unresolved != nil {
		return j.unresolved[p], nil
	}
	j.unresolved = map[partition][]unresolved{}
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
		u := unresolved{offset: r.Offset, told: told}
		for _, key := range keys {
			u.keys = append(u.keys, string(key))
		}
		at := partition{r.Topic, r.Partition}
		j.unresolved[at] = append(j.unresolved[at], u)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read quarantine table %s: %w", QuarantineOf(j.o.Table.Sink).Name, err)
	}
	for _, all := range j.unresolved {
		slices.SortFunc(all, func(a, b unresolved) int { return int(a.offset - b.offset) })
	}
	return j.unresolved[p], nil
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
	earlier, err := j.unresolvedOf(ctx, partition{r.Topic, r.Partition})
	if err != nil {
		return "", err
	}
	for _, u := range earlier {
		if u.offset < r.Offset && slices.ContainsFunc(c.keys, u.isAbout) && !j.applies(r, u.offset) {
			return fmt.Sprintf("it keeps values of its row, which offset %d may have changed, and that was set aside before it: replay both together, or mark that one as resolved "+
				"with -dismiss if a later event counts, or if it has not changed the row", u.offset), nil
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

// applies reports whether a record of the same partition as r was found good.
func (j *judge) applies(r *Quarantined, offset int64) bool {
	return slices.ContainsFunc(j.found, func(c *candidate) bool {
		return c != nil && c.record.Topic == r.Topic && c.record.Partition == r.Partition && c.record.Offset == offset
	})
}
