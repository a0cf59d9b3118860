package grant

import (
	"strings"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// nameAuthZEN is how audit records spell a question of a resource server.
const nameAuthZEN = "authzen"

// Question is one question of a resource server (AuthZEN): may somebody do something with a resource.
type Question struct {
	// SubjectType and Subject are who: of the type user, by the user name.
	SubjectType, Subject string
	// Type and Resource are with what: a protected resource by its id, or a repository by its name.
	Type, Resource string
	Action         string
}

// Evaluate answers a resource server's questions, until enough says so of an answer. Of somebody whom no provider vouches for
// without their own token, and of a resource that is not known at the audience, the answer is no.
func (g *Granter) Evaluate(
	from *snapshot.Snapshot, pat *Session, request *Request, questions []Question, enough func(answer bool) bool,
) ([]bool, *Error) {
	audience, known := from.Audiences[pat.Held.Audience]
	if !known {
		return nil, &Error{Kind: UnknownAudience, Message: "the audience is not known here"}
	}
	type subject struct{ typ, id string }
	evaluation, subjects := g.Issuer.Evaluation(), map[subject]*issue.Request{}
	var answers []bool
	for _, q := range questions {
		about := subjects[subject{q.SubjectType, q.Subject}]
		if about == nil {
			about = &issue.Request{
				ID: request.ID, Grant: nameAuthZEN, Audience: audience, Policies: from.Policies, SourceIP: request.Source,
				Time: request.Time, Client: pat.Caller.Username, SubjectTokenID: pat.Held.ID,
			}
			if about.Caller, known = subjectOf(from, &q, request); !known {
				about.Account = q.Subject // nobody's, as far as is known
			}
			subjects[subject{q.SubjectType, q.Subject}] = about
		}
		resource, exists := resourceOf(from, audience.Name, &q)
		answer := false
		if exists && about.Caller.Method != "" {
			answer = evaluation.Ask(about, resource, q.Resource, q.Action)
		} else {
			evaluation.Refuse(about, scope.Scope{Type: q.Type, Name: q.Resource, Actions: []string{q.Action}})
		}
		answers = append(answers, answer)
		if enough(answer) {
			break
		}
	}
	if err := evaluation.Decided(); err != nil {
		return nil, issueError(err)
	}
	return answers, nil
}

// subjectOf is the user as far as providers know it without its own token.
func subjectOf(from *snapshot.Snapshot, q *Question, request *Request) (caller.Caller, bool) {
	if q.SubjectType != "user" || !printable(q.Subject) {
		return caller.Caller{}, false
	}
	if !strings.HasPrefix(q.Subject, caller.ReservedPrefix) {
		who, err := identity.Recall(from, q.Subject, "", request.Time)
		return who, err == nil
	}
	for _, p := range from.Providers {
		if p.Kubernetes == nil {
			continue
		}
		if who, err := identity.Recall(from, q.Subject, p.Name, request.Time); err == nil {
			return who, true
		}
	}
	return caller.Caller{}, false
}

// resourceOf is what policies know the resource as.
func resourceOf(from *snapshot.Snapshot, audience string, q *Question) (policy.Resource, bool) {
	if q.Type == v1alpha1.TypeRepository {
		// As in a token: what is no scope of one is nothing that a registry would ask for.
		scopes, err := scope.Parse([]string{scope.Scope{Type: q.Type, Name: q.Resource, Actions: []string{q.Action}}.String()})
		same := err == nil && len(scopes) == 1 && scopes[0].Name == q.Resource && len(scopes[0].Actions) == 1 && scopes[0].Actions[0] == q.Action
		return policy.Resource{Type: q.Type, Name: q.Resource}, same && q.Action != "*"
	}
	r := from.Resources.ByID(audience, q.Resource)
	if r == nil || r.Type != q.Type || !r.Has(q.Action) {
		return policy.Resource{}, false
	}
	return r.Policy(), true
}
