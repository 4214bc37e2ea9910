package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// trino is the engine that Athena is made from, as one process, on every catalog whose warehouse is in S3.
type trino struct {
	url      string
	proc     *process
	catalogs []string
}

// installTrino copies the server's archive and the Iceberg plugin, and unpacks them.
func (in *installer) installTrino(ctx context.Context) error {
	if err := in.maven(ctx, "trino"); err != nil {
		return err
	}
	home := in.path("trino", "home")
	if _, err := os.Stat(filepath.Join(home, "plugin", "iceberg")); err == nil {
		return nil
	}
	archives, err := filepath.Glob(in.path("trino", "trino-server-core-*.tar.gz"))
	plugins, err2 := filepath.Glob(in.path("trino", "trino-iceberg-*.zip"))
	if err := errors.Join(err, err2); err != nil || len(archives) != 1 || len(plugins) != 1 {
		return fmt.Errorf("find the archives of Trino: %v %v %w", archives, plugins, err)
	}
	if err := os.MkdirAll(home, 0o755); err != nil {
		return err
	}
	if err := runQuietly(ctx, in.log, nil, "tar", "xzf", archives[0], "-C", home, "--strip-components=1"); err != nil {
		return err
	}
	if err := runQuietly(ctx, in.log, nil, "python3", "-m", "zipfile", "-e", plugins[0], in.path("trino", "plugin")); err != nil {
		return err
	}
	unpacked := strings.TrimSuffix(filepath.Base(plugins[0]), ".zip")
	return os.Rename(in.path("trino", "plugin", unpacked), filepath.Join(home, "plugin", "iceberg"))
}

// newJava returns a java of version 24 or later, which Trino needs: $TRINO_JAVA, or one in the usual places.
func newJava() (string, error) {
	if java := os.Getenv("TRINO_JAVA"); java != "" {
		return java, nil
	}
	found, err := filepath.Glob("/usr/lib/jvm/*/bin/java")
	if err != nil {
		return "", err
	}
	for _, java := range slices.Backward(found) {
		for _, version := range []string{"24", "25", "26"} {
			if strings.Contains(java, "-"+version+"-") {
				return java, nil
			}
		}
	}
	return "", fmt.Errorf("no Java 24 or later among %v: set TRINO_JAVA", found)
}

func startTrino(ctx context.Context, w *world) (*trino, error) {
	java, err := newJava()
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	t := &trino{url: "http://" + address(port)}
	etc := filepath.Join(w.dir, "trino", "etc")
	if err := os.MkdirAll(filepath.Join(etc, "catalog"), 0o755); err != nil {
		return nil, err
	}
	err = errors.Join(
		writeProperties(filepath.Join(etc, "config.properties"), map[string]string{
			"coordinator": "true", "node-scheduler.include-coordinator": "true", "http-server.http.port": strconv.Itoa(port), "discovery.uri": t.url,
			"query.max-memory": "400MB", "query.max-memory-per-node": "400MB", "memory.heap-headroom-per-node": "200MB", "web-ui.enabled": "false",
			"node.environment": "e2e", "node.id": "e2e", "node.bind-ip": loopback, "node.internal-address": loopback,
			"plugin.dir": w.install.path("trino", "home", "plugin"), "catalog.config-dir": filepath.Join(etc, "catalog"),
		}),
		t.writeCatalogs(filepath.Join(etc, "catalog"), w.targets("")))
	if err != nil {
		return nil, err
	}
	argv := append(javaCommand(java, "1500m"), "-Dconfig="+filepath.Join(etc, "config.properties"), "-Djdk.attach.allowAttachSelf=true",
		"-Dfile.encoding=UTF-8", "--add-modules=jdk.incubator.vector", "--add-opens=java.base/java.nio=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow",
		"--enable-native-access=ALL-UNNAMED", "-cp", filepath.Join(w.install.path("trino", "home", "lib"), "*"), "io.trino.server.TrinoServer")
	if t.proc, err = w.start("trino", nil, argv...); err != nil {
		return nil, err
	}
	return t, t.proc.await(ctx, 3*time.Minute, func(ctx context.Context) error {
		for _, catalog := range t.catalogs {
			if _, err := t.query(ctx, "SHOW SCHEMAS FROM "+catalog); err != nil {
				return err
			}
		}
		return nil
	})
}

// writeCatalogs configures a catalog for each target that Trino can read.
func (t *trino) writeCatalogs(folder string, targets []*target) error {
	for _, to := range targets {
		if !t.reads(to) {
			continue
		}
		properties := maps.Clone(to.trino)
		properties["connector.name"] = "iceberg"
		properties["iceberg.expire-snapshots.min-retention"] = "0s"
		if err := writeProperties(filepath.Join(folder, to.name+".properties"), properties); err != nil {
			return err
		}
		t.catalogs = append(t.catalogs, to.name)
	}
	return nil
}

func (*trino) name() string         { return "trino" }
func (*trino) reads(t *target) bool { return t.trino != nil }

func (t *trino) read(ctx context.Context, to *target, table, order string, limit int) (rows, error) {
	statement := "SELECT * FROM " + quoted(to, table)
	if order != "" {
		statement += fmt.Sprintf(" ORDER BY %s DESC LIMIT %d", order, limit)
	}
	return t.query(ctx, statement)
}

func (t *trino) count(ctx context.Context, to *target, table string) (string, error) {
	got, err := t.query(ctx, "SELECT count(*) FROM "+quoted(to, table))
	if err != nil {
		return "", err
	}
	return *got.rows[0][0], nil
}

func quoted(to *target, table string) string {
	return to.name + `."` + strings.ReplaceAll(table, ".", `"."`) + `"`
}

// trinoAnswer is one page of Trino's client protocol.
type trinoAnswer struct {
	NextURI string `json:"nextUri"`
	Columns []struct{ Name, Type string }
	Data    [][]any
	Error   *struct{ Message string }
}

// query runs a statement and returns its rows in canonical text.
func (t *trino) query(ctx context.Context, statement string) (rows, error) {
	var out rows
	method, uri, body := http.MethodPost, t.url+"/v1/statement", statement
	for uri != "" {
		answer, err := t.page(ctx, method, uri, body)
		if err != nil {
			return rows{}, fmt.Errorf("%s: %w", statement, err)
		}
		if out.columns == nil {
			for _, c := range answer.Columns {
				out.columns = append(out.columns, strings.ToLower(c.Name))
			}
		}
		for _, values := range answer.Data {
			row := make([]*string, len(values))
			for i, v := range values {
				if row[i], err = trinoText(answer.Columns[i].Type, v); err != nil {
					return rows{}, fmt.Errorf("%s: %w", answer.Columns[i].Name, err)
				}
			}
			out.rows = append(out.rows, row)
		}
		method, uri, body = http.MethodGet, answer.NextURI, ""
	}
	return out, nil
}

func (t *trino) page(ctx context.Context, method, uri, body string) (trinoAnswer, error) {
	request, err := http.NewRequestWithContext(ctx, method, uri, bytes.NewBufferString(body))
	if err != nil {
		return trinoAnswer{}, err
	}
	request.Header.Set("X-Trino-User", "e2e")
	request.Header.Set("X-Trino-Client-Capabilities", "PARAMETRIC_DATETIME") // Without it timestamps are cut to milliseconds.
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return trinoAnswer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return trinoAnswer{}, errors.New(response.Status)
	}
	var answer trinoAnswer
	decoder := json.NewDecoder(response.Body)
	decoder.UseNumber()
	if err := decoder.Decode(&answer); err != nil {
		return trinoAnswer{}, err
	}
	if answer.Error != nil {
		return trinoAnswer{}, errors.New(answer.Error.Message)
	}
	return answer, nil
}

// trinoText turns a value of Trino's protocol into canonical text.
func trinoText(typ string, value any) (*string, error) {
	if value == nil {
		return nil, nil //nolint:nilnil // NULL is a value.
	}
	text, err := fmt.Sprint(value), error(nil)
	switch {
	case typ == geometryRow:
		return trinoGeometry(value)
	case typ == "real":
		var x float64
		x, err = strconv.ParseFloat(text, 32)
		text = strconv.FormatFloat(x, 'f', -1, 64)
	case typ == "double":
		text, err = shortest(text)
	case typ == "varbinary":
		var b []byte
		b, err = base64.StdEncoding.DecodeString(text)
		text = "hex:" + hex.EncodeToString(b)
	case strings.HasSuffix(typ, "with time zone"):
		text = strings.TrimSuffix(text, " UTC") + "Z"
	}
	return &text, err
}

// geometryRow is the type of a geometry's column.
const geometryRow = "row(wkb varbinary, srid integer)"

func trinoGeometry(value any) (*string, error) {
	parts, ok := value.([]any)
	if !ok || len(parts) != 2 {
		return nil, fmt.Errorf("%v is no geometry", value)
	}
	text, _ := parts[0].(string)
	wkb, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	var srid *int64
	if n, ok := parts[1].(json.Number); ok {
		x, err := n.Int64()
		if err != nil {
			return nil, err
		}
		srid = &x
	}
	return new(geometryText(wkb, srid)), nil
}
