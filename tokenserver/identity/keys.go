package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

const (
	// keysCooldown is the least time between two fetches that unknown key ids cause.
	keysCooldown = 10 * time.Second
	// keysRetry is the least time between two fetches as long as none has succeeded.
	keysRetry = time.Second
	// keysFresh is how old the keys may become before they are fetched anew, beside the requests.
	keysFresh = 5 * time.Minute
	// keysTimeout bounds one fetch from the API server.
	keysTimeout = 2 * time.Second
	// maxKeys bounds the set.
	maxKeys = 256
)

var (
	errUnknownKey = errors.New("the issuer has no key of this id")
	errNoKeys     = errors.New("the keys of the issuer could not be fetched")
)

// issuerKeys are the keys of one issuer of tokens as last fetched. A fetch that fails leaves them as they are.
type issuerKeys struct {
	get     func(context.Context) (issuer string, byID map[string][]jose.JSONWebKey, err error)
	failed  func(error)
	flights singleflight.Group
	// timeout bounds one fetch, and retry is the least time between two as long as none has succeeded.
	timeout, retry time.Duration

	mu        sync.Mutex
	known     keySet
	attempted time.Time
	failure   error
	// fetches and failures count for the metrics.
	fetches, failures uint64
}

// newClusterKeys returns the keys of the cluster's ServiceAccount tokens.
func newClusterKeys(cluster Cluster, failed func(error)) *issuerKeys {
	get := func(ctx context.Context) (string, map[string][]jose.JSONWebKey, error) {
		issuer, document, err := cluster.Keys(ctx)
		if err != nil {
			return "", nil, err
		}
		byID, err := decodeKeys(document)
		return issuer, byID, err
	}
	return &issuerKeys{get: get, failed: failed, timeout: keysTimeout, retry: keysRetry}
}

// keySet is one fetched set; nothing in it changes.
type keySet struct {
	issuer  string
	byID    map[string][]jose.JSONWebKey
	fetched time.Time
}

// find returns the keys of the id and the issuer that they sign for. errUnknownKey says that there is no such key;
// errNoKeys that this cannot be known now.
func (c *issuerKeys) find(ctx context.Context, id string, now time.Time) (issuer string, keys []jose.JSONWebKey, err error) {
	c.mu.Lock()
	known, attempted, failure := c.known, c.attempted, c.failure
	c.mu.Unlock()
	if keys, ok := known.byID[id]; ok {
		if now.Sub(known.fetched) > keysFresh && now.Sub(attempted) >= keysCooldown {
			c.begin(ctx, attempted, now)
		}
		return known.issuer, keys, nil
	}
	wait := keysCooldown
	if known.byID == nil {
		wait = c.retry
	}
	if now.Sub(attempted) < wait {
		if failure != nil {
			return "", nil, fmt.Errorf("%w: %w", errNoKeys, failure)
		}
		return "", nil, errUnknownKey
	}
	select {
	case <-ctx.Done():
		return "", nil, fmt.Errorf("%w: %w", errNoKeys, context.Cause(ctx))
	case result := <-c.begin(ctx, attempted, now):
		if result.Err != nil {
			return "", nil, fmt.Errorf("%w: %w", errNoKeys, result.Err)
		}
		fresh, _ := result.Val.(keySet)
		if keys, ok := fresh.byID[id]; ok {
			return fresh.issuer, keys, nil
		}
		return "", nil, errUnknownKey
	}
}

// findFailing decides without waiting if the last fetch failed; the next one goes on beside the requests. Otherwise
// tokens that nobody has verified would all wait for an issuer that takes its time to fail.
func (c *issuerKeys) findFailing(ctx context.Context, id string, now time.Time) (keys []jose.JSONWebKey, decided bool, err error) {
	c.mu.Lock()
	known, attempted, failure := c.known, c.attempted, c.failure
	c.mu.Unlock()
	if failure == nil {
		return nil, false, nil
	}
	if now.Sub(attempted) >= c.retry {
		c.begin(ctx, attempted, now)
	}
	if keys, ok := known.byID[id]; ok {
		return keys, true, nil
	}
	return nil, true, fmt.Errorf("%w: %w", errNoKeys, failure)
}

// begin fetches the keys, or joins the fetch that is under way. The caller says what last attempt it knows of, so that
// many who decided at once do not fetch again when one of them has done it meanwhile.
func (c *issuerKeys) begin(ctx context.Context, attempted, now time.Time) <-chan singleflight.Result {
	work := context.WithoutCancel(ctx)
	return c.flights.DoChan("", func() (any, error) {
		c.mu.Lock()
		known, last, failure := c.known, c.attempted, c.failure
		c.mu.Unlock()
		if !last.Equal(attempted) {
			return known, failure
		}
		ctx, cancel := context.WithTimeout(work, c.timeout)
		defer cancel()
		fresh, err := c.fetch(ctx, now)
		c.mu.Lock()
		c.attempted, c.failure = now, err
		if err == nil {
			c.known = fresh
			c.fetches++
		} else {
			c.failures++
		}
		c.mu.Unlock()
		if err != nil {
			c.failed(err)
		}
		return fresh, err
	})
}

func (c *issuerKeys) fetch(ctx context.Context, now time.Time) (keySet, error) {
	issuer, byID, err := c.get(ctx)
	if err != nil {
		return keySet{}, err
	}
	return keySet{issuer: issuer, byID: byID, fetched: now}, nil
}

// last returns what was last fetched; the zero value before the first.
func (c *issuerKeys) last() keySet {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known
}

// decodeKeys reads a JSON Web Key Set (RFC 7517). Keys of kinds that we do not use are left out; a set without any that
// we do use is an error, so that it does not replace a good one.
func decodeKeys(document []byte) (map[string][]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(document, &set); err != nil {
		return nil, fmt.Errorf("read the keys of ServiceAccount tokens: %w", err)
	}
	byID := map[string][]jose.JSONWebKey{}
	for _, raw := range set.Keys[:min(len(set.Keys), maxKeys)] {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) != nil || key.KeyID == "" || !key.Valid() {
			continue
		}
		switch key.Key.(type) {
		case *rsa.PublicKey, *ecdsa.PublicKey:
			byID[key.KeyID] = append(byID[key.KeyID], key)
		}
	}
	if len(byID) == 0 {
		return nil, errors.New("the API server has no usable key of ServiceAccount tokens")
	}
	return byID, nil
}
