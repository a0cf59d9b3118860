package identity

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

var errProviderAway = errors.New("the provider that has the name cannot serve")

// user proves a user of an htpasswd provider. Clients give the name as policies spell it, prefix included; the prefix
// says which provider is asked, and no other is.
func (a *Authenticator) user(ctx context.Context, s *snapshot.Snapshot, c Credentials, now time.Time) (caller.Caller, error) {
	if c.Password == "" || strings.IndexByte(c.Password, 0) >= 0 {
		// bcrypt repeats the password with a zero byte between, so that a\0a would be as good as a.
		return caller.Caller{}, refuse("the password is empty or has a zero byte")
	}
	p, err := providerOf(s, c.Username)
	if err != nil {
		return caller.Caller{}, err
	}
	name := c.Username[len(p.Prefix):]
	id := a.seal.of("password", p.UID, strconv.FormatInt(p.Generation, 10), p.SecretVersion, p.Prefix, name, c.Password)
	right := a.passwords.remembers(id, now)
	if !right {
		right, err = a.passwords.check(ctx, login{
			file: p.Htpasswd, user: name, account: c.Username, password: c.Password, id: id, origin: originOf(c.Source), now: now,
		})
	}
	switch {
	case err != nil:
		return caller.Caller{}, err
	case !right || strings.HasPrefix(c.Username, caller.ReservedPrefix):
		// The compiler lets no such name in. It is asked again here because so much hangs on it.
		return caller.Caller{}, refuse("provider %s knows no such user and password", p.Name)
	}
	return caller.Caller{
		Username: c.Username, Groups: groupsOf(s, p, name), Provider: p.Name,
		Method: caller.MethodPassword, AuthTime: now,
	}, nil
}

// providerOf returns the htpasswd provider that has the name.
func providerOf(s *snapshot.Snapshot, username string) (*provider.Provider, error) {
	prefix := ownerPrefix(s, username)
	for _, p := range s.Providers {
		switch {
		case p.Htpasswd != nil && p.Prefix == prefix:
			return p, nil
		case p.JWT != nil && p.Prefix == prefix:
			return nil, refuse("provider %s, which has the name, knows no passwords", p.Name)
		}
	}
	if slices.Contains(s.Prefixes, prefix) {
		return nil, unavailable(errProviderAway)
	}
	return nil, refuse("no provider has the name")
}

// ownerPrefix returns the prefix that a name of a user or group starts with; empty if it starts with none. No prefix
// starts with another, so that there is at most one.
func ownerPrefix(s *snapshot.Snapshot, name string) string {
	for _, prefix := range s.Prefixes {
		if prefix != "" && strings.HasPrefix(name, prefix) {
			return prefix
		}
	}
	return ""
}

// groupsOf returns the user's groups. A provider without a prefix could name a group that is another provider's; such a
// group is left out.
func groupsOf(s *snapshot.Snapshot, p *provider.Provider, name string) []string {
	own := p.Htpasswd.Groups[name]
	groups := make([]string, 0, len(own)+1)
	for _, group := range own {
		if ownerPrefix(s, group) == p.Prefix && !strings.HasPrefix(group, caller.ReservedPrefix) {
			groups = append(groups, group)
		}
	}
	return append(groups, caller.GroupAuthenticated)
}
