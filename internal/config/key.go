package config

import (
	"slices"
	"strings"
)

// later returns what to do about a key that cdcd's design names and this version cannot honour. Paths are without the
// numbers of elements.
func later(path string) (remedy string, ok bool) {
	const rows = "remove it; every table holds all columns of its topic, unpartitioned and in arrival order"
	options := map[string]string{
		"planning":       "remove it; every table is planned with its key index in memory",
		"foreign_writes": "remove it; a table that another writer has changed is halted",
		"partition":      rows,
		"sort":           rows,
		"columns":        rows,
	}
	for _, section := range []string{"defaults.", "table."} {
		if option, in := strings.CutPrefix(path, section); in {
			remedy, ok = options[option]
		}
	}
	switch {
	case ok:
		return remedy, ok
	case path == "table.topics":
		return "write one [[table]] with a topic and a name for each topic", true
	}
	return "", false
}

// suggest says which key could have been meant: the nearest one, or else all that there are.
func suggest(key string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if d := editDistance(strings.ToLower(key), k); d < distance && d < len(k) {
			best, distance = k, d
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	return "the keys here are " + enumerate(known, "and")
}

// editDistance returns how many bytes must be inserted, removed or replaced to turn a into b (Levenshtein). Keys that
// are much longer than any of ours are not looked at.
func editDistance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	above := make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := range len(a) {
		row := []int{i + 1}
		for j := range len(b) {
			replaced := above[j]
			if a[i] != b[j] {
				replaced++
			}
			row = append(row, min(replaced, above[j+1]+1, row[j]+1))
		}
		above = row
	}
	return above[len(b)]
}

// enumerate writes a list as a sentence does: "a, b and c".
func enumerate(items []string, and string) string {
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	last := len(items) - 1
	return strings.Join(items[:last], ", ") + " " + and + " " + items[last]
}

// quoted returns each item in quotes.
func quoted(items []string) []string {
	out := slices.Clone(items)
	for i := range out {
		out[i] = `"` + out[i] + `"`
	}
	return out
}
