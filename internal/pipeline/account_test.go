package pipeline_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Every consumed record is applied, ignored by a named rule, or refused (I6): the counters add up.
func TestEveryRecordIsAccountedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	e := customers("shop")
	plain := func(key, value string) *kgo.Record {
		r := &kgo.Record{Topic: "shop", Value: []byte(value)}
		if key != "" {
			r.Key = []byte(key)
		}
		return r
	}
	early := e.remove("1", `"x"`)[1] // A tombstone before there is a table.
	records := []*kgo.Record{
		early,
		e.upsert("r", "1", `"Ann"`), e.upsert("c", "2", `"Bob"`), e.upsert("u", "2", `"Bo"`),
	}
	records = append(records, e.remove("2", `"Bo"`)...)
	records = append(records, e.remove("77", `"never there"`)...)
	records = append(records,
		message(e),
		plain(`{"serverName":"s"}`, `{"ts_ms":1}`),
		plain(`{"id":"1"}`, `{"status":"BEGIN","id":"1","event_count":null,"data_collections":null,"ts_ms":1}`),
		plain(`{"databaseName":"d"}`, `{"source":{},"ts_ms":1,"databaseName":"d","schemaName":null,"ddl":"DROP TABLE x","tableChanges":[]}`),
		e.upsert("c", "3", `"Cid"`),
		badRecords(e)[0].record,
		e.upsert("c", "4", `"never read"`),
	)
	w.produce(records...)
	p := w.start(soon(mirror("d.t", "shop")), nil)
	p.halted("d.t", "bad_record")
	for name, want := range map[string]float64{
		"cdcd_records_consumed_total": float64(len(records) - 1), // Not what comes after the bad one.
		"cdcd_change_events_total":    8,
		"cdcd_records_ignored_total":  5,
		"cdcd_decode_errors_total":    1,
	} {
		if got := p.metric(name, "table=d.t"); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	for label, want := range map[string]float64{"op=r": 1, "op=c": 2, "op=u": 1, "op=d": 2, "op=tombstone": 2} {
		if got := p.metric("cdcd_change_events_total", label); got != want {
			t.Errorf("cdcd_change_events_total{%s} is %v, want %v", label, got, want)
		}
	}
	for _, rule := range []string{"tombstone", "heartbeat", "transaction_metadata", "schema_change", "op_m"} {
		if got := p.metric("cdcd_records_ignored_total", "rule="+rule); got != 1 {
			t.Errorf("cdcd_records_ignored_total{rule=%s} is %v, want 1", rule, got)
		}
	}
	w.expect("d.t", []string{"id"}, map[string]string{"1": "1|Ann", "3": "3|Cid"})
	families, err := p.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v, %v", problems, err)
	}
}

// An alert can be written on a metric only if it is there before it is needed.
func TestFiguresAreThereFromTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	p := w.start(soon(mirror("d.t", "shop")), nil)
	w.eventually("the table is open", func() bool { return len(p.log.entries("resumed from bookmark")) == 1 })
	families, err := p.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	children := map[string]int{}
	for _, f := range families {
		children[f.GetName()] = len(f.GetMetric())
	}
	for name, least := range map[string]int{
		"cdcd_records_consumed_total": 1, "cdcd_change_events_total": 5, "cdcd_records_ignored_total": 7, "cdcd_decode_errors_total": 19,
		"cdcd_table_halted": 19, "cdcd_table_restarts_total": 1, "cdcd_buffered_bytes": 1, "cdcd_buffered_rows": 1,
	} {
		if children[name] < least {
			t.Errorf("%s has %d children, want at least %d", name, children[name], least)
		}
	}
}
