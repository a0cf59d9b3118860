package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/tokenwright/tokenwright/hack/bench/load"
)

// rotation rotates the key that signs while tokens are asked for as fast as they come, and has each verified as a
// registry does that read ca.crt once, at its start.
type rotation struct {
	dir       string
	core      int
	rotations int

	manifests string
	server    *server
	trust     *x509.CertPool

	verified, refused atomic.Int64
	mu                sync.Mutex
	keys              map[string]bool
	kept              []string
}

const (
	// skew is how far the clocks of verifiers may be off here: nobody's are.
	skew = time.Second
	// between is the time between two rotations; a standby must have been public for the skew.
	between = 3 * time.Second
	// keep is how many of the tokens are verified once more in the end.
	keep = 50
)

func (r *rotation) run(ctx context.Context, report func(Case)) error {
	r.manifests, r.keys = filepath.Join(r.dir, "manifests"), map[string]bool{}
	if err := writeWorld(r.manifests, fewPolicies); err != nil {
		return err
	}
	state := filepath.Join(r.dir, "state")
	var err error
	r.server, err = startServer(ctx, r.dir, "rotating", r.core, nil, "--manifests="+r.manifests, "--state-dir="+state,
		"--clock-skew="+skew.String())
	if err != nil {
		return err
	}
	defer r.server.stop()
	bundle, err := os.ReadFile(filepath.Join(state, "public", "chain-keys", "ca.crt"))
	if err != nil {
		return err
	}
	r.trust = x509.NewCertPool()
	if !r.trust.AppendCertsFromPEM(bundle) {
		return errors.New("ca.crt holds no certificate")
	}
	if err := r.rotateUnderLoad(ctx); err != nil {
		return err
	}
	for _, token := range r.kept {
		r.judge(token)
	}
	if got := len(r.keys); got != r.rotations+1 {
		return fmt.Errorf("%d keys signed, and %d rotations were asked for", got, r.rotations)
	}
	report(atMost("refused tokens while the key rotates under load", float64(r.refused.Load()), 0, "tokens",
		fmt.Sprintf("of %d that were verified, with %d rotations", r.verified.Load(), r.rotations)))
	return nil
}

// rotateUnderLoad returns when the last rotation has been under load for a while.
func (r *rotation) rotateUnderLoad(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	failed := make(chan error, 2)
	during := time.Duration(r.rotations+1) * between
	target := r.server.pull(chainService).target
	all.Go(func() {
		_, err := load.Run(ctx, target, connections, during)
		failed <- err
	})
	all.Go(func() { failed <- r.verify(ctx, target, during) })
	for i := range r.rotations {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(between):
		}
		if err := writeFixed(r.manifests, fmt.Sprint(i)); err != nil {
			return err
		}
	}
	all.Wait()
	return errors.Join(<-failed, <-failed)
}

// verify asks for tokens and verifies each.
func (r *rotation) verify(ctx context.Context, target load.Target, during time.Duration) error {
	for end := time.Now().Add(during); time.Now().Before(end) && ctx.Err() == nil; {
		body, err := load.Body(target)
		if err != nil {
			return err
		}
		var answer struct {
			Token string `json:"token"`
		}
		if err := json.Unmarshal(body, &answer); err != nil || answer.Token == "" {
			return fmt.Errorf("%w: %w", errNoToken, err)
		}
		r.judge(answer.Token)
		if r.verified.Load()%keep == 1 {
			r.kept = append(r.kept, answer.Token)
		}
	}
	return nil
}

// judge verifies a token as distribution does: by the certificate in its header, which must lead to what is trusted.
func (r *rotation) judge(token string) {
	r.verified.Add(1)
	if err := r.accept(token); err != nil {
		r.refused.Add(1)
		say("A token was refused: %v", err)
	}
}

func (r *rotation) accept(token string) error {
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return err
	}
	header := jws.Signatures[0].Protected
	chains, err := header.Certificates(x509.VerifyOptions{Roots: r.trust, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return err
	}
	payload, err := jws.Verify(chains[0][0].PublicKey)
	if err != nil {
		return err
	}
	var claims struct {
		Audience  string `json:"aud"`
		Expiry    int64  `json:"exp"`
		NotBefore int64  `json:"nbf"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return err
	}
	if now := time.Now().Unix(); claims.Audience != chainService || claims.NotBefore > now || claims.Expiry <= now {
		return fmt.Errorf("the claims are not those of a valid token: %s", payload)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys[header.KeyID] = true
	return nil
}
