package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/smithy-go"

	"github.com/cdcd-project/cdcd/internal/debezium"
)

// glueRegistry is AWS Glue Schema Registry.
type glueRegistry struct{ client *glue.Client }

func newGlue(o Options) glueRegistry {
	return glueRegistry{glue.NewFromConfig(*o.Glue, func(g *glue.Options) {
		g.HTTPClient = boundedClient{g.HTTPClient, int64(o.SchemaBytes)}
		if o.GlueEndpoint != "" {
			g.BaseEndpoint = &o.GlueEndpoint
		}
	})}
}

// boundedClient is bounded for the SDK.
type boundedClient struct {
	glue.HTTPClient
	bytes int64
}

// Do implements glue.HTTPClient.
func (b boundedClient) Do(r *http.Request) (*http.Response, error) {
	resp, err := b.HTTPClient.Do(r)
	return limit(resp, err, b.bytes)
}

// ping implements service: it asks for a schema that cannot be.
func (g glueRegistry) ping(ctx context.Context) error {
	_, err := g.schema(ctx, debezium.SchemaRef{Kind: debezium.GlueVersion})
	if errors.Is(err, ErrUnknown) {
		return nil
	}
	return err
}

// schema implements service.
func (g glueRegistry) schema(ctx context.Context, ref debezium.SchemaRef) (debezium.WriterSchema, error) {
	if ref.Kind != debezium.GlueVersion {
		return debezium.WriterSchema{}, fmt.Errorf("%s: AWS Glue Schema Registry is configured: %w", ref, ErrUnknown)
	}
	id := ref.Text()
	version, err := g.client.GetSchemaVersion(ctx, &glue.GetSchemaVersionInput{SchemaVersionId: &id})
	if err != nil {
		return debezium.WriterSchema{}, wordGlue(err)
	}
	if version.SchemaDefinition == nil || version.Status == types.SchemaVersionStatusPending {
		return debezium.WriterSchema{}, fmt.Errorf("%s is %s: %w", ref, version.Status, ErrUnknown)
	}
	return debezium.WriterSchema{Type: string(version.DataFormat), Text: *version.SchemaDefinition}, nil
}

func wordGlue(err error) error {
	refused, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return err
	}
	switch refused.ErrorCode() {
	case "EntityNotFoundException":
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	case "AccessDeniedException", "UnauthorizedException":
		return denied("Grant the role glue:GetSchemaVersion, as docs/permissions.md lists it.", err)
	}
	return err
}
