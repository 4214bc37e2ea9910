package sink

import (
	"errors"
	"fmt"

	icetable "github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/bookmark"
	"github.com/cdcd-project/cdcd/internal/halt"
)

// resume returns the position that the head of ref stands for: the bookmark of the newest ancestor that carries one, also
// if that has expired. Snapshots above it must not have changed rows. Without any snapshot it is zero.
//
// If the walk meets a parent first of which nothing is known any more, nobody can tell which events the rows hold: the
// table halts with bookmark_lost, and the hint names the tag's candidate. Nothing is guessed (I9).
func resume(h *history, ref string) (bookmark.Bookmark, error) {
	head := h.meta.SnapshotByName(ref)
	if head == nil {
		return bookmark.Bookmark{}, nil
	}
	for s := head; ; {
		summary := summaryOf(s)
		if _, ok := summary.Properties[keyBookmark]; ok {
			return markOf(h.meta, ref, summary.Properties)
		}
		if summary.Operation != icetable.OpReplace {
			return bookmark.Bookmark{}, halt.Newf(halt.ForeignRows, "Remove the other writer's rows: "+rewindHint(h.meta, ref),
				"snapshot %d (%s) above the newest bookmark was not written by cdcd", s.SnapshotID, summary.Operation)
		}
		if s.ParentSnapshotID == nil {
			return bookmark.Bookmark{}, halt.Newf(halt.InvalidTable, "Let cdcd write a table of its own.", "no snapshot of %s carries a bookmark", ref)
		}
		parent, err := h.parent(s)
		if err != nil {
			return bookmark.Bookmark{}, err
		}
		if parent == nil {
			return bookmark.Bookmark{}, bookmarkLost(h.meta, ref, *s.ParentSnapshotID)
		}
		s = parent
	}
}

func bookmarkLost(meta icetable.Metadata, ref string, expired int64) error {
	hint := rewindHint(meta, ref)
	if s := meta.SnapshotByName(tagName(ref)); s != nil {
		hint = "The tag " + tagName(ref) + " still holds the bookmark " + summaryOf(s).Properties[keyBookmark] + ". To go back to it: " + hint
	}
	return halt.Newf(halt.BookmarkLost, hint, "snapshot %d has expired, and no old metadata tells of it, before a snapshot with a bookmark was found", expired)
}

func parseBookmark(text, hint string) (bookmark.Bookmark, error) {
	b, err := bookmark.Parse(text)
	if errors.Is(err, bookmark.ErrVersion) {
		return b, halt.Newf(halt.BookmarkInvalid, "Run a version of cdcd at least as new as the one that wrote the table; or go back: "+hint, "%w", err)
	}
	if err != nil {
		return b, halt.Newf(halt.BookmarkInvalid, "Go back to a snapshot whose bookmark is whole: "+hint, "%w", err)
	}
	return b, nil
}

// rewindHint names the command that takes a table back to cdcd's newest own snapshot, which the tag keeps.
func rewindHint(meta icetable.Metadata, ref string) string {
	if s := meta.SnapshotByName(tagName(ref)); s != nil {
		return fmt.Sprintf("cdcd table rewind TABLE -to-snapshot %d.", s.SnapshotID)
	}
	return "The tag " + tagName(ref) + " is gone: choose among those that cdcd table snapshots TABLE lists for cdcd table rewind, or rebuild the table."
}
