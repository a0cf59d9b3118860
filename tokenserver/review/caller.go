package review

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tokenwright/tokenwright/tokenserver/caller"
)

// Who is somebody as a person describes a caller, as for kubectl's --as: all that policies can know, apart from what
// follows from the name.
type Who struct {
	User, UID, Provider string
	// Method is how a user is proved, a password or a token of an issuer; empty: a password.
	Method caller.Method
	Groups []string
	Extra  map[string][]string
}

// Caller is that caller, with the groups that everybody of its kind has. It fails for one who cannot exist: of the names
// that start with "system:" only those that Kubernetes gives do.
func (w Who) Caller() (caller.Caller, error) {
	user := w.User
	c := caller.Caller{
		Username: user, UID: w.UID, Provider: w.Provider, Groups: []string{caller.GroupAuthenticated}, Extra: w.Extra,
		Method: cmp.Or(w.Method, caller.MethodPassword),
	}
	namespace, _ := c.ServiceAccount()
	switch {
	case c.Method != caller.MethodPassword && c.Method != caller.MethodOIDC:
		return caller.Caller{}, fmt.Errorf("the method of a user must be %s or %s, not %q: that of others follows from the name",
			caller.MethodPassword, caller.MethodOIDC, c.Method)
	case w.Method != "" && (namespace != "" || user == caller.AnonymousUser):
		return caller.Caller{}, fmt.Errorf("the method of %s follows from the name", user)
	case user == "":
		return caller.Caller{}, fmt.Errorf("the name of a user must not be empty; that of somebody who proves none is %s", caller.AnonymousUser)
	case user == caller.AnonymousUser:
		if len(w.Extra) > 0 || w.UID != "" || w.Provider != "" {
			return caller.Caller{}, fmt.Errorf("nothing more is known of %s: it has no extra, no uid and no provider", user)
		}
		c = caller.Anonymous()
	case namespace != "":
		c.Groups, c.Method = caller.ServiceAccountGroups(namespace), caller.MethodServiceAccount
	case strings.HasPrefix(user, caller.ReservedPrefix):
		return caller.Caller{}, fmt.Errorf("no user can have the name %q: of those with %s there are only %s and %s",
			user, caller.ReservedPrefix, caller.AnonymousUser, caller.ServiceAccountUser("<namespace>", "<name>"))
	}
	for _, g := range w.Groups {
		switch {
		case g == "":
			return caller.Caller{}, fmt.Errorf("the name of a group must not be empty")
		case slices.Contains(c.Groups, g):
		case namespace != "" || c.IsAnonymous():
			return caller.Caller{}, fmt.Errorf("%s is in no group but %s", user, strings.Join(c.Groups, ", "))
		case strings.HasPrefix(g, caller.ReservedPrefix):
			return caller.Caller{}, fmt.Errorf("the user %q cannot be in the group %q: of those with %s it is in %s only", user, g, caller.ReservedPrefix, caller.GroupAuthenticated)
		default:
			c.Groups = append(c.Groups, g)
		}
	}
	return c, nil
}
