package resource

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// Bounds of the schema, in characters and entries.
const (
	maxID       = 128
	maxName     = 256
	maxType     = 128
	maxOwner    = 256
	maxAudience = 253
	maxScopes   = 64
	maxURIs     = 32
	maxURI      = 512
	// With more of these a tenant could have others wait for a search through all of its patterns.
	maxPlaceholders = 4
	maxSlashes      = 16
	maxAttributes   = 32
	maxKey          = 256
	maxValues       = 64
	maxValue        = 1024
	// MaxAttributes is how much all attributes together may have, in characters, keys included: every server has it in memory.
	MaxAttributes = 8 << 10
)

// compiler collects what is wrong.
type compiler struct{ problems []policy.Problem }

func (c *compiler) problem(reason, path, format string, args ...any) {
	c.problems = append(c.problems, policy.Problem{Reason: reason, Path: path, Message: fmt.Sprintf(format, args...)})
}

// invalid reports the message, if there is one.
func (c *compiler) invalid(message, path string, args ...any) {
	if message != "" {
		c.problem(v1alpha1.ReasonInvalidResource, fmt.Sprintf(path, args...), "%s", message)
	}
}

func (c *compiler) check(object *v1alpha1.ProtectedResource) {
	spec := &object.Spec
	if len(validation.IsDNS1123Label(object.Namespace)) > 0 {
		c.invalid("must be the name of a namespace", "metadata.namespace")
	}
	if len(validation.IsDNS1123Subdomain(object.Name)) > 0 {
		c.invalid("must be a lowercase name as objects have", "metadata.name")
	}
	c.invalid(IDProblem(spec.ID), "spec.id")
	c.invalid(NameProblem(spec.DisplayName), "spec.displayName")
	c.typ(spec.Type)
	c.uris(spec.URIs)
	c.scopes(spec.Scopes)
	c.invalid(OwnerProblem(spec.Owner), "spec.owner")
	if m := spec.OwnerManagedAccess; m != "" && m != v1alpha1.Allowed && m != v1alpha1.Forbidden {
		c.invalid("must be Allowed or Forbidden", "spec.ownerManagedAccess")
	}
	c.invalid(audienceProblem(string(spec.Audience)), "spec.audience")
	c.attributes(spec.Attributes)
}

func (c *compiler) typ(typ string) {
	if slices.Contains([]string{v1alpha1.TypeRepository, v1alpha1.TypeRegistry, v1alpha1.TypeNATS, v1alpha1.TypeOAuth}, typ) {
		c.problem(v1alpha1.ReasonReservedType, "spec.type", "must not be %s: that has a meaning of its own", typ)
		return
	}
	c.invalid(TypeProblem(typ), "spec.type")
}

func (c *compiler) uris(uris []v1alpha1.ResourceURI) {
	if len(uris) > maxURIs {
		c.invalid(fmt.Sprintf("must be at most %d", maxURIs), "spec.uris")
		return
	}
	for i, u := range uris {
		c.invalid(URIProblem(string(u)), "spec.uris[%d]", i)
		c.once(slices.Index(uris, u) == i, "spec.uris[%d]", i)
	}
}

func (c *compiler) scopes(scopes []v1alpha1.ResourceScope) {
	if len(scopes) == 0 || len(scopes) > maxScopes {
		c.invalid(fmt.Sprintf("must be 1 to %d", maxScopes), "spec.scopes")
		return
	}
	for i, s := range scopes {
		c.invalid(ScopeProblem(string(s)), "spec.scopes[%d]", i)
		c.once(slices.Index(scopes, s) == i, "spec.scopes[%d]", i)
	}
}

func (c *compiler) attributes(attributes []v1alpha1.ResourceAttribute) {
	if len(attributes) > maxAttributes {
		c.invalid(fmt.Sprintf("must be at most %d", maxAttributes), "spec.attributes")
		return
	}
	size := 0
	for i, a := range attributes {
		size += utf8.RuneCountInString(a.Key)
		c.invalid(lengthProblem(a.Key, 1, maxKey), "spec.attributes[%d].key", i)
		first := slices.IndexFunc(attributes, func(b v1alpha1.ResourceAttribute) bool { return b.Key == a.Key })
		c.once(first == i, "spec.attributes[%d].key", i)
		if len(a.Values) > maxValues {
			c.invalid(fmt.Sprintf("must be at most %d", maxValues), "spec.attributes[%d].values", i)
			continue
		}
		for j, v := range a.Values {
			c.invalid(lengthProblem(v, 0, maxValue), "spec.attributes[%d].values[%d]", i, j)
			size += utf8.RuneCountInString(v)
		}
	}
	if size > MaxAttributes {
		c.invalid(fmt.Sprintf("must have at most %d characters in all, keys and values together", MaxAttributes), "spec.attributes")
	}
}

func (c *compiler) once(first bool, path string, args ...any) {
	if !first {
		c.invalid("must not be given twice", path, args...)
	}
}

// lengthProblem counts characters, as schemas do.
func lengthProblem(text string, least, most int) string {
	if n := utf8.RuneCountInString(text); n < least || n > most || !utf8.ValidString(text) {
		return fmt.Sprintf("must be %d to %d characters", least, most)
	}
	return ""
}

// IDProblem says what is wrong with an id that a resource gives itself; nothing if all is well, or none is given.
func IDProblem(id string) string {
	switch {
	case id == "":
		return ""
	case strings.Contains(id, "/"):
		return "must not have a slash: only an id that is not given has one"
	case len(id) > maxID || !alphanumeric(rune(id[0])) || outside(id, "._~-"):
		return fmt.Sprintf(`must be at most %d characters, begin with a letter or digit, and hold only letters, digits and "._~-"`, maxID)
	}
	return ""
}

// NameProblem says what is wrong with what people call a resource; nothing if all is well, or it has no name.
func NameProblem(name string) string {
	if strings.ContainsFunc(name, control) {
		return "must have no control characters"
	}
	return lengthProblem(name, 0, maxName)
}

// TypeProblem says what is wrong with a type, apart from those that have a meaning of their own; nothing if all is well, or
// none is given.
func TypeProblem(typ string) string {
	if typ == "" {
		return ""
	}
	if len(typ) > maxType || !alphanumeric(rune(typ[0])) || !alphanumeric(rune(typ[len(typ)-1])) || outside(typ, "._:/-") {
		return fmt.Sprintf(`must be at most %d characters, begin and end with a letter or digit, and hold only letters, digits and "._:/-"`, maxType)
	}
	return ""
}

// OwnerProblem says what is wrong with an owner; nothing if all is well, or there is none. Of the names that start with
// system: only those of ServiceAccounts are anybody's.
func OwnerProblem(owner string) string {
	if strings.HasPrefix(owner, caller.ReservedPrefix) {
		namespace, name := (caller.Caller{Username: owner}).ServiceAccount()
		if len(validation.IsDNS1123Label(namespace)) > 0 || len(validation.IsDNS1123Subdomain(name)) > 0 {
			return "must be somebody: of the names with system: only those of ServiceAccounts, " + caller.ServiceAccountUser("<namespace>", "<name>")
		}
	}
	return lengthProblem(owner, 0, maxOwner)
}

// ScopeProblem says what is wrong with a scope; nothing if all is well.
func ScopeProblem(scope string) string {
	if scope == "*" {
		return "must not be *: a resource names its scopes"
	}
	return policy.ActionProblem(DefaultType, scope)
}

func audienceProblem(audience string) string {
	printable := strings.IndexFunc(audience, func(r rune) bool { return r < ' ' || r > '~' }) < 0
	if audience == "" || len(audience) > maxAudience || !printable || strings.TrimSpace(audience) != audience {
		return fmt.Sprintf("must be 1 to %d printable characters, and none a blank at an end", maxAudience)
	}
	return ""
}

// outside says whether the text has anything but letters, digits and the others.
func outside(text, others string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return !alphanumeric(r) && !strings.ContainsRune(others, r) })
}
