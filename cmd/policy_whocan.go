package cmd

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/review"
)

// whoCanFlags are the flags of `tokenwright policy who-can`.
type whoCanFlags struct {
	request  requestFlags
	audience string
	files    []string
	output   string
}

func newPolicyWhoCanCommand(f *policyFlags) *cobra.Command {
	var flags whoCanFlags
	cmd := &cobra.Command{
		Use:   "who-can ACTION TYPE NAME",
		Short: "List who may do something, and by which rule",
		Long: `List who may do something, and by which rule: every subject that a policy names. Who is denied it is not among them, but
may be a member of a group that is: those whom a Deny names follow. A row with an IF depends on what is not known here.

The rights that are needed are those of can-i.`,
		Example: `  tokenwright policy who-can push repository team-a/app
  tokenwright policy who-can delete repository team-a/app --audience registry.example.com -o wide -f policies/`,
		Args:              threeArgs("ACTION"),
		ValidArgsFunction: completeRequest,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.whoCan(cmd.Context(), newConsole(cmd), args, &flags)
		},
	}
	flags.request.register(cmd)
	cmd.Flags().StringVar(&flags.audience, "audience", "", "what the token is for; if empty each audience that a SigningKey holds")
	addFilenames(cmd, &flags.files, "ask the manifests of this file or folder, and no cluster")
	addOutput(cmd, &flags.output, "output: text, wide, json", outputText, outputWide, outputJSON)
	return cmd
}

func (f *policyFlags) whoCan(ctx context.Context, c *console, args []string, flags *whoCanFlags) error {
	req, err := flags.request.request(args[0], args[1], args[2], c.now)
	if err != nil {
		return err
	}
	if len(policy.Asked(req)) != 1 {
		return errOneAction
	}
	world, err := f.world(ctx, c, flags.files, req.Resource)
	if err != nil {
		return err
	}
	audiences := world.Audiences()
	switch {
	case flags.audience != "":
		audiences = []string{flags.audience}
	case len(audiences) == 0:
		audiences = world.Spoken()
	}
	table := world.WhoCan(req, audiences)
	if flags.output == outputJSON {
		return c.json(whoCanEntry{Can: rowEntries(table.Can), Denied: rowEntries(table.Denied)})
	}
	c.holders(table, audiences, flags.output == outputWide)
	if hint := world.AudienceHint(audiences); hint != "" {
		c.warn("%s", hint)
	}
	return nil
}

// holders prints the table for people. The audiences are a column where there are several.
func (c *console) holders(t review.Table, audiences []string, wide bool) {
	if len(t.Can) == 0 {
		c.warn("nobody may")
		return
	}
	c.table(c.rows(t.Can, audiences, wide))
	if len(t.Denied) == 0 {
		return
	}
	c.line("")
	c.line("But not, whatever else they are:")
	c.table(c.rows(t.Denied, audiences, wide))
}

// maxCondition is how much of a condition is shown where it is not asked for.
const maxCondition = 60

func (c *console) rows(rows []review.Row, audiences []string, wide bool) [][]string {
	head := []string{"SUBJECT KIND", "SUBJECT", "NAMESPACE", "POLICY", "RULE", "IF"}
	if len(audiences) > 1 {
		head = append(head, "AUDIENCES")
	}
	cells := [][]string{head}
	for _, r := range rows {
		condition := []rune(strings.Join(r.If, "; "))
		if !wide && len(condition) > maxCondition {
			condition = append(condition[:maxCondition-1], '…')
		}
		kind, name := string(r.Subject.Kind), r.Subject.Name
		if kind == "" {
			name = "everybody"
		}
		row := []string{kind, name, r.Subject.Namespace, review.Policy(r.Policy), strconv.Itoa(r.Rule), string(condition)}
		switch {
		case len(audiences) > 1 && len(r.Audiences) == len(audiences):
			row = append(row, "all")
		case len(audiences) > 1:
			row = append(row, strings.Join(r.Audiences, ", "))
		}
		cells = append(cells, row)
	}
	return cells
}

// whoCanEntry is the answer as -o json shows it.
type whoCanEntry struct {
	Can    []rowEntry `json:"can"`
	Denied []rowEntry `json:"denied"`
}

// rowEntry is a subject and a rule.
type rowEntry struct {
	Subject   subjectEntry `json:"subject"`
	Policy    ruleEntry    `json:"policy"`
	Audiences []string     `json:"audiences"`
	// Certain says that it depends on nothing but an end.
	Certain bool     `json:"certain"`
	If      []string `json:"if,omitempty"`
}

// subjectEntry is a subject; everybody has no kind.
type subjectEntry struct {
	Kind      string `json:"kind,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
}

func rowEntries(rows []review.Row) []rowEntry {
	entries := make([]rowEntry, 0, len(rows))
	for _, r := range rows {
		entries = append(entries, rowEntry{
			Subject: subjectEntry{string(r.Subject.Kind), r.Subject.Namespace, r.Subject.Name}, Policy: entryOf(r.RuleRef),
			Audiences: slices.Clone(r.Audiences), Certain: r.Certain, If: r.If,
		})
	}
	return entries
}
