package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cdcd-project/cdcd/internal/config"
	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/pipeline"
	"github.com/cdcd-project/cdcd/internal/sink"
)

// What a table's section says reaches the pipeline.
func TestPipelineTablesAreThoseOfTheConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cdcd.toml")
	if err := os.WriteFile(file, []byte(`
[kafka]
brokers = ["127.0.0.1:9092"]
[catalog]
uri = "sqlite:c.db"
warehouse = "file:///w"
[[table]]
topic = "shop.t"
name = "shop.t"
key = ["id"]
commit_interval = "7s"
commit_bytes = "3MiB"
target_file_size = "5MiB"
start = "earliest"
disjoint_keys = true
on_bad_record = "halt"
on_schema_conflict = "quarantine"
bad_record_limit = { records = 3, percent = 4 }
retain = { snapshots = 11, age = "2h" }
[[table]]
topic = "shop.log"
name = "shop.log"
mode = "changelog"
`), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	want := []pipeline.Table{
		{
			Topics: []string{"shop.t"}, CommitInterval: 7 * time.Second, CommitBytes: 3 << 20, FromEarliest: true, DisjointKeys: true,
			BadRecords: pipeline.BadRecords{QuarantineConflicts: true, Max: 3, Percent: 4},
			Sink:       sink.TableOptions{Name: "shop.t", Key: []string{"id"}, Ref: "main", TargetFileBytes: 5 << 20, RetainSnapshots: 11, RetainAge: 2 * time.Hour},
		},
		{
			Topics: []string{"shop.log"}, CommitInterval: time.Minute, CommitBytes: 128 << 20,
			BadRecords: pipeline.BadRecords{Quarantine: true, Max: 100, Percent: 1},
			Sink:       sink.TableOptions{Name: "shop.log", Changelog: true, Ref: "main", TargetFileBytes: 128 << 20, RetainSnapshots: 200, RetainAge: 24 * time.Hour},
		},
	}
	if diff := cmp.Diff(want, pipelineTables(c), cmpopts.IgnoreTypes(debezium.Options{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
