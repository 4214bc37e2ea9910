package simtest

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// wire is a connection of a process to a broker. It knows where one request and one reply end (the first four bytes of
// each are its size), and does to requests what the world does to all calls. Requests are told apart by their key.
type wire struct {
	net.Conn

	p *process

	mu      sync.Mutex
	doomed  map[int32]fault // What happens to the reply, by correlation id.
	gone    bool            // The process has lost the connection.
	request []byte          // What was written of a request so far.

	reply []byte // What is left of the reply that is being read; touched by Read alone.
}

func newWire(conn net.Conn, p *process) *wire {
	return &wire{Conn: conn, p: p, doomed: map[int32]fault{}}
}

const sizeBytes = 4

// Write implements net.Conn.
func (c *wire) Write(b []byte) (int, error) {
	c.request = append(c.request, b...)
	for len(c.request) >= sizeBytes {
		end := sizeBytes + int(binary.BigEndian.Uint32(c.request))
		if len(c.request) < end {
			break
		}
		frame := c.request[:end:end]
		c.request = c.request[end:]
		if err := c.send(frame); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

func (c *wire) send(frame []byte) error {
	if err := c.p.gate(); err != nil {
		return err
	}
	what, there, _ := c.p.draw(siteOf(int16(binary.BigEndian.Uint16(frame[4:]))))
	correlation := int32(binary.BigEndian.Uint32(frame[8:]))
	switch what {
	case refuse:
		return errors.Join(errInjected, c.Close())
	case crashBefore:
		c.p.crash()
		return errCrashed
	case late:
		c.leave(frame)
		return errInjected
	case lose, crashAfter:
		c.mu.Lock()
		c.doomed[correlation] = what
		c.mu.Unlock()
	case delay:
		there = min(c.p.long(), 20*time.Second)
	case none, faults:
	}
	time.Sleep(there)
	c.p.w.pass()
	_, err := c.Conn.Write(frame)
	return err
}

// leave gives the connection up on the process's side, while the request goes on to the broker and arrives there later.
func (c *wire) leave(frame []byte) {
	c.mu.Lock()
	c.gone = true
	c.mu.Unlock()
	_ = c.SetDeadline(time.Now()) // Ends the read under way.
	wait := c.p.long()
	c.p.w.late.Go(func() {
		time.Sleep(wait)
		c.p.w.pass()
		_ = c.SetDeadline(time.Now().Add(time.Second))
		if _, err := c.Conn.Write(frame); err == nil {
			_, _ = io.CopyN(io.Discard, c.Conn, sizeBytes) // Whatever it answers, nobody hears it.
		}
		_ = c.Conn.Close()
	})
}

// Read implements net.Conn.
func (c *wire) Read(b []byte) (int, error) {
	if len(c.reply) == 0 {
		if err := c.receive(); err != nil {
			return 0, err
		}
	}
	n := copy(b, c.reply)
	c.reply = c.reply[n:]
	return n, nil
}

func (c *wire) receive() error {
	var size [sizeBytes]byte
	if _, err := io.ReadFull(c.Conn, size[:]); err != nil {
		return c.broken(err)
	}
	reply := make([]byte, sizeBytes+binary.BigEndian.Uint32(size[:]))
	copy(reply, size[:])
	if _, err := io.ReadFull(c.Conn, reply[sizeBytes:]); err != nil {
		return c.broken(err)
	}
	correlation := int32(binary.BigEndian.Uint32(reply[sizeBytes:]))
	c.mu.Lock()
	what := c.doomed[correlation]
	delete(c.doomed, correlation)
	c.mu.Unlock()
	if what == lose {
		return errors.Join(errInjected, c.Close())
	}
	if what == crashAfter {
		c.p.crash()
		return errCrashed
	}
	c.p.mu.Lock()
	back := c.p.latency()
	c.p.mu.Unlock()
	time.Sleep(back)
	if err := c.p.gate(); err != nil {
		return err
	}
	c.reply = reply
	return nil
}

// broken says why nothing could be read.
func (c *wire) broken(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone && errors.Is(err, os.ErrDeadlineExceeded) {
		return io.EOF
	}
	return err
}

// SetReadDeadline and SetWriteDeadline implement net.Conn: a connection that was given up keeps its own.
func (c *wire) SetReadDeadline(t time.Time) error {
	if c.lost() {
		return net.ErrClosed
	}
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (c *wire) SetWriteDeadline(t time.Time) error {
	if c.lost() {
		return net.ErrClosed
	}
	return c.Conn.SetWriteDeadline(t)
}

// Close implements net.Conn. A connection that was given up is closed by who still uses it.
func (c *wire) Close() error {
	c.p.mu.Lock()
	delete(c.p.wires, c)
	c.p.mu.Unlock()
	if c.lost() {
		return nil
	}
	return c.Conn.Close()
}

func (c *wire) lost() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}

// siteOf names the call site of a request.
func siteOf(key int16) string {
	var b strings.Builder
	b.WriteString("kafka.")
	for i, r := range kmsg.NameForKey(key) {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
