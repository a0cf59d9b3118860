package issue

import (
	"fmt"
	"slices"

	"github.com/tokenwright/tokenwright/tokenserver/audit"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
)

// Evaluation answers what somebody else may do, one question after the other. All share one budget for expressions: what is
// asked past it is denied.
type Evaluation struct {
	issuer *Issuer
	budget *policy.Budget
	asked  []*evaluated
}

// evaluated is what was asked about one subject.
type evaluated struct {
	request *Request
	verdict verdict
}

// Evaluation begins one.
func (i *Issuer) Evaluation() *Evaluation {
	return &Evaluation{issuer: i, budget: policy.NewBudget()}
}

// Ask says whether the request's caller, who is not who sends it, may do something with a resource, which audit records call id.
// Nothing is known of where the caller is. The requests of one subject must be the same one.
func (e *Evaluation) Ask(request *Request, resource policy.Resource, id, action string) bool {
	subject := e.of(request)
	ask := policy.Request{
		Caller: request.Caller, Audience: request.Audience.Name, Resource: resource, Actions: []string{action}, Time: request.Time,
		Admits: request.Audience.Namespaces.Admits, Budget: e.budget,
	}
	decision := e.issuer.ask(request.Policies, ask, maxWhy-len(subject.verdict.why))
	asked := scope.Scope{Type: resource.Type, Name: id, Actions: []string{action}}
	request.Scopes = append(request.Scopes, asked)
	subject.verdict.explain(asked, decision)
	if !slices.Contains(decision.Granted, action) {
		return false
	}
	subject.verdict.granted = append(subject.verdict.granted, asked)
	return true
}

// Refuse notes a question that no policy was asked: of somebody or of something that nobody knows.
func (e *Evaluation) Refuse(request *Request, asked scope.Scope) {
	e.of(request)
	request.Scopes = append(request.Scopes, asked)
}

func (e *Evaluation) of(request *Request) *evaluated {
	at := slices.IndexFunc(e.asked, func(a *evaluated) bool { return a.request == request })
	if at < 0 {
		at = len(e.asked)
		e.asked = append(e.asked, &evaluated{request: request})
	}
	return e.asked[at]
}

// Decided records what was answered, a record for each subject. Without the records there is no answer.
func (e *Evaluation) Decided() error {
	if len(e.asked) > 0 {
		e.issuer.report(e.asked[0].request, e.budget)
	}
	for _, a := range e.asked {
		if e.issuer.Explain {
			a.verdict.failed = failed(e.budget)
		}
		record := a.request.Record(audit.Decided)
		granted{}.describe(&record, &a.verdict)
		if len(record.Granted) == 0 {
			record.Granted = []string{}
		}
		for n := range record.Granted {
			record.Granted[n] = audit.Bounded(record.Granted[n], maxRequested)
		}
		if err := e.issuer.Audit.Write(&record); err != nil {
			e.issuer.Metrics.AuditFailure()
			return fmt.Errorf("%w: %w", ErrAudit, err)
		}
	}
	return nil
}
