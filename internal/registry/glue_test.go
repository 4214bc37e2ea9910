package registry_test

import (
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/cdcd-project/cdcd/internal/awstest"
	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/registry"
	"github.com/cdcd-project/cdcd/internal/wiretest"
)

func TestGlueKnowsSchemasByTheirVersion(t *testing.T) {
	srv := awstest.Start(t)
	cfg := srv.Config()
	c := open(t, registry.Options{Glue: &cfg, Backoff: time.Millisecond, Lag: 20 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	ref := debezium.SchemaRef{Kind: debezium.GlueVersion, UUID: [16]byte{0xb7, 0xb4, 0xa7, 0xf0, 0x9c, 0x96, 0x41, 0x22, 0xa7, 0xd2, 0xab, 0x3d, 0x1d, 0x1f, 0x1e, 0x1a}}
	srv.PutSchemaVersion("b7b4a7f0-9c96-4122-a7d2-ab3d1d1f1e1a", "AVRO", avroText)
	for range 3 {
		if w := mustFetch(t, c, ref); w.Text != avroText || w.Type != "AVRO" {
			t.Errorf("got %+v", w)
		}
	}
	if n := len(srv.Requests()); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	ref.UUID[0]++
	if _, err := c.Schema(t.Context(), ref); !errors.Is(err, registry.ErrUnknown) {
		t.Errorf("a version that is not there: %v", err)
	}
	if err := c.Ping(t.Context()); err != nil {
		t.Errorf("ping: %v", err)
	}
	srv.OnRequest(func(*wiretest.Request) wiretest.Verdict {
		return wiretest.Refuse(http.StatusBadRequest, awstest.AccessDeniedException)
	})
	ref.UUID[0]++
	_, err := c.Schema(t.Context(), ref)
	if halted, ok := errors.AsType[*halt.Error](err); !ok || halted.Reason != halt.AccessDenied {
		t.Errorf("access denied: %v", err)
	}
	if err := c.Ping(t.Context()); err == nil {
		t.Error("the ping came through")
	}
}

// Glue throttles and fails like everything else: that is waited for.
func TestGlueIsWaitedFor(t *testing.T) {
	srv := awstest.Start(t)
	cfg := srv.Config()
	n := 0
	srv.OnRequest(func(*wiretest.Request) wiretest.Verdict {
		if n++; n < 10 {
			return wiretest.Refuse(http.StatusBadRequest, awstest.ThrottlingException)
		}
		return wiretest.Do()
	})
	srv.PutSchemaVersion("00000000-0000-0000-0000-000000000000", "PROTOBUF", "syntax")
	c := open(t, registry.Options{Glue: &cfg, Backoff: time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	if w := mustFetch(t, c, debezium.SchemaRef{Kind: debezium.GlueVersion}); w.Type != "PROTOBUF" {
		t.Errorf("got %+v", w)
	}
}
