package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/review"
)

// requestFlags say what is asked for, and from where.
type requestFlags struct {
	namespace string
	from, at  string
}

func (r *requestFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&r.namespace, "namespace", "n", "", "namespace of a protected resource; what is of type repository, registry, nats or oauth has none")
	flags.StringVar(&r.from, "from", "", "address of the caller; if empty it is not known, and lies in no range")
	flags.StringVar(&r.at, "at", "", "time of the request, such as 2026-01-01T00:00:00Z; if empty now")
}

// request returns the request without a caller and an audience.
func (r *requestFlags) request(actions, typ, name string, now time.Time) (policy.Request, error) {
	req := policy.Request{Resource: policy.Resource{Type: typ, Namespace: r.namespace, Name: name}, Actions: strings.Split(actions, ","), Time: now}
	var err error
	if r.from != "" {
		if req.SourceIP, err = netip.ParseAddr(r.from); err != nil {
			return req, fmt.Errorf("--from: %q is no address", r.from)
		}
	}
	if r.at != "" {
		if req.Time, err = v1alpha1.DateTime(r.at).Parse(); err != nil {
			return req, fmt.Errorf("--at: %w", err)
		}
	}
	if err := review.Askable(req); err != nil {
		return req, fmt.Errorf("%w%s", err, swapped(actions, typ))
	}
	return req, nil
}

// swapped helps those who write type and actions the other way round.
func swapped(actions, typ string) string {
	if actions == v1alpha1.TypeRepository || actions == v1alpha1.TypeRegistry {
		return fmt.Sprintf("; the order is ACTIONS TYPE NAME: %s %s", typ, actions)
	}
	return ""
}

// callerFlags say who asks. They are not kubectl's: nobody is impersonated.
type callerFlags struct {
	as, uid, provider, method string
	groups, extra             []string
}

func (f *callerFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.as, "as", "", "the caller who is asked about, such as alice, system:serviceaccount:team-a:ci or system:anonymous; nobody is impersonated")
	flags.StringArrayVar(&f.groups, "as-group", nil, "group of the caller; can be given several times. Groups that everybody is in need not be given")
	flags.StringVar(&f.uid, "as-uid", "", "uid of the caller: subject.uid of expressions")
	flags.StringVar(&f.provider, "as-provider", "", "IdentityProvider that vouches for the caller: subject.provider of expressions")
	flags.StringVar(&f.method, "as-method", "", "how a user is proved, password or jwt: subject.method of expressions; password if empty")
	flags.StringArrayVar(&f.extra, "as-extra", nil, "further fact about the caller, as key=value; can be given several times, also with one key")
}

func (f *callerFlags) set(req *policy.Request) error {
	if f.as == "" {
		return errors.New("--as must say who is asked about; system:anonymous is a caller who proves nothing")
	}
	var extra map[string][]string
	for _, pair := range f.extra {
		key, value, found := strings.Cut(pair, "=")
		if !found || key == "" {
			return fmt.Errorf("--as-extra must be key=value, not %q", pair)
		}
		if extra == nil {
			extra = map[string][]string{}
		}
		extra[key] = append(extra[key], value)
	}
	who, err := review.Who{
		User: f.as, UID: f.uid, Provider: f.provider, Method: caller.Method(f.method), Groups: f.groups, Extra: extra,
	}.Caller()
	if err != nil {
		return fmt.Errorf("--as: %w", err)
	}
	req.Caller = who
	return nil
}

var errOneAction = errors.New(`one action must be given: ask for each alone`)

// completeRequest proposes actions and types.
func completeRequest(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return []string{"pull", "push", "pull,push", "delete", "*"}, cobra.ShellCompDirectiveNoFileComp
	case 1:
		return []string{v1alpha1.TypeRepository, v1alpha1.TypeRegistry}, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// threeArgs is what is asked for.
func threeArgs(first string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 3 {
			return fmt.Errorf("%s TYPE NAME must be given, such as: pull repository team-a/app; there are %d arguments", first, len(args))
		}
		return nil
	}
}

// ruleEntry names a rule, as -o json shows it.
type ruleEntry struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	Rule      int    `json:"rule"`
}

func entryOf(r policy.RuleRef) ruleEntry {
	return ruleEntry{Kind: r.Policy.Kind, Namespace: r.Policy.Namespace, Name: r.Policy.Name, Rule: r.Rule}
}

// described is a request in one line.
func described(req policy.Request) string {
	who := req.Caller.Username
	var groups []string
	for _, g := range req.Caller.Groups {
		if !strings.HasPrefix(g, "system:") {
			groups = append(groups, g)
		}
	}
	if len(groups) > 0 {
		who += " (" + strings.Join(groups, ", ") + ")"
	}
	name := req.Resource.Type + ":" + req.Resource.Name
	if req.Resource.Namespace != "" {
		name += " of namespace " + req.Resource.Namespace
	}
	text := fmt.Sprintf("%s, %s, for %s", who, name, cmp.Or(req.Audience, "any audience"))
	if req.SourceIP.IsValid() {
		text += ", from " + req.SourceIP.String()
	}
	return text
}
