package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"time"
)

// Who may use the REST catalog: cdcd logs in and gets a token that lives as long as the server, the readers have one that
// stays.
const restClient, restSecret, restToken = "cdcd", "e2e-rest-secret", "e2e-rest-token" //nolint:gosec // They open nothing.

// rest is Iceberg's own REST catalog server, with its tables in SQLite and its warehouse in S3.
type rest struct {
	ps   *processes
	argv []string
	proc *process
	port int
	moto *moto
	url  string
}

// startREST starts the server on loopback through our launcher: Iceberg's own listens on all interfaces.
func startREST(ctx context.Context, w *world) (*rest, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	r := &rest{ps: &w.processes, port: port, moto: w.moto, url: "http://" + address(port)}
	config := filepath.Join(w.dir, "rest.properties")
	// SQLite has one writer: a second connection would be refused, not wait.
	if err := writeProperties(config, w.moto.javaStorage("", map[string]string{
		"uri": "jdbc:sqlite:" + filepath.Join(w.dir, "rest.db"), "clients": "1", "jdbc.schema-version": "V1", "warehouse": "s3://" + bucket + "/rest",
		"s3.sse.type": "kms", "s3.sse.key": kmsKey,
	})); err != nil {
		return nil, err
	}
	r.argv = append(javaCommand("java", "256m"), "-cp", w.install.path("rest", "*"), filepath.Join(w.install.source, "java", "RestServer.java"),
		strconv.Itoa(port), restClient, restSecret, restToken, config)
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	return r, r.checkLogin(ctx)
}

// start starts the server, also again after it was killed.
func (r *rest) start(ctx context.Context) error {
	var err error
	if r.proc, err = r.ps.start("rest", nil, r.argv...); err != nil {
		return err
	}
	return r.proc.await(ctx, time.Minute, dial(r.port))
}

// checkLogin makes sure that the server refuses a client without a token: that cdcd gets in shows then that it logs in.
func (r *rest) checkLogin(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/v1/config", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	if err := response.Body.Close(); err != nil {
		return err
	}
	if response.StatusCode != http.StatusUnauthorized {
		return fmt.Errorf("the REST catalog answered %s to a client without a token", response.Status)
	}
	return nil
}

// target is the catalog as cdcd and the readers find it. The server has one warehouse, whatever its clients call it.
func (r *rest) target() *target {
	const warehouse = "lake"
	return &target{
		name: "rest",
		config: fmt.Sprintf("[catalog]\ntype = \"rest\"\nuri = %q\nwarehouse = %q\ncredential = \"${E2E_REST_CREDENTIAL}\"\n\n%s",
			r.url, warehouse, r.moto.awsSection()),
		env:     append(awsEnv(), "E2E_REST_CREDENTIAL="+restClient+":"+restSecret),
		catalog: "rest", spark: r.moto.javaStorage(".", map[string]string{
			"": "org.apache.iceberg.spark.SparkCatalog", ".type": "rest", ".cache-enabled": "false",
			".uri": r.url, ".warehouse": warehouse, ".token": restToken,
		}),
		pyiceberg: r.moto.pyicebergStorage(map[string]string{"type": "rest", "uri": r.url, "warehouse": warehouse, "token": restToken}),
		trino: r.moto.trinoStorage(map[string]string{
			"iceberg.catalog.type": "rest", "iceberg.rest-catalog.uri": r.url, "iceberg.rest-catalog.warehouse": warehouse,
			"iceberg.rest-catalog.security": "OAUTH2", "iceberg.rest-catalog.oauth2.token": restToken,
		}),
	}
}
