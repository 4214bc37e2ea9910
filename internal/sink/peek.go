package sink

import (
	"context"
	"fmt"
	"strings"

	iceio "github.com/apache/iceberg-go/io"
	"github.com/google/uuid"

	"github.com/cdcd-project/cdcd/internal/bookmark"
)

// Peek returns a table's bookmark and its total-records counter without building the index. It asks once: its errors
// are ErrNoTable, a *halt.Error, or what the catalog said.
func (s *Sink) Peek(ctx context.Context, o TableOptions) (mark bookmark.Bookmark, records string, err error) {
	loaded, err := s.o.Catalog.LoadTable(ctx, strings.Split(o.Name, "."))
	if noTable(err) {
		return mark, "", fmt.Errorf("load table %s: %w", o.Name, ErrNoTable)
	}
	if err != nil {
		return mark, "", fmt.Errorf("load table %s: %w", o.Name, err)
	}
	t := &Table{s: s, o: o, log: s.o.Logger, ident: strings.Split(o.Name, "."), numbers: map[string]uint32{}}
	if err := t.adoptMetadata(ctx, loaded); err != nil {
		return mark, "", err
	}
	if mark, err = resume(t.historyOf(ctx, t.meta), o.Ref); err != nil || t.head == nil {
		return mark, "0", err
	}
	return mark, summaryOf(t.head).Properties["total-records"], nil
}

// CheckWrite puts a small object into the warehouse and removes it again.
func (s *Sink) CheckWrite(ctx context.Context, warehouse string) error {
	fs, err := iceio.LoadFS(ctx, nil, warehouse)
	if err != nil {
		return fmt.Errorf("open warehouse: %w", err)
	}
	w, ok := fs.(iceio.WriteFileIO)
	if !ok {
		return fmt.Errorf("open warehouse: %s cannot be written", warehouse)
	}
	path := strings.TrimSuffix(warehouse, "/") + "/cdcd-check-" + uuid.NewString()
	if err := w.WriteFile(path, []byte("written by cdcd check")); err != nil {
		return fmt.Errorf("write to warehouse: %w", err)
	}
	if s.o.Delete {
		return fs.Remove(path)
	}
	return nil
}
