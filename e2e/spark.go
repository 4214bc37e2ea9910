package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// spark is one session of Spark in local mode, with Iceberg's own runtime, that answers queries on every target.
type spark struct {
	in  io.WriteCloser
	out *bufio.Reader
	log string
}

func startSpark(w *world) (*spark, error) {
	jars, err := filepath.Glob(w.install.path("spark", "*.jar"))
	if err != nil {
		return nil, err
	}
	conf, err := json.Marshal(map[string]string{
		"spark.jars": strings.Join(jars, ","), "spark.driver.extraClassPath": strings.Join(jars, ":"), "spark.driver.memory": "1g",
		"spark.ui.enabled": "false", "spark.driver.host": loopback, "spark.driver.bindAddress": loopback, "spark.sql.session.timeZone": "UTC",
		"spark.sql.shuffle.partitions": "1", "spark.sql.warehouse.dir": filepath.Join(w.dir, "spark"), "spark.local.dir": filepath.Join(w.dir, "spark"),
		"spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
	})
	if err != nil {
		return nil, err
	}
	s := &spark{log: filepath.Join(w.logs, "spark.log")}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command("nice", "-n", "10", w.install.path("pyspark", "bin", "python"), filepath.Join(w.install.source, "python", "read_spark.py"), string(conf))
	cmd.Env = append(append(os.Environ(), awsEnv()...), "PYTHONDONTWRITEBYTECODE=1", "TZ=UTC", "SPARK_LOCAL_IP="+loopback)
	cmd.Dir, cmd.Stderr = w.dir, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if s.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.out = bufio.NewReaderSize(out, 1<<20)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{name: "spark", log: s.log, cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	w.adopt(p)
	return s, nil
}

func (*spark) name() string       { return "spark" }
func (*spark) reads(*target) bool { return true }

func (s *spark) read(_ context.Context, t *target, table, order string, limit int) (rows, error) {
	statement := "SELECT * FROM " + t.catalog + "." + table
	if order != "" {
		statement += fmt.Sprintf(" ORDER BY %s DESC LIMIT %d", order, limit)
	}
	return s.query(t, statement)
}

func (s *spark) count(_ context.Context, t *target, table string) (string, error) {
	got, err := s.query(t, "SELECT count(*) FROM "+t.catalog+"."+table)
	if err != nil {
		return "", err
	}
	return *got.rows[0][0], nil
}

func (s *spark) query(t *target, statement string) (rows, error) {
	if err := json.NewEncoder(s.in).Encode(map[string]any{"catalog": t.catalog, "properties": t.spark, "sql": statement}); err != nil {
		return rows{}, fmt.Errorf("spark: %w\n%s", err, tail(s.log, 10))
	}
	var head struct {
		Lines int
		Error string
	}
	line, err := s.out.ReadBytes('\n')
	if err != nil {
		return rows{}, fmt.Errorf("spark: %w\n%s", err, tail(s.log, 10))
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return rows{}, err
	}
	if head.Error != "" {
		return rows{}, errors.New(head.Error)
	}
	var out rows
	for i := range head.Lines {
		line, err := s.out.ReadBytes('\n')
		if err != nil {
			return rows{}, err
		}
		if i == 0 {
			err = json.Unmarshal(line, &out.columns)
		} else {
			var row []*string
			err = json.Unmarshal(line, &row)
			out.rows = append(out.rows, row)
		}
		if err != nil {
			return rows{}, err
		}
	}
	for i, name := range out.columns {
		out.columns[i] = strings.ToLower(name)
	}
	return out, nil
}
