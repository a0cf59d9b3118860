package cmd

import (
	"errors"
	"fmt"

	"github.com/tokenwright/tokenwright/tokenserver/manifest"
	"github.com/tokenwright/tokenwright/tokenserver/review"
)

// maxProblems is how many problems are printed where they are not what was asked for.
const maxProblems = 10

// readManifests reads files for a decision. What an API server would not take is an error here: to leave it out would give
// an answer about something else than was meant.
func (f *policyFlags) readManifests(c *console, namespace string, files []string) (review.Objects, error) {
	set, problems, err := manifest.Read(manifest.Options{Namespace: namespace, Stdin: c.stdin}, files...)
	if err != nil {
		return review.Objects{}, err
	}
	for i, p := range problems {
		if i == maxProblems {
			c.errors.line("and %d more", len(problems)-i)
			break
		}
		c.errors.line("%s", problemLine(p))
	}
	if len(problems) > 0 {
		return review.Objects{}, fmt.Errorf("an API server would not take these manifests: %d problem(s); see also policy lint", len(problems))
	}
	f.warnOfOtherNamespaces(c, set)
	return review.FromManifests(set, f.systemNamespace), nil
}

// warnOfOtherNamespaces tells of SigningKeys that no server would look at.
func (f *policyFlags) warnOfOtherNamespaces(c *console, set *manifest.Set) {
	for _, key := range set.SigningKeys {
		if key.Namespace != f.systemNamespace {
			c.warn("SigningKey %s/%s (%s) is not looked at: servers look for SigningKeys in namespace %q (--system-namespace)",
				key.Namespace, key.Name, set.Source(key), f.systemNamespace)
		}
	}
}

// worldOfFiles is what the files say. Without any SigningKey nothing is known of audiences.
func (f *policyFlags) worldOfFiles(c *console, namespace string, files []string) (*review.World, error) {
	objects, err := f.readManifests(c, namespace, files)
	if err != nil {
		return nil, err
	}
	return newWorld(c, objects), nil
}

func newWorld(c *console, objects review.Objects) *review.World {
	open := len(objects.SigningKeys) == 0
	if open {
		c.warnOfNoKeys()
	}
	return review.New(objects, open)
}

// warnOfNoKeys says what is assumed where files say nothing of audiences.
func (c *console) warnOfNoKeys() {
	c.warn("there is no SigningKey among the files: every audience is taken to exist and to admit every namespace")
}

// problemLine is a problem as compilers print theirs.
func problemLine(p manifest.Problem) string {
	line := p.File
	if p.Line > 0 {
		line += fmt.Sprintf(":%d", p.Line)
	}
	line += ": "
	switch {
	case p.Name != "" && p.Namespace != "":
		line += fmt.Sprintf("%s %s/%s: ", p.Kind, p.Namespace, p.Name)
	case p.Kind != "":
		line += p.Kind
		if p.Name != "" {
			line += " " + p.Name
		}
		line += ": "
	}
	if p.Path != "" {
		line += p.Path + ": "
	}
	return line + p.Message
}

var errNoFiles = errors.New("name at least one file or folder, or - for the standard input")
