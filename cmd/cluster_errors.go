package cmd

import (
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// call is what was asked of the API server, for what is said when it did not do it.
type call struct {
	// verb is as RBAC has it.
	verb     string
	resource resource
	// namespace is empty for all of them, and where the resource has none.
	namespace string
	// name is that of the object; empty where it is of no matter.
	name string
	// remedy follows the sentence that a right is missing: "; or ask about files".
	remedy string
}

// explain says what to do about an answer of the API server.
func (c call) explain(err error) error {
	switch {
	case isUnknownKind(err):
		return fmt.Errorf("this cluster does not know %s: install Tokenwright in it, or name another with --context: %w", c.resource.plural, err)
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), fmt.Sprintf("cannot %s resource", c.verb)): // and not: cannot impersonate
		return fmt.Errorf("you need the right to %s %s %s%s: %w", c.verb, c.resource, c.where(), c.remedy, err)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the API server does not accept the credentials of the kubeconfig: log in again, or name another context with --context: %w", err)
	case c.name != "":
		return fmt.Errorf("%s %s %q %s: %w", c.verb, c.resource.kind, c.name, c.where(), err)
	}
	return fmt.Errorf("%s %s %s: %w", c.verb, c.resource.plural, c.where(), err)
}

func (c call) where() string {
	switch {
	case c.resource.scope.Name() == meta.RESTScopeNameRoot:
		return "in the cluster"
	case c.namespace == "":
		return "in all namespaces"
	}
	return fmt.Sprintf("in namespace %q", c.namespace)
}

// isUnknownKind tells a cluster without such a kind from one without such an object.
func isUnknownKind(err error) bool {
	return apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// call is one in the session's namespace. Whoever lacks the right to it is told which role of the installation has it.
func (s *session) call(verb string, r resource, name string) call {
	role := "tokenwright-platform-admin"
	if verb == "get" || verb == "list" {
		role = "tokenwright-platform-viewer"
	}
	return call{
		verb: verb, resource: r, namespace: s.namespace, name: name, remedy: fmt.Sprintf(", which ClusterRole %q gives", role),
	}
}
