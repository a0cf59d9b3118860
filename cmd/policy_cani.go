package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/review"
)

// canIFlags are the flags of `tokenwright policy can-i`.
type canIFlags struct {
	request  requestFlags
	caller   callerFlags
	audience string
	files    []string
	output   string
}

func newPolicyCanICommand(f *policyFlags) *cobra.Command {
	var flags canIFlags
	cmd := &cobra.Command{
		Use:   "can-i ACTIONS TYPE NAME --as USER --audience AUDIENCE",
		Short: "Say whether somebody may do something, and why",
		Long: `Say whether somebody may do something, and why. The first line is yes or no; it is yes only if all actions are granted.

The caller is asked about, and not impersonated: --as and --as-group are not kubectl's. You need the right to list the
AccessPolicies of the namespace that owns the resource, the ClusterAccessPolicies, the SigningKeys of the system namespace,
and, if one of them selects namespaces, the Namespaces. With -f it is files that are asked, and no cluster.

The exit status is 0 for yes, 1 for no, and 2 if there is no answer.`,
		Example: `  tokenwright policy can-i pull,push repository team-a/app --as alice --as-group devs --audience registry.example.com
  tokenwright policy can-i pull repository public/app --as system:anonymous --audience registry.example.com -f policies/`,
		Args:              threeArgs("ACTIONS"),
		ValidArgsFunction: completeRequest,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.canI(cmd.Context(), newConsole(cmd), args, &flags)
		},
	}
	flags.request.register(cmd)
	flags.caller.register(cmd)
	cmd.Flags().StringVar(&flags.audience, "audience", "", "what the token is for: the service of the registry")
	addFilenames(cmd, &flags.files, "ask the manifests of this file or folder, and no cluster")
	addOutput(cmd, &flags.output, "output: text, json", outputText, outputJSON)
	return cmd
}

func (f *policyFlags) canI(ctx context.Context, c *console, args []string, flags *canIFlags) error {
	req, err := flags.request.request(args[0], args[1], args[2], c.now)
	if err != nil {
		return err
	}
	if err := flags.caller.set(&req); err != nil {
		return err
	}
	world, err := f.world(ctx, c, flags.files, req.Resource)
	if err != nil {
		return err
	}
	if req.Audience = flags.audience; req.Audience == "" {
		return fmt.Errorf("--audience must say what the token is for; SigningKeys hold %s", orNone(world.Audiences()))
	}
	answer := world.Ask(req)
	hints := world.Hints(req, answer)
	if flags.output == outputJSON {
		err = c.json(answerEntryOf(answer, hints))
	} else {
		c.answer(req, answer, hints)
	}
	if err == nil && !answer.Allowed() {
		return errNo
	}
	return err
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// answer prints the answer for people.
func (c *console) answer(req policy.Request, a review.Answer, hints []string) {
	if a.Allowed() {
		c.line("yes")
	} else {
		c.line("no")
	}
	c.why(req, a)
	if !a.NotAfter.IsZero() {
		c.line("a token with it ends by %s", a.NotAfter.UTC().Format(time.RFC3339))
	}
	for _, h := range hints {
		c.line("hint: %s", h)
	}
}

// why prints a line for each action.
func (c *console) why(req policy.Request, a review.Answer) {
	for _, action := range policy.Asked(req) {
		denies, allows := a.Taken(action)
		switch {
		case slices.Contains(a.Granted, action):
			c.line("%s: allowed by %s", action, someRules(a.Given(action)))
		case len(denies) > 0 && len(allows) > 0:
			c.line("%s: denied by %s, although allowed by %s", action, someRules(denies), someRules(allows))
		case len(denies) > 0:
			c.line("%s: denied by %s, and allowed by nothing", action, someRules(denies))
		case len(allows) > 0:
			// token.MinLifetime
			c.line("%s: allowed by %s, for less than a minute: no token is as short", action, someRules(allows))
		default:
			c.line("%s: allowed by nothing", action)
		}
	}
}

// maxRules is how many rules a line has.
const maxRules = 5

func someRules(reasons []policy.Reason) string {
	var texts []string
	for i, r := range reasons {
		if i == maxRules {
			return strings.Join(texts, "; ") + fmt.Sprintf("; and %d more", len(reasons)-i)
		}
		texts = append(texts, review.Rule(policy.RuleRef{Policy: r.Policy, Rule: r.Rule}))
	}
	return strings.Join(texts, "; ")
}

// answerEntry is the answer as -o json shows it.
type answerEntry struct {
	Allowed  bool       `json:"allowed"`
	Granted  []string   `json:"granted"`
	Denied   []string   `json:"denied"`
	NotAfter string     `json:"notAfter,omitempty"`
	Why      []whyEntry `json:"why"`
	Hints    []string   `json:"hints,omitempty"`
}

// whyEntry is a rule that allowed or denied an action.
type whyEntry struct {
	Action string    `json:"action"`
	Effect string    `json:"effect"`
	Policy ruleEntry `json:"policy"`
}

func answerEntryOf(a review.Answer, hints []string) answerEntry {
	e := answerEntry{Allowed: a.Allowed(), Granted: append([]string{}, a.Granted...), Denied: append([]string{}, a.Denied...), Why: []whyEntry{}, Hints: hints}
	if !a.NotAfter.IsZero() {
		e.NotAfter = a.NotAfter.UTC().Format(time.RFC3339)
	}
	for _, r := range a.Why {
		e.Why = append(e.Why, whyEntry{Action: r.Action, Effect: string(r.Effect), Policy: entryOf(policy.RuleRef{Policy: r.Policy, Rule: r.Rule})})
	}
	return e
}
