package awstest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// table is a Glue table in its versions.
type table struct {
	database         string
	input            record
	version          int // Invariant: grows by one with every UpdateTable, archived or not.
	created, updated time.Time
	archive          []record // The views of older versions that UpdateTable did not skip, oldest first.
}

// view is the table as GetTable shows it: all that was sent, and what Glue adds.
func (t *table) view() record {
	v := maps.Clone(t.input)
	v.set("CatalogId", AccountID)
	v.set("CreatedBy", "arn:aws:iam::"+AccountID+":user/awstest")
	v.set("CreateTime", glueTime(t.created))
	v.set("DatabaseName", t.database)
	v.set("IsRegisteredWithLakeFormation", false)
	v.set("UpdateTime", glueTime(t.updated))
	v.set("VersionId", strconv.Itoa(t.version))
	return v
}

// Table is a Glue table as the catalog holds it.
type Table struct {
	VersionID  string
	Parameters map[string]string
	Input      []byte // The whole of the last TableInput as JSON, its name folded.
}

// Table returns a table of the catalog, and whether it is there.
func (s *Server) Table(database, name string) (Table, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.table(database, name)
	if err != nil {
		return Table{}, false
	}
	found := Table{VersionID: strconv.Itoa(t.version)}
	if parameters := t.input["Parameters"]; parameters != nil {
		_ = json.Unmarshal(parameters, &found.Parameters) // It was checked when it came.
	}
	found.Input, _ = json.Marshal(t.input) // It was JSON when it came.
	return found, true
}

type tableInput struct {
	catalogInput
	DatabaseName string
	Name         string
	TableInput   record
	VersionID    *string
	SkipArchive  bool
}

func (s *Server) createTable(c *call) (any, error) {
	input, err := decodeInput[tableInput](c)
	if err != nil {
		return nil, err
	}
	d, err := s.database(input.DatabaseName)
	if err != nil {
		return nil, err
	}
	name, err := checkTable(input.TableInput)
	if err != nil {
		return nil, err
	}
	if d.tables[name] != nil {
		return nil, glueRefusal(AlreadyExistsException, "Table already exists.")
	}
	at := time.Now()
	d.tables[name] = &table{database: fold(input.DatabaseName), input: input.TableInput, created: at, updated: at}
	return struct{}{}, nil
}

func (s *Server) getTable(c *call) (any, error) {
	input, err := decodeInput[tableInput](c)
	if err != nil {
		return nil, err
	}
	t, err := s.table(input.DatabaseName, input.Name)
	if err != nil {
		return nil, err
	}
	return map[string]any{"Table": t.view()}, nil
}

func (s *Server) getTables(c *call) (any, error) {
	input, err := decodeInput[struct {
		catalogInput
		DatabaseName string
		NextToken    string
		MaxResults   int
	}](c)
	if err != nil {
		return nil, err
	}
	d, err := s.database(input.DatabaseName)
	if err != nil {
		return nil, err
	}
	names, next, err := page(slices.Collect(maps.Keys(d.tables)), input.NextToken, input.MaxResults)
	if err != nil {
		return nil, err
	}
	list := make([]record, 0, len(names))
	for _, name := range names {
		list = append(list, d.tables[name].view())
	}
	return listing("TableList", list, next), nil
}

// getTableVersions lists the current version and the archived ones before it, newest first, in one page.
func (s *Server) getTableVersions(c *call) (any, error) {
	input, err := decodeInput[struct {
		catalogInput
		DatabaseName string
		TableName    string
	}](c)
	if err != nil {
		return nil, err
	}
	t, err := s.table(input.DatabaseName, input.TableName)
	if err != nil {
		return nil, err
	}
	versions := []any{map[string]any{"Table": t.view(), "VersionId": strconv.Itoa(t.version)}}
	for _, v := range slices.Backward(t.archive) {
		versions = append(versions, map[string]any{"Table": v, "VersionId": v["VersionId"]})
	}
	return map[string]any{"TableVersions": versions}, nil
}

// updateTable replaces a table's whole input. With a VersionId it does so only if that is still the current one.
func (s *Server) updateTable(c *call) (any, error) {
	input, err := decodeInput[tableInput](c)
	if err != nil {
		return nil, err
	}
	name, err := checkTable(input.TableInput)
	if err != nil {
		return nil, err
	}
	if input.Name != "" && fold(input.Name) != name {
		return nil, glueRefusal(InvalidInputException, "A table cannot be renamed from %s to %s.", input.Name, name)
	}
	t, err := s.table(input.DatabaseName, name)
	if err != nil {
		return nil, err
	}
	if input.VersionID != nil && *input.VersionID != strconv.Itoa(t.version) {
		return nil, glueRefusal(ConcurrentModificationException, "Update table failed due to concurrent modifications.")
	}
	if !input.SkipArchive {
		t.archive = append(t.archive, t.view())
	}
	t.input, t.updated = input.TableInput, time.Now()
	t.version++
	return struct{}{}, nil
}

func (s *Server) deleteTable(c *call) (any, error) {
	input, err := decodeInput[tableInput](c)
	if err != nil {
		return nil, err
	}
	if _, err := s.table(input.DatabaseName, input.Name); err != nil {
		return nil, err
	}
	delete(s.databases[fold(input.DatabaseName)].tables, fold(input.Name))
	return struct{}{}, nil
}

// table finds a table by its names in any case.
func (s *Server) table(database, name string) (*table, error) {
	d, err := s.database(database)
	if err != nil {
		return nil, err
	}
	t := d.tables[fold(name)]
	if t == nil {
		return nil, glueRefusal(EntityNotFoundException, "Entity Not Found: %s", fmt.Sprintf("table %s.%s", fold(database), fold(name)))
	}
	return t, nil
}
