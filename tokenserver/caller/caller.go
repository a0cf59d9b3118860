// Package caller holds who is asking, as proved. It owns the value and the names that every caller has by right; how a
// caller is proved is the business of package identity.
package caller

import (
	"strings"
	"time"
)

// Names and groups with the meaning that Kubernetes gives them.
const (
	AnonymousUser         = "system:anonymous"
	GroupUnauthenticated  = "system:unauthenticated"
	GroupAuthenticated    = "system:authenticated"
	GroupServiceAccounts  = "system:serviceaccounts"
	serviceAccountPrefix  = "system:serviceaccount:"
	ReservedPrefix        = "system:"
	groupAccountsInPrefix = GroupServiceAccounts + ":"
)

// Method says how a caller was proved.
type Method string

// The methods.
const (
	MethodNone           Method = "none"
	MethodPassword       Method = "password"
	MethodServiceAccount Method = "serviceaccount"
	// MethodOIDC is a token of an external issuer.
	MethodOIDC Method = "jwt"
	// MethodToken is a token that this server issued to the caller before.
	MethodToken Method = "token"
)

// Caller is who asks. Treat it as immutable: it is shared between requests.
type Caller struct {
	// Username has its provider's prefix.
	Username string
	// UID is the provider's own id of the user; may be empty.
	UID string
	// Groups have the provider's prefix, and hold the groups that Kubernetes gives every caller.
	Groups []string
	// Extra are further facts about the caller, such as claims of its token.
	Extra map[string][]string
	// DetailsUnknown says that UID and Extra are empty because nobody knows them now, and not because there are none. What a
	// policy says of them is then neither true nor false.
	DetailsUnknown bool
	// Provider is the IdentityProvider that vouches; empty for an anonymous caller.
	Provider string
	// Method says how the caller was proved.
	Method Method
	// AuthTime is when the caller was proved.
	AuthTime time.Time
}

// Anonymous is a caller who proved nothing.
func Anonymous() Caller {
	return Caller{Username: AnonymousUser, Groups: []string{GroupUnauthenticated}, Method: MethodNone}
}

// IsAnonymous says whether the caller proved nothing.
func (c Caller) IsAnonymous() bool { return c.Method == MethodNone || c.Method == "" }

// ServiceAccount returns namespace and name if the caller is a ServiceAccount, and empty strings if not.
func (c Caller) ServiceAccount() (namespace, name string) {
	rest, ok := strings.CutPrefix(c.Username, serviceAccountPrefix)
	if !ok {
		return "", ""
	}
	namespace, name, ok = strings.Cut(rest, ":")
	if !ok || namespace == "" || name == "" || strings.Contains(name, ":") {
		return "", ""
	}
	return namespace, name
}

// ServiceAccountUser is the user name of a ServiceAccount.
func ServiceAccountUser(namespace, name string) string {
	return serviceAccountPrefix + namespace + ":" + name
}

// ServiceAccountGroups are the groups of every ServiceAccount in the namespace.
func ServiceAccountGroups(namespace string) []string {
	return []string{GroupServiceAccounts, groupAccountsInPrefix + namespace, GroupAuthenticated}
}
