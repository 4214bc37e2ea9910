package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A target is a catalog with a warehouse, as cdcd writes it and as the readers find it.
type target struct {
	name      string // "sql", "glue" or "rest".
	config    string // The [catalog] and [aws] sections of cdcd's configuration.
	env       []string
	pyiceberg map[string]string // Properties of PyIceberg's catalog.
	catalog   string            // The name of Spark's catalog.
	spark     map[string]string // Its properties, each with what stands before it: "" or ".uri".
	trino     map[string]string // Properties of Trino's catalog, which has the name of the target; nil: Trino cannot read it.
}

// sqlTarget is a SQLite catalog with a local folder, for all scenarios.
func sqlTarget(dir string) *target {
	base := filepath.Join(dir, "sql")
	return &target{
		name: "sql",
		config: fmt.Sprintf("[catalog]\ntype = \"sql\"\nuri = \"sqlite://%[1]s/catalog.db\"\nwarehouse = \"file://%[1]s/warehouse\"\n",
			base),
		// Iceberg's JDBC catalog finds tables under the name of the catalog, which is cdcd's.
		catalog: "cdcd", spark: map[string]string{
			"": "org.apache.iceberg.spark.SparkCatalog", ".catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog", ".cache-enabled": "false",
			".uri": "jdbc:sqlite:" + base + "/catalog.db", ".warehouse": "file://" + base + "/warehouse",
		},
		pyiceberg: map[string]string{"type": "sql", "uri": "sqlite:///" + base + "/catalog.db", "warehouse": "file://" + base + "/warehouse"},
	}
}

// A reader reads tables of a target with code that it does not share with cdcd.
type reader interface {
	name() string
	reads(t *target) bool
	// read returns the rows of namespace.table. With an order column, it returns the limit rows with the largest values.
	read(ctx context.Context, t *target, table, order string, limit int) (rows, error)
	count(ctx context.Context, t *target, table string) (string, error)
}

// pyIceberg is the Python implementation of Iceberg, with Arrow's Parquet reader.
type pyIceberg struct{ in *installer }

func (pyIceberg) name() string       { return "pyiceberg" }
func (pyIceberg) reads(*target) bool { return true }

func (r pyIceberg) read(ctx context.Context, t *target, table, order string, limit int) (rows, error) {
	args := []string{table}
	if order != "" {
		args = []string{"--order", order, "--limit", fmt.Sprint(limit), table}
	}
	return r.run(ctx, t, args)
}

func (r pyIceberg) count(ctx context.Context, t *target, table string) (string, error) {
	got, err := r.run(ctx, t, []string{"--count", table})
	if err != nil {
		return "", err
	}
	return *got.rows[0][0], nil
}

func (r pyIceberg) run(ctx context.Context, t *target, args []string) (rows, error) {
	properties, err := json.Marshal(t.pyiceberg)
	if err != nil {
		return rows{}, err
	}
	script := filepath.Join(r.in.source, "python", "read_pyiceberg.py")
	return jsonRows(ctx, append([]string{r.in.path("pyiceberg", "bin", "python"), script, "--catalog", string(properties)}, args...), t.env)
}

// jsonRows runs a program that prints a line of column names and a line for each row, as JSON arrays.
func jsonRows(ctx context.Context, argv, env []string) (rows, error) {
	cmd := exec.CommandContext(ctx, "nice", append([]string{"-n", "10"}, argv...)...)
	cmd.Env = append(append(cmd.Environ(), "PYTHONDONTWRITEBYTECODE=1"), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return rows{}, err
	}
	if err := cmd.Start(); err != nil {
		return rows{}, err
	}
	var out rows
	decoder := json.NewDecoder(stdout)
	err = decoder.Decode(&out.columns)
	for err == nil && decoder.More() {
		var row []*string
		if err = decoder.Decode(&row); err == nil {
			out.rows = append(out.rows, row)
		}
	}
	if wait := cmd.Wait(); wait != nil {
		text := strings.TrimSpace(stderr.String())
		return rows{}, fmt.Errorf("%s: %w: %s", filepath.Base(argv[1]), wait, text[max(0, len(text)-1500):])
	}
	for i, name := range out.columns {
		out.columns[i] = strings.ToLower(name)
	}
	return out, err
}

// targets returns the chosen catalogs for a scenario.
func (w *world) targets(scenario string) []*target {
	var out []*target
	if slices.Contains(w.options.catalogs, "sql") {
		out = append(out, sqlTarget(w.dir))
	}
	if slices.Contains(w.options.catalogs, "glue") {
		out = append(out, w.moto.glueTarget(scenario))
	}
	if w.rest != nil {
		out = append(out, w.rest.target())
	}
	return out
}

// startTargets starts the servers of the chosen catalogs.
func (w *world) startTargets(ctx context.Context) error {
	if slices.Contains(w.options.readers, "spark") {
		s, err := startSpark(w)
		if err != nil {
			return err
		}
		w.readers = append(w.readers, s)
	}
	if !w.options.onAWS() {
		return nil
	}
	var err error
	if w.moto, err = startMoto(ctx, w); err != nil {
		return err
	}
	if slices.Contains(w.options.catalogs, "rest") {
		if w.rest, err = startREST(ctx, w); err != nil {
			return err
		}
	}
	if slices.Contains(w.options.readers, "trino") {
		t, err := startTrino(ctx, w)
		if err != nil {
			return err
		}
		w.readers = append(w.readers, t)
	}
	return nil
}

// onAWS tells whether a chosen catalog has its warehouse in S3.
func (o *options) onAWS() bool {
	return slices.Contains(o.catalogs, "glue") || slices.Contains(o.catalogs, "rest")
}

func writeLines(path string, lines []string) error {
	return os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}
