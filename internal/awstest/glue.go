package awstest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// pageMax is the most entries Glue lists at once.
const pageMax = 100

// readGlue finds out what a call is about, whether or not its input is valid.
func (c *call) readGlue(operation string) {
	var input struct {
		DatabaseName, TableName, Name, VersionID string
		SkipArchive                              bool
		TableInput, DatabaseInput                struct{ Name string }
	}
	_ = json.Unmarshal(c.body, &input) // Input that is no JSON is refused by the operation.
	c.Service, c.Operation, c.Body = Glue, operation, c.body
	c.VersionID, c.SkipArchive = input.VersionID, input.SkipArchive
	c.Namespace, c.Table = input.DatabaseName, input.TableInput.Name
	switch {
	case strings.Contains(operation, "Database"):
		c.Namespace = firstOf(input.Name, input.DatabaseInput.Name)
	case c.Table == "":
		c.Table = firstOf(input.Name, input.TableName)
	}
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// applyGlue performs one of Glue's operations. The lock is held.
func (s *Server) applyGlue(c *call) (*wiretest.Answer, error) {
	perform := s.glueOperation(c.Operation)
	if perform == nil {
		return nil, glueRefusal("UnknownOperationException", "awstest does not model Glue's %s.", c.Operation)
	}
	output, err := perform(c)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(output)
	if err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return &wiretest.Answer{Status: http.StatusOK, Header: glueHeader(), Body: body}, nil
}

func (s *Server) glueOperation(name string) func(*call) (any, error) {
	switch name {
	case "CreateDatabase":
		return s.createDatabase
	case "GetDatabase":
		return s.getDatabase
	case "GetDatabases":
		return s.getDatabases
	case "UpdateDatabase":
		return s.updateDatabase
	case "DeleteDatabase":
		return s.deleteDatabase
	case "CreateTable":
		return s.createTable
	case "GetTable":
		return s.getTable
	case "GetTables":
		return s.getTables
	case "GetTableVersions":
		return s.getTableVersions
	case "UpdateTable":
		return s.updateTable
	case "DeleteTable":
		return s.deleteTable
	case "GetSchemaVersion":
		return s.getSchemaVersion
	default:
		return nil
	}
}

func glueHeader() http.Header {
	return http.Header{"Content-Type": {"application/x-amz-json-1.1"}}
}

func glueError(e *wiretest.Error) *wiretest.Answer {
	header := glueHeader()
	header.Set("X-Amzn-Errortype", e.Code)
	body, _ := json.Marshal(map[string]string{"__type": e.Code, "Message": e.Message}) // Strings always encode.
	return &wiretest.Answer{Status: e.Status, Code: e.Code, Header: header, Body: body}
}

// glueRefusal is an error of Glue's, all but a few of which come with status 400.
func glueRefusal(code, format string, args ...any) error {
	return wiretest.Errorf(http.StatusBadRequest, code, format, args...)
}

// catalogInput is part of every input.
type catalogInput struct{ CatalogID string }

func (i catalogInput) catalogID() string { return i.CatalogID }

// decodeInput reads an operation's input and refuses members that are not modelled, and catalogs of other accounts.
func decodeInput[T interface{ catalogID() string }](c *call) (T, error) {
	var input T
	decoder := json.NewDecoder(bytes.NewReader(c.body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&input); err != nil && !errors.Is(err, io.EOF) {
		return input, glueRefusal(InvalidInputException, "awstest cannot read the input of %s: %v.", c.Operation, err)
	}
	if id := input.catalogID(); id != "" && id != AccountID {
		return input, glueRefusal(AccessDeniedException, "Catalog %s is not that of account %s.", id, AccountID)
	}
	return input, nil
}

// record is what Glue was sent for a database or a table. All of it is kept and given back as it came.
type record map[string]json.RawMessage

// set puts one of Glue's own members beside those that were sent.
func (r record) set(name string, value any) {
	r[name], _ = json.Marshal(value) // Only strings, booleans and numbers come here.
}

// glueTime is an instant as JSON 1.1 has it: seconds since 1970, with a fraction.
func glueTime(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// fold is a name as Glue stores it.
func fold(name string) string { return strings.ToLower(name) }

// page cuts sorted names down to those after the token, at most limit of them, and returns the token of what remains.
func page(names []string, token string, limit int) (cut []string, next string, err error) {
	after, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return nil, "", glueRefusal(InvalidInputException, "The NextToken %q is not one of Glue's.", token)
	}
	if limit < 0 || limit > pageMax {
		return nil, "", glueRefusal(ValidationException, "MaxResults is %d, and must be from 1 to %d.", limit, pageMax)
	}
	if limit == 0 {
		limit = pageMax
	}
	slices.Sort(names)
	if token != "" {
		at, found := slices.BinarySearch(names, string(after))
		if found {
			at++
		}
		names = names[at:]
	}
	if len(names) <= limit {
		return names, "", nil
	}
	return names[:limit], base64.StdEncoding.EncodeToString([]byte(names[limit-1])), nil
}
