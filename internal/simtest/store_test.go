package simtest

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"slices"
	"sync"
	"time"

	iceio "github.com/apache/iceberg-go/io"
)

// store is an object store: whole objects appear and disappear at once.
type store struct {
	mu      sync.Mutex
	objects map[string][]byte
	written map[string]time.Time
}

func newStore() *store { return &store{objects: map[string][]byte{}, written: map[string]time.Time{}} }

func (s *store) get(name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, ok := s.objects[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return text, nil
}

func (s *store) put(name string, text []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[name], s.written[name] = text, time.Now()
}

func (s *store) remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, name)
}

// olderThan returns the names of the objects of at least that age, sorted.
func (s *store) olderThan(age time.Duration) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.objects {
		if time.Since(s.written[name]) >= age {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (s *store) has(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.objects[name]
	return ok
}

// storage is the store as one process sees it, through an unreliable network. Without a process it is reliable: that is
// how the catalog, the readers and other engines see it.
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
	return ask(context.Background(), s.p, "storage.get", func() ([]byte, error) {
		text, err := s.store.get(name)
		return bytes.Clone(text), err
	})
}

func (s *storage) WriteFile(name string, text []byte) error {
	text = bytes.Clone(text) // It may arrive after the caller went on.
	return s.p.tell(context.Background(), "storage.put", func() error {
		s.store.put(name, text)
		return nil
	})
}

func (s *storage) Create(name string) (iceio.FileWriter, error) {
	return &upload{s: s, name: name}, s.p.tell(context.Background(), "storage.create", func() error { return nil })
}

func (s *storage) Remove(name string) error {
	return s.p.tell(context.Background(), "storage.remove", func() error {
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
