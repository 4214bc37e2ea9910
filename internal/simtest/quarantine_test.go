package simtest

import (
	"bytes"
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

// spoiled begins the value of every record that goes to quarantine.
const spoiled = "bad "

// spoil is a record that no table takes, of a topic of the plan's tables but s.sour, whose table halts. No other record has its key:
// compaction would take those away, and they count.
func (d *database) spoil(topics []string) event {
	d.fillers++
	topic := topics[d.rng.IntN(len(topics))]
	value := fmt.Sprintf("%s%d \xff", spoiled, d.rng.IntN(1000))
	switch topic {
	case "s.shop":
		return event{topic, keyShop(9000 + d.fillers), value}
	case "s.cart":
		return event{topic, fmt.Sprintf(`{"k":"bad","n":%d}`, d.fillers), value}
	}
	return event{topic, fmt.Sprintf(`{"tag":"bad %d"}`, d.fillers), value}
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

// spoiledHeaders are the headers of such a record.
func spoiledHeaders() []kgo.RecordHeader {
	return []kgo.RecordHeader{{Key: "h", Value: nil}, {Key: "h", Value: []byte{0xff}}, {Key: "", Value: []byte{}}}
}

const spoiledHeadersText = `[{"key":"hex:68","value":null},{"key":"hex:68","value":"hex:ff"},{"key":"hex:","value":"hex:"}]`

func isSpoiled(value []byte) bool { return bytes.HasPrefix(value, []byte(spoiled)) }

// badRecords says what becomes of a table's bad records.
func badRecords(name string) pipeline.BadRecords {
	if name == tableSour {
		return pipeline.BadRecords{}
	}
	return pipeline.BadRecords{Quarantine: true, Max: 1 << 30}
}

// checkQuarantine compares a table's quarantine table with the log: each bad record stands there once, byte for byte, and no other. What
// the brokers have compacted away may stand there.
func (w *world) checkQuarantine(m mirror, log map[string][]logged) error {
	want := map[string]string{}
	for _, topic := range m.topics {
		id := w.cluster.TopicInfo(topic).TopicID
		for _, l := range log[topic] {
			if l.bad != nil {
				at := fmt.Sprintf("%s|%s|%d|%d", topic, base64.RawURLEncoding.EncodeToString(id[:]), l.partition, l.offset)
				want[at] = fmt.Sprintf("hex:%x|hex:%x|%s|%s", l.bad.Key, l.bad.Value, spoiledHeadersText, l.bad.Timestamp.UTC().Format("2006-01-02T15:04:05.000000Z"))
			}
		}
	}
	got := map[string]string{}
	name := m.name + pipeline.QuarantineSuffix
	if _, err := w.catalog.LoadTable(context.Background(), strings.Split(name, ".")); errors.Is(err, catalog.ErrNoSuchTable) && len(want) == 0 {
		return nil
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
	if err != nil {
		return err
	}
	var errs []error
	for at, what := range want {
		if got[at] != what {
			errs = append(errs, fmt.Errorf("%s: %s is %q in quarantine, want %q", m.name, at, got[at], what))
		}
	}
	for at := range got {
		if want[at] == "" && !w.plan.has(actClean) {
			errs = append(errs, fmt.Errorf("%s: %s is in quarantine, and is no bad record of the log", m.name, at))
		}
	}
	w.stats.quarantined += len(got)
	if len(errs) > 3 {
		errs = append(errs[:3], fmt.Errorf("%s: and %d more", m.name, len(errs)-3))
	}
	return errors.Join(errs...)
}
