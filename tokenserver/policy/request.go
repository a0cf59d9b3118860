package policy

import (
	"net/netip"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
)

// Kinds of policies, as a Ref spells them.
const (
	KindAccessPolicy        = "AccessPolicy"
	KindClusterAccessPolicy = "ClusterAccessPolicy"
)

// Ref names a policy, or what gives something to one user as a policy would: see Approval. Namespace is empty for a
// ClusterAccessPolicy.
type Ref struct {
	Kind, Namespace, Name string
}

// Resource is what a caller wants to act on.
type Resource struct {
	// Type is the rule type: repository, registry, nats, oauth, or the type of a ProtectedResource.
	Type string
	// Namespace is the namespace of a ProtectedResource; empty for the types that Tokenwright itself gives a meaning.
	Namespace string
	// Name is such as team-a/app.
	Name string
}

// Request asks what a caller may do with one resource.
type Request struct {
	Caller   caller.Caller
	Audience string
	Resource Resource
	// Actions are what is asked for. For type repository, "*" asks for pull, push and delete.
	Actions []string
	// SourceIP is the caller's address; the zero Addr is an unknown one, which lies in no range.
	SourceIP netip.Addr
	// ClientID is what the client calls itself. Nobody proved it.
	ClientID string
	// Claims are those that a resource server put into a ticket or that came in a verified ID token; may be nil.
	Claims map[string]any
	// Time is now.
	Time time.Time
	// Admits says whether AccessPolicies of the namespace may speak of the audience; nil says no to all.
	Admits func(namespace string) bool
	// Budget is what expressions may still cost. Requests for one token share one, in an order of their own; nil is a
	// fresh one for this request.
	Budget *Budget
}

// Reason names a rule that was taken into account for one action. Rule is the index in spec.rules.
type Reason struct {
	Policy Ref
	Rule   int
	Effect v1alpha1.Effect
	Action string
}

// Decision is what of a request is granted.
type Decision struct {
	// Granted are concrete actions, sorted. It may share memory with the request's Actions: treat it as read-only.
	Granted []string
	// NotAfter is the time that a token with these actions must not outlive; zero if nothing bounds it.
	NotAfter time.Time
	// Why is filled by Explain only. It holds each rule that allowed or denied an action, in the order of action,
	// policy and rule, also where another rule decided. Omitted is how many ExplainBriefly has left out.
	Why     []Reason
	Omitted int
}
