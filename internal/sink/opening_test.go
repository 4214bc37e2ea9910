package sink

import (
	"errors"
	"net/http"
	"testing"

	"github.com/cdcd-project/cdcd/internal/awstest"
	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/resttest"
	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// Every step of a creation may fail once, done or not: the table is made once.
func TestCreationIsRepeated(t *testing.T) {
	for kind, operations := range map[string][]string{
		"glue": {"GetDatabase", "CreateDatabase", "CreateTable", "GetTable"},
		"rest": {"namespaceExists", "createNamespace", "createTable", "loadTable"},
	} {
		for _, operation := range operations {
			for name, verdict := range map[string]wiretest.Verdict{
				"refused":         wiretest.Refuse(http.StatusServiceUnavailable, "Busy"),
				"done and lost":   wiretest.DoThenDrop(),
				"done and failed": wiretest.DoThenRefuse(http.StatusInternalServerError, "Failed"),
			} {
				t.Run(kind+" "+operation+" "+name, func(t *testing.T) {
					w := newWorldUnder(t, kind, wiretest.Meet(operation, verdict))
					w.upsert(1, "a")
					w.commit()
					w.check(w.cat)
				})
			}
		}
	}
}

// What keeps a table from being opened for a moment is tried again; what a repetition cannot mend is told.
func TestOpeningUnderTroubles(t *testing.T) {
	anyTrouble := map[string]wiretest.Verdict{
		"the request is lost": wiretest.Drop(), "the reply is lost": wiretest.DoThenDrop(), "the reply breaks off": wiretest.Do().CutAt(9),
	}
	glue := map[string]wiretest.Verdict{
		"500": wiretest.Refuse(http.StatusInternalServerError, awstest.InternalServiceException), "throttling": wiretest.Refuse(http.StatusBadRequest, awstest.ThrottlingException),
	}
	rest := map[string]wiretest.Verdict{
		"429": wiretest.Refuse(http.StatusTooManyRequests, resttest.TooManyRequestsException), "500": wiretest.Refuse(http.StatusInternalServerError, resttest.InternalServerError),
		"503": wiretest.Refuse(http.StatusServiceUnavailable, resttest.SlowDownException), "the reply is no JSON": wiretest.Do().Saying([]byte("<html>")),
	}
	for kind, troubles := range map[string][]map[string]wiretest.Verdict{"sql": {anyTrouble}, "glue": {anyTrouble, glue}, "rest": {anyTrouble, rest}} {
		w := newWorld(t, kind)
		w.upsert(1, "a")
		w.commit()
		for _, verdicts := range troubles {
			for name, verdict := range verdicts {
				t.Run(kind+" "+name, func(t *testing.T) {
					w.forget()
					w.onCatalog(wiretest.Meet(w.loadOp, verdict))
					w.reopen()
					if n := wiretest.Count(w.requests(), w.loadOp); n > 2 {
						t.Errorf("the table was asked for %d times, want at most twice", n)
					}
				})
			}
		}
		w.heal()
		w.check(w.cat)
	}
}

func TestOpeningIsRefused(t *testing.T) {
	for _, test := range []struct {
		kind    string
		verdict wiretest.Verdict
		want    string // Empty: there is no table.
	}{
		{"glue", wiretest.Refuse(http.StatusBadRequest, awstest.AccessDeniedException), string(halt.AccessDenied)},
		{"glue", wiretest.Refuse(http.StatusBadRequest, awstest.EntityNotFoundException), ""},
		{"rest", wiretest.Refuse(http.StatusForbidden, resttest.NotAuthorizedException), string(halt.AccessDenied)},
		{"rest", wiretest.Refuse(http.StatusUnauthorized, resttest.NotAuthorizedException), string(halt.AccessDenied)},
		{"rest", wiretest.Refuse(419, resttest.AuthenticationTimeout), string(halt.AccessDenied)},
		{"rest", wiretest.Refuse(http.StatusNotFound, resttest.NoSuchTableException), ""},
	} {
		w := newWorld(t, test.kind)
		w.onCatalog(wiretest.Always(w.loadOp, test.verdict))
		_, err := w.table.s.Open(w.ctx, w.table.o)
		if got := endOf(err); got != test.want && (test.want != "" || !errors.Is(err, ErrNoTable)) {
			t.Errorf("%s: opening ended with %v, want %q", test.kind, err, test.want)
		}
	}
}
