package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// maxDecisions is how often a decision is made anew because the request was changed meanwhile, as by the manager.
const maxDecisions = 5

// maxDecidedBy is what the schema takes, in characters.
const maxDecidedBy = 256

func newRequestsApproveCommand(cluster *clusterFlags) *cobra.Command {
	var scopes []string
	cmd := &cobra.Command{
		Use:   "approve NAME",
		Short: "Give a requester what was asked for, or some of it",
		Long: `Give a requester what was asked for, or some of it with --scopes. It is granted until the request is denied or deleted, or
its resource is gone, or has another owner or audience. What was denied can be approved, and another choice of scopes takes
the place of the former one.`,
		Example: `  tokenwright requests approve preq-4k5x2dvmcsk5ln7dlbn3rfe7pi -n photos
  tokenwright requests approve preq-4k5x2dvmcsk5ln7dlbn3rfe7pi -n photos --scopes=view`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cluster.completeRequests(v1alpha1.RequestPending, v1alpha1.RequestDenied),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("scopes") && len(scopes) == 0 {
				return fmt.Errorf("--scopes must name a scope; to give none of them: deny the request")
			}
			s, err := cluster.connectTenant(cmd)
			if err != nil {
				return err
			}
			return s.decide(cmd.Context(), args[0], func(ctx context.Context, q *v1alpha1.PermissionRequest) (*verdict, error) {
				return s.approval(ctx, q, scopes)
			})
		},
	}
	cmd.Flags().StringSliceVar(&scopes, "scopes", nil, "give only these of the scopes that were asked for")
	return cmd
}

func newRequestsDenyCommand(cluster *clusterFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "deny NAME",
		Short: "Refuse a request, or take back what was approved",
		Long: `Refuse a request, or take back what was approved: to revoke an approval is to deny the request. Tokens that were issued by
it are good until they expire, as far as nobody asks a server about them. The manager deletes the request 30 days later.`,
		Example:           `  tokenwright requests deny preq-4k5x2dvmcsk5ln7dlbn3rfe7pi -n photos`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cluster.completeRequests(v1alpha1.RequestPending, v1alpha1.RequestApproved),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := cluster.connectTenant(cmd)
			if err != nil {
				return err
			}
			return s.decide(cmd.Context(), args[0], s.denial)
		},
	}
}

// verdict is what shall become of a request.
type verdict struct {
	state v1alpha1.RequestState
	// scopes are those that are approved; none: all that were asked for.
	scopes []v1alpha1.ResourceScope
	// already says that it is so.
	already bool
	// said is what that means, after "approved: ".
	said string
}

// decide writes what becomes of the request as it is: one that is changed meanwhile is looked at again.
func (s *session) decide(ctx context.Context, name string, judge func(context.Context, *v1alpha1.PermissionRequest) (*verdict, error)) error {
	by, asked := "", false
	for tries := 1; ; tries++ {
		q, err := s.permissionRequest(ctx, name)
		if err != nil {
			return err
		}
		v, err := judge(ctx, q)
		if err != nil {
			return err
		}
		word := strings.ToLower(string(v.state))
		if v.already {
			printer{s.out}.line("PermissionRequest %q is %s already: %s", name, word, v.said)
			return nil
		}
		if !asked {
			by, asked = s.myself(ctx), true
		}
		err = s.write(ctx, q, v, by)
		switch {
		case err == nil:
			printer{s.out}.line("PermissionRequest %q %s: %s", name, word, v.said)
			return nil
		case apierrors.IsConflict(err) && tries < maxDecisions:
			continue
		}
		status := permissionRequests
		status.plural += "/status"
		return s.tenantCall("patch", status, name).explain(err)
	}
}

// write writes the decision, if the request is still the one that was looked at, and nothing else of it.
func (s *session) write(ctx context.Context, q *v1alpha1.PermissionRequest, v *verdict, by string) error {
	status := map[string]any{"state": v.state, "scopes": nil, "decidedBy": nil, "decidedAt": v1alpha1.NewDateTime(s.now())}
	if len(v.scopes) > 0 {
		status["scopes"] = v.scopes
	}
	if by != "" {
		status["decidedBy"] = by
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": q.UID, "resourceVersion": q.ResourceVersion}, "status": status,
	})
	if err != nil {
		return fmt.Errorf("encode the decision: %w", err)
	}
	return s.client.Status().Patch(ctx, q, client.RawPatch(types.MergePatchType, patch), cliOwner)
}

// myself is what the API server calls whoever types. What this machine calls them would prove nothing, and is not asked.
func (s *session) myself(ctx context.Context) string {
	var review authenticationv1.SelfSubjectReview
	if err := s.client.Create(ctx, &review); err != nil {
		printer{s.errOut}.line("warning: decidedBy stays empty: the API server does not say who you are: %v", err)
		return ""
	}
	name := []rune(review.Status.UserInfo.Username)
	return string(name[:min(len(name), maxDecidedBy)])
}

func (s *session) denial(_ context.Context, q *v1alpha1.PermissionRequest) (*verdict, error) {
	return &verdict{
		state: v1alpha1.RequestDenied, already: stateOf(q) == v1alpha1.RequestDenied,
		said: fmt.Sprintf("%q has nothing of ProtectedResource %q by it", q.Spec.Requester, q.Spec.Resource.Name),
	}, nil
}

// approvedScopes are those that the status approves.
func approvedScopes(q *v1alpha1.PermissionRequest) []v1alpha1.ResourceScope {
	if len(q.Status.Scopes) == 0 {
		return q.Spec.Scopes
	}
	return slices.DeleteFunc(slices.Clone(q.Spec.Scopes), func(s v1alpha1.ResourceScope) bool { return !slices.Contains(q.Status.Scopes, s) })
}
