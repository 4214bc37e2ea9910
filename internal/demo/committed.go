package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/apache/iceberg-go/catalog"
	icetable "github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/bookmark"
)

// pollInterval is how often a table is asked for its bookmark.
const pollInterval = 20 * time.Millisecond

// position returns the bookmark in the head of a table; zero while there is no table, or no head.
func position(ctx context.Context, cat catalog.Catalog, t Table) (bookmark.Bookmark, error) {
	loaded, err := cat.LoadTable(ctx, []string{databaseName, t.Name})
	// The metadata of a head that has just been superseded may be gone before it is read: then the next look finds another.
	if errors.Is(err, catalog.ErrNoSuchTable) || errors.Is(err, catalog.ErrNoSuchNamespace) || errors.Is(err, fs.ErrNotExist) {
		return bookmark.Bookmark{}, nil
	}
	if err != nil {
		return bookmark.Bookmark{}, fmt.Errorf("load table %s: %w", TableName(t), err)
	}
	head := loaded.Metadata().SnapshotByName(icetable.MainBranch)
	if head == nil || head.Summary == nil {
		return bookmark.Bookmark{}, nil
	}
	mark, err := bookmark.Parse(head.Summary.Properties["cdcd.bookmark"])
	if err != nil {
		return bookmark.Bookmark{}, fmt.Errorf("table %s: %w", TableName(t), err)
	}
	return mark, nil
}

// covers reports whether a bookmark stands at or behind all ends of a topic.
func covers(mark bookmark.Bookmark, topic string, ends []bookmark.Partition) bool {
	for _, end := range ends {
		if at, _ := mark.Partition(topic, end.Partition); at.Next < end.Next {
			return false
		}
	}
	return true
}

// pause waits for d, or until ctx ends; it then returns ctx's cause.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
