package pipeline

import (
	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/row"
)

// stamps are the places of a changelog's own columns in its schema, in the order of debezium.ChangelogColumns; -1: it has none.
type stamps [5]int

func stampsOf(s *row.Schema) (places stamps) {
	for k, c := range debezium.ChangelogColumns() {
		places[k] = s.Index(c.Name)
	}
	return places
}

// stamp puts into the last row of a changelog what the record at hand tells beside its row image.
func (t *table) stamp(p place) {
	rows, ev := t.batch.Rows(), &t.event
	last := rows.Len() - 1
	column := func(k int) *row.Vector {
		v := &rows.Vectors[t.stamps[k]]
		v.Truncate(last) // The decoder has put a null there.
		return v
	}
	column(0).AppendBytes([]byte(ev.Op.String()))
	if at := column(1); ev.SourceMs == 0 {
		at.AppendNull()
	} else {
		at.AppendInt64(ev.SourceMs * 1000)
	}
	column(2).AppendBytes([]byte(p.topic))
	column(3).AppendInt32(p.before.Partition)
	column(4).AppendInt64(p.before.Next)
}
