package debezium

// A connectSchema is Kafka Connect's schema of a record, as far as decoding needs it: JsonConverter embeds it in the record, Avro's
// registries know what it was.
type connectSchema struct {
	literal    string // The member type: int32, string, struct.
	name       string // The member name, which gives the literal its meaning: io.debezium.time.Date.
	field      string // The member field: the name within the enclosing struct.
	optional   bool
	parameters map[string]string
	fields     []*connectSchema // Of a struct, in the source table's column order.
	items      *connectSchema   // Of an array.

	wire  avroValue // How Avro writes it.
	size  int       // Of Avro: how many nodes the tree has, with all references followed.
	depth int       // Of Avro: how many of them lie below one another.
}

// member returns the struct's field of that name, or nil.
func (c *connectSchema) member(name string) *connectSchema {
	if c == nil {
		return nil
	}
	for _, f := range c.fields {
		if f.field == name {
			return f
		}
	}
	return nil
}

// kind describes the type in errors: "int64 io.debezium.time.Timestamp".
func (c *connectSchema) kind() string {
	if c.name == "" {
		return c.literal
	}
	return c.literal + " " + c.name
}

// connectSchema parses the schema object at pos. Unknown members are skipped, as are defaults: they must never
// replace an explicit null.
func (s *scanner) connectSchema() (*connectSchema, bool) {
	c := &connectSchema{}
	ok := s.members(func(name []byte) (ok bool) {
		switch string(name) {
		case "type":
			c.literal, ok = s.schemaText()
		case "name":
			c.name, ok = s.schemaText()
		case "field":
			c.field, ok = s.schemaText()
		case "optional":
			c.optional = s.peek() == 't'
			ok = s.skip()
		case "parameters":
			c.parameters, ok = s.parameters()
		case "fields":
			c.fields, ok = s.schemaFields()
		case "items":
			c.items, ok = s.schemaItems()
		default:
			ok = s.skip()
		}
		return ok
	})
	return c, ok
}

// members calls visit with each member name of the object at pos, none of which may occur twice. visit reads the value.
func (s *scanner) members(visit func(name []byte) bool) bool {
	if s.peek() != '{' {
		return s.syntax("want an object")
	}
	if !s.enter() {
		return false
	}
	s.memberSets[s.depth].reset()
	if s.peek() == '}' {
		s.leave()
		return true
	}
	for more := true; more; {
		name, ok := s.name()
		if !ok || !s.unique(name) || !visit(name) {
			return false
		}
		if more, ok = s.more(); !ok {
			return false
		}
	}
	return true
}

// schemaText reads a string of a schema; null stands for an absent one.
func (s *scanner) schemaText() (string, bool) {
	if s.peek() == 'n' {
		return "", s.literal("null")
	}
	text, ok := s.string(&field{kind: "a string of the embedded schema"})
	return string(text), ok
}

func (s *scanner) parameters() (map[string]string, bool) {
	if s.peek() == 'n' {
		return nil, s.literal("null")
	}
	parameters := map[string]string{}
	ok := s.members(func(name []byte) bool {
		key := string(name)
		value, ok := s.schemaText()
		parameters[key] = value
		return ok
	})
	return parameters, ok
}

func (s *scanner) schemaFields() ([]*connectSchema, bool) {
	if s.peek() != '[' {
		return nil, s.syntax("want an array of fields")
	}
	var fields []*connectSchema
	ok := s.elements(func() bool {
		if len(fields) == s.limits.Columns {
			return s.fail(TooLarge, "an embedded schema of more than %d fields", s.limits.Columns)
		}
		f, ok := s.connectSchema()
		fields = append(fields, f)
		return ok
	})
	return fields, ok
}

// elements calls visit in front of each element of the array at pos. visit reads the element.
func (s *scanner) elements(visit func() bool) bool {
	if s.peek() != '[' {
		return s.syntax("want an array")
	}
	if !s.enter() {
		return false
	}
	if s.peek() == ']' {
		s.leave()
		return true
	}
	for visit() {
		switch s.peek() {
		case ',':
			s.pos++
		case ']':
			s.leave()
			return true
		default:
			return s.syntax("want a comma or a closing bracket")
		}
	}
	return false
}

func (s *scanner) schemaItems() (*connectSchema, bool) {
	if s.peek() == 'n' {
		return nil, s.literal("null")
	}
	return s.connectSchema()
}
