package pipeline_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/pipeline"
)

// Bad records of the reasons that only Avro has are set aside as all others are (I6). One of a schema that the registry gets later is
// replayed then; what is broken stays.
func TestEveryBadAvroRecordIsSetAside(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t, "shop"), newSchemas(t)
	const lateID = 99
	whole := avroUpsert("shop", valueID, 7, "Gil")
	broken := func(value []byte) *kgo.Record {
		return &kgo.Record{Topic: "shop", Key: whole.Key, Value: value, Headers: headers()}
	}
	bad := map[string]*kgo.Record{
		string(debezium.ShortFrame):    broken(whole.Value[:4]),
		string(debezium.UnknownMagic):  broken(append([]byte{9}, whole.Value[1:]...)),
		string(debezium.ShortBody):     broken(whole.Value[:len(whole.Value)-1]),
		string(debezium.UnknownSchema): avroUpsert("shop", lateID, 8, "Hal"),
	}
	for reason := range bad {
		if reasonsOfJSON()[reason] {
			t.Errorf("%s is no reason of Avro's alone", reason)
		}
	}
	if n, want := len(bad), len(debezium.Reasons())+1-len(reasonsOfJSON()); n != want {
		t.Errorf("%d reasons, want %d", n, want)
	}
	w.produce(avroUpsert("shop", valueID, 1, "Ann"))
	for _, r := range bad {
		w.produce(r, avroUpsert("shop", valueID, 2, "Bob"))
	}
	target := lenient("d.shop", 100, "shop")
	target.Decoder.Format = debezium.AvroConfluent
	p, err := w.runToEnd([]pipeline.Table{target}, s.options(t))
	if !errors.Is(err, pipeline.ErrQuarantined) || errors.Is(err, pipeline.ErrHalted) {
		t.Fatalf("got %v, want %v", err, pipeline.ErrQuarantined)
	}
	w.expect("d.shop", []string{"id"}, map[string]string{"1": "1|Ann", "2": "2|Bob"})
	w.expectQuarantined("d.shop", bad)
	p.addsUp("d.shop", float64(2*len(bad)+1))

	s.SeedSchema("t-value", 3, lateID, sr.Schema{Schema: avroEnvelope("")})
	outcomes := w.replay(target, func(o *pipeline.ReplayOptions) { o.Registry = s.client(t) })
	count := map[string]int{}
	for _, outcome := range outcomes {
		count[outcome]++
	}
	if diff := cmp.Diff(map[string]int{pipeline.Applied: 1, pipeline.Refused: len(bad) - 1}, count); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	w.expect("d.shop", []string{"id"}, map[string]string{"1": "1|Ann", "2": "2|Bob", "8": "8|Hal"})
}
