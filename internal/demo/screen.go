package demo

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/term"
)

// Screen is where the demo talks to people. On a terminal it keeps a small block of lines at the bottom that is painted over
// again and again; whatever else is printed or logged scrolls by above it. Elsewhere there are plain lines only. Its methods
// may be called by several goroutines.
type Screen struct {
	out      io.Writer
	terminal *os.File // Nil: no terminal.

	mu      sync.Mutex
	block   []string // What stands at the bottom.
	painted int      // Lines of it on the terminal.
}

// NewScreen returns a screen that writes to out.
func NewScreen(out io.Writer) *Screen {
	s := &Screen{out: out}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		s.terminal = f
	}
	return s
}

// Terminal reports whether the screen can repaint.
func (s *Screen) Terminal() bool { return s.terminal != nil }

// Print writes a line, or a few.
func (s *Screen) Print(format string, values ...any) {
	_, _ = fmt.Fprintf(s, format+"\n", values...) // There is nowhere to tell that nobody can be told.
}

// Write writes whole lines, such as those of a log.
func (s *Screen) Write(lines []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var frame bytes.Buffer
	s.erase(&frame)
	frame.Write(lines)
	s.paint(&frame)
	if _, err := s.out.Write(frame.Bytes()); err != nil {
		return 0, err
	}
	return len(lines), nil
}

// Paint replaces the block. Without a terminal it does nothing.
func (s *Screen) Paint(block []string) {
	if s.terminal == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var frame bytes.Buffer
	s.erase(&frame)
	s.block = block
	s.paint(&frame)
	_, _ = s.out.Write(frame.Bytes())
}

// Keep leaves the block where it stands, as lines like any other.
func (s *Screen) Keep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.block, s.painted = nil, 0
}

func (s *Screen) erase(frame *bytes.Buffer) {
	if s.painted > 0 {
		frame.WriteString("\r\x1b[" + strconv.Itoa(s.painted) + "A\x1b[J") // To the block's first line, and clear from there.
	}
	s.painted = 0
}

// paint writes the block; a line is cut at the terminal's width, as one that wraps would be two to move over.
func (s *Screen) paint(frame *bytes.Buffer) {
	if len(s.block) == 0 {
		return
	}
	width, _, err := term.GetSize(int(s.terminal.Fd()))
	if err != nil || width <= 0 {
		width = 80
	}
	for _, line := range s.block {
		runes := []rune(line)
		frame.WriteString(string(runes[:min(len(runes), width-1)]) + "\n")
	}
	s.painted = len(s.block)
}

// printable returns a text that cannot do anything to a terminal: quoted, if it holds more than printable characters.
func printable(text string) string {
	for _, r := range text {
		if !strconv.IsPrint(r) {
			return strconv.Quote(text)
		}
	}
	if text == "" || strings.TrimSpace(text) != text {
		return strconv.Quote(text)
	}
	return text
}
