package awstest

import "time"

// schemaVersion is one version of a schema in Glue's registry.
type schemaVersion struct {
	format, definition string
	number             int
	created            time.Time
}

// PutSchemaVersion makes a schema version known by its id, a UUID in lower case. The format is AVRO, JSON or PROTOBUF.
func (s *Server) PutSchemaVersion(id, format, definition string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.schemas[id] = schemaVersion{format: format, definition: definition, number: len(s.schemas) + 1, created: time.Now()}
}

type schemaVersionInput struct {
	catalogInput
	SchemaVersionId string //nolint:revive // Glue's spelling.
}

// getSchemaVersion models GetSchemaVersion by the version's id.
func (s *Server) getSchemaVersion(c *call) (any, error) {
	input, err := decodeInput[schemaVersionInput](c)
	if err != nil {
		return nil, err
	}
	if len(input.SchemaVersionId) != len("00000000-0000-0000-0000-000000000000") {
		return nil, glueRefusal(InvalidInputException, "SchemaVersionId is %q, which is no UUID.", input.SchemaVersionId)
	}
	v, ok := s.schemas[input.SchemaVersionId]
	if !ok {
		return nil, glueRefusal(EntityNotFoundException, "Schema version is not found.")
	}
	return map[string]any{
		"SchemaVersionId": input.SchemaVersionId, "SchemaDefinition": v.definition, "DataFormat": v.format, "Status": "AVAILABLE",
		"SchemaArn": "arn:aws:glue:" + Region + ":" + AccountID + ":schema/registry/schema", "VersionNumber": v.number,
		"CreatedTime": v.created.UTC().Format(time.RFC3339),
	}, nil
}
