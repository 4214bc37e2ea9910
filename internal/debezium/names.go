package debezium

import "bytes"

// A nameSet holds the member names of one object.
type nameSet struct {
	names [][]byte
	many  map[string]struct{} // In use once there are more than a few.
}

// fewNames is how many names are compared one by one.
const fewNames = 24

func (n *nameSet) reset() {
	clear(n.names)
	n.names = n.names[:0]
	if len(n.many) > 0 {
		n.many = nil // As large as an odd record was: give it back.
	}
}

func (n *nameSet) has(name []byte) bool {
	if len(n.names) > fewNames {
		_, ok := n.many[string(name)]
		return ok
	}
	for _, other := range n.names {
		if bytes.Equal(other, name) {
			return true
		}
	}
	return false
}

func (n *nameSet) add(name []byte) {
	n.names = append(n.names, name)
	switch {
	case len(n.names) > fewNames+1:
		n.many[string(name)] = struct{}{}
	case len(n.names) == fewNames+1:
		n.many = map[string]struct{}{}
		for _, other := range n.names {
			n.many[string(other)] = struct{}{}
		}
	}
}

// unique checks that name, which was just read, is the first of that name in the object that is open.
func (s *scanner) unique(name []byte) bool {
	set := &s.memberSets[s.depth]
	if set.has(name) {
		return s.fail(DuplicateMember, "two members %.100q", name)
	}
	if len(set.names) == s.limits.Columns+addedMembers {
		return s.fail(TooLarge, "an object of more than %d members", s.limits.Columns)
	}
	if len(name) > 0 && len(s.names) > 0 && &name[0] == &s.names[0] {
		name = bytes.Clone(name) // The unescaped name is overwritten by the next one.
	}
	set.add(name)
	return true
}
