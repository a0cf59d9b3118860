package offline

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
	"github.com/tokenwright/tokenwright/tokenserver/manifest"
)

// maxTold bounds how many problems an error lists.
const maxTold = 50

// refusal is a set of manifests that is not taken over.
type refusal struct {
	problems []manifest.Problem
	// unreadable is why a file or folder cannot be read.
	unreadable error
}

func (r *refusal) count() int {
	if r.unreadable != nil {
		return len(r.problems) + 1
	}
	return len(r.problems)
}

// Error lists the problems, one a line, each with its place.
func (r *refusal) Error() string {
	lines := []string{"the manifests are not in order:"}
	if r.unreadable != nil {
		lines = append(lines, r.unreadable.Error())
	}
	for i, p := range r.problems {
		if i == maxTold {
			lines = append(lines, fmt.Sprintf("and %d more", len(r.problems)-maxTold))
			break
		}
		lines = append(lines, describe(p))
	}
	return strings.Join(lines, "\n  ")
}

// describe is a problem as a compiler would say it.
func describe(p manifest.Problem) string {
	parts := []string{p.File}
	if p.Line > 0 {
		parts[0] = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	if name := strings.TrimPrefix(p.Namespace+"/"+p.Name, "/"); p.Kind != "" {
		parts = append(parts, strings.TrimSpace(p.Kind+" "+name))
	}
	if p.Path != "" {
		parts = append(parts, p.Path)
	}
	return strings.Join(append(parts, p.Message), ": ")
}

// read reads the manifests. The error is a refusal.
func (o *Offline) read() (*manifest.Set, error) {
	set, problems, err := o.reader.Read(o.options.Manifests...)
	problems = append(problems, o.misplaced(set)...)
	if err != nil || len(problems) > 0 {
		return nil, &refusal{problems: problems, unreadable: err}
	}
	return set, nil
}

// misplaced finds objects that the server must not be given, or would not see: what an API server would refuse by our
// admission policies, and Secrets that pretend to be the keys of a SigningKey.
func (o *Offline) misplaced(set *manifest.Set) []manifest.Problem {
	var found []manifest.Problem
	add := func(kind string, object metav1.Object, path, message string) {
		at := set.Source(object)
		found = append(found, manifest.Problem{
			File: at.File, Line: at.LineOf(path), Kind: kind, Namespace: object.GetNamespace(), Name: object.GetName(), Path: path, Message: message,
		})
	}
	system := func(kind string, object metav1.Object) {
		if object.GetNamespace() != o.options.Namespace {
			add(kind, object, "metadata.namespace", fmt.Sprintf("must be the system namespace, %q", o.options.Namespace))
		}
	}
	for _, key := range set.SigningKeys {
		system("SigningKey", key)
	}
	for _, provider := range set.IdentityProviders {
		system("IdentityProvider", provider)
	}
	for _, secret := range set.Secrets {
		_, labelled := secret.Labels[v1alpha1.LabelSigningKey]
		switch {
		case secret.Type == keyring.SecretType || secret.Type == keyring.CASecretType:
			add("Secret", secret, "type", "must not be that of keys: the server makes its keys itself")
		case labelled:
			add("Secret", secret, "metadata.labels", fmt.Sprintf("must not have the label %s, which is that of the server's own Secrets", v1alpha1.LabelSigningKey))
		case strings.HasSuffix(secret.Name, keyring.SecretName("")) || strings.HasSuffix(secret.Name, keyring.CASecretName("")):
			add("Secret", secret, "metadata.name", "must not be one that the keys of a SigningKey can have: the server makes them itself")
		}
	}
	return found
}

// apart refuses a state folder among the manifests, and the reverse: what the server writes is not to be read as what it is
// told.
func (o *Offline) apart() error {
	if o.options.StateDir == "" {
		return nil
	}
	dir := behindLinks(o.options.StateDir)
	for _, path := range o.options.Manifests {
		if other := behindLinks(path); within(dir, other) || within(other, dir) {
			return fmt.Errorf("the state folder %s and the manifests %s must not lie within each other", o.options.StateDir, path)
		}
	}
	return nil
}

// behindLinks is the path behind all links, as far as it is there.
func behindLinks(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	var missing []string
	for at := path; ; at = filepath.Dir(at) {
		if found, err := filepath.EvalSymlinks(at); err == nil {
			slices.Reverse(missing)
			return filepath.Join(append([]string{found}, missing...)...)
		}
		if at == filepath.Dir(at) {
			return path
		}
		missing = append(missing, filepath.Base(at))
	}
}

// within says whether the path is the folder or below it.
func within(path, folder string) bool {
	relative, err := filepath.Rel(folder, path)
	return err == nil && relative != ".." && !strings.HasPrefix(relative, ".."+string(filepath.Separator))
}
