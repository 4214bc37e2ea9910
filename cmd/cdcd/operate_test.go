package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cdcd-project/cdcd/internal/sink"
	"github.com/cdcd-project/cdcd/internal/traffic"
)

// A record that cannot be applied is printed, and left out.
func TestWayOutSkip(t *testing.T) {
	for reason, poison := range map[string]string{
		"bad_record":       `{"op":"c","after":"nonsense"}`,
		"truncate_refused": traffic.ItemValue(`{"before":null,"after":null,` + traffic.Origin + `,"op":"t","ts_ms":1}`),
		"schema_change": strings.ReplaceAll(traffic.ItemValue(`{"before":null,"after":{"id":5,"name":7,"price":"AA==","at":1},`+traffic.Origin+`,"op":"c","ts_ms":1}`),
			`{"type":"string","optional":true,"field":"name"}`, `{"type":"int64","optional":true,"field":"name"}`),
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			k := newWalk(t, halting(items("shop.item")))
			bad := &kgo.Record{
				Topic: k.m.topic, Partition: 1, Key: []byte(traffic.ItemKey(5)), Value: []byte(poison),
				Headers: []kgo.RecordHeader{{Key: "trace", Value: []byte{0xff, 1}}},
			}
			k.send(bad)
			k.halted(reason)
			where := fmt.Sprintf("%s/1@", k.m.topic)
			k.refused(fmt.Sprintf("stands at offset %d", bad.Offset), "table", "skip", k.m.name, where+fmt.Sprint(bad.Offset+1))
			k.refused(fmt.Sprintf("stands at %d", bad.Offset), "table", "skip", k.m.name, where+fmt.Sprint(bad.Offset-1))
			k.refused("no partition", "table", "skip", k.m.name, k.m.topic+"/9@0")
			done, out := k.decide("skip", where+fmt.Sprint(bad.Offset), "-reason", "cannot be mended")
			sum := sha256.Sum256([]byte(poison))
			want := sink.Detail{
				Reason: "cannot be mended", By: "tester", Moved: []sink.Move{{Topic: k.m.topic, Partition: 1, From: bad.Offset, To: bad.Offset + 1}},
				Skipped: &sink.Skipped{Topic: k.m.topic, Partition: 1, Offset: bad.Offset, SHA256: hex.EncodeToString(sum[:])},
			}
			if diff := cmp.Diff(want, done.Detail); diff != "" {
				t.Errorf("recorded (-want +got):\n%s", diff)
			}
			printed := objectsOf[printedRecord](t, strings.Split(out, "\n")[:1])[0]
			if printed.Value == nil || *printed.Value != poison || *printed.Key != traffic.ItemKey(5) || printed.Offset != bad.Offset ||
				printed.Headers["trace"] != "/wE=" || printed.Encoding != "base64" {
				t.Errorf("printed %+v", printed)
			}
			k.goesOn()
		})
	}
}

// printedRecord is what skip prints of a record.
type printedRecord struct {
	Key, Value *string
	Offset     int64
	Headers    map[string]string
	Encoding   string `json:"headers_encoding"`
}

func TestOperatorsWrongUsage(t *testing.T) {
	t.Parallel()
	k := newWalk(t, items("shop.item"))
	for want, args := range map[string][]string{
		"these are: shop.item":        {"resume", "shop.itme"},
		"say why":                     {"pause", "shop.item"},
		"one of the flags is missing": {"rewind", "shop.item"},
		"TOPIC/PARTITION=OFFSET":      {"rewind", "shop.item", "-to-offset", "t.shop.item=5"},
		"stands there twice":          {"rewind", "shop.item", "-to-offset", "t.shop.item/0=5,t.shop.item/0=6"},
		"TOPIC/PARTITION@OFFSET":      {"skip", "shop.item", "t.shop.item/0"},
		"earliest":                    {"rebind", "shop.item", "-at", "middle"},
	} {
		before := k.snapshot(0).ID
		code, out, log := command(t, append(append([]string{"table"}, args...), "-config", k.config)...)
		if code != exitUsage || out != "" || !strings.Contains(log.text(), want) && want != "one of the flags is missing" {
			t.Errorf("%v: exit code %d, %q; want %d and %q", args, code, log.text(), exitUsage, want)
		}
		if k.snapshot(0).ID != before {
			t.Errorf("%v has committed", args)
		}
	}
	k.refused("is ahead of it", "table", "rewind", "shop.item", "-to-offset", "t.shop.item/0=5000")
	k.refused("has expired or never was", "table", "rewind", "shop.item", "-to-snapshot", "4711")
	k.refused("no snapshot", "table", "rewind", "shop.item", "-to-time", "2001-01-01T00:00:00Z")
}

// A record that is bad before there is a table can be left out as soon as somebody has made the table.
func TestSkipBeforeTheFirstCommit(t *testing.T) {
	t.Parallel()
	k := &walk{world: newWorld(t, halting(stock("shop.stock"))), rng: rand.New(rand.NewPCG(1, 7))}
	k.m, k.config = k.mirrors[0], k.configure("walk", "20ms")
	bad := &kgo.Record{Topic: k.m.topic, Key: []byte(traffic.StockKey("a", 1)), Value: []byte(`{`)}
	k.send(bad)
	k.p = k.run(k.config)
	k.halted("bad_record")
	where := fmt.Sprintf("%s/0@%d", k.m.topic, bad.Offset)
	if code, _, log := command(t, "table", "skip", k.m.name, where, "-config", k.config); code != exitFailed || !strings.Contains(log.text(), "create the table") {
		t.Errorf("exit code %d, %q; want %d and what to do", code, log.text(), exitFailed)
	}
	k.inCatalog(func(cat catalog.Catalog) error {
		schema := iceberg.NewSchemaWithIdentifiers(0, []int{1, 2},
			iceberg.NestedField{ID: 1, Name: "place", Type: iceberg.PrimitiveTypes.String, Required: true},
			iceberg.NestedField{ID: 2, Name: "n", Type: iceberg.PrimitiveTypes.Int32, Required: true},
			iceberg.NestedField{ID: 3, Name: "v", Type: iceberg.PrimitiveTypes.Int64})
		if err := cat.CreateNamespace(t.Context(), table.Identifier{"shop"}, nil); err != nil {
			return err
		}
		_, err := cat.CreateTable(t.Context(), table.Identifier{"shop", "stock"}, schema)
		return err
	})
	k.halted("bad_record")
	done, _ := k.operated("table", "skip", k.m.name, where, "-config", k.config, "-json")
	if done.Parent != 0 || k.snapshot(0).Summary["cdcd.bookmark"] != string(done.After) {
		t.Errorf("skipped: %+v", done)
	}
	k.goesOn()
}

// Some ways out are in the configuration, and need a restart.
func TestWayOutConfiguration(t *testing.T) {
	for reason, test := range map[string]struct {
		prepare   func(k *walk)
		bad, mend string
	}{
		"incomplete_start": {
			func(k *walk) {
				k.lose(30)
				for p := range int32(partitions) {
					if err := k.cluster.DeleteRecords(k.m.topic, p, -1); err != nil {
						k.t.Fatal(err)
					}
				}
			},
			"", `start = "earliest"`,
		},
		"index_over_budget": {func(*walk) {}, "[memory]\nindex = \"1B\"", "[memory]\nindex = \"1GiB\""},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			k := &walk{world: newWorld(t, items("shop.item")), rng: rand.New(rand.NewPCG(1, 7))}
			k.m, k.config = k.mirrors[0], k.configure("walk", "20ms")
			text, err := os.ReadFile(k.config)
			if err != nil {
				t.Fatal(err)
			}
			with := func(more string) string {
				if strings.HasPrefix(more, "[") {
					return k.write("walk.toml", strings.Replace(string(text), "[admin]", more+"\n\n[admin]", 1))
				}
				return k.write("walk.toml", string(text)+more+"\n")
			}
			test.prepare(k)
			k.change(20)
			k.p = k.run(with(test.bad))
			k.halted(reason)
			k.p.stop(syscall.SIGTERM)
			k.p = k.run(with(test.mend))
			k.equal()
			k.goesOn()
		})
	}
}
