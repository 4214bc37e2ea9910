package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/apache/iceberg-go/utils"

	"github.com/cdcd-project/cdcd/internal/awstest"
	"github.com/cdcd-project/cdcd/internal/sink"
	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// cloud is Glue and S3 in the test's process, as processes of cdcd see them over the wire. Requests are known by the names
// of the processes, which are their access keys.
type cloud struct {
	*awstest.Server

	mu     sync.Mutex
	gates  []*gate
	decide func(r *wiretest.Request) wiretest.Verdict // What becomes of requests that no gate holds; nil: all are done.
}

const lake = "lake" // The bucket.

// cloudEnvironment is what the SDK takes from the environment: whose credentials they are differs by process.
func cloudEnvironment() map[string]string {
	return map[string]string{
		"AWS_ACCESS_KEY_ID": "reader", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
	}
}

// newCloudWorld returns a world whose catalog is Glue and whose warehouse is in S3.
func newCloudWorld(t *testing.T, mirrors ...*mirror) *world {
	t.Helper()
	w := newWorld(t, mirrors...)
	w.cloud = startCloud(t)
	return w
}

func startCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{Server: awstest.Start(t)}
	c.CreateBucket(lake)
	c.OnRequest(c.onRequest)
	t.Cleanup(func() { // Before the server closes, which waits for all requests.
		for _, g := range c.allGates() {
			g.open()
		}
	})
	return c
}

func (c *cloud) settings() string {
	return fmt.Sprintf("\n[catalog]\ntype = \"glue\"\nwarehouse = \"s3://%s/cdc\"\n\n[aws]\nregion = %q\ns3_endpoint = %q\nglue_endpoint = %q\n",
		lake, awstest.Region, c.URL(), c.URL())
}

func (c *cloud) options() sink.CatalogOptions {
	return sink.CatalogOptions{Type: "glue", Warehouse: "s3://" + lake + "/cdc", AWS: sink.AWSOptions{
		Region: awstest.Region, S3Endpoint: c.URL(), GlueEndpoint: c.URL(),
	}}
}

func (c *cloud) context(ctx context.Context) context.Context {
	config := c.Config()
	return utils.WithAwsConfig(ctx, &config)
}

// meddle makes decide what becomes of the requests that no gate holds.
func (c *cloud) meddle(decide func(r *wiretest.Request) wiretest.Verdict) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.decide = decide
}

// gate holds requests of one process until it is opened, and lets them be done then.
type gate struct {
	process string
	holds   func(r *wiretest.Request) bool
	reached chan struct{} // Closed when a request waits.
	opened  chan struct{}
	arrive  func()
	open    func()
}

// hold puts up a gate. Each test opens it, at the latest at its end.
func (c *cloud) hold(p *process, holds func(r *wiretest.Request) bool) *gate {
	g := &gate{process: p.name, holds: holds, reached: make(chan struct{}), opened: make(chan struct{})}
	g.arrive = sync.OnceFunc(func() { close(g.reached) })
	g.open = sync.OnceFunc(func() { close(g.opened) })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gates = append(c.gates, g)
	return g
}

// await waits until a request stands before the gate.
func (g *gate) await(t *testing.T) {
	t.Helper()
	select {
	case <-g.reached:
	case <-time.After(patience):
		t.Fatalf("no such request of %s has come", g.process)
	}
}

func (c *cloud) allGates() []*gate {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.gates)
}

func (c *cloud) onRequest(r *wiretest.Request) wiretest.Verdict {
	for _, g := range c.allGates() {
		if g.process == r.AccessKeyID && g.holds(r) {
			g.arrive()
			<-g.opened
		}
	}
	c.mu.Lock()
	decide := c.decide
	c.mu.Unlock()
	if decide == nil {
		return wiretest.Do()
	}
	return decide(r)
}
