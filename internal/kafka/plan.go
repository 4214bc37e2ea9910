package kafka

import (
	"cmp"
	"slices"
	"strings"
)

// declaration is what one group member says about itself when it joins.
type declaration struct {
	member     string
	tables     map[string][]string // Table name to its sorted topics.
	owned      []string            // The tables of the member's last assignment.
	generation int32               // The generation of that assignment, or -1.
}

// component is a set of tables that must stay together, because a topic that feeds two tables ties them.
type component struct {
	tables   []string // Sorted.
	eligible []string // The members that may get it, sorted. Invariant: never empty.
	owner    string   // The eligible member that had most of its tables, or "".
}

// assign gives every declared table to at most one member. The result depends only on the declarations, not on their
// order: every leader would decide the same.
//
// The rules, in this order:
//
//  1. A table counts with the topics that most members declare for it. In a tie its last owner's declaration counts,
//     then the smallest. During a rolling change of the configuration a table thus moves once.
//  2. Tables that share a topic, directly or over other tables, form a component (by the topics of rule 1).
//  3. A component goes to one member that declares each of its tables with exactly these topics. If no member does,
//     it goes to a member that does so for the most tables, and the other tables wait until the members agree.
//  4. A member keeps the components that it had. A component moves only from a member that has at least two more than
//     the one it goes to.
//
// The second result names the tables that wait.
func assign(declarations []declaration) (map[string][]string, []string) {
	declarations = slices.Clone(declarations)
	slices.SortFunc(declarations, func(a, b declaration) int { return cmp.Compare(a.member, b.member) })
	owners := lastOwners(declarations)
	topics := agree(declarations, owners)
	components := connect(topics)
	for i := range components {
		components[i].choose(declarations, topics, owners)
	}
	placed := spread(components, declarations)

	byName := map[string]declaration{}
	for _, d := range declarations {
		byName[d.member] = d
	}
	assigned, waiting := map[string][]string{}, []string(nil)
	for i, c := range components {
		for _, table := range c.tables {
			if member := placed[i]; slices.Equal(byName[member].tables[table], topics[table]) {
				assigned[member] = append(assigned[member], table)
			} else {
				waiting = append(waiting, table)
			}
		}
	}
	for _, tables := range assigned {
		slices.Sort(tables)
	}
	return assigned, waiting
}

// lastOwners returns who had each table. Of several claims the one of the highest generation is true: the others come
// from members that missed a rebalance.
func lastOwners(declarations []declaration) map[string]string {
	owners, generations := map[string]string{}, map[string]int32{}
	for _, d := range declarations {
		for _, table := range d.owned {
			if _, claimed := owners[table]; !claimed || d.generation > generations[table] {
				owners[table], generations[table] = d.member, d.generation
			}
		}
	}
	return owners
}

// agree returns the topics that count for each table (rule 1).
func agree(declarations []declaration, owners map[string]string) map[string][]string {
	type choice struct {
		topics []string
		votes  int
		owned  bool
	}
	choices := map[string]map[string]*choice{}
	for _, d := range declarations {
		for table, topics := range d.tables {
			if choices[table] == nil {
				choices[table] = map[string]*choice{}
			}
			key := strings.Join(topics, "\x00")
			if choices[table][key] == nil {
				choices[table][key] = &choice{topics: topics}
			}
			c := choices[table][key]
			c.votes++
			c.owned = c.owned || owners[table] == d.member
		}
	}
	topics := map[string][]string{}
	for table, of := range choices {
		var best *choice
		for _, c := range of {
			if best == nil || c.votes > best.votes || c.votes == best.votes && (c.owned && !best.owned ||
				c.owned == best.owned && slices.Compare(c.topics, best.topics) < 0) {
				best = c
			}
		}
		topics[table] = best.topics
	}
	return topics
}

// connect returns the connected components of tables and topics (rule 2), sorted by their first table.
func connect(topics map[string][]string) []component {
	tables := make([]string, 0, len(topics))
	for table := range topics {
		tables = append(tables, table)
	}
	slices.Sort(tables)
	parent := map[string]string{} // A forest over tables: a root is its own parent.
	var root func(table string) string
	root = func(table string) string {
		if parent[table] != table {
			parent[table] = root(parent[table])
		}
		return parent[table]
	}
	first := map[string]string{} // Topic to the first table that reads it.
	for _, table := range tables {
		parent[table] = table
		for _, topic := range topics[table] {
			other, seen := first[topic]
			if !seen {
				first[topic] = table
				continue
			}
			// The smaller name becomes the root, so that roots come first in sorted order.
			a, b := root(other), root(table)
			parent[max(a, b)] = min(a, b)
		}
	}
	var components []component
	index := map[string]int{}
	for _, table := range tables {
		r := root(table)
		i, seen := index[r]
		if !seen {
			i = len(components)
			index[r] = i
			components = append(components, component{})
		}
		components[i].tables = append(components[i].tables, table)
	}
	return components
}

// choose fills in who may get the component (rule 3) and who had it.
func (c *component) choose(declarations []declaration, topics map[string][]string, owners map[string]string) {
	most := 0
	for _, d := range declarations {
		matching := 0
		for _, table := range c.tables {
			if declared, ok := d.tables[table]; ok && slices.Equal(declared, topics[table]) {
				matching++
			}
		}
		if matching > most {
			most, c.eligible = matching, nil
		}
		if matching == most && matching > 0 {
			c.eligible = append(c.eligible, d.member)
		}
	}
	had := map[string]int{}
	for _, table := range c.tables {
		had[owners[table]]++
	}
	for _, member := range c.eligible {
		if had[member] > 0 && (c.owner == "" || had[member] > had[c.owner]) {
			c.owner = member
		}
	}
}

// spread returns the member of each component (rule 4).
func spread(components []component, declarations []declaration) []string {
	placed, load := make([]string, len(components)), map[string]int{}
	for i, c := range components {
		if c.owner != "" {
			placed[i] = c.owner
			load[c.owner]++
		}
	}
	least := func(c component) string {
		return slices.MinFunc(c.eligible, func(a, b string) int { return cmp.Compare(load[a], load[b]) })
	}
	for i, c := range components {
		if placed[i] == "" {
			placed[i] = least(c)
			load[placed[i]]++
		}
	}
	// Every move lowers the sum of the squares of the loads, so this ends.
	for moved := true; moved; {
		moved = false
		for _, from := range byLoad(declarations, load) {
			for i := len(components) - 1; i >= 0 && !moved; i-- {
				if to := least(components[i]); placed[i] == from && load[from]-load[to] >= 2 {
					placed[i], moved = to, true
					load[from]--
					load[to]++
				}
			}
			if moved {
				break
			}
		}
	}
	return placed
}

// byLoad returns the members, the most loaded one first.
func byLoad(declarations []declaration, load map[string]int) []string {
	var members []string
	for _, d := range declarations {
		members = append(members, d.member)
	}
	slices.SortStableFunc(members, func(a, b string) int { return cmp.Compare(load[b], load[a]) })
	return members
}
