package sink

import (
	"errors"

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
			return markOf(summary.Properties)
		}
		if summary.Operation != icetable.OpReplace {
			return bookmark.Bookmark{}, halt.Newf(halt.ForeignRows, "Remove the other writer's rows, for example by a rollback to the tag "+
				tagName(ref)+", or let cdcd write a table of its own.",
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
	hint := "No tag " + tagName(ref) + " is left either: rebuild the table."
	if s := meta.SnapshotByName(tagName(ref)); s != nil {
		hint = "The tag " + tagName(ref) + " still holds the bookmark " + summaryOf(s).Properties[keyBookmark] +
			": if no rows were changed since then by others, roll the table back to it."
	}
	return halt.Newf(halt.BookmarkLost, hint, "snapshot %d has expired, and no old metadata tells of it, before a snapshot with a bookmark was found", expired)
}

func parseBookmark(text string) (bookmark.Bookmark, error) {
	b, err := bookmark.Parse(text)
	if errors.Is(err, bookmark.ErrVersion) {
		return b, halt.Newf(halt.BookmarkInvalid, "Run a version of cdcd at least as new as the one that wrote the table.", "%w", err)
	}
	if err != nil {
		return b, halt.Newf(halt.BookmarkInvalid, "Roll the table back to a snapshot whose bookmark is whole.", "%w", err)
	}
	return b, nil
}
