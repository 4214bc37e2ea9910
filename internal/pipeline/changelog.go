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

// stamp puts into the last row of a changelog what a record tells beside its row image: its event, and where it stands.
func (s *stamps) stamp(rows *row.Rows, ev *debezium.Event, topic string, partition int32, offset int64) {
	last := rows.Len() - 1
	column := func(k int) *row.Vector {
		v := &rows.Vectors[s[k]]
		v.Truncate(last) // The decoder has put a null there.
		return v
	}
	column(0).AppendBytes([]byte(ev.Op.String()))
	if at := column(1); ev.SourceMs == 0 {
		at.AppendNull()
	} else {
		at.AppendInt64(ev.SourceMs * 1000)
	}
	column(2).AppendBytes([]byte(topic))
	column(3).AppendInt32(partition)
	column(4).AppendInt64(offset)
}
