package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// requestEntry is one request as -o json and -o yaml show it.
type requestEntry struct {
	Namespace string                `json:"namespace"`
	Name      string                `json:"name"`
	State     v1alpha1.RequestState `json:"state"`
	Requester string                `json:"requester"`
	Owner     string                `json:"owner"`
	Resource  string                `json:"resource"`
	Audience  v1alpha1.Audience     `json:"audience"`
	// Scopes are what is asked for, and Approved what of it is approved.
	Scopes   []v1alpha1.ResourceScope `json:"scopes"`
	Approved []v1alpha1.ResourceScope `json:"approved,omitempty"`
	// Reason is what the manager says of the request: ResourceChanged if nothing can be in force.
	Reason    string            `json:"reason,omitempty"`
	DecidedBy string            `json:"decidedBy,omitempty"`
	DecidedAt v1alpha1.DateTime `json:"decidedAt,omitempty"`
	Created   v1alpha1.DateTime `json:"created"`
}

// requestsFlags are the flags of `tokenwright requests list`.
type requestsFlags struct {
	states []string
	all    bool
	output string
}

func newRequestsListCommand(cluster *clusterFlags) *cobra.Command {
	var f requestsFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List requests of a namespace, or of all",
		Long: `List requests of a namespace, or of all: first those that wait for a decision, then those that were approved, then those
that were denied; the younger first.`,
		Example: `  tokenwright requests list
  tokenwright requests list --all-namespaces --state=Pending
  tokenwright requests list -n photos --state=Pending -o name | xargs -n1 tokenwright requests approve -n photos`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			states, err := f.chosen()
			if err != nil {
				return err
			}
			if f.all && cluster.namespace != "" {
				return fmt.Errorf("--all-namespaces and --namespace must not both be given")
			}
			s, err := cluster.connectTenant(cmd)
			if err != nil {
				return err
			}
			if f.all {
				s.namespace = ""
			}
			return s.listRequests(cmd.Context(), states, f.output)
		},
	}
	cmd.Flags().BoolVarP(&f.all, "all-namespaces", "A", false, "list those of all namespaces")
	cmd.Flags().StringSliceVar(&f.states, "state", nil, "list only requests in these states: "+oneOf(texts(requestStates)))
	addOutput(cmd, &f.output, "table; name: names only, with their namespaces where it is all; json, yaml", outputTable, outputName, outputJSON, outputYAML)
	if err := cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(texts(requestStates), cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // only for a flag that is not there
	}
	return cmd
}

// chosen are the states that the flag names.
func (f *requestsFlags) chosen() ([]v1alpha1.RequestState, error) {
	var states []v1alpha1.RequestState
	for _, state := range f.states {
		known := slices.IndexFunc(requestStates, func(k v1alpha1.RequestState) bool { return strings.EqualFold(string(k), state) })
		if known < 0 {
			return nil, fmt.Errorf("--state must be %s, not %q", oneOf(texts(requestStates)), state)
		}
		states = append(states, requestStates[known])
	}
	return states, nil
}

func (s *session) listRequests(ctx context.Context, states []v1alpha1.RequestState, output string) error {
	found, err := s.permissionRequests(ctx, states)
	if err != nil {
		return err
	}
	var entries []requestEntry
	for _, q := range found {
		entries = append(entries, requestEntryOf(q))
	}
	return s.listingOfRequests().write(s.out, output, entries)
}

func requestEntryOf(q *v1alpha1.PermissionRequest) requestEntry {
	e := requestEntry{
		Namespace: q.Namespace, Name: q.Name, State: stateOf(q), Requester: q.Spec.Requester, Owner: q.Spec.Owner,
		Resource: q.Spec.Resource.Name, Audience: q.Spec.Audience, Scopes: q.Spec.Scopes,
		DecidedBy: q.Status.DecidedBy, DecidedAt: q.Status.DecidedAt, Created: v1alpha1.NewDateTime(q.CreationTimestamp.Time),
	}
	if e.State == v1alpha1.RequestApproved {
		e.Approved = approvedScopes(q)
	}
	if ready := meta.FindStatusCondition(q.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
		e.Reason = ready.Reason
	}
	return e
}

func (s *session) listingOfRequests() listing[requestEntry] {
	l := listing[requestEntry]{
		head: []string{"NAME", "REQUESTER", "RESOURCE", "SCOPES", "STATE", "OWNER", "CREATED"},
		name: func(e requestEntry) string { return e.Name },
		row: func(e requestEntry) []string {
			scopes, state := e.Scopes, string(e.State)
			if e.State == v1alpha1.RequestApproved {
				scopes = e.Approved
			}
			if e.Reason == v1alpha1.ReasonResourceChanged {
				state += " (" + e.Reason + ")"
			}
			return []string{e.Name, e.Requester, e.Resource, strings.Join(texts(scopes), ","), state, e.Owner, s.distance(e.Created)}
		},
	}
	if s.namespace == "" {
		name, row := l.name, l.row
		l.head = append([]string{"NAMESPACE"}, l.head...)
		l.name = func(e requestEntry) string { return e.Namespace + "/" + name(e) }
		l.row = func(e requestEntry) []string { return append([]string{e.Namespace}, row(e)...) }
	}
	return l
}

func texts[S ~string](list []S) []string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		out = append(out, string(s))
	}
	return out
}
