package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/review"
)

// casesFlags are the flags of `tokenwright policy test`.
type casesFlags struct {
	files []string
	junit string
}

func newPolicyTestCommand(f *policyFlags) *cobra.Command {
	var flags casesFlags
	cmd := &cobra.Command{
		Use:   "test FILE...",
		Short: "Check that manifests grant what a table of cases expects",
		Long: `Check that manifests grant what a table of cases expects, no less and no more. Each file names its manifests, and its
cases: who asks for what, and what is expected.

The exit status is 0 if all cases hold, 1 if one does not, and 2 if one cannot be asked or a file cannot be read.`,
		Example: `  tokenwright policy test policies/tests.yaml --junit report.xml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errNoFiles
			}
			return f.test(newConsole(cmd), args, &flags)
		},
	}
	addFilenames(cmd, &flags.files, "manifests for all files of cases, beside their own")
	cmd.Flags().StringVar(&flags.junit, "junit", "", "write a report in JUnit's XML to this file")
	return cmd
}

// suite is what came of one file of cases.
type suite struct {
	file    string
	results []review.Result
	// errors are cases that could not be asked, by name.
	errors []caseError
}

type caseError struct {
	name string
	err  error
}

func (f *policyFlags) test(c *console, files []string, flags *casesFlags) error {
	suites := make([]suite, 0, len(files))
	failed, broken := 0, 0
	for _, file := range files {
		s, err := f.testFile(c, file, flags.files)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		suites = append(suites, s)
		held := c.suite(s)
		failed += len(s.results) - held
		broken += len(s.errors)
	}
	if flags.junit != "" {
		if err := writeJUnit(flags.junit, suites); err != nil {
			return err
		}
	}
	switch {
	case broken > 0:
		return fmt.Errorf("%s could not be asked", counted(broken, "case", "cases"))
	case failed > 0:
		return errNo
	}
	return nil
}

func (f *policyFlags) testFile(c *console, file string, more []string) (suite, error) {
	cases, err := readCases(file)
	if err != nil {
		return suite{}, err
	}
	var manifests []string
	for _, m := range cases.Manifests {
		if !filepath.IsAbs(m) {
			m = filepath.Join(filepath.Dir(file), m)
		}
		manifests = append(manifests, m)
	}
	if manifests = append(manifests, more...); len(manifests) == 0 {
		return suite{}, fmt.Errorf("manifests: must name the policies that the cases are about, or -f must")
	}
	world, err := f.worldOfFiles(c, cases.Namespace, manifests)
	if err != nil {
		return suite{}, err
	}
	s := suite{file: file}
	for _, one := range cases.Cases {
		result, err := world.Check(one, c.now)
		if err != nil {
			s.errors = append(s.errors, caseError{one.Name, err})
			continue
		}
		s.results = append(s.results, result)
	}
	return s, nil
}

// maxCasesFile bounds a file of cases.
const maxCasesFile = 8 << 20

func readCases(file string) (*review.Cases, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxCasesFile {
		return nil, fmt.Errorf("must be at most %d MiB", maxCasesFile>>20)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return review.ParseCases(text)
}

// suite prints what does not hold, and returns how many cases do.
func (c *console) suite(s suite) int {
	held := 0
	for _, r := range s.results {
		if r.Holds() {
			held++
			continue
		}
		c.line("FAIL %s: %s", r.Case.Name, described(r.Request))
		for _, line := range failureLines(r) {
			c.line("     %s", line)
		}
	}
	for _, e := range s.errors {
		c.line("ERROR %s: %v", e.name, e.err)
	}
	text := fmt.Sprintf("%s: %s: %d passed", s.file, counted(len(s.results)+len(s.errors), "case", "cases"), held)
	if n := len(s.results) - held; n > 0 {
		text += fmt.Sprintf(", %d failed", n)
	}
	if n := len(s.errors); n > 0 {
		text += fmt.Sprintf(", %d could not be asked", n)
	}
	c.line("%s", text)
	return held
}

// failureLines say what is wrong with a case that does not hold.
func failureLines(r review.Result) []string {
	lines := []string{fmt.Sprintf("expected %s, granted %s", orNothing(*r.Case.Expect), orNothing(r.Answer.Granted))}
	var why strings.Builder
	(&console{printer: printer{&why}}).why(policy.Request{Resource: r.Request.Resource, Actions: append(r.Missing, r.Surplus...)}, r.Answer)
	lines = append(lines, strings.Split(strings.TrimSpace(why.String()), "\n")...)
	for _, h := range r.Hints {
		lines = append(lines, "hint: "+h)
	}
	return lines
}

func orNothing(actions []string) string {
	if len(actions) == 0 {
		return "nothing"
	}
	return strings.Join(actions, ", ")
}
