//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/stage"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// fileRotations are how often the key of registries with a JWKS file is rotated at least.
const fileRotations = 3

// TestKeys rotates keys every few seconds under load while managers are killed, and then revokes them.
func TestKeys(t *testing.T) {
	ctx := within(t)
	s := newScene(ctx, t)
	if !t.Run("no token is refused while keys rotate and managers are killed", func(t *testing.T) { testRotation(ctx, t, s) }) {
		return
	}
	t.Run("an emergency revocation reaches whoever fetches the JWKS", func(t *testing.T) { testRevocation(ctx, t, s) })
	t.Run("a registry that trusts the authority takes the dead key's tokens, and new ones", func(t *testing.T) { testChain(ctx, t, s) })
	t.Run("another certificate authority stops the dead key's tokens", func(t *testing.T) { testAuthority(ctx, t, s) })
}

func testRotation(ctx context.Context, t *testing.T, s *scene) {
	files, err := s.startByFile(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(files.front.Close)
	w, err := newWitness(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	strict, control := s.fetchers(ctx)
	l := &load{scene: s, ledger: newLedger()}
	watching, stopWatching := context.WithCancel(ctx)
	watched := background(func() error { return w.run(watching) })
	loading, stop := context.WithTimeout(ctx, length)
	defer stop()
	defer stopWatching()

	l.run(loading, s.Issuer, chain, s.modern, s.debian)
	l.run(loading, s.Issuer, fetched, append(strict, control)...)
	l.run(loading, s.Issuer, file, files.together, files.forgotten)
	l.runCrane(loading, s.modern)
	l.runCrane(loading, s.debian)
	kills := 0
	killed := background(func() (err error) {
		kills, err = s.killManagers(loading)
		return err
	})
	rotated := background(func() error { return files.rotateOften(loading) })
	<-loading.Done()
	l.wait.Wait()
	for _, err := range []error{<-killed, <-rotated, interrupted.Err()} {
		if err != nil {
			t.Error(err)
		}
	}
	s.converges(ctx, t, w)
	stopWatching()
	if err := <-watched; err != nil {
		t.Errorf("watch the key sets: %v", err)
	}
	l.print(os.Stdout, w, kills)
	l.judge(t)
	for _, broken := range w.broken {
		t.Error(broken)
	}
	enough(t, w, kills)
	for _, r := range []*registry{s.modern, s.debian} {
		if n := r.Restarts(); n != 0 {
			t.Errorf("%s was restarted %d times, which rotation must not need", r.title, n)
		}
	}
}

// background runs what may fail, and gives the error when it has ended.
func background(run func() error) <-chan error {
	result := make(chan error, 1)
	go func() { result <- run() }()
	return result
}

// fetchers are verifiers that fetch the JWKS: from each server, directly, and from the balancer; and one that keeps it
// for much longer than it was told.
func (s *scene) fetchers(ctx context.Context) (strict []verifier, control verifier) {
	for i, server := range []string{s.Servers[0].URL, s.Servers[1].URL, s.Issuer} {
		from := []string{"server 1", "server 2", "the balancer"}[i]
		strict = append(strict,
			newOIDC(ctx, "go-oidc, from "+from, server, s.Issuer, fetched),
			newCache("go-jose, max-age, from "+from, server, s.Issuer, fetched))
	}
	greedy := newCache(controlPrefix+"go-jose, keeps the JWKS for 30 s", s.Issuer, s.Issuer, fetched)
	greedy.ignores = 30 * time.Second
	return strict, greedy
}

// judge fails the test if a token was refused, or if too little was tried to tell.
func (l *ledger) judge(t *testing.T) {
	for name, c := range l.verifiers {
		if strings.HasPrefix(name, controlPrefix) {
			if c.refused == 0 {
				t.Errorf("%s: no token was refused, so this test could not tell if one were", name)
			}
			continue
		}
		if c.refused > 0 {
			t.Errorf("%s refused %d of %d tokens that had not expired", name, c.refused, c.checks)
		}
		if c.failed*50 > c.checks {
			t.Errorf("%s could not be asked %d of %d times", name, c.failed, c.checks)
		}
		least := int(length / time.Second)
		if strings.HasPrefix(name, "crane") {
			least /= 4
		} else if c.late == 0 {
			t.Errorf("%s was shown no token in the last seconds of its life", name)
		}
		if c.checks < least {
			t.Errorf("%s was asked %d times, and %d are the least that shows something", name, c.checks, least)
		}
	}
	for _, k := range []signingKey{chain, fetched, file} {
		c := entry(l.keys, k.name)
		if least := int(length / time.Second); c.tokens < least {
			t.Errorf("SigningKey %s signed %d tokens, and %d are the least that shows something", k.name, c.tokens, least)
		}
		if (c.failed+c.unavailable)*10 > c.tokens {
			t.Errorf("SigningKey %s signed %d tokens, and %d times none", k.name, c.tokens, c.failed+c.unavailable)
		}
	}
}

// enough fails the test if too little happened to tell anything. A loaded machine may be late.
func enough(t *testing.T, w *witness, kills int) {
	for _, k := range []signingKey{chain, fetched, restless} {
		if n, least := w.rotations(k), int(length/k.interval/3); n < least {
			t.Errorf("SigningKey %s was rotated %d times, and %d are the least that shows something", k.name, n, least)
		}
	}
	if n := w.rotations(file); n < fileRotations {
		t.Errorf("SigningKey %s was rotated %d times, want %d", file.name, n, fileRotations)
	}
	if least := int(length / (10 * time.Second)); kills < least {
		t.Errorf("managers were killed %d times, and %d are the least that shows something", kills, least)
	}
}

// converges holds the key sets to what they must come to when nobody kills managers any more: one key that signs, one
// standby, and the same public keys in the Secret, in the ConfigMap and at each server.
func (s *scene) converges(ctx context.Context, t *testing.T, w *witness) {
	t.Helper()
	for _, k := range signingKeys {
		// So that nothing rotates while it is looked at.
		if err := s.annotate(ctx, k, v1alpha1.AnnotationTestInterval, "1m"); err != nil {
			t.Error(err)
		}
		if err := stage.Eventually(ctx, 3*time.Minute, func() error { return s.settled(ctx, w.ring(k), k) }); err != nil {
			t.Errorf("SigningKey %s does not come to rest: %v", k.name, err)
		}
	}
}

func (s *scene) settled(ctx context.Context, ring keyring.Ring, k signingKey) error {
	active, signs := ring.Active()
	standby, _ := ring.Standby()
	if !signs || standby.State != v1alpha1.KeyPublished {
		return fmt.Errorf("there is an Active key: %t, and a standby that is %q", signs, standby.State)
	}
	if id, err := s.field(ctx, k, "{.status.activeKeyID}"); err != nil || id != active.KeyID {
		return fmt.Errorf("status says that %q signs, not %s (%w)", id, active.KeyID, err)
	}
	if ready, err := s.field(ctx, k, `{.status.conditions[?(@.type=="Ready")].status}`); err != nil || ready != "True" {
		return fmt.Errorf("Ready is %q (%w)", ready, err)
	}
	text, err := s.Cluster.Get(ctx, stage.SystemNamespace, "configmap/"+k.name+"-keys", `{.data.jwks\.json}`)
	if err != nil {
		return err
	}
	want := keyring.JWKS(ring)
	if err := same(text, want, len(want.Keys)); err != nil {
		return fmt.Errorf("the ConfigMap: %w", err)
	}
	for _, server := range s.URLs() {
		text, err := fetch(ctx, server+jwksPath)
		if err != nil {
			return err
		}
		if err := same(text, want, -1); err != nil {
			return fmt.Errorf("%s: %w", server, err)
		}
	}
	return nil
}

// same says what is not as expected in a JWKS: keys that are missing, or, unless count is -1, how many there are.
func same(text string, want jose.JSONWebKeySet, count int) error {
	var got jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		return fmt.Errorf("read the JWKS: %w", err)
	}
	if count >= 0 && len(got.Keys) != count {
		return fmt.Errorf("has %d keys, want %d", len(got.Keys), count)
	}
	for _, k := range want.Keys {
		if len(got.Key(k.KeyID)) != 1 {
			return fmt.Errorf("key %s is not there", k.KeyID)
		}
	}
	return nil
}
