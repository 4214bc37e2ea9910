// Package invariant panics when cdcd is wrong about itself.
//
// A broken invariant is never an operator's mistake and never bad input: it means that cdcd is about to
// write something false. Crashing before the commit is cheaper than repairing a table after it.
package invariant

import "fmt"

// Check panics with the formatted message unless ok. The message starts with the invariant's number,
// as ARCHITECTURE.md lists them: "I3: bookmark of t went from 7 to 5".
func Check(ok bool, format string, args ...any) {
	if !ok {
		panic("invariant broken: " + fmt.Sprintf(format, args...))
	}
}
