package sink

import (
	"context"
	"encoding/json"
	"fmt"
)

// CommitOperation commits an operator's decision that changes rows. It is Commit, recorded as the decision: an owner that finds it above
// its pin stands down. Where the bookmark stays, so does what it is valid through.
func (t *Table) CommitOperation(ctx context.Context, name OperationName, d Detail, c Change) (Committed, error) {
	detail, err := json.Marshal(d)
	if err != nil {
		return Committed{}, fmt.Errorf("encode detail: %w", err)
	}
	c.Summary = map[string]string{keyOperation: string(name), keyDetail: string(detail)}
	if c.Bookmark.Equal(t.bookmark) {
		carrier, err := Standing{history: t.historyOf(ctx, t.meta), ref: t.o.Ref}.carrier()
		if err != nil {
			return Committed{}, err
		}
		c.carry(carrier, keyValidThrough)
	}
	return t.Commit(ctx, c)
}
