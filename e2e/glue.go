package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// glue is a server for Glue and S3, with our proxy before it that enforces VersionId.
type glue struct {
	proxy *glueproxy.Proxy
	url   string // Of the proxy.
	http  *http.Server
}

func startGlue(ctx context.Context, w *world) (*glue, error) {
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
	g := &glue{proxy: glueproxy.New(upstream), url: "http://" + listener.Addr().String()}
	g.http = &http.Server{Handler: g.proxy, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = g.http.Serve(listener) }()
	if err := g.do(ctx, http.MethodPut, "/"+bucket, "", ""); err != nil {
		return nil, err
	}
	return g, g.checkVersions(ctx)
}

// checkVersions makes sure that a stale VersionId is refused by what cdcd and the readers will talk to.
func (g *glue) checkVersions(ctx context.Context) error {
	table := `"DatabaseName":"check","TableInput":{"Name":"t","Parameters":{}}`
	for _, call := range [][2]string{
		{"CreateDatabase", `{"DatabaseInput":{"Name":"check"}}`},
		{"CreateTable", `{` + table + `}`},
		{"UpdateTable", `{"VersionId":"0",` + table + `}`},
	} {
		if err := g.do(ctx, http.MethodPost, "/", call[0], call[1]); err != nil {
			return err
		}
	}
	err := g.do(ctx, http.MethodPost, "/", "UpdateTable", `{"VersionId":"0",`+table+`}`)
	if err == nil || !strings.Contains(err.Error(), "ConcurrentModificationException") {
		return fmt.Errorf("a stale VersionId was not refused: %w", err)
	}
	return errors.Join(
		g.do(ctx, http.MethodPost, "/", "DeleteTable", `{"DatabaseName":"check","Name":"t"}`),
		g.do(ctx, http.MethodPost, "/", "DeleteDatabase", `{"Name":"check"}`))
}

// do sends one request; the server reads the service from the (unchecked) signature.
func (g *glue) do(ctx context.Context, method, path, operation, body string) error {
	request, err := http.NewRequestWithContext(ctx, method, g.url+path, strings.NewReader(body))
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

// target is the Glue catalog with a warehouse in S3, as cdcd and the readers find it.
func (g *glue) target(scenario string) *target {
	warehouse := "s3://" + bucket + "/" + scenario
	return &target{
		name: "glue",
		config: fmt.Sprintf("[catalog]\ntype = \"glue\"\nwarehouse = %[2]q\n\n[aws]\nregion = %[3]q\ns3_endpoint = %[1]q\nglue_endpoint = %[1]q\npath_style = true\nkms_key_id = %[4]q\n",
			g.url, warehouse, awsRegion, kmsKey),
		env:     awsEnv(),
		catalog: "glue", spark: map[string]string{
			"": "org.apache.iceberg.spark.SparkCatalog", ".catalog-impl": "org.apache.iceberg.aws.glue.GlueCatalog", ".cache-enabled": "false",
			".io-impl": "org.apache.iceberg.aws.s3.S3FileIO", ".glue.endpoint": g.url, ".s3.endpoint": g.url, ".s3.path-style-access": "true",
			".client.region": awsRegion, ".s3.access-key-id": awsKey, ".s3.secret-access-key": awsSecret, ".warehouse": "s3://" + bucket,
		},
		pyiceberg: map[string]string{
			"type": "glue", "glue.endpoint": g.url, "glue.region": awsRegion, "glue.access-key-id": awsKey, "glue.secret-access-key": awsSecret,
			"s3.endpoint": g.url, "s3.region": awsRegion, "s3.access-key-id": awsKey, "s3.secret-access-key": awsSecret,
		},
	}
}

func awsEnv() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + awsKey, "AWS_SECRET_ACCESS_KEY=" + awsSecret, "AWS_REGION=" + awsRegion, "AWS_EC2_METADATA_DISABLED=true"}
}

// finish leaves what the server saw beside the logs, and checks that every object of cdcd was written with the key. Other
// writers come in scenario g only.
func (g *glue) finish(logs string) error {
	calls, refused := g.proxy.Calls()
	objects := g.proxy.Objects()
	progress("%d requests for Glue, %d refused for their version; %d requests for S3", len(calls), refused, len(objects))
	err := errors.Join(writeLines(filepath.Join(logs, "glue-calls.log"), calls), writeLines(filepath.Join(logs, "s3-calls.log"), objects))
	for _, o := range objects {
		method, path, _ := strings.Cut(o, " ")
		if method == http.MethodPut && strings.HasPrefix(path, "/"+bucket+"/") && !strings.HasPrefix(path, "/"+bucket+"/g/") && !strings.HasSuffix(o, " aws:kms "+kmsKey) {
			return errors.Join(err, fmt.Errorf("an object was written without the KMS key: %s", o))
		}
	}
	return err
}
