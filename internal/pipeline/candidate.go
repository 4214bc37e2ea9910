package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/debezium"
)

// candidate is a record that is found good.
type candidate struct {
	record *kgo.Record
	keys   []string // Whose rows it changes: its own, and the one from which it moves the row.
	upsert bool
	kept   []int // The columns whose values it keeps.
}

// candidate judges a record by itself. What it needs of the schema is asked for.
func (j *judge) candidate(ctx context.Context, want *Quarantined, r *kgo.Record) (outcome, detail string, err error) {
	if what := differs(want, r); what != "" {
		return Refused, "the quarantine table and the log differ in the " + what, nil
	}
	if doubt := j.disorder(r); doubt != "" && !j.o.AcceptDisorder {
		return Refused, doubt + ": a later event of its key may stand in another partition (I13); -accept-disorder applies it all the same", nil
	}
	err = j.decode(ctx, r, true)
	if bad, ok := errors.AsType[*debezium.Error](err); ok {
		return Refused, fmt.Sprintf("it still cannot be applied: %s: %s", bad.Reason, bad.Detail), nil
	}
	switch {
	case errors.Is(err, errNoAnswer):
		return Refused, "", err
	case err != nil:
		return Refused, err.Error(), nil //nolint:nilerr // It is what the operator is told.
	case j.event.Ignored == "" && j.event.Op == debezium.Truncate:
		return Refused, errTruncate.Error(), nil
	case len(j.event.Unchanged) > 0 && j.event.OldKey == nil && j.replaces():
		return Refused, "it keeps values of a row that had another key, which the table does not have any more", nil
	case j.event.Unordered && j.partitions() > 1 && !j.o.AcceptDisorder:
		return Refused, errUnordered.Error(), nil
	}
	return Applied, "", nil
}

// replaces reports whether the event at hand is the create of a pair that changes a key.
func (j *judge) replaces() bool {
	_, ok := j.decoder.ReplacedKey()
	return ok
}

// differs names the part in which a row of the quarantine table and a record of the log are not the same.
func differs(want *Quarantined, r *kgo.Record) string {
	same := func(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }
	switch {
	case !same(want.Key, r.Key):
		return "key"
	case !same(want.Value, r.Value):
		return "value"
	case !want.Time.Equal(r.Timestamp.Truncate(time.Microsecond)):
		return "time"
	case !slices.EqualFunc(want.Headers, r.Headers, func(a debezium.Header, b kgo.RecordHeader) bool { return a.Key == b.Key && same(a.Value, b.Value) }):
		return "headers"
	}
	return ""
}

// disorder says why a key may have changed its partition; "": as far as the table and the record tell, it has not.
func (j *judge) disorder(r *kgo.Record) string {
	switch {
	case j.partitions() < 2 || j.o.Table.Sink.Changelog:
		return ""
	case len(j.o.Table.Topics) > 1:
		return "several topics feed the table"
	case len(j.o.Table.Decoder.Key) > 0:
		return "the table's key is configured, and the record's key decides about its partition"
	}
	if j.o.Table.DisjointKeys {
		return ""
	}
	at, _ := j.mark.Topic(r.Topic)
	form := j.decoder.KeyFormOf(recordOf(r))
	switch {
	case form == "":
	case at.Key == nil:
		return "the form of the topic's keys is not known yet"
	case form != at.Key.Form:
		return "its key has the form " + form + ", and by now keys have the form " + at.Key.Form
	case at.Key.Was != "" && r.Timestamp.UnixMilli() < at.Key.Since:
		return "keys have had another form since, up to " + instant(at.Key.Since)
	}
	return ""
}
