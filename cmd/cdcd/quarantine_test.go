package main

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/apache/iceberg-go/catalog"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/cdcd-project/cdcd/internal/pipeline"
)

// aside returns the records in a table's quarantine table, by place.
func (w *world) aside(name string) map[string]pipeline.Quarantined {
	w.t.Helper()
	out := map[string]pipeline.Quarantined{}
	w.inCatalog(func(cat catalog.Catalog) error {
		return quarantined(w.ctx(), cat, name, func(r *pipeline.Quarantined) {
			if _, twice := out[coordinate(r)]; twice {
				w.t.Errorf("%s stands there twice", coordinate(r))
			}
			out[coordinate(r)] = *r
		})
	})
	return out
}

// A record without a key is set aside, and the daemon goes on. When the key was configured the record is applied late, beside the
// daemon, which goes on by itself.
func TestQuarantineListShowReplay(t *testing.T) {
	t.Parallel()
	k := newWalk(t, items("shop.item"))
	bad := k.m.source.PutItem(4242, k.rng)
	row := k.m.truth["4242"]
	delete(k.m.truth, "4242")
	bad.Value = bytes.Replace(bad.Value, []byte(`"op":"u"`), []byte(`"op":"c"`), 1)
	bad.Partition, bad.Key, bad.Headers = 1, nil, []kgo.RecordHeader{{Key: "trace", Value: []byte{0xff, 1}}}
	hopeless := &kgo.Record{Topic: k.m.topic, Partition: 1, Key: []byte("?"), Value: []byte{0xff}}
	k.send(bad, hopeless)
	k.goesOn()
	where, other := fmt.Sprintf("%s/1@%d", k.m.topic, bad.Offset), fmt.Sprintf("%s/1@%d", k.m.topic, hopeless.Offset)

	code, out, log := command(t, "quarantine", "list", k.m.name, "-config", k.config, "-json", "-reason", "null_key", "-unresolved")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != exitDone || len(lines) != 3 {
		t.Fatalf("exit code %d, %q, %s", code, out, log.text())
	}
	if r := objectsOf[listedRecord](t, lines[:1])[0]; r.Record != where || r.Reason != "null_key" || r.ResolvedAt != nil || r.Detail == "" {
		t.Errorf("listed %+v", r)
	}
	counts := objectsOf[reasonCount](t, lines[1:])
	if want := (reasonCount{Reason: "null_key", Records: 1, Unresolved: 1}); !slices.Contains(counts, want) {
		t.Errorf("counted %+v", counts)
	}
	if _, out, _ := command(t, "quarantine", "list", k.m.name, "-config", k.config); !strings.Contains(out, where) || !strings.Contains(out, "UNRESOLVED") {
		t.Errorf("listed %s", out)
	}

	mirrors := []*mirror{{name: k.m.name, topic: k.m.topic, settings: k.m.settings + "\nkey = [\"id\"]"}}
	mended := k.deploy("mended.toml", deployment{group: "walk", interval: "20ms", mirrors: mirrors})
	for config, action := range map[string]string{k.config: actionError, mended: actionUpsert} {
		_, out, _ := command(t, "quarantine", "show", k.m.name, where, "-config", config, "-json")
		shown := objectsOf[struct {
			Reason string
			Kafka  printedRecord
			Decode answer
		}](t, strings.Split(strings.TrimSpace(out), "\n"))[0]
		if shown.Reason != "null_key" || shown.Decode.Action != action || *shown.Kafka.Value != string(bad.Value) || shown.Kafka.Key != nil || shown.Kafka.Headers["trace"] != "/wE=" {
			t.Errorf("shown: %s", out)
		}
	}

	replay := func(config string, want map[string]string, code int, args ...string) {
		t.Helper()
		got, out, log := command(t, append([]string{"quarantine", "replay", k.m.name, "-config", config, "-json", "-by", "tester"}, args...)...)
		outcomes := map[string]string{}
		for _, r := range objectsOf[replayedRecord](t, strings.Split(strings.TrimSpace(out), "\n")) {
			outcomes[r.Record] = r.Outcome
		}
		if diff := cmp.Diff(want, outcomes); diff != "" || got != code {
			t.Errorf("%v: exit code %d, want %d (-want +got):\n%s%s%s", args, got, code, diff, out, log.text())
		}
	}
	before := k.snapshot(0).ID
	replay(k.config, map[string]string{where: "refused", other: "refused"}, exitFailed, "-all") // Nothing was mended.
	replay(mended, map[string]string{where: "refused"}, exitFailed, where)                      // Three partitions.
	replay(mended, map[string]string{where: "applied"}, exitDone, where, "-dry-run", "-accept-disorder")
	if k.snapshot(0).ID != before {
		t.Error("something was committed")
	}
	replay(mended, map[string]string{where: "applied"}, exitDone, where, "-accept-disorder", "-reason", "mended")
	k.m.truth["4242"] = row
	k.goesOn()
	replay(k.config, map[string]string{other: "dismissed"}, exitDone, "-all", "-dismiss")
	k.send(&kgo.Record{Topic: k.m.topic, Partition: 2, Key: []byte("?"), Value: []byte("{")})
	k.goesOn()
	states := map[string]bool{}
	for at, r := range k.aside(k.m.name) {
		states[at] = !r.Resolved.IsZero()
	}
	if len(states) != 3 || !states[where] || !states[other] {
		t.Errorf("resolved: %v", states)
	}
	if r := k.aside(k.m.name)[where]; r.Key != nil || !bytes.Equal(r.Value, bad.Value) {
		t.Errorf("the record has changed: %+v", r)
	}
	for want, args := range map[string][]string{
		"name records, or write -all": {"replay", k.m.name},
		"these are: shop.item":        {"replay", "shop.itme", "-all"},
		"TOPIC/PARTITION@OFFSET":      {"show", k.m.name, "nowhere"},
	} {
		if code, _, log := command(t, append(append([]string{"quarantine"}, args...), "-config", k.config)...); code != exitUsage || !strings.Contains(log.text(), want) {
			t.Errorf("%v: exit code %d, %q; want %d and %q", args, code, log.text(), exitUsage, want)
		}
	}
	for _, args := range [][]string{{"pause", "-reason", "look"}, {"resume"}} { // What is wrong with the quarantine table is its target's trouble.
		args = append([]string{"table", args[0], k.m.name + pipeline.QuarantineSuffix, "-config", k.config}, args[1:]...)
		if code, _, log := command(t, args...); code != exitDone {
			t.Fatalf("%v: exit code %d, %s", args, code, log.text())
		}
		if args[1] == "pause" {
			k.send(&kgo.Record{Topic: k.m.topic, Partition: 2, Key: []byte("?"), Value: []byte("[")})
			if l := k.halted("paused"); !strings.Contains(l.Hint, "quarantine table shop.item_quarantine") {
				t.Errorf("the hint is %q", l.Hint)
			}
		}
	}
	k.goesOn()
	k.refused("is not in shop.item_quarantine", "quarantine", "show", k.m.name, k.m.topic+"/0@0")
}

// Killed over and over, processes leave tables that equal the oracle, and each bad record in quarantine, once; the bounded run that ends
// the work says so by its exit code.
func TestQuarantineIsExactAfterKills(t *testing.T) {
	t.Parallel()
	w := newWorld(t, items("shop.item"), stock("shop.stock"))
	config := w.configure("killed", "20ms")
	end := w.flow(5)
	rng := rand.New(rand.NewPCG(5, 5))
	sent := map[string]map[string]*kgo.Record{}
	spoil := func(n int) {
		for i := range n {
			m := w.mirrors[i%2]
			r := &kgo.Record{
				Topic: m.topic, Partition: int32(rng.IntN(partitions)), Key: []byte("bad"), Value: []byte(fmt.Sprint("bad ", rng.Uint64(), "\xff")),
				Headers: []kgo.RecordHeader{{Key: "h", Value: nil}},
			}
			w.send(r)
			if sent[m.name] == nil {
				sent[m.name] = map[string]*kgo.Record{}
			}
			sent[m.name][fmt.Sprintf("%s/%d@%d", r.Topic, r.Partition, r.Offset)] = r
		}
	}
	for life := range 10 {
		p := w.run(config)
		spoil(6)
		switch life % 3 {
		case 0:
			p.await(1, says("committed quarantine", ""))
		case 1:
			w.awaitObject(p, rng, "metadata/*.metadata.json")
		default:
			moments[life%len(moments)].wait(w, p, rng)
		}
		spoil(4)
		p.kill()
		w.expel("killed")
	}
	end()
	p := w.run(config, "-backfill")
	if code := p.exit(); code != exitQuarantined && code != exitDone {
		t.Fatalf("exit code %d\n%s", code, p.log.tail(20))
	}
	spoil(2)
	if code := w.run(config, "-backfill").exit(); code != exitQuarantined {
		t.Errorf("exit code %d, want %d", code, exitQuarantined)
	}
	if code := w.run(config, "-backfill").exit(); code != exitDone {
		t.Errorf("exit code %d, want %d", code, exitDone)
	}
	w.compare()
	for _, m := range w.mirrors {
		got := w.aside(m.name)
		if diff := cmp.Diff(slices.Sorted(maps.Keys(sent[m.name])), slices.Sorted(maps.Keys(got))); diff != "" {
			t.Errorf("%s: in quarantine (-sent +got):\n%s", m.name, diff)
		}
		for at, r := range sent[m.name] {
			if q := got[at]; !bytes.Equal(q.Key, r.Key) || !bytes.Equal(q.Value, r.Value) || len(q.Headers) != 1 || q.Headers[0].Value != nil || q.Headers[0].Key != "h" {
				t.Errorf("%s: got %+v", at, q)
			}
		}
	}
}

// No configured table can be taken for a quarantine table.
func TestTableNamedLikeAQuarantineTableIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, items("shop.item"+pipeline.QuarantineSuffix))
	code, _, log := command(t, "run", "-config", w.configure("none", "1h"), "-backfill")
	if code != exitUsage || !strings.Contains(log.text(), "names that end in "+pipeline.QuarantineSuffix) {
		t.Errorf("exit code %d, %q", code, log.text())
	}
}

// What an Avro record would become is told by the schemas that the registry has. Where that cannot be asked, one line says so, and the bytes are
// shown all the same.
func TestShowAsksTheRegistry(t *testing.T) {
	t.Parallel()
	m := items("shop.item")
	m.settings = "format = \"avro-confluent\""
	w := newWorld(t, m)
	r := srfake.New()
	t.Cleanup(r.Close)
	r.SeedSchema("t-value", 1, 7, sr.Schema{Schema: `{"type":"record","name":"Envelope","namespace":"t","fields":[` +
		`{"name":"before","type":["null",{"type":"record","name":"Value","fields":[{"name":"id","type":"int"}],"connect.name":"t.Value"}]},{"name":"after","type":["null","Value"]},{"name":"op","type":"string"}],"connect.name":"t.Envelope"}`})
	value := []byte{0, 0, 0, 0, 7, 0, 2, 84, 2, 'c'} // Row 42.
	deploy := func(name, key, url string) string {
		text, err := os.ReadFile(w.deploy(name, deployment{group: "show", interval: "20ms", mirrors: []*mirror{{name: m.name, topic: m.topic, settings: m.settings + key}}}))
		if err != nil {
			t.Fatal(err)
		}
		return w.write(name, string(text)+"\n[registry]\ntype = \"confluent\"\nurl = \""+url+"\"\n")
	}
	config := deploy("plain.toml", "", r.URL())
	w.send(&kgo.Record{Topic: m.topic, Value: value}, &kgo.Record{Topic: m.topic, Value: value[:9]})
	if code, _, log := command(t, "run", "-config", config, "-backfill"); code != exitQuarantined {
		t.Fatalf("exit code %d, %s", code, log.text())
	}
	show := func(config, offset string) (string, *answer, string) {
		t.Helper()
		code, out, log := command(t, "quarantine", "show", m.name, m.topic+"/0@"+offset, "-config", config, "-json", "-timeout", "200ms")
		shown := objectsOf[struct {
			Kafka  printedRecord
			Decode *answer
		}](t, strings.Split(strings.TrimSpace(out), "\n"))[0]
		if code != exitDone || shown.Kafka.Value == nil {
			t.Fatalf("exit code %d, %s%s", code, out, log.text())
		}
		return *shown.Kafka.Value, shown.Decode, log.text()
	}
	keyed := "\nkey = [\"id\"]"
	for config, want := range map[string]string{config: "error null_key", deploy("keyed.toml", keyed, r.URL()): "upsert "} {
		if _, a, log := show(config, "0"); a == nil || a.Action+" "+a.Reason != want || log != "" {
			t.Errorf("shown %+v, want %s; %s", a, want, log)
		}
	}
	if _, a, _ := show(config, "1"); a == nil || a.Reason != "short_body" {
		t.Errorf("shown %+v, want short_body", a)
	}
	away := srfake.New()
	away.Close()
	text, a, log := show(deploy("away.toml", keyed, away.URL()), "0")
	if a != nil || text != string(value) || strings.Count(strings.TrimSpace(log), "\n") != 0 || !strings.Contains(log, "the schema registry could not be asked: no answer within 200ms") {
		t.Errorf("shown %s, %+v; %s", text, a, log)
	}
}
