package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/review"
)

// maxSamples is how many requests are made where none are given.
const maxSamples = 1000

// diffFlags are the flags of `tokenwright policy diff`.
type diffFlags struct {
	files, against []string
	namespace      string
	requests       string
	prune          bool
	output         string
}

func newPolicyDiffCommand(f *policyFlags) *cobra.Command {
	var flags diffFlags
	cmd := &cobra.Command{
		Use:   "diff -f FILE|DIR",
		Short: "Say what applying manifests would change",
		Long: `Say what applying manifests would change: which requests would be granted more or less than they are by the cluster, or by
other manifests. Without --requests, requests are made of the policies that differ; that is a sample.

You need the right to list AccessPolicies, ClusterAccessPolicies, the SigningKeys of the system namespace, and, if one of
them selects namespaces, the Namespaces.

The exit status is 0 if nothing differs, 1 if something does, and 2 if there is no answer.`,
		Example: `  tokenwright policy diff -f policies/
  tokenwright policy diff -f policies/ --against main/policies/ --requests policies/tests.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.diff(cmd.Context(), newConsole(cmd), &flags)
		},
	}
	addFilenames(cmd, &flags.files, "file or folder of the manifests that would be applied")
	cmd.Flags().StringArrayVar(&flags.against, "against", nil, "compare with the manifests of this file or folder, and not with the cluster; can be given several times")
	cmd.Flags().StringVar(&flags.requests, "requests", "", "file of requests: a table of cases as for policy test, whose expectations and manifests are not looked at")
	cmd.Flags().BoolVar(&flags.prune, "prune", false, "take the policies of the manifests for all that there will be: others are deleted")
	cmd.Flags().StringVarP(&flags.namespace, "namespace", "n", "", "namespace of objects that name none; if empty they must name one")
	addOutput(cmd, &flags.output, "output: text, json", outputText, outputJSON)
	return cmd
}

func (f *policyFlags) diff(ctx context.Context, c *console, flags *diffFlags) error {
	if len(flags.files) == 0 {
		return errors.New("-f must name the manifests that would be applied")
	}
	manifests, err := f.readManifests(c, flags.namespace, flags.files)
	if err != nil {
		return err
	}
	if len(flags.against) == 0 {
		manifests.ProtectedResources = nil // nor are those of the cluster read
	}
	before, err := f.before(ctx, c, flags)
	if err != nil {
		return err
	}
	after := review.Overlay(before, manifests)
	if flags.prune {
		after = review.Pruned(before, manifests)
	}
	open := len(flags.against) > 0 && len(after.SigningKeys) == 0
	if open {
		c.warnOfNoKeys()
	} else {
		f.warnOfNoKeys(c, after)
	}
	was, is := review.New(before, open), review.New(after, open)
	for _, fault := range is.Faults(manifests) {
		c.warn("%s would not be accepted: %s: %s", review.Policy(fault.Ref), fault.Path, fault.Message)
	}
	requests, err := c.requests(was, is, flags.requests)
	if err != nil {
		return err
	}
	changes := review.Compare(was, is, requests)
	if flags.output == outputJSON {
		if err := c.json(diffEntry{Requests: len(requests), Sample: flags.requests == "", Changes: changeEntries(changes)}); err != nil {
			return err
		}
	} else {
		for _, change := range changes {
			c.change(change)
		}
	}
	c.errors.line("%d of %s would be answered otherwise", len(changes), counted(len(requests), "request", "requests"))
	if len(changes) > 0 {
		return errNo
	}
	return nil
}

func (f *policyFlags) before(ctx context.Context, c *console, flags *diffFlags) (review.Objects, error) {
	if len(flags.against) > 0 {
		return f.readManifests(c, flags.namespace, flags.against)
	}
	reader, err := f.connect(c)
	if err != nil {
		return review.Objects{}, err
	}
	return reader.read(ctx, f.systemNamespace, everyNamespace)
}

// requests are those of the file, or a sample.
func (c *console) requests(before, after *review.World, file string) ([]policy.Request, error) {
	if file == "" {
		requests, more := review.Samples(before, after, maxSamples, c.now)
		if more {
			c.warn("there are more than %d requests to try: these are the first; name those that matter with --requests", maxSamples)
		}
		return requests, nil
	}
	cases, err := readCases(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	requests := make([]policy.Request, 0, len(cases.Cases))
	for _, one := range cases.Cases {
		req, err := one.Question(c.now)
		if err != nil {
			return nil, fmt.Errorf("%s: case %q: %w", file, one.Name, err)
		}
		requests = append(requests, req)
	}
	return requests, nil
}

// change prints what becomes of a request.
func (c *console) change(change review.Change) {
	c.line("%s", described(change.Request))
	for _, g := range change.Gained {
		c.line("  + %s, by %s", g.Action, someRefs(g.Rules))
	}
	for _, l := range change.Lost {
		if l.Denied {
			c.line("  - %s, denied by %s", l.Action, someRefs(l.Rules))
		} else {
			c.line("  - %s, no longer by %s", l.Action, someRefs(l.Rules))
		}
	}
}

func someRefs(refs []policy.RuleRef) string {
	var texts []string
	for i, r := range refs {
		if i == maxRules {
			return strings.Join(texts, "; ") + fmt.Sprintf("; and %d more", len(refs)-i)
		}
		texts = append(texts, review.Rule(r))
	}
	return strings.Join(texts, "; ")
}

// diffEntry is the answer as -o json shows it.
type diffEntry struct {
	Requests int           `json:"requests"`
	Sample   bool          `json:"sample"`
	Changes  []changeEntry `json:"changes"`
}

type changeEntry struct {
	As        string       `json:"as"`
	Groups    []string     `json:"groups,omitempty"`
	From      string       `json:"from,omitempty"`
	At        string       `json:"at"`
	Audience  string       `json:"audience"`
	Request   string       `json:"request"`
	Namespace string       `json:"namespace,omitempty"`
	Gained    []causeEntry `json:"gained"`
	Lost      []causeEntry `json:"lost"`
}

type causeEntry struct {
	Action string      `json:"action"`
	Denied bool        `json:"denied,omitempty"`
	Rules  []ruleEntry `json:"rules"`
}

func changeEntries(changes []review.Change) []changeEntry {
	entries := make([]changeEntry, 0, len(changes))
	for _, c := range changes {
		r := c.Request
		e := changeEntry{
			As: r.Caller.Username, Groups: r.Caller.Groups, At: r.Time.UTC().Format(time.RFC3339), Audience: r.Audience,
			Request: r.Resource.Type + ":" + r.Resource.Name, Namespace: r.Resource.Namespace, Gained: causeEntries(c.Gained), Lost: causeEntries(c.Lost),
		}
		if r.SourceIP.IsValid() {
			e.From = r.SourceIP.String()
		}
		entries = append(entries, e)
	}
	return entries
}

func causeEntries(causes []review.Cause) []causeEntry {
	entries := make([]causeEntry, 0, len(causes))
	for _, c := range causes {
		e := causeEntry{Action: c.Action, Denied: c.Denied, Rules: []ruleEntry{}}
		for _, r := range c.Rules {
			e.Rules = append(e.Rules, entryOf(r))
		}
		entries = append(entries, e)
	}
	return entries
}
