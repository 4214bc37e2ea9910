package sink

import (
	"context"
	"sync"

	"github.com/apache/iceberg-go/table"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/smithy-go/middleware"
)

// glueTables stands between iceberg-go and Glue, for two things that iceberg-go loses.
//
// It builds the whole TableInput of a commit anew, so that owner, description, retention and whatever else others have set would be
// lost with the first commit. A commit reads the table before it updates it: the fields are taken from that very version, by its
// VersionId, and from no other. And it does not tell where it has put the metadata.json of a commit that was refused.
type glueTables struct {
	mu   sync.Mutex
	seen map[tableVersion]types.Table
	sent map[[2]string][]string // Locations of metadata.json, by database and table.
}

type tableVersion struct{ database, name, version string }

// seenMax bounds how many tables are remembered, of which each takes a few KB.
const seenMax = 1000

// middleware watches GetTable, and completes the input of UpdateTable.
func (f *glueTables) middleware(stack *middleware.Stack) error {
	switch stack.ID() {
	case "GetTable":
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("cdcd:see-table", f.see), middleware.Before)
	case "UpdateTable":
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("cdcd:keep-table", f.keep), middleware.Before)
	}
	return nil
}

func (f *glueTables) see(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	out, metadata, err := next.HandleInitialize(ctx, in)
	if got, ok := out.Result.(*glue.GetTableOutput); ok && err == nil && got.Table != nil {
		t := *got.Table
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(f.seen) >= seenMax {
			clear(f.seen)
		}
		f.seen[tableVersion{aws.ToString(t.DatabaseName), aws.ToString(t.Name), aws.ToString(t.VersionId)}] = t
	}
	return out, metadata, err
}

func (f *glueTables) keep(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	if update, ok := in.Parameters.(*glue.UpdateTableInput); ok && update.TableInput != nil {
		f.mu.Lock()
		key := tableVersion{aws.ToString(update.DatabaseName), aws.ToString(update.TableInput.Name), aws.ToString(update.VersionId)}
		t, known := f.seen[key]
		delete(f.seen, key)
		name := [2]string{key.database, key.name}
		f.sent[name] = append(f.sent[name], update.TableInput.Parameters["metadata_location"])
		f.mu.Unlock()
		if known {
			complete(update.TableInput, &t)
		}
	}
	return next.HandleInitialize(ctx, in)
}

// take returns what commits to a table have sent, and forgets it.
func (f *glueTables) take(ident table.Identifier) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := [2]string{ident[0], ident[len(ident)-1]}
	locations := f.sent[name]
	delete(f.sent, name)
	return locations
}

// complete fills in what the update leaves out, from the table as it was.
func complete(input *types.TableInput, was *types.Table) {
	input.Owner, input.Retention, input.LastAccessTime, input.LastAnalyzedTime = was.Owner, was.Retention, was.LastAccessTime, was.LastAnalyzedTime
	if input.Description == nil {
		input.Description = was.Description
	}
	if was.StorageDescriptor != nil && input.StorageDescriptor != nil {
		storage := *was.StorageDescriptor
		storage.Location, storage.Columns = input.StorageDescriptor.Location, input.StorageDescriptor.Columns
		input.StorageDescriptor = &storage
	}
}
