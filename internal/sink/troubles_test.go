package sink

import (
	"net/http"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/cdcd-project/cdcd/internal/awstest"
	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/resttest"
	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// found is what comes of a commit that was done and then reported as something else: the table tells.
func found(name, only string, v wiretest.Verdict) trouble {
	return trouble{name: name, only: only, meets: []wiretest.Verdict{v}, ends: landed, commits: 1, outcomes: map[string]int{outcomeCommitted: 1}}
}

// repeated is what comes of a commit that is refused a number of times although nothing has changed: it is sent again.
func repeated(name, only string, v wiretest.Verdict, times int) trouble {
	return trouble{
		name: name, only: only, ends: landed, commits: times + 1, outcomes: map[string]int{outcomeCommitted: 1, outcomeUnknown: times},
		meets: slices.Repeat([]wiretest.Verdict{v}, times),
	}
}

// halting is what comes of a commit that is always refused. Its files stay: who refuses it does not say that no copy of it is on its way.
func halting(name, only string, v wiretest.Verdict, reason halt.Reason, commits int) trouble {
	c := trouble{
		name: name, only: only, ends: string(reason), commits: commits, outcomes: map[string]int{outcomeUnknown: commits - 1},
		hook:   func(w *world) func(*wiretest.Request) wiretest.Verdict { return wiretest.Always(w.commitOp, v) },
		leaves: []string{"data file", "delete file", "manifest", "manifest", "manifest list"},
	}
	if only == "glue" {
		c.leaves = append(c.leaves, slices.Repeat([]string{"metadata.json"}, commits)...) // iceberg-go writes one for each.
	}
	return c
}

func sqlTroubles() []trouble {
	return []trouble{
		repeated("the database is locked", "sql", wiretest.Refuse(http.StatusConflict, "SQLITE_BUSY"), 3),
		found("an error after the commit", "sql", wiretest.DoThenRefuse(http.StatusInternalServerError, "SQLITE_IOERR")),
	}
}

func glueTroubles() []trouble {
	const kind = "glue"
	refuse := func(code string) wiretest.Verdict { return wiretest.Refuse(http.StatusBadRequest, code) }
	return []trouble{
		repeated("conflict without a cause", kind, refuse(awstest.ConcurrentModificationException), 1),
		found("a success that was retried into a conflict", kind, wiretest.DoThenRefuse(http.StatusBadRequest, awstest.ConcurrentModificationException)),
		repeated("throttling", kind, refuse(awstest.ThrottlingException), 3),
		repeated("500 before it is done", kind, wiretest.Refuse(http.StatusInternalServerError, awstest.InternalServiceException), 2),
		found("500 after it is done", kind, wiretest.DoThenRefuse(http.StatusInternalServerError, awstest.InternalServiceException)),
		found("the connection breaks in the reply", kind, wiretest.Do().CutAt(1)),
		found("the reply is no JSON", kind, wiretest.Do().Saying([]byte("<html>"))),
		repeated("a timeout of Glue's own", kind, refuse(awstest.OperationTimeoutException), 1),
		repeated("table not found for once", kind, refuse(awstest.EntityNotFoundException), 1),
		repeated("too many versions", kind, refuse(awstest.ResourceNumberLimitExceededException), 2),
		halting("access denied", kind, refuse(awstest.AccessDeniedException), halt.AccessDenied, 1),
		halting("key denied", kind, refuse(awstest.GlueEncryptionException), halt.AccessDenied, 1),
		halting("parameters too large", kind, refuse(awstest.InvalidInputException), halt.InvalidTable, refusalsMax),
		halting("input not valid", kind, refuse(awstest.ValidationException), halt.InvalidTable, refusalsMax),
		{
			name: "another version of the table, with the same head", only: kind, before: touchGlueTable, ends: landed, commits: 2,
			outcomes: map[string]int{outcomeCommitted: 1, outcomeUnknown: 1},
		},
	}
}

// touchGlueTable makes a version of the table of which Iceberg knows nothing.
func touchGlueTable(w *world) {
	client := glue.NewFromConfig(*w.cat.(*Catalog).aws)
	got, err := client.GetTable(w.ctx, &glue.GetTableInput{DatabaseName: aws.String("salesdb"), Name: aws.String("customer")})
	if err != nil {
		w.t.Error(err)
		return
	}
	if _, err := client.UpdateTable(w.ctx, &glue.UpdateTableInput{DatabaseName: aws.String("salesdb"), TableInput: &types.TableInput{
		Name: aws.String("customer"), Description: aws.String("touched"), TableType: got.Table.TableType, Parameters: got.Table.Parameters,
		StorageDescriptor: got.Table.StorageDescriptor,
	}}); err != nil {
		w.t.Error(err)
	}
}

func restTroubles() []trouble {
	const kind = "rest"
	list := []trouble{
		repeated("409 without a cause", kind, wiretest.Refuse(http.StatusConflict, resttest.CommitFailedException), 2),
		found("409 after it is done", kind, wiretest.DoThenRefuse(http.StatusConflict, resttest.CommitFailedException)),
		repeated("429", kind, wiretest.Refuse(http.StatusTooManyRequests, resttest.TooManyRequestsException).With("Retry-After", "1"), 3),
		repeated("404 for once", kind, wiretest.Refuse(http.StatusNotFound, resttest.NoSuchTableException), 1),
		repeated("an error page of a proxy", kind, wiretest.Refuse(http.StatusServiceUnavailable, "Proxy").Saying([]byte("<html>busy")), 2),
		found("the reply is no JSON", kind, wiretest.Do().Saying([]byte("{"))),
		found("the reply is empty", kind, wiretest.Do().Saying(nil)),
		found("the reply is of another kind", kind, wiretest.Do().Saying([]byte(`{"ok":true}`))),
		found("the connection breaks in the reply", kind, wiretest.Do().CutAt(20)),
		halting("400", kind, wiretest.Refuse(http.StatusBadRequest, resttest.BadRequestException), halt.InvalidTable, refusalsMax),
		halting("401", kind, wiretest.Refuse(http.StatusUnauthorized, resttest.NotAuthorizedException), halt.AccessDenied, 2), // The second with a new token.
		halting("403", kind, wiretest.Refuse(http.StatusForbidden, resttest.NotAuthorizedException), halt.AccessDenied, 1),
		halting("419", kind, wiretest.Refuse(419, resttest.AuthenticationTimeout), halt.AccessDenied, 2),
		{
			name: "a redirect to another host", only: kind, ends: landed, commits: 3, outcomes: map[string]int{outcomeCommitted: 1, outcomeUnknown: 2},
			hook: func(w *world) func(*wiretest.Request) wiretest.Verdict {
				away := elsewhere(w.t).URL + "/v1/namespaces/salesdb/tables/customer"
				return wiretest.Meet(w.commitOp, wiretest.Refuse(http.StatusTemporaryRedirect, "Redirect").With("Location", away),
					wiretest.Refuse(http.StatusPermanentRedirect, "Redirect").With("Location", away))
			},
		},
	}
	for name, status := range map[string]int{
		"500": http.StatusInternalServerError, "502": http.StatusBadGateway, "503": http.StatusServiceUnavailable, "504": http.StatusGatewayTimeout,
	} {
		list = append(list, repeated(name+" before it is done", kind, wiretest.Refuse(status, resttest.CommitStateUnknownException), 2),
			found(name+" after it is done", kind, wiretest.DoThenRefuse(status, resttest.CommitStateUnknownException)))
	}
	return list
}
