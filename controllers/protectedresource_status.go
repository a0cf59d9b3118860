package controllers

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
)

// judgedResource is what became of one resource: served under its id, or not, and why not.
type judgedResource struct {
	id       string
	problems []policy.Problem
	// nameless says why clients do not find it by its name.
	nameless string
	// uris are those that it claims, and since when.
	uris []v1alpha1.ClaimedURI
}

// judgeResources says what servers make of the resources of one audience, which are all that name it: what does not compile is
// not served, what may not speak of the audience holds no claim, and of two claims the older holds. What is served claims its uris
// from now on, unless it does already. What is not served claims no more than it has: who waits for an audience or an id must not
// have had the uris all the time.
func judgeResources(now metav1.Time, objects []v1alpha1.ProtectedResource, known bool, admitted map[string]bool) []judgedResource {
	judged, compiled := make([]judgedResource, len(objects)), make([]*resource.Resource, len(objects))
	var claims []*resource.Resource
	for i := range objects {
		object := &objects[i]
		judged[i].uris = resource.Kept(object)
		switch r, problems := resource.Compile(object); {
		case !object.DeletionTimestamp.IsZero():
			judged[i].problems = oneProblem(v1alpha1.ReasonDeleting, "metadata.deletionTimestamp", "the resource is being deleted")
		case len(problems) > 0:
			judged[i].problems = problems
		case !known:
			judged[i].problems = oneProblem(v1alpha1.ReasonAudienceUnknown, "spec.audience", "no SigningKey holds the audience %q", object.Spec.Audience)
		case !admitted[object.Namespace]:
			judged[i].problems = oneProblem(v1alpha1.ReasonNotAdmitted, "spec.audience", "audience %q does not admit the namespace %q", object.Spec.Audience, object.Namespace)
		default:
			compiled[i] = r
			claims = append(claims, r)
		}
	}
	if len(claims) == 0 {
		return judged
	}
	catalog := (*resource.Catalog)(nil).With(claims[0].Audience, claims)
	added := false
	for i, r := range compiled {
		if r == nil || catalog.ByID(r.Audience, r.ID) != r {
			continue
		}
		judged[i].id = r.ID
		if len(judged[i].uris) < len(r.URIs) {
			judged[i].uris = resource.Claimed(&objects[i], now.Time)
			r.Claims = resource.Claims(judged[i].uris)
			added = true
		}
	}
	if added {
		catalog = catalog.With(claims[0].Audience, claims)
	}
	for i, r := range compiled {
		if r != nil {
			judged[i].problems, judged[i].nameless = catalog.Taken(r), catalog.Nameless(r)
		}
	}
	return judged
}

func oneProblem(reason, path, format string, args ...any) []policy.Problem {
	return []policy.Problem{{Reason: reason, Path: path, Message: fmt.Sprintf(format, args...)}}
}

// protectedResourceStatus says what was found out about a resource. Its id is there only while it is served: else it may be
// another's.
func protectedResourceStatus(now metav1.Time, object *v1alpha1.ProtectedResource, judged judgedResource) v1alpha1.ProtectedResourceStatus {
	return v1alpha1.ProtectedResourceStatus{
		Conditions:         nextConditions(now, object.Generation, object.Status.Conditions, resourceConditions(judged)...),
		ObservedGeneration: object.Generation, ID: judged.id, URIs: judged.uris,
	}
}

// resourceConditions turns problems into conditions; the first one gives the reason. A resource that is served without one of
// its uris is accepted and not Ready: it does not do all that its spec says.
func resourceConditions(judged judgedResource) []condition {
	accepted := isTrue(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, "The resource compiles, and its audience admits the namespace")
	if len(judged.problems) == 0 {
		return []condition{accepted, isTrue(v1alpha1.ConditionReady, v1alpha1.ReasonInForce, servesMessage(judged.nameless))}
	}
	said := make([]string, 0, len(judged.problems))
	for _, p := range judged.problems {
		said = append(said, fmt.Sprintf("%s: %s", p.Path, p.Message))
	}
	if judged.id != "" && judged.nameless != "" {
		said = append(said, "spec.displayName: "+judged.nameless)
	}
	reason, message := judged.problems[0].Reason, listed(said)
	if judged.id == "" {
		accepted = isFalse(v1alpha1.ConditionAccepted, reason, message)
	}
	conditions := []condition{accepted, isFalse(v1alpha1.ConditionReady, reason, message)}
	if reason == v1alpha1.ReasonAudienceUnknown || reason == v1alpha1.ReasonDeleting {
		return conditions // the SigningKey may be on its way, in the same apply: nobody has to be called yet
	}
	return append(conditions, stalled(reason, message))
}

// servesMessage says also what clients must not call the resource. That is no fault: ids are what they should go by, and objects of
// two namespaces may well have one name.
func servesMessage(nameless string) string {
	if nameless == "" {
		return "Servers serve the resource"
	}
	return "Servers serve the resource, and clients find it by its id only: " + nameless
}
