package simtest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/readback"
)

// spoil is a record that no table takes, of a topic of the plan's tables but s.sour, whose table halts. Where the brokers may compact the
// topic no other record has its key: compaction would take it away, and it counts. Elsewhere it is an update or the delete of a row that
// others change before and after it.
func (d *database) spoil(topics []string) event {
	d.fillers++
	e := event{topic: topics[d.rng.IntN(len(topics))], value: fmt.Sprintf("bad %d \xff", d.rng.IntN(1000)), headers: spoiledHeaders()}
	switch e.topic {
	case "s.shop":
		e.key = keyShop(9000 + d.fillers)
	case "s.cart":
		e.key = fmt.Sprintf(`{"k":"bad","n":%d}`, d.fillers)
	case topicWide:
		id := int(d.zipf.Uint64())
		e.key = keyWide(id)
		if d.rng.IntN(2) == 0 {
			delete(d.wide, id)
		}
	case topicAvro:
		id := int(d.zipf.Uint64())
		e.key = keyAvro(id)
		if d.rng.IntN(2) == 0 {
			delete(d.avro, id)
		}
		good := d.putAvro(1, d.newRow(), false).value
		e.value = []string{e.value, good[:len(good)-1], framed(avroUnknownID, []byte(good[5:]))}[d.rng.IntN(3)]
	default:
		e.key = fmt.Sprintf(`{"tag":"bad %d"}`, d.fillers)
	}
	return e
}

// spoilable returns the topics whose tables set bad records aside.
func (w *world) spoilable() []string {
	var out []string
	for _, topic := range w.topics() {
		if topic != "s.sour" {
			out = append(out, topic)
		}
	}
	return out
}

// spoiledHeaders are the headers of such a record; nothing else has a header h.
func spoiledHeaders() []kgo.RecordHeader {
	return []kgo.RecordHeader{{Key: "h", Value: nil}, {Key: "h", Value: []byte{0xff}}, {Key: "", Value: []byte{}}}
}

func isSpoiled(r *kgo.Record) bool { return len(r.Headers) > 0 && r.Headers[0].Key == "h" }

// badRecords says what becomes of a table's bad records.
func badRecords(name string) pipeline.BadRecords {
	if name == tableSour {
		return pipeline.BadRecords{}
	}
	return pipeline.BadRecords{Quarantine: true, Max: 1 << 30}
}

// coordinate names a record as a quarantine table does.
func (w *world) coordinate(r *kgo.Record) string {
	id := w.cluster.TopicInfo(r.Topic).TopicID
	return fmt.Sprintf("%s|%s|%d|%d", r.Topic, base64.RawURLEncoding.EncodeToString(id[:]), r.Partition, r.Offset)
}

// quarantinedText is a record as a row of a quarantine table has it.
func quarantinedText(r *kgo.Record) string {
	var headers []string
	for _, h := range r.Headers {
		headers = append(headers, fmt.Sprintf(`{"key":"hex:%x","value":%s}`, h.Key, hexOrNull(h.Value)))
	}
	return fmt.Sprintf("%s|%s|[%s]|%s", bare(r.Key), bare(r.Value), strings.Join(headers, ","), r.Timestamp.UTC().Format("2006-01-02T15:04:05.000000Z"))
}

func hexOrNull(b []byte) string {
	if b == nil {
		return "null"
	}
	return fmt.Sprintf(`"hex:%x"`, b)
}

// bare is a column as readback writes it.
func bare(b []byte) string {
	if b == nil {
		return null
	}
	return fmt.Sprintf("hex:%x", b)
}

// readQuarantine returns what stands in a table's quarantine table, by coordinate.
func (w *world) readQuarantine(m mirror) (map[string]string, error) {
	got := map[string]string{}
	name := m.name + pipeline.QuarantineSuffix
	if _, err := w.catalog.LoadTable(context.Background(), strings.Split(name, ".")); errors.Is(err, catalog.ErrNoSuchTable) {
		return got, nil
	}
	err := readback.Rows(context.Background(), w.catalog, name, table.MainBranch, func(names []string, values []*string) error {
		v := map[string]string{}
		for i, name := range names {
			v[name] = null
			if values[i] != nil {
				v[name] = *values[i]
			}
		}
		at := strings.Join([]string{v["topic"], v["topic_id"], v["partition"], v["offset"]}, "|")
		if got[at] != "" {
			return fmt.Errorf("%s: %s is in quarantine twice", m.name, at)
		}
		got[at] = strings.Join([]string{v["key"], v["value"], v["headers"], v["record_time"]}, "|")
		return nil
	})
	w.stats.quarantined += len(got)
	return got, err
}

// checkQuarantine compares what stands in quarantine with the log: each bad record is there once, byte for byte, and no other. What
// the brokers have compacted away may stand there.
func (w *world) checkQuarantine(m mirror, got map[string]string, t truth) error {
	var errs []error
	for at, r := range t.bad {
		if what := quarantinedText(r); got[at] != what {
			errs = append(errs, fmt.Errorf("%s: %s is %q in quarantine, want %q", m.name, at, got[at], what))
		}
	}
	for at, what := range got {
		switch may := t.open[at]; {
		case t.bad[at] != nil:
		case may != nil && what != quarantinedText(may):
			errs = append(errs, fmt.Errorf("%s: %s is %q in quarantine, want %q", m.name, at, what, quarantinedText(may)))
		case may == nil && !w.plan.has(actClean):
			errs = append(errs, fmt.Errorf("%s: %s is in quarantine, and is no bad record of the log: %s", m.name, at, what))
		}
	}
	if len(errs) > 3 {
		errs = append(errs[:3], fmt.Errorf("%s: and %d more", m.name, len(errs)-3))
	}
	return errors.Join(errs...)
}
