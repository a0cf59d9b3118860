package identity

import (
	"slices"
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// Recall is the caller whom a token of ours speaks for, which was issued to the name at a time: a user whom an htpasswd
// provider still has, with the groups of now, or a ServiceAccount, for which the token names the provider that vouched. Others are
// refused: their groups come with their own tokens, and without them they would escape what is denied to a group.
func Recall(s *snapshot.Snapshot, username, vouched string, issued time.Time) (caller.Caller, error) {
	who := caller.Caller{Username: username, Method: caller.MethodToken, AuthTime: issued}
	if strings.HasPrefix(username, caller.ReservedPrefix) {
		return recallAccount(s, who, vouched)
	}
	p, err := providerOf(s, username)
	if err != nil {
		return caller.Caller{}, err
	}
	name := username[len(p.Prefix):]
	if _, known := p.Htpasswd.Hashes[name]; !known {
		return caller.Caller{}, refuse("provider %s does not have the user", p.Name)
	}
	who.Provider, who.Groups = p.Name, groupsOf(s, p, name)
	return who, nil
}

// recallAccount is a ServiceAccount whose token a provider accepted when ours was issued. Where the API server is to be asked each
// time, nobody can be recalled. What its own token said beside the name is not known any more, which is not the same as that it
// said nothing.
func recallAccount(s *snapshot.Snapshot, who caller.Caller, vouched string) (caller.Caller, error) {
	namespace, _ := who.ServiceAccount()
	at := slices.IndexFunc(s.Providers, func(p *provider.Provider) bool { return p.Kubernetes != nil && p.Name == vouched })
	switch {
	case namespace == "" || at < 0:
		return caller.Caller{}, refuse("no provider vouches for the name")
	case s.Providers[at].Kubernetes.Verification == v1alpha1.VerifyOnline:
		return caller.Caller{}, refuse("ServiceAccounts are verified online, by their own tokens")
	}
	who.Provider, who.Groups, who.DetailsUnknown = vouched, caller.ServiceAccountGroups(namespace), true
	return who, nil
}
