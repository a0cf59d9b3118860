package controllers

import (
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// oracle watches a world and says which invariant of the design was broken. It knows nothing of how keys are planned: it
// compares what the API server holds from one write to the next, lets servers sign at every moment that matters, and
// keeps what they signed and what they, and the ConfigMap, ever published.
type oracle struct {
	w         *world
	replicas  []*replica
	verifiers []*verifier
	// leeway is how long past its expiry a token must still verify: what the clocks leave of a verifier's minute.
	leeway time.Duration

	keys map[string]*keyLife
	// ring is the last one that could be read.
	ring keyring.Ring
	// lost says that the Secret was away since; touched, that somebody else wrote it (restored, edited) since the manager
	// was last at rest.
	lost, touched bool
	// mended is when a set that somebody else had written was made good: what was fetched before lacks keys.
	mended time.Time
	// mapTouched says that somebody else wrote or deleted the home ConfigMap since the manager was last at rest.
	mapTouched bool
	// losses counts how often the set grew by keys that were lost.
	losses     int
	leastEvery time.Duration
	generation int64
	// anywhere says that a ConfigMap of ours, of whatever name, holds keys.
	anywhere  bool
	mapUID    string
	anchors   map[string][]*x509.Certificate
	certified map[string]error
	parsed    jwksCache

	broken []string
	// mints and rotations say that something happened at all.
	mints, rotations int
}

// keyLife is what the oracle knows of one key.
type keyLife struct {
	keyring.Key
	present, active bool
	// public is since when the home ConfigMap holds it.
	public time.Time
	// ended is when it ceased to be Active.
	ended time.Time
	// revoked and removed are for ever.
	revoked, removed bool
	// early says that it signed before all verifiers could know it: the first key, or an emergency.
	early bool
	// covered says that it was public for so long before it signed that every cache has it.
	covered bool
	// expires is when the last token that it signed expires, by its signer's clock.
	expires time.Time
}

func newOracle(w *world) *oracle {
	return &oracle{
		w: w, replicas: []*replica{{}, {}}, verifiers: []*verifier{{from: 0}, {from: 1}}, leeway: time.Minute,
		keys: map[string]*keyLife{}, anchors: map[string][]*x509.Certificate{}, certified: map[string]error{}, parsed: jwksCache{},
	}
}

func (o *oracle) breach(invariant int, format string, args ...any) {
	if len(o.broken) < 20 {
		o.broken = append(o.broken, fmt.Sprintf("%s invariant %d: %s", o.w.now().Format(time.DateTime), invariant, fmt.Sprintf(format, args...)))
	}
}

// see takes in what the API server holds after a write.
func (o *oracle) see(s *state) {
	if s.key != nil {
		if every := durationOf(s.key.Spec.Rotation.Interval, 720*time.Hour); o.leastEvery == 0 || every < o.leastEvery {
			o.leastEvery = every
		}
	}
	switch {
	case s.fault == nil:
		o.ringChanged(s)
	case s.secret == nil && len(o.ring.Keys) > 0:
		o.lost = true
	}
	o.published(s)
	o.step(s.at)
}

func durationOf(d v1alpha1.Duration, otherwise time.Duration) time.Duration {
	if parsed, err := d.Parse(); err == nil {
		return parsed
	}
	return otherwise
}

// ringChanged compares the set with the one before.
func (o *oracle) ringChanged(s *state) {
	before := o.ring
	if o.ring.Generation == s.ring.Generation && len(before.Keys) == len(s.ring.Keys) && !o.lost && !o.touched {
		return
	}
	adopting := len(o.keys) == 0 && slices.ContainsFunc(s.ring.Keys, func(k keyring.Key) bool { return k.State != v1alpha1.KeyPending })
	was := map[string]keyring.Key{}
	for _, k := range before.Keys {
		was[k.Thumbprint] = k
	}
	if o.lost || o.touched {
		o.losses += len(s.ring.Keys) + 1
	}
	for _, k := range s.ring.Keys {
		life := o.keys[k.Thumbprint]
		old, present := was[k.Thumbprint]
		switch {
		case life == nil && adopting:
			life = &keyLife{public: k.Published, covered: !k.Activated.IsZero()}
			o.keys[k.Thumbprint] = life
		case life == nil:
			life = &keyLife{}
			o.keys[k.Thumbprint] = life
			if k.State != v1alpha1.KeyPending {
				o.breach(1, "key %s began as %s", k.Thumbprint, k.State)
			}
		case o.touched:
		case !present && !(o.lost && dead(k.State)):
			o.breach(4, "key %s came back", k.Thumbprint)
		case present && !o.lost && !mayFollow(old.State, k.State):
			o.breach(3, "key %s went from %s to %s", k.Thumbprint, old.State, k.State)
		}
		if life.Thumbprint != "" && !o.lost && (life.KeyID != k.KeyID || life.Algorithm != k.Algorithm) {
			o.breach(4, "key %s was %s %s and is %s %s", k.Thumbprint, life.Algorithm, life.KeyID, k.Algorithm, k.KeyID)
		}
		if k.State == v1alpha1.KeyPublished && old.State == v1alpha1.KeyPending && !o.touched && !o.lost {
			o.acknowledged(s, k, before)
		}
		if k.State == v1alpha1.KeyActive && !life.active && !o.touched && !adopting {
			o.activated(s, life, k, before)
		}
		if k.State == v1alpha1.KeyRevoked && old.State != v1alpha1.KeyRevoked && !o.touched && !o.lost && !namedBy(k, s.key.Spec.RevokedKeyIDs) {
			o.breach(2, "key %s was revoked, and nobody asked for it", k.Thumbprint)
		}
		life.Key, life.present = k, true
		life.revoked = life.revoked || k.State == v1alpha1.KeyRevoked
	}
	o.left(s, was)
	o.ends(s)
	o.bounded(s)
	o.ring, o.lost = s.ring, false
}

func dead(state v1alpha1.KeyState) bool {
	return state == v1alpha1.KeyRetired || state == v1alpha1.KeyRevoked
}

// mayFollow are the steps in the life of a key.
func mayFollow(before, after v1alpha1.KeyState) bool {
	order := []v1alpha1.KeyState{v1alpha1.KeyPending, v1alpha1.KeyPublished, v1alpha1.KeyActive, v1alpha1.KeyRetired}
	if before == after || after == v1alpha1.KeyRevoked {
		return true
	}
	from, to := slices.Index(order, before), slices.Index(order, after)
	// Published and Active is one write where nothing signs.
	return from >= 0 && to > from && (to == from+1 || from == 0 && to == 2)
}

// namedBy says whether one of the ids, in any format, is the key's.
func namedBy(k keyring.Key, ids []string) bool {
	if slices.Contains(ids, k.Thumbprint) || slices.Contains(ids, k.KeyID) {
		return true
	}
	for _, format := range []v1alpha1.KeyIDFormat{v1alpha1.LibTrust, v1alpha1.SSHFingerprintMD5} {
		if id, err := keyring.KeyID(k.Public, format); err == nil && slices.Contains(ids, id) {
			return true
		}
	}
	return false
}

// activated is publish before use.
func (o *oracle) activated(s *state, life *keyLife, k keyring.Key, before keyring.Ring) {
	o.rotations++
	spec := s.key.Spec
	ahead := durationOf(spec.Rotation.PublishAhead, 2*time.Hour)
	previous, signed := before.Active()
	revoked := slices.ContainsFunc(s.ring.Keys, func(x keyring.Key) bool {
		return x.Thumbprint == previous.Thumbprint && x.State == v1alpha1.KeyRevoked
	})
	if !signed || revoked || o.lost {
		life.early = true
		return
	}
	life.covered = ahead >= o.w.o.MaxStaleness+o.w.o.JWKSMaxAge+o.w.o.ClockSkew
	if life.public.IsZero() || s.at.Before(life.public.Add(ahead)) {
		o.breach(1, "key %s signs, and is public since %s only; publishAhead is %s", k.Thumbprint, life.public.Format(time.DateTime), ahead)
	}
}

// acknowledged is that a key counts as published when every server that may sign serves it. Where nothing signs, nobody is
// waited for.
func (o *oracle) acknowledged(s *state, k keyring.Key, before keyring.Ring) {
	if _, signs := before.Active(); !signs || !o.w.acks {
		return
	}
	for i, r := range o.replicas {
		if r.fresh(s.at, o.w.o.MaxStaleness) && r.known && !slices.Contains(r.jwks, k.Thumbprint) {
			o.breach(1, "key %s counts as published, and server %d does not serve it", k.Thumbprint, i)
		}
	}
}

// left looks at the keys that are not in the set any more.
func (o *oracle) left(s *state, was map[string]keyring.Key) {
	for thumbprint, life := range o.keys {
		if !life.present || slices.ContainsFunc(s.ring.Keys, func(k keyring.Key) bool { return k.Thumbprint == thumbprint }) {
			continue
		}
		life.present = false
		old := was[thumbprint]
		switch {
		case o.touched || o.lost:
		case !s.key.DeletionTimestamp.IsZero() && !dead(old.State) && old.State != v1alpha1.KeyActive:
		case old.State == v1alpha1.KeyRetired:
			life.removed = true
		case old.State == v1alpha1.KeyActive:
			o.breach(3, "key %s was Active and is gone", thumbprint)
		case !dead(old.State) && old.Algorithm == orDefault(s.key.Spec.Algorithm, v1alpha1.ES256) &&
			old.Format == orDefault(s.key.Spec.KeyIDFormat, v1alpha1.Thumbprint):
			o.breach(3, "the standby %s is gone, and the spec still asks for its kind", thumbprint)
		}
	}
}

func orDefault[T ~string](value, otherwise T) T {
	if value == "" {
		return otherwise
	}
	return value
}

// ends notes since when keys are not Active. Of a set that was lost servers keep the key until another is Active.
func (o *oracle) ends(s *state) {
	_, signs := s.ring.Active()
	for thumbprint, life := range o.keys {
		i := slices.IndexFunc(s.ring.Keys, func(k keyring.Key) bool { return k.Thumbprint == thumbprint })
		state := v1alpha1.KeyState("")
		if i >= 0 {
			state = s.ring.Keys[i].State
		}
		switch {
		case state == v1alpha1.KeyActive:
			life.active = true
		case life.active && (signs || state == v1alpha1.KeyRevoked):
			life.active, life.ended = false, s.at
		}
	}
	active := 0
	for _, k := range s.ring.Keys {
		if k.State == v1alpha1.KeyActive {
			active++
		}
	}
	if active > 1 {
		o.breach(3, "%d keys are Active", active)
	}
	if len(s.ring.Keys) > 0 && len(keyring.JWKS(s.ring).Keys) == 0 {
		o.breach(3, "the set has no public key")
	}
}

// bounded is the bound of the set. What was lost stays for as long as any token could live, beyond it.
func (o *oracle) bounded(s *state) {
	longest, count := durationOf(s.key.Spec.TokenLifetime, 15*time.Minute), 0
	for _, k := range s.ring.Keys {
		longest = max(longest, k.TokenLifetime)
		if k.State != v1alpha1.KeyRevoked {
			count++
		}
	}
	window := longest + o.w.o.MaxStaleness + 2*o.w.o.ClockSkew
	bound := 3 + int((window+o.leastEvery-1)/o.leastEvery)
	if count > bound+o.losses {
		o.breach(8, "%d keys, and at most %d may be", count, bound)
	}
}

// published looks at the home ConfigMap.
func (o *oracle) published(s *state) {
	home := s.home()
	anywhere := slices.ContainsFunc(slices.Collect(maps.Values(s.configMaps)), func(m *corev1.ConfigMap) bool {
		return s.key != nil && keyring.ControlledBy(s.key, m) == nil && m.Data[keyring.EntryJWKS] != ""
	})
	if o.anywhere && !anywhere && !o.mapTouched && s.key != nil {
		o.breach(3, "no ConfigMap holds the keys any more")
	}
	o.anywhere = anywhere
	if home == nil || home.Annotations[v1alpha1.AnnotationGeneration] == "" {
		return
	}
	in := o.parsed.thumbprints(home.Data[keyring.EntryJWKS])
	for _, thumbprint := range in {
		if life := o.keys[thumbprint]; life != nil && life.public.IsZero() {
			life.public = s.at
		}
	}
	if o.mapTouched {
		return
	}
	if len(in) == 0 {
		o.breach(3, "jwks.json is empty, or holds what it must not")
	}
	generation := publishedGeneration(home)
	if string(home.UID) == o.mapUID && generation < o.generation {
		o.breach(3, "the ConfigMap went back from generation %d to %d", o.generation, generation)
	}
	o.mapUID, o.generation = string(home.UID), generation
	if text := home.Data[keyring.EntryAuthorities]; text != "" && o.anchors[text] == nil {
		for _, der := range keyring.ParseAuthorities([]byte(text)) {
			if certificate, err := x509.ParseCertificate(der); err == nil {
				o.anchors[text] = append(o.anchors[text], certificate)
			}
		}
	}
}

// moments are when a server would sign for the last time, and by when a token must still verify.
func (o *oracle) moments(from, to time.Time) []time.Time {
	var out []time.Time
	add := func(t time.Time) {
		if t.After(from) && t.Before(to) {
			out = append(out, t)
		}
	}
	for _, r := range o.replicas {
		if r.away {
			add(r.synced.Add(o.w.o.MaxStaleness))
			add(r.renewed.Add(o.w.o.MaxStaleness - r.offset))
		} else {
			add(from.Add(r.lag))
		}
		if active, ok := r.ring.Active(); ok && !active.SignUntil.IsZero() {
			add(active.SignUntil.Add(-r.offset - time.Second))
		}
	}
	slices.SortFunc(out, time.Time.Compare)
	return slices.CompactFunc(out, time.Time.Equal)
}

// step lets the servers look and sign, the verifiers fetch, and checks what must always hold.
func (o *oracle) step(now time.Time) {
	if len(o.w.history) == 0 {
		return
	}
	for i, r := range o.replicas {
		if at := now.Add(-r.lag); !r.away && !at.Before(r.synced) { // nobody sees less than before
			r.look(o.w.stateAt(at), at)
		}
		if o.w.acks && !r.away {
			o.w.acknowledge(fmt.Sprintf("tokenwright-server-%d", i), r)
		}
		o.signs(now, r)
	}
	o.fetch(now)
	o.keeps(now)
}

// stateAt is what the API server held then.
func (w *world) stateAt(t time.Time) *state {
	for i := len(w.history) - 1; i > 0; i-- {
		if !w.history[i].at.After(t) {
			return w.history[i]
		}
	}
	return w.history[0]
}

// signs is what a server may sign with.
func (o *oracle) signs(now time.Time, r *replica) {
	fence := o.w.o.MaxStaleness
	if o.w.tireless {
		fence = 1000 * time.Hour
	}
	token, ok := r.mint(now, fence)
	if !ok {
		o.idle(now, r)
		return
	}
	o.mints++
	life := o.keys[token.key.Thumbprint]
	if life == nil {
		o.breach(5, "a token was signed with %s, which no set ever held", token.key.Thumbprint)
		return
	}
	if r.blind && !life.active && now.After(life.ended.Add(o.w.o.MaxStaleness)) {
		return // a server that did not see a rotation, and now sees no Secret: docs/signing-keys.md says so
	}
	if life.removed {
		return // it is in a backup that somebody restored; the manager takes it out again
	}
	if r.blind && now.After(r.memory.Add(24*time.Hour)) {
		return // for a day nothing could be made in the place of what was lost: docs/signing-keys.md says so
	}
	if token.expires.After(life.expires) {
		life.expires = token.expires
	}
	switch {
	case !life.active && now.After(life.ended.Add(o.w.o.MaxStaleness)):
		o.breach(5, "key %s signs, and is not Active since %s", life.Thumbprint, life.ended.Format(time.DateTime))
	case r.revoked[life.Thumbprint]:
		o.breach(7, "key %s signs, and the server knows that it was revoked", life.Thumbprint)
	case !token.key.SignUntil.IsZero() && !now.Before(token.key.SignUntil.Add(o.w.o.ClockSkew)):
		o.breach(5, "key %s signs after %s", life.Thumbprint, token.key.SignUntil.Format(time.DateTime))
	}
	if token.chained {
		o.chained(token)
	}
}

// idle is a server that does not sign though its view has a key that may.
func (o *oracle) idle(now time.Time, r *replica) {
	active, ok := r.ring.Active()
	if !ok || !r.fresh(now, o.w.o.MaxStaleness) || r.revoked[active.Thumbprint] {
		return
	}
	if !active.SignUntil.IsZero() && !now.Add(r.offset).Before(active.SignUntil) {
		return
	}
	if !r.key.DeletionTimestamp.IsZero() {
		return // it is to sign nothing
	}
	if r.key.Spec.KeyIdentification != v1alpha1.KeyID && len(active.Chain) == 0 {
		return // it was changed to X509Chain, and the certificate is not there yet
	}
	o.breach(9, "no token although key %s may sign until %s", active.Thumbprint, active.SignUntil.Format(time.DateTime))
}

// chained holds for registries that read ca.crt at any time, and then never again.
func (o *oracle) chained(token minted) {
	for text, anchors := range o.anchors {
		id := token.key.Thumbprint + token.key.CertifiedUntil.String() + text
		err, known := o.certified[id]
		if !known {
			err = verifies(token, anchors)
			o.certified[id] = err
		}
		if err != nil {
			o.breach(2, "a registry refuses a token of %s: %v", token.key.Thumbprint, err)
		}
	}
	if token.expires.After(token.key.CertifiedUntil) {
		o.breach(2, "a token of %s lives until %s, its certificate until %s", token.key.Thumbprint,
			token.expires.Format(time.DateTime), token.key.CertifiedUntil.Format(time.DateTime))
	}
}

func verifies(token minted, anchors []*x509.Certificate) error {
	leaf, err := x509.ParseCertificate(token.key.Chain[0])
	if err != nil {
		return err
	}
	err = fmt.Errorf("no authority")
	for _, anchor := range anchors {
		if err = leaf.CheckSignatureFrom(anchor); err == nil {
			return nil
		}
	}
	return err
}

// fetch renews what verifiers cached for too long. A server that is past L tells them not to cache what it serves; one that
// serves from memory, because it cannot read the Secret, may have missed a key: docs/signing-keys.md says so.
func (o *oracle) fetch(now time.Time) {
	for _, v := range o.verifiers {
		if v.jwks != nil && now.Before(v.fetched.Add(o.w.o.JWKSMaxAge)) {
			continue
		}
		v.jwks = nil
		for i := range o.replicas {
			r := o.replicas[(v.from+i)%len(o.replicas)]
			if r.fresh(now, o.w.o.MaxStaleness) && r.known && !r.blind {
				v.jwks, v.fetched = r.jwks, now
				break
			}
		}
	}
}

// keeps is keep until dead: for each token that lives, wherever its key must be.
func (o *oracle) keeps(now time.Time) {
	s := o.w.state()
	home := s.home()
	for thumbprint, life := range o.keys {
		if life.revoked || !now.Before(life.expires.Add(o.leeway)) {
			continue
		}
		lives := life.expires.Format(time.DateTime)
		if s.fault == nil && !life.present && !o.touched {
			o.breach(2, "key %s is not in the set, and its last token lives until %s", thumbprint, lives)
		}
		if home != nil && home.Annotations[v1alpha1.AnnotationGeneration] != "" && !o.mapTouched && !o.touched &&
			!slices.Contains(o.parsed.thumbprints(home.Data[keyring.EntryJWKS]), thumbprint) {
			o.breach(2, "key %s is not in the ConfigMap, and its last token lives until %s", thumbprint, lives)
		}
		if o.touched || now.Before(o.mended.Add(o.w.o.JWKSMaxAge)) {
			continue
		}
		for i, v := range o.verifiers {
			grace := life.early && now.Before(life.public.Add(o.w.o.JWKSMaxAge+o.w.o.MaxStaleness))
			if v.jwks != nil && life.covered && !grace && !slices.Contains(v.jwks, thumbprint) {
				o.breach(2, "verifier %d does not know key %s, whose last token lives until %s", i, thumbprint, lives)
			}
		}
	}
}

// rest is when a manager has done all that there is to do. What somebody else did is then mended, or a problem says why not.
func (o *oracle) rest() {
	s := o.w.state()
	if s.key == nil || s.fault != nil || !statusTrue(s.key, v1alpha1.ConditionReady) || !statusTrue(s.key, v1alpha1.ConditionPublished) {
		return
	}
	if o.touched {
		o.mended = o.w.now()
	}
	o.mapTouched, o.touched = false, false
	o.step(o.w.now())
	var in []string
	if home := s.home(); home != nil {
		in = o.parsed.thumbprints(home.Data[keyring.EntryJWKS])
	}
	for thumbprint, life := range o.keys {
		switch {
		case life.revoked && slices.Contains(in, thumbprint):
			o.breach(7, "key %s was revoked and is published", thumbprint)
		case life.revoked && life.present && life.State != v1alpha1.KeyRevoked:
			o.breach(7, "key %s was revoked and is %s", thumbprint, life.State)
		case life.present && !life.revoked && !slices.Contains(in, thumbprint):
			o.breach(2, "the manager is at rest, and key %s is not published", thumbprint)
		}
	}
	if r := o.replicas[0]; !r.away && r.lag == 0 {
		if _, ok := r.mint(o.w.now(), o.w.o.MaxStaleness); !ok {
			o.breach(9, "the SigningKey is Ready, and a server cannot sign")
		}
	}
}

func statusTrue(key *v1alpha1.SigningKey, condition string) bool {
	for _, c := range key.Status.Conditions {
		if c.Type == condition {
			return c.Status == "True"
		}
	}
	return false
}
