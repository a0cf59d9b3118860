package enforce

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Permission is what a token says of one resource.
type Permission struct {
	// ID is the resource's id, Name its name, which may be left out.
	ID, Name string
	Scopes   []string
}

// Token is a requesting party token that was verified. It is shared by requests: treat it as read-only.
type Token struct {
	// ID is its jti, Subject who it speaks for, and ClientID the client that got it.
	ID, Subject, ClientID string
	Expiry                time.Time
	Permissions           []Permission

	payload []byte
}

// Claims reads all claims of the token into a value, as json.Unmarshal does. Of the older form of tokens they can hold one that is
// as good as the caller's own: they are not for logs.
func (t *Token) Claims(into any) error { return json.Unmarshal(t.payload, into) }

// String implements fmt.Stringer, for logs.
func (t *Token) String() string {
	return fmt.Sprintf("requesting party token %s of %s", t.ID, t.Subject)
}

// covers says whether the token allows the scopes with the resource, in one permission or in several. Keycloak's enforcer takes a
// permission without scopes for one with all of them. Here it is good for nothing: the server always names what it granted, and a
// list that something on the way has emptied must not mean everything.
func (t *Token) covers(resource string, scopes []string, mode ScopesMode) bool {
	has := func(scope string) bool {
		return slices.ContainsFunc(t.Permissions, func(p Permission) bool { return p.ID == resource && slices.Contains(p.Scopes, scope) })
	}
	if mode == Any {
		return slices.ContainsFunc(scopes, has)
	}
	return len(scopes) > 0 && !slices.ContainsFunc(scopes, func(scope string) bool { return !has(scope) })
}

// contextKey is under what a request's context has the token.
type contextKey struct{}

// FromContext returns the token by which a request was let in. There is none for public paths, and for those that are not
// configured or not enforced.
func FromContext(ctx context.Context) (*Token, bool) {
	t, ok := ctx.Value(contextKey{}).(*Token)
	return t, ok
}
