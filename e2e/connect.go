package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A form is how a connector writes its records: JsonConverter with the schema in each record, or without any; the row alone, as
// ExtractNewRecordState leaves it; or other modes of the connector, with schemas.
type form string

const (
	withSchema form = "schema"
	plain      form = "plain"
	flattened  form = "flattened"
	asText     form = "text"    // Text wherever a mode has it; whole numbers of 64 bits.
	asISO      form = "iso"     // ISO 8601, hexadecimal digits, doubles.
	asConnect  form = "connect" // Kafka Connect's own types of times.
	avroGlue   form = "avro"    // Avro, with its schemas in AWS Glue Schema Registry.
	asMicros   form = "micros"  // Microseconds everywhere, numbers for decimals, base64 for URLs.
)

// typeForms are the forms in which scenario c looks at its types; Avro needs a registry, which moto is.
func typeForms(w *world) []form {
	forms := []form{withSchema, plain, flattened, asText, asISO, asConnect, asMicros}
	if w.moto != nil {
		forms = append(forms, avroGlue)
	}
	return forms
}

// settings are those in which a form differs from what cdcd recommends. ISO and Connect's times are times of day, which a TIME of
// MariaDB need not be: the connector fails on others.
func (f form) settings(w *world, database string) map[string]string {
	noTimes := database + `.every_type.c_time(_[36])?`
	switch f {
	case plain:
		return map[string]string{"key.converter.schemas.enable": "false", "value.converter.schemas.enable": "false"}
	case flattened:
		return map[string]string{
			"transforms": "flatten", "transforms.flatten.type": "io.debezium.transforms.ExtractNewRecordState",
			"transforms.flatten.add.fields": "op,source.ts_ms", "transforms.flatten.delete.tombstone.handling.mode": "rewrite",
		}
	case asText:
		return map[string]string{
			"decimal.handling.mode": "string", "bigint.unsigned.handling.mode": "long", "binary.handling.mode": "base64",
		}
	case asISO:
		return map[string]string{
			"decimal.handling.mode": "double", "time.precision.mode": "isostring", "binary.handling.mode": "hex", "column.exclude.list": noTimes,
		}
	case asConnect:
		return map[string]string{"time.precision.mode": "connect", "column.exclude.list": noTimes}
	case asMicros:
		return map[string]string{
			"time.precision.mode": "microseconds", "binary.handling.mode": "base64-url-safe",
			"key.converter.decimal.format": "NUMERIC", "value.converter.decimal.format": "NUMERIC",
		}
	case avroGlue:
		settings := map[string]string{}
		for _, side := range []string{"key", "value"} {
			converter := side + ".converter"
			settings[converter] = glueConverter
			settings[converter+".region"], settings[converter+".endpoint"] = awsRegion, w.moto.url
			settings[converter+".registry.name"], settings[converter+".schemaName"] = glueRegistry, database+"-"+side
			settings[converter+".schemaAutoRegistrationEnabled"], settings[converter+".compatibility"] = "true", "NONE"
			settings[converter+".avroRecordType"] = "GENERIC_RECORD"
		}
		return settings
	case withSchema:
	}
	return nil
}

// connect is a standalone Kafka Connect worker with one Debezium connector for each form, all of one database. Offsets
// are in a file and the schema history is in Kafka, so that a new process goes on where the last one ended.
type connect struct {
	ps       *processes
	database string
	forms    []form
	argv     []string
	rest     string
	offsets  string // Path of the offsets file.
	proc     *process
}

// connectorClass is Debezium's connector for MariaDB.
const connectorClass = "io.debezium.connector.mariadb.MariaDbConnector"

// prefix is the topic prefix of a connector; a scenario that ran before must not share topics with it.
func prefix(database string, f form) string { return database + "_" + string(f) }

// topic is where the rows of a table arrive.
func topic(database string, f form, table string) string {
	return prefix(database, f) + "." + database + "." + table
}

func startConnect(ctx context.Context, w *world, database string, forms ...form) (*connect, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(w.dir, "connect-"+database)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	c := &connect{ps: &w.processes, database: database, forms: forms, rest: "http://" + address(port), offsets: filepath.Join(dir, "offsets")}
	worker := map[string]string{
		"bootstrap.servers": address(w.kafka.port), "listeners": c.rest, "offset.storage.file.filename": c.offsets,
		"offset.flush.interval.ms": "1000", "plugin.path": w.install.path("plugins"), "plugin.discovery": "service_load", "topic.creation.enable": "true",
		"key.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter": "org.apache.kafka.connect.json.JsonConverter",
	}
	files := []string{filepath.Join(dir, "worker.properties")}
	if err := writeProperties(files[0], worker); err != nil {
		return nil, err
	}
	if slices.Contains(forms, avroGlue) {
		if err := w.moto.do(ctx, http.MethodPost, "/", "CreateRegistry", `{"RegistryName":"`+glueRegistry+`"}`); err != nil {
			return nil, err
		}
	}
	for i, f := range forms {
		file := filepath.Join(dir, string(f)+".properties")
		if err := writeProperties(file, connectorConfig(w, database, f, 100+i)); err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	c.argv = append(javaCommand("java", "512m"), "-cp", filepath.Join(w.install.path("kafka"), "*"), "org.apache.kafka.connect.cli.ConnectStandalone")
	c.argv = append(c.argv, files...)
	return c, c.start(ctx)
}

// connectorConfig has the settings that cdcd recommends.
func connectorConfig(w *world, database string, f form, serverID int) map[string]string {
	conf := map[string]string{
		"name": prefix(database, f), "connector.class": connectorClass, "tasks.max": "1",
		"database.hostname": loopback, "database.port": fmt.Sprint(w.mariadb.port), "database.user": dbUser, "database.password": dbPassword,
		"database.server.id": fmt.Sprint(serverID), "database.ssl.mode": "disable", "topic.prefix": prefix(database, f),
		"database.include.list":                                     database,
		"schema.history.internal.kafka.topic":                       "history-" + prefix(database, f),
		"schema.history.internal.kafka.bootstrap.servers":           address(w.kafka.port),
		"schema.history.internal.store.only.captured.databases.ddl": "true",
		"snapshot.mode":                             "initial",
		"snapshot.locking.mode":                     "minimal",
		"decimal.handling.mode":                     "precise",
		"bigint.unsigned.handling.mode":             "precise",
		"time.precision.mode":                       "adaptive_time_microseconds",
		"binary.handling.mode":                      "bytes",
		"tombstones.on.delete":                      "true",
		"skipped.operations":                        "none",
		"include.schema.changes":                    "true",
		"datatype.propagate.source.type":            ".+",
		"topic.creation.default.replication.factor": "1",
		"topic.creation.default.partitions":         "2",
		// A transaction that uses a temporary table stands in the binlog even if it was rolled back. Without this buffer
		// Debezium sends its events before it reads the ROLLBACK.
		"binlog.buffer.size": "100000",
		"poll.interval.ms":   "100",
	}
	for _, side := range []string{"key", "value"} {
		conf[side+".converter"] = "org.apache.kafka.connect.json.JsonConverter"
		conf[side+".converter.schemas.enable"] = "true"
		conf[side+".converter.replace.null.with.default"] = "false"
	}
	maps.Copy(conf, f.settings(w, database))
	return conf
}

func writeProperties(path string, values map[string]string) error {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&b, "%s=%s\n", key, values[key])
	}
	return os.WriteFile(path, []byte(b.String()), 0o600)
}

// start starts the worker, also again after stop or kill, and waits until its connectors run.
func (c *connect) start(ctx context.Context) error {
	var err error
	if c.proc, err = c.ps.start("connect-"+c.database, awsEnv(), c.argv...); err != nil {
		return err
	}
	return c.proc.await(ctx, 2*time.Minute, func(ctx context.Context) error {
		for _, f := range c.forms {
			if err := c.runs(ctx, prefix(c.database, f)); err != nil {
				return err
			}
		}
		return nil
	})
}

// runs tells whether a connector and its task run.
func (c *connect) runs(ctx context.Context, name string) error {
	var status struct {
		Tasks []struct{ State, Trace string }
	}
	if err := c.get(ctx, "/connectors/"+name+"/status", &status); err != nil {
		return err
	}
	if len(status.Tasks) != 1 {
		return fmt.Errorf("%s has no task", name)
	}
	switch task := status.Tasks[0]; task.State {
	case "RUNNING":
		return nil
	case "FAILED":
		return fatal{fmt.Errorf("%s failed: %s", name, task.Trace)}
	default:
		return fmt.Errorf("%s is %s", name, task.State)
	}
}

// awaitStreaming waits until the offsets that Connect has stored are past the snapshot. A worker that is killed earlier
// takes the snapshot again, although it has sent changes already: rows that were deleted in between then stay for ever.
func (c *connect) awaitStreaming(ctx context.Context) error {
	return poll(ctx, time.Minute, 200*time.Millisecond, func(ctx context.Context) error {
		for _, f := range c.forms {
			var stored struct {
				Offsets []struct{ Offset map[string]any }
			}
			if err := c.get(ctx, "/connectors/"+prefix(c.database, f)+"/offsets", &stored); err != nil {
				return err
			}
			if len(stored.Offsets) != 1 || stored.Offsets[0].Offset["snapshot"] != nil {
				return fmt.Errorf("%s: the stored offsets are in the snapshot: %v", prefix(c.database, f), stored)
			}
		}
		return nil
	})
}

// get asks the worker's REST interface.
func (c *connect) get(ctx context.Context, path string, answer any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.rest+path, nil)
	if err != nil {
		return fatal{err}
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	return json.NewDecoder(response.Body).Decode(answer)
}

func (c *connect) stop() error { return c.proc.stop(30 * time.Second) }
