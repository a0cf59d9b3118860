// Package snapshot owns the immutable value that a request reads from beginning to end: policies, audiences with their
// keys, identity providers, and the public keys. It also owns how that value is composed of plain inputs (Builder), and
// its atomic holder. It knows no informers: package observe feeds it from an API server, offline tools from files.
package snapshot

import (
	"cmp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/opaque"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// Snapshot is what the server knows at one moment. It is immutable and may be read by any number of requests.
type Snapshot struct {
	// Policies decide what is granted; nil denies all.
	Policies *policy.Index
	// Resources are the ProtectedResources that are served; nil: none.
	Resources *resource.Catalog
	// Audiences are by name: those that some SigningKey claims, also if it cannot sign at present.
	Audiences map[string]*Audience
	// Providers are those that can serve, in the order of their names.
	Providers []*provider.Provider
	// Prefixes are all that providers hold, also those that cannot serve at present: a name that starts with one of
	// them is nobody else's. The empty prefix is among them if a provider holds the names without one.
	Prefixes []string
	// Seals are what refresh tokens are sealed with; they open nothing if the Secret was never there.
	Seals opaque.Keys
	// JWKS is the JSON Web Key Set (RFC 7517) with every public key, and JWKSETag its strong entity tag, with quotes.
	JWKS     []byte
	JWKSETag string
	// Verification are the same public keys by their kid, for tokens that come back.
	Verification map[string][]token.Public
	// Serves are the thumbprints of the keys in JWKS that are or will be used: those that are Pending, Published or Active.
	Serves []string
	// BuiltAt is when the snapshot was composed; zero for the empty one that is there before the first.
	BuiltAt time.Time
	// Counts are for metrics.
	Counts Counts
}

// Counts says how much a snapshot holds.
type Counts struct {
	// Policies that were indexed, also those with problems.
	Policies int
	// Resources that are served, and Approvals: what they, and the requests that were approved, give to their owners and others.
	Resources, Approvals int
	// Keys in the JWKS.
	Keys int
	// SigningKeys that are not being deleted, and how many of them can sign: one that is being deleted shall not.
	SigningKeys, UsableSigningKeys int
	// Providers that can serve.
	Providers int
}

// Audience is one audience and what is signed for it.
type Audience struct {
	// Name is the audience itself; SigningKey is the name of the object that holds it.
	Name, SigningKey string
	// TokenLifetime is the longest life of an access token.
	TokenLifetime time.Duration
	// Signer signs; nil if nothing can, and then Unusable says why, for logs and not for clients.
	Signer   *token.Signer
	Unusable string
	// Namespaces says whose AccessPolicies may speak of the audience.
	Namespaces Admission
	// ByKeyID says that verifiers find the key by its kid in the JWKS, and NonExpiring that also tokens without an expiry may
	// be signed.
	ByKeyID, NonExpiring bool
}

// Verify returns what a token of ours says that is good now, of one of the types: see token.Verify. A token whose SigningKey
// has lost the audience since is not.
func (s *Snapshot) Verify(text, issuer string, now time.Time, types ...string) (token.Verified, error) {
	return token.Verify(text, token.Expected{
		Issuer: issuer, Types: types, Now: now,
		Keys: func(kid string) []token.Public { return s.Verification[kid] },
		Serves: func(owner, audience string) bool {
			a, ok := s.Audiences[audience]
			return ok && a.SigningKey == owner
		},
	})
}

// Lists returns the audience whose key signs the status lists: of a SigningKey whose keys are in the JWKS by their kid, those
// with tokens without an expiry before others, then by name. All servers with the same objects choose the same. It is nil
// if there is none.
func (s *Snapshot) Lists() *Audience {
	var chosen *Audience
	for _, a := range s.Audiences {
		if a.ByKeyID && (chosen == nil || a.listsBefore(chosen)) {
			chosen = a
		}
	}
	return chosen
}

func (a *Audience) listsBefore(b *Audience) bool {
	if a.NonExpiring != b.NonExpiring {
		return a.NonExpiring
	}
	return cmp.Or(strings.Compare(a.SigningKey, b.SigningKey), strings.Compare(a.Name, b.Name)) < 0
}

// Holder holds the current snapshot. The zero value holds an empty one, which denies all.
type Holder struct {
	current atomic.Pointer[Snapshot]

	mu      sync.Mutex
	waiting []chan<- struct{}
}

// Load returns the current snapshot, never nil. A request calls it once.
func (h *Holder) Load() *Snapshot {
	if s := h.current.Load(); s != nil {
		return s
	}
	h.current.CompareAndSwap(nil, Build(Input{}))
	return h.current.Load()
}

// Store makes the snapshot the current one.
func (h *Holder) Store(s *Snapshot) {
	h.current.Store(s)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.waiting {
		select {
		case c <- struct{}{}:
		default: // whoever finds it full will look anyway
		}
	}
}

// Stored returns a channel that gets a value after each Store, or one for several. It is kept as long as the Holder.
func (h *Holder) Stored() <-chan struct{} {
	c := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting = append(h.waiting, c)
	return c
}
