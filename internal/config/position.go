package config

import (
	"bytes"
	"sort"

	"github.com/pelletier/go-toml/v2/unstable"
)

// locate returns the place of every key, section and array element of a document that is known to be valid TOML.
func locate(text []byte) map[string]position {
	l := locator{positions: map[string]position{}, elements: map[string]int{}}
	for line := range bytes.Lines(text) {
		l.lines = append(l.lines, l.end)
		l.end += len(line)
	}
	l.parser.Reset(text)
	section := ""
	for l.parser.NextExpression() {
		switch e := l.parser.Expression(); e.Kind {
		case unstable.Table:
			section = l.key("", e)
		case unstable.ArrayTable:
			array := l.key("", e)
			section = element(array, l.elements[array])
			l.elements[array]++
			l.positions[section] = l.position(firstKey(e))
		case unstable.KeyValue:
			l.keyValue(section, e)
		default: // Comments are not kept by the parser.
		}
	}
	return l.positions
}

// pathMax bounds the bytes of a path, and so the work on a document that nests without end. No key of ours comes near.
const pathMax = 1 << 10

type locator struct {
	parser    unstable.Parser
	positions map[string]position
	lines     []int          // The offset of each line's first byte.
	end       int            // The offset behind the last line.
	elements  map[string]int // How many elements the array of tables at a path has so far.
}

// key notes the place of each part of the node's dotted key, unless an earlier line has named it, and returns its path.
// A part that names an array of tables stands for the newest element, but for the last part of that array's own header.
func (l *locator) key(path string, n *unstable.Node) string {
	for parts := n.Key(); parts.Next() && len(path) < pathMax; {
		if count := l.elements[path]; count > 0 {
			path = element(path, count-1)
		}
		path = join(path, string(parts.Node().Data))
		if _, ok := l.positions[path]; !ok {
			l.positions[path] = l.position(parts.Node())
		}
	}
	if count := l.elements[path]; count > 0 && n.Kind == unstable.Table {
		path = element(path, count-1)
	}
	return path
}

func (l *locator) keyValue(section string, n *unstable.Node) {
	l.value(l.key(section, n), n.Value())
}

func (l *locator) value(path string, n *unstable.Node) {
	if len(path) >= pathMax {
		return
	}
	switch n.Kind {
	case unstable.InlineTable:
		for fields := n.Children(); fields.Next(); {
			l.keyValue(path, fields.Node())
		}
	case unstable.Array:
		i := 0
		for items := n.Children(); items.Next(); i++ {
			if items.Node().Raw.Length > 0 {
				l.positions[element(path, i)] = l.position(items.Node())
			}
			l.value(element(path, i), items.Node())
		}
	default: // A scalar has no places within.
	}
}

func (l *locator) position(n *unstable.Node) position {
	offset := int(n.Raw.Offset)
	line := sort.SearchInts(l.lines, offset+1)
	return position{line: line, column: offset - l.lines[line-1] + 1}
}

func firstKey(n *unstable.Node) *unstable.Node {
	keys := n.Key()
	keys.Next()
	return keys.Node()
}
