package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// asCommand is the environment variable that makes the test binary be the program, so that tests run real processes
// without building anything.
const asCommand = "CDCD_TEST_AS_COMMAND"

// patience is how long anything that has to happen may take on a busy machine.
const patience = 3 * time.Minute

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "4"); err != nil { // Tests wait more than they work.
		panic(err)
	}
	for name, value := range cloudEnvironment() {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	m.Run()
}

// process is cdcd as a process of its own.
type process struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	log  *journal
	done chan struct{} // Closed when the process has ended and its log is complete.

	killed bool // It had no chance to say what it did last.
}

// startProcess starts cdcd with arguments; a cloud knows it by its name. A process that is left over is killed at the end of the test.
func startProcess(t *testing.T, name string, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, name: name, cmd: exec.Command(self, args...), log: newJournal(), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), asCommand+"=1", "AWS_ACCESS_KEY_ID="+name)
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // The exit code tells; ended reads it.
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("the end of the log of %s:\n%s", name, p.log.tail(12))
		}
		for _, word := range []string{"panic:", "DATA RACE", "invariant broken"} {
			if strings.Contains(p.log.text(), word) {
				t.Errorf("%s: %s:\n%s", name, word, p.log.tail(100))
			}
		}
	})
	return p
}

// kill ends the process as a machine that loses power does.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	p.killed = true
	<-p.done
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if p.ended() {
		p.t.Fatalf("%s has ended before %s: exit code %d", p.name, s, p.cmd.ProcessState.ExitCode())
	}
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("send %s to %s: %v", s, p.name, err)
	}
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// exit waits for the end of the process and returns its exit code.
func (p *process) exit() int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("%s has not ended:\n%s", p.name, p.dump())
		return -1
	}
}

// dump makes a process that hangs tell what its goroutines wait for, and ends it by that.
func (p *process) dump() string {
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
	_ = p.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second): // It has not even a runtime that listens.
	}
	return p.log.tail(2000)
}

// stop ends the process gracefully, and expects that it could.
func (p *process) stop(s syscall.Signal) {
	p.t.Helper()
	p.signal(s)
	if code := p.exit(); code != exitDone {
		p.t.Errorf("%s: exit code %d after %s, want %d", p.name, code, s, exitDone)
	}
}

// await waits until n lines of the log are what, and returns the last of these.
func (p *process) await(n int, what func(line) bool) line {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		over := p.ended()
		if found := p.log.find(what); len(found) >= n {
			return found[n-1]
		}
		if over || time.Now().After(deadline) {
			p.t.Fatalf("%s (ended: %t) has not logged what was waited for", p.name, over)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// line is one line of a log, with the keys that tests look at.
type line struct {
	Level      string    `json:"level"`
	Time       time.Time `json:"time"`
	Message    string    `json:"msg"`
	Table      string    `json:"table"`
	SnapshotID int64     `json:"snapshot_id"`
	Bookmark   string    `json:"bookmark"`
	Reason     string    `json:"reason"`
	Hint       string    `json:"hint"`
	Err        string    `json:"err"`
	Admin      string    `json:"admin"`
}

// says returns a condition: a line with a message, of a table unless that is "".
func says(message, table string) func(line) bool {
	return func(l line) bool { return l.Message == message && (table == "" || l.Table == table) }
}

// journal collects a log while it is written.
type journal struct {
	mu   sync.Mutex
	all  bytes.Buffer
	rest []byte // Of a line that has not ended yet.
	logs []line
}

func newJournal() *journal { return &journal{} }

// Write implements io.Writer. What is no JSON is kept as text only.
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.all.Write(p)
	j.rest = append(j.rest, p...)
	for {
		text, rest, whole := bytes.Cut(j.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		var l line
		if err := json.Unmarshal(text, &l); err == nil {
			j.logs = append(j.logs, l)
		}
		j.rest = rest
	}
}

func (j *journal) find(what func(line) bool) []line {
	j.mu.Lock()
	defer j.mu.Unlock()
	var found []line
	for _, l := range j.logs {
		if what(l) {
			found = append(found, l)
		}
	}
	return found
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.all.String()
}

func (j *journal) tail(lines int) string {
	all := strings.Split(strings.TrimSpace(j.text()), "\n")
	if skipped := len(all) - lines; skipped > 0 {
		all = append([]string{fmt.Sprintf("(%d lines before)", skipped)}, all[skipped:]...)
	}
	return strings.Join(all, "\n")
}

// command runs a command in this process, and returns its exit code, its standard output and its standard error.
func command(t *testing.T, args ...string) (code int, out string, log *journal) {
	t.Helper()
	var stdout bytes.Buffer
	log = newJournal()
	ctx, cancel := patient(t)
	defer cancel()
	code = execute(&console{ctx: ctx, out: &stdout, err: log}, args)
	return code, stdout.String(), log
}

// patient returns a context for what has to end by itself: one that hangs is interrupted, and fails its test with what it said.
func patient(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(t.Context(), patience, errors.New("the test has no more patience"))
}
