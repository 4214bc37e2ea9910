package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"
)

// The account of the driver and of Debezium, on a server that only loopback reaches and that lives for one run.
const dbUser, dbPassword = "e2e", "e2e"

// mariadb is a server of our own: not the system's service, with a data folder inside of the run's folder.
type mariadb struct {
	proc *process
	port int
}

// startMariaDB starts a server with what Debezium asks for: binlog in ROW format with FULL images, and GTIDs.
func startMariaDB(ctx context.Context, ps *processes, dir string) (*mariadb, error) {
	data := filepath.Join(dir, "mariadb")
	if err := runQuietly(ctx, filepath.Join(ps.logs, "mariadb-install.log"), nil, "mariadb-install-db", "--no-defaults",
		"--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db", "--user=root"); err != nil {
		return nil, err
	}
	account := fmt.Sprintf("CREATE USER IF NOT EXISTS '%[1]s'@'%[3]s' IDENTIFIED BY '%[2]s';\nGRANT ALL ON *.* TO '%[1]s'@'%[3]s';\n", dbUser, dbPassword, loopback)
	setup := filepath.Join(dir, "account.sql")
	if err := os.WriteFile(setup, []byte(account), 0o600); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	proc, err := ps.start("mariadb", nil, "nice", "-n", "5", "mariadbd", "--no-defaults", "--user=root", "--datadir="+data,
		"--socket="+filepath.Join(dir, "mariadb.sock"), "--bind-address="+loopback, "--port="+strconv.Itoa(port), "--skip-name-resolve",
		"--init-file="+setup, "--server-id=1", "--log-bin=binlog", "--binlog-format=ROW", "--binlog-row-image=FULL", "--gtid-strict-mode=ON",
		"--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci", "--default-time-zone=+00:00",
		"--innodb-buffer-pool-size=128M", "--innodb-flush-log-at-trx-commit=2")
	if err != nil {
		return nil, err
	}
	m := &mariadb{proc: proc, port: port}
	return m, proc.await(ctx, time.Minute, func(ctx context.Context) error {
		db, err := m.open("")
		if err != nil {
			return fatal{err}
		}
		defer func() { _ = db.Close() }()
		return db.PingContext(ctx)
	})
}

// open returns a pool of connections whose session time zone is UTC.
func (m *mariadb) open(database string) (*sql.DB, error) {
	conf := mysql.NewConfig()
	conf.User, conf.Passwd, conf.Net, conf.Addr, conf.DBName = dbUser, dbPassword, "tcp", address(m.port), database
	conf.Params = map[string]string{"time_zone": "'+00:00'"}
	conf.MultiStatements = true
	conf.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(conf)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// freshDatabase makes an empty database and returns a pool on it.
func (m *mariadb) freshDatabase(ctx context.Context, name string) (*sql.DB, error) {
	db, err := m.open("")
	if err != nil {
		return nil, err
	}
	_, err = db.ExecContext(ctx, "DROP DATABASE IF EXISTS "+name+"; CREATE DATABASE "+name+" CHARACTER SET utf8mb4")
	_ = db.Close()
	if err != nil {
		return nil, fmt.Errorf("create database %s: %w", name, err)
	}
	return m.open(name)
}

// execAll runs statements one after the other.
func execAll(ctx context.Context, db *sql.DB, statements ...string) error {
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}
