package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cdcd-project/cdcd/e2e/glueproxy"
)

// The account of the S3 and Glue server, which lives for one run on loopback and checks no signatures.
const (
	awsRegion = "us-east-1"
	awsKey    = "e2e"
	awsSecret = "e2e-secret"
	bucket    = "cdcd-e2e"
	kmsKey    = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
)

// moto is a server for Glue and S3, with our proxy before it that enforces VersionId.
type moto struct {
	proxy *glueproxy.Proxy
	url   string // Of the proxy.
	http  *http.Server
}

func startMoto(ctx context.Context, w *world) (*moto, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	proc, err := w.start("moto", awsEnv(), "nice", "-n", "10", w.install.path("moto", "bin", "moto_server"), "-H", loopback, "-p", strconv.Itoa(port))
	if err != nil {
		return nil, err
	}
	if err := proc.await(ctx, time.Minute, dial(port)); err != nil {
		return nil, err
	}
	upstream := &url.URL{Scheme: "http", Host: address(port)}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", loopback+":0")
	if err != nil {
		return nil, err
	}
	m := &moto{proxy: glueproxy.New(upstream), url: "http://" + listener.Addr().String()}
	m.http = &http.Server{Handler: m.proxy, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = m.http.Serve(listener) }()
	if err := m.do(ctx, http.MethodPut, "/"+bucket, "", ""); err != nil {
		return nil, err
	}
	return m, m.checkVersions(ctx)
}

// checkVersions makes sure that a stale VersionId is refused by what cdcd and the readers will talk to.
func (m *moto) checkVersions(ctx context.Context) error {
	table := `"DatabaseName":"check","TableInput":{"Name":"t","Parameters":{}}`
	for _, call := range [][2]string{
		{"CreateDatabase", `{"DatabaseInput":{"Name":"check"}}`},
		{"CreateTable", `{` + table + `}`},
		{"UpdateTable", `{"VersionId":"0",` + table + `}`},
	} {
		if err := m.do(ctx, http.MethodPost, "/", call[0], call[1]); err != nil {
			return err
		}
	}
	err := m.do(ctx, http.MethodPost, "/", "UpdateTable", `{"VersionId":"0",`+table+`}`)
	if err == nil || !strings.Contains(err.Error(), "ConcurrentModificationException") {
		return fmt.Errorf("a stale VersionId was not refused: %w", err)
	}
	return errors.Join(
		m.do(ctx, http.MethodPost, "/", "DeleteTable", `{"DatabaseName":"check","Name":"t"}`),
		m.do(ctx, http.MethodPost, "/", "DeleteDatabase", `{"Name":"check"}`))
}

// do sends one request; the server reads the service from the (unchecked) signature.
func (m *moto) do(ctx context.Context, method, path, operation, body string) error {
	request, err := http.NewRequestWithContext(ctx, method, m.url+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	service := "s3"
	if operation != "" {
		service = "glue"
		request.Header.Set("X-Amz-Target", "AWSGlue."+operation)
		request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	}
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+awsKey+"/20240101/"+awsRegion+"/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= 300 {
		err = fmt.Errorf("%s %s%s: %s: %s", method, path, operation, response.Status, answer)
	}
	return err
}

// glueTarget is the Glue catalog with a warehouse in S3, as cdcd and the readers find it.
func (m *moto) glueTarget(scenario string) *target {
	warehouse := "s3://" + bucket + "/" + scenario
	return &target{
		name:    "glue",
		config:  fmt.Sprintf("[catalog]\ntype = \"glue\"\nwarehouse = %q\n\n%sglue_endpoint = %q\n", warehouse, m.awsSection(), m.url),
		env:     awsEnv(),
		catalog: "glue", spark: m.javaStorage(".", map[string]string{
			"": "org.apache.iceberg.spark.SparkCatalog", ".catalog-impl": "org.apache.iceberg.aws.glue.GlueCatalog", ".cache-enabled": "false",
			".glue.endpoint": m.url, ".warehouse": "s3://" + bucket,
		}),
		pyiceberg: m.pyicebergStorage(map[string]string{
			"type": "glue", "glue.endpoint": m.url, "glue.region": awsRegion, "glue.access-key-id": awsKey, "glue.secret-access-key": awsSecret,
		}),
		trino: m.trinoStorage(map[string]string{
			"iceberg.catalog.type": "glue", "hive.metastore.glue.region": awsRegion, "hive.metastore.glue.endpoint-url": m.url,
			"hive.metastore.glue.aws-access-key": awsKey, "hive.metastore.glue.aws-secret-key": awsSecret,
		}),
	}
}

// awsSection is the beginning of cdcd's [aws] section.
func (m *moto) awsSection() string {
	return fmt.Sprintf("[aws]\nregion = %q\ns3_endpoint = %q\npath_style = true\nkms_key_id = %q\n", awsRegion, m.url, kmsKey)
}

// javaStorage adds what Iceberg's S3FileIO is configured with to the properties of a catalog, each behind the prefix.
func (m *moto) javaStorage(prefix string, catalog map[string]string) map[string]string {
	for name, value := range map[string]string{
		"io-impl": "org.apache.iceberg.aws.s3.S3FileIO", "client.region": awsRegion, "s3.endpoint": m.url, "s3.path-style-access": "true",
		"s3.access-key-id": awsKey, "s3.secret-access-key": awsSecret,
	} {
		catalog[prefix+name] = value
	}
	return catalog
}

func (m *moto) pyicebergStorage(catalog map[string]string) map[string]string {
	maps.Copy(catalog, map[string]string{"s3.endpoint": m.url, "s3.region": awsRegion, "s3.access-key-id": awsKey, "s3.secret-access-key": awsSecret})
	return catalog
}

func (m *moto) trinoStorage(catalog map[string]string) map[string]string {
	maps.Copy(catalog, map[string]string{
		"fs.native-s3.enabled": "true", "fs.hadoop.enabled": "false", "s3.endpoint": m.url, "s3.region": awsRegion, "s3.path-style-access": "true",
		"s3.aws-access-key": awsKey, "s3.aws-secret-key": awsSecret,
	})
	return catalog
}

func awsEnv() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + awsKey, "AWS_SECRET_ACCESS_KEY=" + awsSecret, "AWS_REGION=" + awsRegion, "AWS_EC2_METADATA_DISABLED=true"}
}

// finish leaves what the server saw beside the logs, and checks that every object of cdcd was written with the key. Other
// writers of data come in scenario g only.
func (m *moto) finish(logs string) error {
	calls, refused := m.proxy.Calls()
	objects := m.proxy.Objects()
	progress("%d requests for Glue, %d refused for their version; %d requests for S3", len(calls), refused, len(objects))
	err := errors.Join(writeLines(filepath.Join(logs, "glue-calls.log"), calls), writeLines(filepath.Join(logs, "s3-calls.log"), objects))
	for _, o := range objects {
		method, path, _ := strings.Cut(o, " ")
		path, ours := strings.CutPrefix(path, "/"+bucket+"/")
		foreign := strings.HasPrefix(path, "g/") || strings.HasPrefix(path, "rest/shop_g/")
		if method == http.MethodPut && ours && !foreign && !strings.HasSuffix(o, " aws:kms "+kmsKey) {
			return errors.Join(err, fmt.Errorf("an object was written without the KMS key: %s", o))
		}
	}
	return err
}
