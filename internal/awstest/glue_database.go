package awstest

import (
	"maps"
	"slices"
	"time"
)

// database is a Glue database and its tables, by folded name.
type database struct {
	input   record
	created time.Time
	tables  map[string]*table
}

// view is the database as GetDatabase shows it.
func (d *database) view() record {
	v := maps.Clone(d.input)
	v.set("CatalogId", AccountID)
	v.set("CreateTime", glueTime(d.created))
	return v
}

type databaseInput struct {
	catalogInput
	Name          string
	DatabaseInput record
}

func (s *Server) createDatabase(c *call) (any, error) {
	input, err := decodeInput[databaseInput](c)
	if err != nil {
		return nil, err
	}
	name, err := checkDatabase(input.DatabaseInput)
	if err != nil {
		return nil, err
	}
	if s.databases[name] != nil {
		return nil, glueRefusal(AlreadyExistsException, "Database already exists.")
	}
	s.databases[name] = &database{input: input.DatabaseInput, created: time.Now(), tables: map[string]*table{}}
	return struct{}{}, nil
}

func (s *Server) getDatabase(c *call) (any, error) {
	input, err := decodeInput[databaseInput](c)
	if err != nil {
		return nil, err
	}
	d, err := s.database(input.Name)
	if err != nil {
		return nil, err
	}
	return map[string]any{"Database": d.view()}, nil
}

func (s *Server) getDatabases(c *call) (any, error) {
	input, err := decodeInput[struct {
		catalogInput
		NextToken  string
		MaxResults int
	}](c)
	if err != nil {
		return nil, err
	}
	names, next, err := page(slices.Collect(maps.Keys(s.databases)), input.NextToken, input.MaxResults)
	if err != nil {
		return nil, err
	}
	list := make([]record, 0, len(names))
	for _, name := range names {
		list = append(list, s.databases[name].view())
	}
	return listing("DatabaseList", list, next), nil
}

func (s *Server) updateDatabase(c *call) (any, error) {
	input, err := decodeInput[databaseInput](c)
	if err != nil {
		return nil, err
	}
	d, err := s.database(input.Name)
	if err != nil {
		return nil, err
	}
	name, err := checkDatabase(input.DatabaseInput)
	if err != nil {
		return nil, err
	}
	if name != fold(input.Name) {
		return nil, glueRefusal(InvalidInputException, "A database cannot be renamed from %s to %s.", input.Name, name)
	}
	d.input = input.DatabaseInput
	return struct{}{}, nil
}

// deleteDatabase also deletes the tables, as Glue does.
func (s *Server) deleteDatabase(c *call) (any, error) {
	input, err := decodeInput[databaseInput](c)
	if err != nil {
		return nil, err
	}
	if _, err := s.database(input.Name); err != nil {
		return nil, err
	}
	delete(s.databases, fold(input.Name))
	return struct{}{}, nil
}

// database finds a database by its name in any case.
func (s *Server) database(name string) (*database, error) {
	d := s.databases[fold(name)]
	if d == nil {
		return nil, glueRefusal(EntityNotFoundException, "Database %s not found.", fold(name))
	}
	return d, nil
}

// listing is the output of a list, with a token only if there is more of it.
func listing(name string, list []record, next string) map[string]any {
	output := map[string]any{name: list}
	if next != "" {
		output["NextToken"] = next
	}
	return output
}
