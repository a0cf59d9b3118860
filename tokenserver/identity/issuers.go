package identity

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-logr/logr"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/metrics"
	"github.com/tokenwright/tokenwright/tokenserver/openid"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

const (
	// issuerTimeout bounds the fetch of an external issuer's description and keys.
	issuerTimeout = 5 * time.Second
	// issuerRetry is the least time between two fetches of which the first failed.
	issuerRetry = 10 * time.Second
	// issuerTrusted is how long keys count that nobody could fetch again: whoever keeps us from the issuer must not keep
	// a key alive that it has withdrawn.
	issuerTrusted = time.Hour
	// issuerQuiet is how often a failure of one issuer is logged.
	issuerQuiet = time.Minute
	// maxProvedTokens bounds the memory; only good tokens get into it.
	maxProvedTokens = 8192
)

var errOldKeys = errors.New("the keys of the issuer are too old, and could not be fetched again")

// issuers are the external issuers that providers name, each with its keys and what makes callers of its tokens.
type issuers struct {
	log    logr.Logger
	proved *memory[caller.Caller]

	mu    sync.Mutex
	made  uint64
	known map[issuerID]*jwtIssuer
}

// issuerID is one version of one provider. Providers that come from files have neither UID nor a generation that counts,
// which is why the spec is compared besides.
type issuerID struct {
	name, uid  string
	generation int64
}

// jwtIssuer is the issuer of one version of a provider.
type jwtIssuer struct {
	// spec is read and written by issuers.of only.
	spec *v1alpha1.JWTProvider
	// serial tells what was proved by this version from what was proved by any other.
	serial string
	// fault is why it can prove nobody at all.
	fault    error
	verifier *openid.Verifier
	keys     *issuerKeys
}

func newIssuers(log logr.Logger) *issuers {
	return &issuers{log: log, proved: newMemory[caller.Caller](maxProvedTokens), known: map[issuerID]*jwtIssuer{}}
}

// of returns the issuer of the provider. It is made when it is first asked for, and anew when the provider has changed.
func (i *issuers) of(p *provider.Provider) *jwtIssuer {
	id := issuerID{p.Name, p.UID, p.Generation}
	i.mu.Lock()
	defer i.mu.Unlock()
	if known, ok := i.known[id]; ok {
		if known.spec == p.JWT || reflect.DeepEqual(known.spec, p.JWT) {
			known.spec = p.JWT // the next look need not compare
			return known
		}
	}
	i.made++
	made := i.make(p, strconv.FormatUint(i.made, 10))
	i.known[id] = made
	return made
}

func (i *issuers) make(p *provider.Provider, serial string) *jwtIssuer {
	made := &jwtIssuer{spec: p.JWT, serial: serial}
	log := i.log.WithValues("identityProvider", p.Name, "issuer", string(p.JWT.Issuer.URL))
	source, err := openid.NewSource(p.JWT.Issuer)
	if err == nil {
		made.verifier, err = openid.NewVerifier(p.JWT)
	}
	if err != nil {
		log.Error(err, "Could not use an IdentityProvider")
		made.fault = err
		return made
	}
	quiet := quietly{log: log}
	made.keys = &issuerKeys{failed: quiet.failed, timeout: issuerTimeout, retry: issuerRetry}
	made.keys.get = func(ctx context.Context) (string, map[string][]jose.JSONWebKey, error) {
		keys, err := source.Keys(ctx)
		if err != nil {
			return "", nil, err
		}
		byID := map[string][]jose.JSONWebKey{}
		for _, key := range keys {
			byID[key.KeyID] = append(byID[key.KeyID], key)
		}
		if len(keys) == 1 {
			byID[""] = keys // A header need not name the only key (OpenID Connect Core 1.0, 10.1).
		}
		return string(p.JWT.Issuer.URL), byID, nil
	}
	return made
}

// find returns the keys of the id, if they are not too old.
func (i *jwtIssuer) find(ctx context.Context, id string, now time.Time) ([]jose.JSONWebKey, error) {
	keys, decided, err := i.keys.findFailing(ctx, id, now)
	if !decided {
		if i.tooOld(now) {
			i.keys.refresh(ctx, now)
		}
		_, keys, err = i.keys.find(ctx, id, now)
	}
	if err == nil && i.tooOld(now) {
		return nil, errOldKeys
	}
	return keys, err
}

func (i *jwtIssuer) tooOld(now time.Time) bool {
	fetched := i.keys.last().fetched
	return !fetched.IsZero() && now.Sub(fetched) > issuerTrusted
}

// keep begins to fetch the keys that are due, without waiting for them, and forgets what no provider of the snapshot
// names.
func (i *issuers) keep(ctx context.Context, s *snapshot.Snapshot, now time.Time) {
	named := map[issuerID]bool{}
	for _, p := range s.Providers {
		if p.JWT == nil {
			continue
		}
		named[issuerID{p.Name, p.UID, p.Generation}] = true
		if known := i.of(p); known.fault == nil {
			if attempted, due := known.keys.due(now); due {
				known.keys.begin(ctx, attempted, now)
			}
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for id := range i.known {
		if !named[id] {
			delete(i.known, id)
		}
	}
}

// Issuers says how the keys of external issuers are had, for metrics, in the order of their providers' names.
func (a *Authenticator) Issuers() []metrics.Issuer {
	a.issuers.mu.Lock()
	defer a.issuers.mu.Unlock()
	byName := map[string]metrics.Issuer{}
	for id, known := range a.issuers.known {
		// For a moment there may be two versions of one provider: two series of one name would spoil the whole scrape.
		sum := byName[id.name]
		sum.Provider = id.name
		if known.keys != nil {
			known.keys.mu.Lock()
			sum.Fetches, sum.Failures = sum.Fetches+known.keys.fetches, sum.Failures+known.keys.failures
			if known.keys.known.fetched.After(sum.Fetched) {
				sum.Fetched = known.keys.known.fetched
			}
			known.keys.mu.Unlock()
		}
		byName[id.name] = sum
	}
	var all []metrics.Issuer
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		all = append(all, byName[name])
	}
	return all
}

// quietly logs that an issuer does not answer, now and then.
type quietly struct {
	log  logr.Logger
	mu   sync.Mutex
	last time.Time
}

func (q *quietly) failed(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now := time.Now(); now.Sub(q.last) >= issuerQuiet {
		q.last = now
		q.log.Error(err, "Could not fetch the keys of an issuer")
	}
}
