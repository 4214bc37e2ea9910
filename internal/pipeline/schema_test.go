package pipeline_test

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/registry"
)

// schemas is a registry over HTTP, which can go away.
type schemas struct {
	*srfake.Registry
	away   atomic.Bool
	status atomic.Int64 // Of the answers while it is away.
	asked  atomic.Int64
}

// The ids of the schemas of keys and values.
const (
	keyID   = 41
	valueID = 42
	widerID = 43 // With one more column.
)

func newSchemas(t *testing.T) *schemas {
	t.Helper()
	s := &schemas{Registry: srfake.New()}
	t.Cleanup(s.Close)
	s.status.Store(http.StatusServiceUnavailable)
	s.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		s.asked.Add(1)
		if s.away.Load() {
			w.WriteHeader(int(s.status.Load()))
		}
		return s.away.Load()
	})
	s.SeedSchema("t-key", 1, keyID, sr.Schema{Schema: `{"type":"record","name":"Key","namespace":"t","fields":[{"name":"id","type":"int"}],"connect.name":"t.Key"}`})
	s.SeedSchema("t-value", 1, valueID, sr.Schema{Schema: avroEnvelope("")})
	s.SeedSchema("t-value", 2, widerID, sr.Schema{Schema: avroEnvelope(`,{"name":"email","type":["null","string"],"default":null}`)})
	return s
}

// avroEnvelope is the schema of an envelope of rows (id, name) and more.
func avroEnvelope(more string) string {
	return `{"type":"record","name":"Envelope","namespace":"t","fields":[{"name":"before","type":["null",{"type":"record","name":"Value","fields":[` +
		`{"name":"id","type":"int"},{"name":"name","type":["null","string"],"default":null}` + more + `],"connect.name":"t.Value"}],"default":null},` +
		`{"name":"after","type":["null","Value"],"default":null},{"name":"op","type":"string"}],"connect.name":"t.Envelope"}`
}

// options makes a process ask the registry, impatiently.
func (s *schemas) options(t *testing.T) func(*pipeline.Options) {
	return func(o *pipeline.Options) { o.Registry = s.client(t) }
}

func (s *schemas) client(t *testing.T) *registry.Client {
	t.Helper()
	c, err := registry.Open(registry.Options{
		URL: s.URL(), Backoff: time.Millisecond, BackoffMax: 10 * time.Millisecond, Lag: 50 * time.Millisecond, UnknownFor: time.Millisecond,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func framed(id uint32, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, id), body...)
}

func avroString(b []byte, text string) []byte {
	return append(binary.AppendVarint(b, int64(len(text))), text...)
}

// avroUpsert returns a record after which the row has these values; more are optional strings.
func avroUpsert(topic string, schema uint32, id int64, name string, more ...string) *kgo.Record {
	body := binary.AppendVarint([]byte{0, 2}, id) // before is null, after is not.
	for _, text := range append([]string{name}, more...) {
		body = avroString(append(body, 2), text)
	}
	return &kgo.Record{Topic: topic, Key: framed(keyID, binary.AppendVarint(nil, id)), Value: framed(schema, avroString(body, "u"))}
}

// avroMirror mirrors a topic of Avro records.
func avroMirror(name, topic string) []pipeline.Table {
	t := mirror(name, topic)
	t.Decoder.Format = debezium.AvroConfluent
	return soon(t)
}

func TestAvroTopicIsMirrored(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t, "shop"), newSchemas(t)
	gone := avroUpsert("shop", valueID, 2, "Bob")
	w.produce(avroUpsert("shop", valueID, 1, "Ann"), gone, avroUpsert("shop", valueID, 3, "Cid"), &kgo.Record{Topic: "shop", Key: gone.Key})
	p := w.start(avroMirror("d.shop", "shop"), s.options(t))
	w.eventually("the rows are there", func() bool { return w.next("d.shop", "shop", 0) == 4 })
	w.expect("d.shop", []string{"id"}, map[string]string{"1": "1|Ann", "3": "3|Cid"})

	// Another id is another schema: the column is added with its first row, and records of the old schema go on.
	w.produce(avroUpsert("shop", widerID, 1, "Anna", "a@b"), avroUpsert("shop", valueID, 4, "Dan"))
	w.eventually("the schema has changed", func() bool { return w.next("d.shop", "shop", 0) == 6 })
	w.expect("d.shop", []string{"id"}, map[string]string{"1": "1|Anna|a@b", "3": "3|Cid|∅", "4": "4|Dan|∅"})
	if n := s.asked.Load(); n != 3 {
		t.Errorf("the registry was asked %d times, want once for each schema", n)
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
}

// While the registry is away, what came before the record is committed, and nothing is lost or left out.
func TestTableWaitsForItsRegistry(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t, "shop"), newSchemas(t)
	p := w.start(avroMirror("d.shop", "shop"), s.options(t))
	w.produce(avroUpsert("shop", valueID, 1, "Ann"))
	w.eventually("the first row is there", func() bool { return w.next("d.shop", "shop", 0) == 1 })
	s.away.Store(true)
	w.produce(avroUpsert("shop", valueID, 2, "Bob"), avroUpsert("shop", widerID, 3, "Cid", "c@d"), avroUpsert("shop", valueID, 4, "Dan"))
	w.eventually("what came before is committed", func() bool { return w.next("d.shop", "shop", 0) == 2 })
	if waiting := p.metric("cdcd_awaited_schemas", "table=d.shop"); waiting != 1 {
		t.Errorf("cdcd_awaited_schemas is %v", waiting)
	}
	w.expect("d.shop", []string{"id"}, map[string]string{"1": "1|Ann", "2": "2|Bob"})
	s.away.Store(false)
	w.eventually("the rest is there", func() bool { return w.next("d.shop", "shop", 0) == 4 })
	w.expect("d.shop", []string{"id"}, map[string]string{"1": "1|Ann|∅", "2": "2|Bob|∅", "3": "3|Cid|c@d", "4": "4|Dan|∅"})
	w.eventually("nothing is awaited", func() bool { return p.metric("cdcd_awaited_schemas", "table=d.shop") == 0 })
}

// A stop does not wait for the registry, and commits what came before the record that needs it.
func TestStopInterruptsTheWaitForTheRegistry(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t, "shop"), newSchemas(t)
	p := w.start(avroMirror("d.shop", "shop"), func(o *pipeline.Options) {
		s.options(t)(o)
		o.GracePeriod = time.Hour
	})
	w.produce(avroUpsert("shop", valueID, 1, "Ann"))
	w.eventually("the first row is there", func() bool { return w.next("d.shop", "shop", 0) == 1 })
	s.away.Store(true)
	w.produce(avroUpsert("shop", valueID, 2, "Bob"), avroUpsert("shop", widerID, 3, "Cid", "c@d"))
	w.eventually("the table waits", func() bool { return p.metric("cdcd_awaited_schemas", "table=d.shop") == 1 })
	if err := p.stop(); err != nil { // Waits for less than the grace period.
		t.Fatal(err)
	}
	w.expect("d.shop", []string{"id"}, map[string]string{"1": "1|Ann", "2": "2|Bob"})
	if next := w.next("d.shop", "shop", 0); next != 2 {
		t.Errorf("the bookmark stands at %d, want 2", next)
	}
	s.away.Store(false)
	w.start(avroMirror("d.shop", "shop"), s.options(t))
	w.eventually("the rest is there", func() bool { return w.next("d.shop", "shop", 0) == 3 })
	w.expect("d.shop", []string{"id"}, map[string]string{"1": "1|Ann|∅", "2": "2|Bob|∅", "3": "3|Cid|c@d"})
}

// Records whose schema the registry does not have, or refers to another kind of it, are refused like all bad ones (I6).
func TestRecordWithoutUsableSchemaIsRefused(t *testing.T) {
	s := newSchemas(t)
	s.SeedSchema("p", 1, 50, sr.Schema{Schema: `syntax = "proto3";`, Type: sr.TypeProtobuf})
	s.SeedSchema("b", 1, 51, sr.Schema{Schema: `{"type":"record","name":"Broken"}`})
	for _, tc := range []struct {
		name, reason, says string
		record             *kgo.Record
	}{
		{"an unknown id", "unknown_schema", "schema id 99", avroUpsert("shop", 99, 2, "Bob")},
		{"Protobuf", "schema_mismatch", "only Avro is supported", avroUpsert("shop", 50, 2, "Bob")},
		{"a broken schema", "schema_mismatch", "schema id 51", avroUpsert("shop", 51, 2, "Bob")},
		{"a body of another schema", "short_body", "shop/0 offset 1", avroUpsert("shop", widerID, 2, "Bob")},
		{"JSON", "unknown_magic", "as JSON does", customers("shop").upsert("c", "2", `"Bob"`)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "shop")
			w.produce(avroUpsert("shop", valueID, 1, "Ann"), tc.record)
			p := w.start(avroMirror("d.shop", "shop"), s.options(t))
			entry := p.halted("d.shop", "bad_record")
			if text := fmt.Sprint(entry["err"]); !strings.Contains(text, tc.reason) || !strings.Contains(text, tc.says) {
				t.Errorf("the log says %q, want %s and %q", text, tc.reason, tc.says)
			}
			w.expect("d.shop", []string{"id"}, map[string]string{"1": "1|Ann"})
		})
	}
}

// A registry that refuses cdcd halts the table, which looks again by itself.
func TestRefusalByTheRegistryIsProbed(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t, "shop"), newSchemas(t)
	s.status.Store(http.StatusUnauthorized)
	s.away.Store(true)
	w.produce(avroUpsert("shop", valueID, 1, "Ann"))
	p := w.start(avroMirror("d.shop", "shop"), s.options(t))
	p.halted("d.shop", "access_denied")
	s.away.Store(false)
	w.eventually("the row is there", func() bool { return w.next("d.shop", "shop", 0) == 1 })
}

// Without a registry an Avro record says what to set.
func TestAvroOnAJSONTopicSaysWhatToSet(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "shop")
	w.produce(avroUpsert("shop", valueID, 1, "Ann"))
	p := w.start(soon(mirror("d.shop", "shop")), nil)
	if text := fmt.Sprint(p.halted("d.shop", "bad_record")["err"]); !strings.Contains(text, "a Confluent frame with a schema id") || !strings.Contains(text, "set the table's format") {
		t.Errorf("the log says %q", text)
	}
}
