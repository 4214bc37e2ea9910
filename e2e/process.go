package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// loopback is the only address that anything here binds to.
const loopback = "127.0.0.1"

// A process is a program that the driver started, and stops by its process id.
type process struct {
	name string
	log  string // Path of its output.
	cmd  *exec.Cmd
	done chan struct{} // Closed when it has ended; err is set then.
	err  error
}

// processes remembers what was started, so that stopAll leaves nothing behind, also after a failure.
type processes struct {
	logs string // Folder of the logs.
	mu   sync.Mutex
	all  []*process
}

// start runs argv with env added to the environment; its output is appended to logs/<name>.log. The kernel kills it
// if the driver dies before it could stop it.
func (ps *processes) start(name string, env []string, argv ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(ps.logs, name+".log"), done: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Dir = filepath.Dir(ps.logs) // Nothing is left in the folder that the driver was started in.
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	ps.adopt(p)
	return p, nil
}

// adopt makes stopAll stop a process that was started elsewhere.
func (ps *processes) adopt(p *process) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.all = append(ps.all, p)
}

// stop sends SIGTERM and waits; a process that has not ended after the timeout is killed, and that is an error.
func (p *process) stop(timeout time.Duration) error {
	if p == nil || !p.running() {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not end within %s of SIGTERM and was killed", p.name, timeout)
	}
}

// kill is SIGKILL: no chance to tidy up.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// stopAll ends what still runs, the newest first.
func (ps *processes) stopAll() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range slices.Backward(ps.all) {
		if err := p.stop(15 * time.Second); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
		}
	}
	ps.all = nil
}

// await calls ready until it returns nil, the process ends or the timeout passes.
func (p *process) await(ctx context.Context, timeout time.Duration, ready func(context.Context) error) error {
	err := poll(ctx, timeout, 100*time.Millisecond, func(ctx context.Context) error {
		if !p.running() {
			return fatal{fmt.Errorf("it ended: %w", p.err)}
		}
		return ready(ctx)
	})
	if err != nil {
		return fmt.Errorf("await %s: %w\n%s", p.name, err, tail(p.log, 15))
	}
	return nil
}

// A fatal error ends a poll at once.
type fatal struct{ error }

func (f fatal) Unwrap() error { return f.error }

// poll calls f every so often until it returns nil or a fatal error, or the timeout passes: then f's last error is returned.
func poll(ctx context.Context, timeout, every time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var last error
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		if _, ok := errors.AsType[fatal](err); ok {
			return err
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		if wait(ctx, every); ctx.Err() != nil {
			return fmt.Errorf("after %s: %w", timeout, last)
		}
	}
}

// wait returns after d, or as soon as the context is done.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// tail returns the last lines of a file, for error messages.
func tail(path string, lines int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return fmt.Sprintf("  last lines of %s:\n  | %s", path, strings.Join(all[max(0, len(all)-lines):], "\n  | "))
}

// freePort returns a port on loopback that is free now. It is below the range from which the kernel takes the ports of
// outgoing connections: one of those may be taken again before our program listens.
func freePort() (int, error) {
	var last error
	for range 100 {
		port := 11000 + rand.IntN(20000)
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.ParseIP(loopback), Port: port})
		if err != nil {
			last = err
			continue
		}
		return port, l.Close()
	}
	return 0, fmt.Errorf("find a free port: %w", last)
}

// freePorts returns n different ports.
func freePorts(n int) ([]int, error) {
	seen := map[int]bool{}
	var ports []int
	for len(ports) < n {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		if !seen[port] {
			seen[port] = true
			ports = append(ports, port)
		}
	}
	return ports, nil
}

func address(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }

// dial succeeds if something listens at the port.
func dial(port int) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address(port))
		if err != nil {
			return err
		}
		return c.Close()
	}
}

// runQuietly runs a command at low priority with its output in a log, and returns the end of the log if it fails.
func runQuietly(ctx context.Context, log string, env []string, argv ...string) error {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	_, _ = fmt.Fprintln(out, "$", strings.Join(argv, " "))
	cmd := exec.CommandContext(ctx, "nice", append([]string{"-n", "10"}, argv...)...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run %s: %w\n%s", argv[0], err, tail(log, 10))
	}
	return nil
}
