package identity

import (
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// Use is what a proof is kept in. The digests of one use are never those of another: a claim is in the hands of every service that
// gets the token, and must not tell whoever reads records whose it is, nor stand for one.
type Use string

// The uses. Each is the purpose of the digest.
const (
	InRecord Use = "credential"
	InClaim  Use = "credential-claim"
)

// Proof is by what a user was proved, as a record or a claim holds it. It is of no use to who reads it.
type Proof struct {
	// Provider and ProviderUID are the IdentityProvider.
	Provider, ProviderUID string
	// Credential is a keyed digest of the password entry.
	Credential string
}

// ProofOf says by what the caller has been proved with a password. Whoever came with anything else has no proof that could
// be taken up again, and gets ErrBadCredentials.
func ProofOf(s *snapshot.Snapshot, who caller.Caller, use Use) (Proof, error) {
	p, hash, err := entryOf(s, who)
	if err != nil {
		return Proof{}, err
	}
	digest, err := s.Seals.Digest(string(use), p.UID, who.Username, string(hash))
	if err != nil {
		return Proof{}, unavailable(err)
	}
	return Proof{Provider: p.Name, ProviderUID: p.UID, Credential: digest}, nil
}

// Resume proves again a caller whom a password proved before, at the time authTime: by the same provider, if it still has
// the user with the same password entry. Groups are those of now.
func Resume(s *snapshot.Snapshot, username string, proof Proof, use Use, authTime time.Time) (caller.Caller, error) {
	who := caller.Caller{Username: username, Provider: proof.Provider, Method: caller.MethodPassword, AuthTime: authTime}
	p, hash, err := entryOf(s, who)
	switch {
	case err != nil:
		return caller.Caller{}, err
	case p.UID != proof.ProviderUID:
		return caller.Caller{}, refuse("the provider is another one of that name")
	case !s.Seals.Usable():
		return caller.Caller{}, unavailable(errProviderAway)
	case !s.Seals.Matches(proof.Credential, string(use), p.UID, username, string(hash)):
		return caller.Caller{}, refuse("the password has changed since")
	}
	who.Groups = groupsOf(s, p, username[len(p.Prefix):])
	return who, nil
}

// entryOf returns the provider that has the caller's name and vouched for it, and the password entry.
func entryOf(s *snapshot.Snapshot, who caller.Caller) (*provider.Provider, []byte, error) {
	if who.Method != caller.MethodPassword || strings.HasPrefix(who.Username, caller.ReservedPrefix) {
		return nil, nil, refuse("the caller was not proved by a password")
	}
	p, err := providerOf(s, who.Username)
	if err != nil {
		return nil, nil, err
	}
	hash, known := p.Htpasswd.Hashes[who.Username[len(p.Prefix):]]
	if p.Name != who.Provider || !known {
		return nil, nil, refuse("the provider does not have the user any more")
	}
	return p, hash, nil
}
