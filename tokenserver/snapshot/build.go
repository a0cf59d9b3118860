package snapshot

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
	"github.com/tokenwright/tokenwright/tokenserver/opaque"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// Input is what a snapshot is composed of.
type Input struct {
	Policies *policy.Index
	// Resources are those that are served, where that is known beforehand; else see Protect.
	Resources *resource.Catalog
	Keys      []Keys
	// Namespaces are needed for SigningKeys that select them; nil: there are none.
	Namespaces *Namespaces
	// Providers that compiled and hold their names, and the prefixes of those that hold one and did not compile; those of
	// the others are added.
	Providers []*provider.Provider
	Prefixes  []string
	// Seals are the keys of opaque strings.
	Seals opaque.Keys
	// At becomes BuiltAt.
	At time.Time
}

// Keys is a SigningKey and the key set that its Secret holds.
type Keys struct {
	Object *v1alpha1.SigningKey
	// Ring is the key set, or the last good one; Known says whether there is one.
	Ring  keyring.Ring
	Known bool
	// Fault is why the key set is not known.
	Fault string
}

// Build composes a snapshot from scratch. Whoever builds often uses one Builder, which does not test keys anew.
func Build(in Input) *Snapshot { return new(Builder).Build(in) }

// Builder composes snapshots and remembers between them what is costly: the signers that have passed their test, and the
// namespaces that were selected. It must not be used by two goroutines at once. The zero value is ready.
type Builder struct {
	signers    signers
	namespaces *Namespaces
	admissions map[string]resolved
}

// Build composes a snapshot. It never fails: what cannot be used says so in the snapshot.
func (b *Builder) Build(in Input) *Snapshot {
	s := &Snapshot{
		Policies: in.Policies, Resources: in.Resources, Audiences: map[string]*Audience{}, BuiltAt: in.At, Seals: in.Seals,
		Providers: slices.Clone(in.Providers), Prefixes: slices.Clone(in.Prefixes),
	}
	slices.SortFunc(s.Providers, func(a, b *provider.Provider) int { return strings.Compare(a.Name, b.Name) })
	for _, p := range s.Providers {
		if (p.Htpasswd != nil || p.JWT != nil) && !slices.Contains(s.Prefixes, p.Prefix) {
			s.Prefixes = append(s.Prefixes, p.Prefix)
		}
	}
	slices.Sort(s.Prefixes)
	b.addKeys(s, in)
	if in.Policies != nil {
		s.Counts.Policies = in.Policies.Len()
	}
	s.Counts.Providers, s.Counts.Resources = len(s.Providers), in.Resources.Len()
	return s
}

// Protect puts resources into a snapshot that nobody but who built it has seen, because it takes the snapshot's audiences to
// know which are served; and with them the policies, so many of which are what resources and requests give to people.
func (s *Snapshot) Protect(policies *policy.Index, approvals int, resources *resource.Catalog) {
	s.Policies, s.Resources = policies, resources
	s.Counts.Policies, s.Counts.Approvals, s.Counts.Resources = policies.Len()-approvals, approvals, resources.Len()
}

// addKeys adds the audiences and the public keys.
func (b *Builder) addKeys(s *Snapshot, in Input) {
	keys := slices.Clone(in.Keys)
	slices.SortFunc(keys, func(a, b Keys) int { return strings.Compare(a.Object.Name, b.Object.Name) })
	objects := make([]v1alpha1.SigningKey, 0, len(keys))
	for _, k := range keys {
		objects = append(objects, *k.Object)
	}
	owners := keyring.AudienceOwners(objects)
	b.begin(in.Namespaces)
	s.Verification = map[string][]token.Public{}
	rings := make([]keyring.Ring, 0, len(keys))
	for _, k := range keys {
		prototype := b.audience(k)
		for _, name := range k.Object.Spec.Audiences {
			if owners[name] != k.Object.Name {
				continue
			}
			audience := prototype
			audience.Name = string(name)
			s.Audiences[audience.Name] = &audience
		}
		if k.Object.DeletionTimestamp.IsZero() {
			s.Counts.SigningKeys++
		}
		if prototype.Signer != nil {
			s.Counts.UsableSigningKeys++
		}
		if k.Known {
			rings = append(rings, k.Ring)
			for _, key := range k.Ring.Verifying() {
				s.Verification[key.KeyID] = append(s.Verification[key.KeyID], token.Public{Owner: k.Object.Name, Algorithm: key.Algorithm, Key: key.Public})
			}
		}
	}
	b.end()
	s.addPublic(rings)
}

// audience is what all audiences of one SigningKey have in common.
func (b *Builder) audience(k Keys) Audience {
	a := Audience{SigningKey: k.Object.Name, Namespaces: b.admission(k.Object)}
	a.ByKeyID = k.Object.Spec.KeyIdentification == v1alpha1.KeyID
	a.NonExpiring = a.ByKeyID && k.Object.Spec.NonExpiringTokens == v1alpha1.Allowed
	lifetime, err := cmp.Or(k.Object.Spec.TokenLifetime, defaultLifetime).Parse()
	switch {
	case !k.Object.DeletionTimestamp.IsZero():
		a.Unusable = "the SigningKey is being deleted"
		return a
	case err != nil:
		a.Unusable = "spec.tokenLifetime: " + err.Error()
		return a
	case !k.Known:
		a.Unusable = cmp.Or(k.Fault, "the key set is not known")
		return a
	}
	active, ok := k.Ring.Active()
	if !ok {
		a.Unusable = "no key is active"
		return a
	}
	signer, err := b.signers.get(active, k.Object.Spec.KeyIdentification)
	if err != nil {
		a.Unusable = err.Error()
		return a
	}
	// A longer one would outlive the key's publication: the manager raises the key's own bound first.
	a.TokenLifetime = min(lifetime, active.TokenLifetime)
	a.Signer = signer
	return a
}

// defaultLifetime is the schema's default, for objects that did not pass through it.
const defaultLifetime v1alpha1.Duration = "15m"

// addPublic adds the JWKS and what it says.
func (s *Snapshot) addPublic(rings []keyring.Ring) {
	set := keyring.JWKS(rings...)
	document, err := json.Marshal(set)
	if err != nil {
		// Only a key of an unknown kind cannot be encoded; a ring holds none, because it would not have been decoded.
		document = []byte(`{"keys":[]}`)
	} else {
		s.Serves = serves(rings)
	}
	sum := sha256.Sum256(document)
	s.JWKS, s.JWKSETag = document, `"`+base64.RawURLEncoding.EncodeToString(sum[:])+`"`
	s.Counts.Keys = len(set.Keys)
}

// serves returns the thumbprints of the keys that are or will be used, sorted. All of them are in the JWKS.
func serves(rings []keyring.Ring) []string {
	var thumbprints []string
	for _, ring := range rings {
		for _, key := range ring.Keys {
			switch key.State {
			case v1alpha1.KeyPending, v1alpha1.KeyPublished, v1alpha1.KeyActive:
				thumbprints = append(thumbprints, key.Thumbprint)
			}
		}
	}
	slices.Sort(thumbprints)
	return slices.Compact(thumbprints)
}
