package cmd

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// newRequestsCommand returns `tokenwright requests`.
func newRequestsCommand() *cobra.Command {
	var f clusterFlags
	cmd := &cobra.Command{
		Use:   "requests",
		Short: "List, approve and deny requests for access to protected resources",
		Long: `List, approve and deny requests for access to protected resources.

A PermissionRequest asks the owner of a ProtectedResource for access. Whoever may patch permissionrequests/status in its
namespace decides: approved, it grants the scopes until it is denied or deleted.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f.registerTenant(cmd)
	cmd.AddCommand(newRequestsListCommand(&f), newRequestsApproveCommand(&f), newRequestsDenyCommand(&f))
	return cmd
}

// tenantCall is a call in the session's namespace that no role of the installation is known to allow: whose it is to decide,
// those say who own the namespace.
func (s *session) tenantCall(verb string, r resource, name string) call {
	return call{verb: verb, resource: r, namespace: s.namespace, name: name}
}

// permissionRequest returns the request, or an error that says what to do.
func (s *session) permissionRequest(ctx context.Context, name string) (*v1alpha1.PermissionRequest, error) {
	q := &v1alpha1.PermissionRequest{}
	err := s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, q)
	switch {
	case err == nil:
		return q, nil
	case apierrors.IsNotFound(err) && !isUnknownKind(err):
		return nil, fmt.Errorf("there is no PermissionRequest %q in namespace %q; to see those that there are: %s requests list --all-namespaces",
			name, s.namespace, s.program)
	}
	return nil, s.tenantCall("get", permissionRequests, name).explain(err)
}

// permissionRequests returns those of the session's namespace, empty: of all, in the states; none: in any.
func (s *session) permissionRequests(ctx context.Context, states []v1alpha1.RequestState) ([]*v1alpha1.PermissionRequest, error) {
	found, err := pages(ctx, s.client, s.tenantCall("list", permissionRequests, ""), func(l *v1alpha1.PermissionRequestList) []v1alpha1.PermissionRequest { return l.Items })
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(q *v1alpha1.PermissionRequest) bool {
		return len(states) > 0 && !slices.Contains(states, stateOf(q))
	})
	slices.SortFunc(found, func(a, b *v1alpha1.PermissionRequest) int {
		return cmp.Or(
			cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(slices.Index(requestStates, stateOf(a)), slices.Index(requestStates, stateOf(b))),
			b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name),
		)
	})
	return found, nil
}

// requestStates are all, those first that wait for somebody.
var requestStates = []v1alpha1.RequestState{v1alpha1.RequestPending, v1alpha1.RequestApproved, v1alpha1.RequestDenied}

// stateOf is the state; what nobody has looked at is Pending.
func stateOf(q *v1alpha1.PermissionRequest) v1alpha1.RequestState {
	return cmp.Or(q.Status.State, v1alpha1.RequestPending)
}

// completeRequests proposes the names of requests in the states, as the first argument. Whatever goes wrong, nothing is
// proposed: never the names of files.
func (f *clusterFlags) completeRequests(states ...v1alpha1.RequestState) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		s, err := f.connectTenant(cmd)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		found, err := s.permissionRequests(ctx, states)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, q := range found {
			names = append(names, fmt.Sprintf("%s\t%s, by %s for %s", q.Name, stateOf(q), printable(q.Spec.Requester), printable(q.Spec.Resource.Name)))
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
