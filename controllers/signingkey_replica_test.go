package controllers

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// replica is one server. What it serves and signs with is decided by the real snapshot.Builder, and what it remembers of
// key sets by what package observe decides by, keyring's Followed and Revoked.
type replica struct {
	// offset is by how much its clock is ahead.
	offset time.Duration
	// lag is how far its view is behind; away says that it sees nothing at all.
	lag  time.Duration
	away bool
	// synced is until when its view is known to be right, by the true time.
	synced time.Time
	// blind says that it signs from memory: its view has no Secret that it can read, or one in which nothing signs yet.
	blind bool
	// memory is since when it does.
	memory time.Time

	key     *v1alpha1.SigningKey
	ring    keyring.Ring
	known   bool
	seen    string
	revoked keyring.Revoked
	builder snapshot.Builder
	// said and renewed are what its Lease says.
	said    string
	renewed time.Time
	view    *snapshot.Snapshot
	jwks    []string
}

// look takes in what the API server held at that moment.
func (r *replica) look(s *state, synced time.Time) {
	r.synced = synced
	if s.key == nil {
		return
	}
	version := s.key.ResourceVersion
	if s.secret != nil {
		version += "/" + string(s.secret.UID) + "/" + s.secret.ResourceVersion
	}
	if r.seen == version {
		return
	}
	r.seen, r.key = version, s.key
	before := r.blind
	r.blind = s.fault != nil
	if s.fault == nil {
		r.ring, r.known = r.ring.Followed(s.ring), true
		_, signs := s.ring.Active()
		r.blind = !signs
	}
	if r.blind && !before {
		r.memory = synced
	}
	if r.revoked == nil {
		r.revoked = keyring.Revoked{}
	}
	r.revoked.Note(r.ring)
	ring := r.revoked.Without(r.ring)
	r.view = r.builder.Build(snapshot.Input{Keys: []snapshot.Keys{{Object: r.key, Ring: ring, Known: r.known}}, At: synced})
	r.jwks = thumbprintsIn(string(r.view.JWKS))
}

// fresh says whether the view is younger than L, and the Lease, where there is one, was renewed since.
func (r *replica) fresh(now time.Time, l time.Duration) bool {
	if !r.renewed.IsZero() && now.Add(r.offset).Sub(r.renewed) > l {
		return false
	}
	return r.view != nil && now.Sub(r.synced) <= l
}

// minted is one token.
type minted struct {
	key     keyring.Key
	expires time.Time // by the clock of the one who signed it
	chained bool
}

// mint signs a token, or says why not. It is issue.usable and what follows it.
func (r *replica) mint(now time.Time, l time.Duration) (minted, bool) {
	if !r.fresh(now, l) {
		return minted{}, false
	}
	audience := r.view.Audiences[string(r.key.Spec.Audiences[0])]
	if audience == nil || audience.Signer == nil {
		return minted{}, false
	}
	local := now.Add(r.offset)
	if until := audience.Signer.SignUntil(); !until.IsZero() && !local.Before(until) {
		return minted{}, false
	}
	lifetime := min(audience.TokenLifetime, audience.Signer.LongestLifetime()).Truncate(time.Second)
	active, ok := r.ring.Active()
	if !ok || active.KeyID != audience.Signer.KeyID() || lifetime < time.Minute {
		return minted{}, false
	}
	return minted{key: active, expires: local.Truncate(time.Second).Add(lifetime), chained: r.key.Spec.KeyIdentification != v1alpha1.KeyID}, true
}

// acknowledge keeps the server's Lease: what it serves of the keys that sign, or will, and until when it may sign itself.
func (w *world) acknowledge(name string, r *replica) {
	if r.view == nil || !r.known {
		return
	}
	var serves []string
	for _, k := range r.ring.Keys {
		if !dead(k.State) && slices.Contains(r.jwks, k.Thumbprint) {
			serves = append(serves, k.Thumbprint)
		}
	}
	local := w.now().Add(r.offset)
	said := keyring.EncodeServes(serves)
	if r.said == said && local.Sub(r.renewed) < w.o.MaxStaleness/6 {
		return
	}
	r.said, r.renewed = said, local
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: w.o.Namespace, Name: name}}
	err := w.api.Get(w.ctx, client.ObjectKeyFromObject(lease), lease)
	missing := gone(err)
	lease.Labels = map[string]string{v1alpha1.LabelServerLease: "true"}
	lease.Annotations = map[string]string{v1alpha1.AnnotationServes: said}
	lease.Spec.HolderIdentity = &name
	lease.Spec.RenewTime = &metav1.MicroTime{Time: local}
	lease.Spec.LeaseDurationSeconds = new(int32(w.o.MaxStaleness / time.Second))
	if missing {
		err = w.api.Create(w.ctx, lease)
	} else if err == nil {
		err = w.api.Update(w.ctx, lease)
	}
	if err != nil {
		w.Fatalf("write Lease %s: %v", name, err)
	}
}

// verifier reads the JWKS of one server and believes it for as long as it was told.
type verifier struct {
	from    int
	jwks    []string
	fetched time.Time
}

// parsedJWKS remembers what was parsed: the same document is looked at many times. Only one test at a time uses it.
type jwksCache map[string][]string

func (c jwksCache) thumbprints(text string) []string {
	if known, ok := c[text]; ok {
		return known
	}
	c[text] = thumbprintsIn(text)
	return c[text]
}

// thumbprintsIn returns the RFC 7638 thumbprints of a JWKS, computed from the keys themselves; nil if it is none.
func thumbprintsIn(text string) []string {
	var set jose.JSONWebKeySet
	if json.Unmarshal([]byte(text), &set) != nil {
		return nil
	}
	out := []string{}
	for _, k := range set.Keys {
		if !k.IsPublic() {
			return nil
		}
		thumbprint, err := keyring.Thumbprint(k.Key)
		if err != nil {
			return nil
		}
		out = append(out, thumbprint)
	}
	return out
}
