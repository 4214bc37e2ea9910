package pipeline

import (
	"context"
	"errors"
	"time"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/kafka"
	"github.com/cdcd-project/cdcd/internal/merge"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// session is what a table holds from one opening of its Iceberg table to the next.
//
// Invariant: position is the table's bookmark, moved over exactly the records that were folded into batch or ignored
// (I1, I6).
type session struct {
	sink    *sink.Table // nil: the table does not exist yet.
	sub     *kafka.Subscription
	decoder *debezium.Decoder
	unknown unknownNames
	batch   *merge.Batch
	stamps  stamps // Of a changelog.
	draft   *sink.Draft

	quarantine *quarantine // nil: no bad record was met.
	bad        int64       // Records of the open batch that were set aside, and were not there before.
	seen       int64       // Records of the open batch that were applied, ignored or set aside.
	doubts     doubts

	position bookmark.Bookmark
	base     bookmark.Bookmark // Where position stood at the last commit, or when the table was opened.
	end      bookmark.Bookmark // The end offsets when the table was opened.
	progress map[partition]*progress
	barriers map[string]*barrier // By topic: where partitions are held.
	paired   bool                // The last event deletes a row whose create under another key is to follow: it may keep values of that row.
	written  int64               // Bytes of the open batch's rows that were handed to the draft.
	first    time.Time           // When the open batch got its first record.
	last     time.Time           // When the table was last committed, or opened.
	looked   time.Time           // When a quiet table was last looked at.
	changed  bool                // Somebody else has changed the table since it was last committed, or opened.
	asked    time.Time           // When the brokers were last asked whether records wait before the ends of partitions.
	start    string              // "earliest" if the first start was allowed to be incomplete.
	forms    map[string]bool     // Of keys, that were adopted.
	returns  int                 // How often one of them came back.
}

type partition struct {
	topic  string
	number int32
}

// progress is what a partition's records have told, beside their changes.
type progress struct {
	high     int64 // The high watermark that came with the last records.
	sourceMs int64 // Source time of the last event, in Unix milliseconds; 0 before the first.
	asked    int64 // Where the position stood when a hole was last looked for; -1 before.

	form   string // Of the key of the last event; "": none was looked at.
	latest int64  // The latest record time of the events whose form was looked at, in Unix milliseconds.
}

// resume opens the Iceberg table and subscribes from its bookmark (I8).
func (t *table) resume(ctx, work context.Context) error {
	decoding := t.o.Decoder
	decoding.Partial = true // source finds the values that are not there.
	t.session = session{
		decoder: debezium.NewDecoder(decoding), unknown: unknownNames{counter: t.d.metrics.unknownTypes.WithLabelValues(t.o.Sink.Name)}, progress: map[partition]*progress{}, barriers: map[string]*barrier{}, last: time.Now(),
	}
	opened, err := t.d.o.Sink.Open(work, t.o.Sink)
	switch {
	case errors.Is(err, sink.ErrNoTable) && t.existed:
		return halt.Newf(halt.TableDropped, "Put the table back, remove it from the configuration, or restart cdcd to build it anew from what its topics hold.",
			"the table was dropped while cdcd maintained it: %w", err)
	case err != nil && !errors.Is(err, sink.ErrNoTable):
		return err
	}
	from := bookmark.Bookmark{}
	if err == nil {
		t.use(opened)
		from = opened.Bookmark()
		t.lag.stand(from, t.o.Topics, false)
	}
	at, err := t.d.o.Kafka.Locate(ctx, t.o.Topics, from)
	if err != nil {
		return err
	}
	incomplete, err := t.o.CheckStart(from, at)
	if err != nil {
		return err
	}
	if incomplete {
		t.start = "earliest"
	}
	t.position, t.base, t.end = at.Start, at.Start.Clone(), at.End
	t.doubts.from = at.Start.Clone()
	t.sub = t.d.o.Kafka.Subscribe(t.o.Sink.Name, at.Start, t.o.Topics...)
	t.lag.stand(at.Start, t.o.Topics, true)
	t.log.Info("resumed from bookmark", "bookmark", at.Start.String())
	t.metrics.setHalted("")
	if t.sink != nil {
		t.d.o.Kafka.CommitOffsets(t.sink.Bookmark()) // The last owner may not have come through with it.
	}
	return nil
}

// CheckStart refuses a first start that would silently lack the beginning of a topic. It reports whether FromEarliest allows
// the table to start without one.
func (o Table) CheckStart(from bookmark.Bookmark, at kafka.Position) (incomplete bool, err error) {
	for _, name := range o.Topics {
		if _, known := from.Topic(name); known {
			continue
		}
		begin, _ := at.LogStart.Topic(name)
		for _, p := range begin.Partitions {
			if p.Next == 0 {
				continue
			}
			if !o.FromEarliest {
				return false, halt.Newf(halt.IncompleteStart, `Take a new Debezium snapshot into a fresh topic, or set start = "earliest" to accept a table without its beginning.`,
					"%s/%d begins at offset %d: records 0 to %d are gone", name, p.Partition, p.Next, p.Next-1)
			}
			incomplete = true
		}
	}
	return incomplete, nil
}

// use binds the session to an opened table.
func (t *table) use(s *sink.Table) {
	t.sink, t.existed = s, true
	t.decoder.Bind(s.Schema())
	t.batch = merge.NewBatch(s.Schema())
	t.draft = s.Draft()
	t.stamps = stampsOf(s.Schema())
}

// close ends the session. A batch that is still open is dropped: it is read again from the bookmark.
func (t *table) close() {
	if t.sub != nil {
		t.sub.Close()
		t.lag.stand(t.base, t.o.Topics, false) // What was read after the last commit will be read again.
	}
	if t.sink != nil {
		t.draft.Discard()
		t.sink.Close()
	}
	t.quarantine.close()
	t.session = session{}
	t.share.set(0)
	t.metrics.setBuffered(0, 0)
}
