package issue

import (
	"strings"
	"sync"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/audit"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// Bounds of the log of policies whose expression gave no answer. Callers choose how often that is, and tenants how many
// such policies there are.
const (
	// tellAgain is how long a policy that has been told of is not told of again.
	tellAgain = 10 * time.Minute
	// maxTold is how many policies are told of within that time.
	maxTold = 100
)

// report counts the expressions that gave no answer, and says which policies they are of.
func (i *Issuer) report(request *Request, budget *policy.Budget) {
	named := budget.Failures()
	if len(named) == 0 {
		return
	}
	for _, reason := range policy.FailureReasons() {
		i.Metrics.ExpressionFailures(reason, budget.Failed(reason))
	}
	for _, failure := range named {
		if !i.told.first(failure, request.Time) {
			continue
		}
		values := []any{"policy", refText(failure.Policy), "reason", string(failure.Reason), "requestID", request.ID}
		if failure.Reason == policy.FailureBudget {
			values = append(values, "dearest", refText(failure.Dearest))
		}
		i.Log.Info("The expression of a policy gave no answer", values...)
	}
}

// failed is for the audit record.
func failed(budget *policy.Budget) []audit.Failed {
	var list []audit.Failed
	for _, f := range budget.Failures() {
		list = append(list, audit.Failed{Policy: refText(f.Policy), Reason: string(f.Reason)})
	}
	return list
}

// refText is kind/name or kind/namespace/name.
func refText(p policy.Ref) string {
	if p.Namespace == "" {
		return p.Kind + "/" + p.Name
	}
	return strings.Join([]string{p.Kind, p.Namespace, p.Name}, "/")
}

// told remembers which failures have been told of. The zero value is ready to use.
type told struct {
	mutex sync.Mutex
	at    map[toldOf]time.Time
}

type toldOf struct {
	policy policy.Ref
	reason policy.FailureReason
}

// first says whether the failure is to be told of now.
func (t *told) first(failure policy.Failure, now time.Time) bool {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	key := toldOf{failure.Policy, failure.Reason}
	if at, known := t.at[key]; known && now.Sub(at) < tellAgain {
		return false
	}
	if len(t.at) >= maxTold {
		for k, at := range t.at {
			if now.Sub(at) >= tellAgain {
				delete(t.at, k)
			}
		}
	}
	if len(t.at) >= maxTold {
		return false
	}
	if t.at == nil {
		t.at = map[toldOf]time.Time{}
	}
	t.at[key] = now
	return true
}
