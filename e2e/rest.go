package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"time"
)

// The client of the REST catalog, which gives tokens to nobody else.
const restClient, restSecret = "cdcd", "e2e-rest-secret"

// rest is Iceberg's own REST catalog server, with its tables in SQLite and its warehouse in S3.
type rest struct {
	moto *moto
	url  string
}

// startREST starts the server on loopback through our launcher: Iceberg's own listens on all interfaces.
func startREST(ctx context.Context, w *world) (*rest, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(w.dir, "rest.properties")
	// SQLite has one writer: a second connection would be refused, not wait.
	if err := writeProperties(config, w.moto.javaStorage("", map[string]string{
		"uri": "jdbc:sqlite:" + filepath.Join(w.dir, "rest.db"), "clients": "1", "jdbc.schema-version": "V1", "warehouse": "s3://" + bucket + "/rest",
		"s3.sse.type": "kms", "s3.sse.key": kmsKey,
	})); err != nil {
		return nil, err
	}
	argv := append(javaCommand("java", "256m"), "-cp", w.install.path("rest", "*"), filepath.Join(w.install.source, "java", "RestServer.java"),
		strconv.Itoa(port), restClient, restSecret, config)
	proc, err := w.start("rest", nil, argv...)
	if err != nil {
		return nil, err
	}
	if err := proc.await(ctx, time.Minute, dial(port)); err != nil {
		return nil, err
	}
	r := &rest{moto: w.moto, url: "http://" + address(port)}
	return r, r.checkLogin(ctx)
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
	const warehouse, credential = "lake", restClient + ":" + restSecret
	tokens := r.url + "/v1/oauth/tokens"
	return &target{
		name: "rest",
		config: fmt.Sprintf("[catalog]\ntype = \"rest\"\nuri = %q\nwarehouse = %q\ncredential = \"${E2E_REST_CREDENTIAL}\"\n\n%s",
			r.url, warehouse, r.moto.awsSection()),
		env:     append(awsEnv(), "E2E_REST_CREDENTIAL="+credential),
		catalog: "rest", spark: r.moto.javaStorage(".", map[string]string{
			"": "org.apache.iceberg.spark.SparkCatalog", ".type": "rest", ".cache-enabled": "false",
			".uri": r.url, ".warehouse": warehouse, ".credential": credential, ".oauth2-server-uri": tokens,
		}),
		pyiceberg: r.moto.pyicebergStorage(map[string]string{
			"type": "rest", "uri": r.url, "warehouse": warehouse, "credential": credential, "oauth2-server-uri": tokens,
		}),
		trino: r.moto.trinoStorage(map[string]string{
			"iceberg.catalog.type": "rest", "iceberg.rest-catalog.uri": r.url, "iceberg.rest-catalog.warehouse": warehouse,
			"iceberg.rest-catalog.security": "OAUTH2", "iceberg.rest-catalog.oauth2.credential": credential, "iceberg.rest-catalog.oauth2.server-uri": tokens,
		}),
	}
}
