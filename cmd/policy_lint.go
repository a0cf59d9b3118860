package cmd

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tokenwright/tokenwright/tokenserver/manifest"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/review"
)

func newPolicyLintCommand(f *policyFlags) *cobra.Command {
	var namespace, output string
	cmd := &cobra.Command{
		Use:   "lint FILE|DIR...",
		Short: "Check manifests without a cluster",
		Long: `Check manifests without a cluster: what the API server would refuse, and what it would store and the manager would not
accept. Each problem is a line with its place. Other kinds than Tokenwright's, Secrets and Namespaces are passed over.

The exit status is 1 if there is a problem, 2 if a file cannot be read. Warnings do not change it.`,
		Example: `  tokenwright policy lint policies/
  kustomize build . | tokenwright policy lint -`,
		RunE: func(cmd *cobra.Command, files []string) error {
			if len(files) == 0 {
				return errNoFiles
			}
			return f.lint(newConsole(cmd), files, namespace, output)
		},
	}
	cmd.Flags().StringVarP(&namespace, "namespace", "n", "", "namespace of objects that name none; if empty they must name one")
	addOutput(cmd, &output, "output: text, json", outputText, outputJSON)
	return cmd
}

// lintEntry is a problem or a warning as -o json shows it.
type lintEntry struct {
	File      string `json:"file"`
	Line      int    `json:"line,omitempty"`
	Kind      string `json:"kind,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	Path      string `json:"path,omitempty"`
	Message   string `json:"message"`
}

// lintReport is what -o json shows.
type lintReport struct {
	Files    int         `json:"files"`
	Policies int         `json:"policies"`
	Others   int         `json:"others"`
	Skipped  int         `json:"skipped"`
	Problems []lintEntry `json:"problems"`
	Warnings []lintEntry `json:"warnings"`
}

func (f *policyFlags) lint(c *console, files []string, namespace, output string) error {
	set, problems, err := manifest.Read(manifest.Options{Namespace: namespace, Stdin: c.stdin}, files...)
	objects := review.FromManifests(set, f.systemNamespace)
	world := review.New(objects, false)
	problems = append(problems, placed(set, world.Faults(objects))...)
	problems = append(problems, moreOfRefused(set, problems)...)
	slices.SortStableFunc(problems, byPlace(set))
	warnings := placed(set, world.Warnings(objects, c.now))
	slices.SortStableFunc(warnings, byPlace(set))
	report := lintReport{
		Files: set.Files, Policies: len(set.AccessPolicies) + len(set.ClusterAccessPolicies) + refused(set, problems),
		Others:  len(set.SigningKeys) + len(set.IdentityProviders) + len(set.ProtectedResources) + len(set.Secrets) + len(set.Namespaces),
		Skipped: set.Skipped, Problems: entries(problems), Warnings: entries(warnings),
	}
	f.warnOfOtherNamespaces(c, set)
	if err := c.lintReport(report, problems, warnings, output); err != nil {
		return err
	}
	switch {
	case err != nil:
		return err
	case len(problems) > 0:
		return errNo
	}
	return nil
}

func (c *console) lintReport(report lintReport, problems, warnings []manifest.Problem, output string) error {
	if output == outputJSON {
		return c.json(report)
	}
	for _, p := range problems {
		c.line("%s", problemLine(p))
	}
	for _, w := range warnings {
		c.warn("%s", problemLine(w))
	}
	c.line("%s in %s (%s; %s passed over): %s", counted(report.Policies, "policy", "policies"), counted(report.Files, "file", "files"),
		counted(report.Others, "other object", "other objects"), counted(report.Skipped, "document of another kind", "documents of other kinds"),
		counted(len(problems), "problem", "problems"))
	if report.Policies == 0 {
		c.warn("there was no policy to look at")
	}
	return nil
}

// moreOfRefused is what the compiler has against policies that the API server would refuse anyway, so that who puts them
// right need not come back for it. Where the API server has something against a field, that is enough.
func moreOfRefused(set *manifest.Set, known []manifest.Problem) []manifest.Problem {
	objects := review.Refused(set)
	more := placed(set, review.New(objects, true).Faults(objects))
	return slices.DeleteFunc(more, func(m manifest.Problem) bool {
		return slices.ContainsFunc(known, func(k manifest.Problem) bool {
			return k.File == m.File && k.Kind == m.Kind && k.Namespace == m.Namespace && k.Name == m.Name &&
				(strings.HasPrefix(k.Path, m.Path) || strings.HasPrefix(m.Path, k.Path))
		})
	})
}

// refused is how many policies were looked at and are not in the set.
func refused(set *manifest.Set, problems []manifest.Problem) int {
	type key struct{ file, kind, namespace, name string }
	known := map[key]bool{}
	for _, p := range set.AccessPolicies {
		known[key{set.Source(p).File, policy.KindAccessPolicy, p.Namespace, p.Name}] = true
	}
	for _, p := range set.ClusterAccessPolicies {
		known[key{set.Source(p).File, policy.KindClusterAccessPolicy, "", p.Name}] = true
	}
	n := 0
	for _, p := range problems {
		k := key{p.File, p.Kind, p.Namespace, p.Name}
		if (p.Kind == policy.KindAccessPolicy || p.Kind == policy.KindClusterAccessPolicy) && !known[k] {
			known[k] = true
			n++
		}
	}
	return n
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// placed says where findings stand.
func placed(set *manifest.Set, findings []review.Finding) []manifest.Problem {
	problems := make([]manifest.Problem, 0, len(findings))
	for _, f := range findings {
		at := set.Source(f.Object)
		problems = append(problems, manifest.Problem{
			File: at.File, Line: at.LineOf(f.Path), Kind: f.Ref.Kind, Namespace: f.Ref.Namespace, Name: f.Ref.Name, Path: f.Path, Message: f.Message,
		})
	}
	return problems
}

// byPlace orders problems as files were read, and by line.
func byPlace(set *manifest.Set) func(a, b manifest.Problem) int {
	return func(a, b manifest.Problem) int {
		return cmp.Or(cmp.Compare(set.Order(a.File), set.Order(b.File)), cmp.Compare(a.Line, b.Line))
	}
}

func entries(problems []manifest.Problem) []lintEntry {
	list := make([]lintEntry, 0, len(problems))
	for _, p := range problems {
		list = append(list, lintEntry(p))
	}
	return list
}
