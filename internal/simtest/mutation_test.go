package simtest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// mutation is a fault of ours that the simulation must notice: some places of the program, written wrongly.
type mutation struct {
	name  string
	edits []edit
	flags []string // What makes the simulation meet the place often.
}

type edit struct {
	file     string // Below internal/.
	old, new string // old stands in the file exactly once.
}

// mutationSeeds is within how many seeds each mutation is noticed.
const mutationSeeds = "200"

func mutations() []mutation {
	return []mutation{
		{
			name:  "the head is not pinned",
			edits: []edit{{"sink/stage.go", "icetable.AssertRefSnapshotID(t.o.Ref, st.snapshot.ParentSnapshotID),", ""}},
			flags: []string{"-actors", "rival,freeze"},
		},
		{
			name:  "a batch is staged again on a head with another bookmark",
			edits: []edit{{"sink/catch_up.go", "!mark.Equal(t.bookmark) || ", ""}},
			flags: []string{"-actors", "rival,freeze"},
		},
		{
			// The bookmark goes back with the rows, so that its comparison is a second line of defence: both are taken away.
			name:  "a batch is staged again on a head that is no descendant",
			edits: []edit{{"sink/catch_up.go", "if !follows || !mark.Equal(t.bookmark) || o.meta", "if !follows && t == nil || o.meta"}},
			flags: []string{"-actors", "rollback"},
		},
		{
			// Who does not know its own commit stands down and reads it again, which loses nothing: it is the lone process that
			// must never have to.
			name: "a request is sent again with another snapshot id",
			edits: []edit{{
				"sink/door.go", "\t\twait = min(2*wait, BackoffMax)\n",
				"\t\tst.snapshot.SnapshotID, _ = t.newSnapshotID()\n\t\tt.stageUpdates(st)\n\t\twait = min(2*wait, BackoffMax)\n",
			}},
			flags: []string{"-lone", "-faults", "late,lose"},
		},
		{
			name:  "files are removed while the outcome is unknown",
			edits: []edit{{"sink/data_file.go", "\tif d.sent {\n\t\treturn\n\t}\n", ""}},
			flags: []string{"-faults", "late,delay", "-actors", "restart,roll"},
		},
		{
			name:  "a request is sent however old its files are",
			edits: []edit{{"sink/door.go", "case !t.s.tooOld(st.begun) && !d.stale():", "case true:"}},
			flags: []string{"-actors", "nap,restart"},
		},
		{
			name: "group offsets are committed before the table",
			edits: []edit{{
				"pipeline/commit.go", "done, err := t.sink.Commit(ctx, change)",
				"t.d.o.Kafka.CommitOffsets(t.position)\n\tdone, err := t.sink.Commit(ctx, change)",
			}},
		},
		{
			name: "position deletes carry another spec than the data files",
			edits: []edit{{
				"sink/manifest.go", "\tvar out bytes.Buffer\n\tw, err := iceberg.NewManifestWriter(",
				"\tif p.group.content == iceberg.ManifestContentDeletes {\n\t\tother := iceberg.NewPartitionSpecID(7)\n\t\tspec = &other\n\t}\n" +
					"\tvar out bytes.Buffer\n\tw, err := iceberg.NewManifestWriter(",
			}},
		},
		{
			// The highest offset that a table has set aside, of whatever partition, says nothing about a lower one.
			name: "a bad record is taken for known by the highest offset",
			edits: []edit{
				{"pipeline/quarantine.go", "if !q.sink.Has(q.key) {\n\t\treturn false, nil\n\t}\n", "if r.Offset >= q.highest() || !q.sink.Has(q.key) {\n\t\treturn r.Offset < q.highest(), nil\n\t}\n"},
				{
					"pipeline/quarantine.go", "Bookmark: counted(q.sink.Bookmark())}\n",
					"Bookmark: counted(q.sink.Bookmark())}\n\tchange.Bookmark.Set(\"highest\", \"\", bookmark.Partition{Next: max(q.highest(), q.most)})\n",
				},
				{"pipeline/quarantine.go", "\tq.reasons[r.Reason]++\n", "\tq.reasons[r.Reason]++\n\tq.most = max(q.most, r.Offset+1)\n"},
				{
					"pipeline/quarantine.go", "\tdigests sink.Digests     // Of the records that were compared last.\n}\n",
					"\tdigests sink.Digests\n\tmost    int64\n}\n\nfunc (q *quarantine) highest() int64 {\n\tat, _ := q.sink.Bookmark().Partition(\"highest\", 0)\n\treturn at.Next\n}\n",
				},
			},
		},
		{
			name: "the quarantine table is committed after its target",
			edits: []edit{
				{"pipeline/commit.go", "\tif err := t.commitQuarantine(ctx); err != nil {\n\t\treturn err\n\t}\n", ""},
				{"pipeline/commit.go", "invariant.Check(t.quarantine.empty(), ", "invariant.Check(true, "},
				{"pipeline/commit.go", "\tt.committed()\n\treturn nil\n", "\tt.committed()\n\treturn t.commitQuarantine(ctx)\n"},
			},
		},
		{
			name:  "the bookmark moves a record too far",
			edits: []edit{{"pipeline/batch.go", "Next: f.Next, Epoch: f.Epoch}", "Next: f.Next + 1, Epoch: f.Epoch}"}},
		},
		{
			name:  "the bookmark moves a record too little",
			edits: []edit{{"pipeline/batch.go", "Next: f.Next, Epoch: f.Epoch}", "Next: f.Next - 1, Epoch: f.Epoch}"}},
		},
	}
}

// The simulation is only worth something if it fails for a program that is wrong. Each case builds the simulation with
// a place of the program changed (go test -overlay), and expects an assertion to fail.
func TestSimulationCatchesMutations(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the simulation anew for each mutation")
	}
	if inBubbles() {
		t.Skip("is run by the test without the build tag")
	}
	for _, m := range mutations() {
		t.Run(m.name, func(t *testing.T) {
			began := time.Now()
			out, failed := mutate(t, m)
			complaint := complaint(out)
			switch {
			case !failed:
				t.Fatalf("the simulation did not notice:\n%s", out)
			case complaint == "":
				t.Fatalf("the mutated simulation did not run:\n%s", out)
			}
			t.Logf("noticed after %v: %s", time.Since(began).Round(time.Second), complaint)
		})
	}
}

// mutate runs the simulation on the mutated program.
func mutate(t *testing.T, m mutation) (out string, failed bool) {
	t.Helper()
	dir, texts := t.TempDir(), map[string]string{}
	for _, e := range m.edits {
		original, err := filepath.Abs(filepath.Join("..", e.file))
		if err != nil {
			t.Fatal(err)
		}
		if texts[original] == "" {
			text, err := os.ReadFile(original)
			if err != nil {
				t.Fatal(err)
			}
			texts[original] = string(text)
		}
		if n := strings.Count(texts[original], e.old); n != 1 {
			t.Fatalf("%s has %q %d times, want once: bring the mutation up to date", e.file, e.old, n)
		}
		texts[original] = strings.Replace(texts[original], e.old, e.new, 1)
	}
	replace := map[string]string{}
	for original, text := range texts {
		replace[original] = filepath.Join(dir, filepath.Base(original))
		if err := os.WriteFile(replace[original], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	return run(t, build(t, "-overlay", file), append([]string{"-test.failfast", "-seed", "1", "-seeds", mutationSeeds}, m.flags...))
}

// complaint returns the line that says what a failed simulation saw: an assertion of its own, or of the program.
func complaint(out string) string {
	return strings.TrimSpace(regexp.MustCompile(`(?m)^.*(seed \d+: |invariant broken).*$`).FindString(out))
}
