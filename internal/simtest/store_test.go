package simtest

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"sync"
	"testing"
	"time"

	iceio "github.com/apache/iceberg-go/io"
)

// store is an object store: whole objects appear and disappear at once.
type store struct {
	mu      sync.Mutex
	objects map[string][]byte
}

func (s *store) get(name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, ok := s.objects[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return bytes.Clone(text), nil
}

func (s *store) put(name string, text []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[name] = text
}

func (s *store) remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, name)
}

// stores are the object stores of all worlds, by the host of their URLs: iceberg-go finds storage by URL scheme.
var stores sync.Map

// scheme is the URL scheme of simulated storage.
const scheme = "sim"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // Worlds wait more than they work.
		panic(err)
	}
	iceio.Register(scheme, func(ctx context.Context, u *url.URL, _ map[string]string) (iceio.IO, error) {
		s, ok := stores.Load(u.Host)
		if !ok {
			return nil, fmt.Errorf("no world %q", u.Host)
		}
		p, _ := ctx.Value(processKey{}).(*process)
		return &storage{store: s.(*store), p: p}, nil
	})
	m.Run()
}

// storage is the store as one process sees it, through an unreliable network. Without a process it is reliable: that is
// how the catalog server and the readers see it.
type storage struct {
	store *store
	p     *process
}

func (s *storage) Open(name string) (iceio.File, error) {
	text, err := s.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return &object{Reader: bytes.NewReader(text), name: name}, nil
}

func (s *storage) ReadFile(name string) ([]byte, error) {
	return ask(s.p, "storage.get", func() ([]byte, error) { return s.store.get(name) })
}

func (s *storage) WriteFile(name string, text []byte) error {
	text = bytes.Clone(text) // It may arrive after the caller went on.
	return s.p.tell("storage.put", func() error {
		s.store.put(name, text)
		return nil
	})
}

func (s *storage) Create(name string) (iceio.FileWriter, error) {
	return &upload{s: s, name: name}, s.p.tell("storage.create", func() error { return nil })
}

func (s *storage) Remove(name string) error {
	return s.p.tell("storage.remove", func() error {
		s.store.remove(name)
		return nil
	})
}

// upload collects an object, which appears when it is closed.
type upload struct {
	s    *storage
	name string
	buf  bytes.Buffer
}

func (u *upload) Write(b []byte) (int, error)         { return u.buf.Write(b) }
func (u *upload) ReadFrom(r io.Reader) (int64, error) { return u.buf.ReadFrom(r) }
func (u *upload) Close() error                        { return u.s.WriteFile(u.name, u.buf.Bytes()) }

// object is an open object.
type object struct {
	*bytes.Reader
	name string
}

func (o *object) Close() error               { return nil }
func (o *object) Stat() (fs.FileInfo, error) { return objectInfo{o}, nil }

type objectInfo struct{ o *object }

func (i objectInfo) Name() string       { return i.o.name }
func (i objectInfo) Size() int64        { return i.o.Size() }
func (i objectInfo) Mode() fs.FileMode  { return 0o444 }
func (i objectInfo) ModTime() time.Time { return time.Time{} }
func (i objectInfo) IsDir() bool        { return false }
func (i objectInfo) Sys() any           { return nil }
