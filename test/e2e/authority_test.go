//go:build e2e

package e2e

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/test/stage"
)

// testChain shows what a registry that knows the certificate authority makes of a revocation: the dead key's tokens pass
// until their end, because nothing tells it. New tokens pass without a restart.
func testChain(ctx context.Context, t *testing.T, s *scene) {
	dead := s.signed(ctx, t, chain)
	must(t, s.revokeAll(ctx, chain), "revoke")
	for _, server := range s.URLs() {
		fresh, err := ask(ctx, server, chain)
		must(t, err, "a new token of %s", server)
		for _, r := range s.trusting() {
			must(t, r.verify(ctx, fresh), "%s, a new token of %s", r.title, server)
		}
	}
	for _, r := range s.trusting() {
		must(t, r.verify(ctx, dead), "%s, the dead key's token, which only another authority would stop", r.title)
		if n := r.Restarts(); n != 0 {
			t.Errorf("%s was restarted %d times", r.title, n)
		}
	}
}

// testAuthority is what an emergency needs where registries verify by x5c: another certificate authority. No token is
// refused until the registries are told to forget the old one, and then the dead key's are.
func testAuthority(ctx context.Context, t *testing.T, s *scene) {
	bundle := filepath.Join(s.Dir, "ca.crt")
	old := certificates(t, bundle)
	l := &load{scene: s, ledger: newLedger()}
	loading, stop := context.WithCancel(ctx)
	defer stop()
	l.run(loading, s.Issuer, chain, s.modern, s.debian)

	dead := s.signed(ctx, t, chain)
	must(t, s.revokeAll(ctx, chain), "revoke")
	must(t, s.keys(ctx, "rotate", chain.name, "--certificate-authority", "--wait"), "ask for another authority")
	must(t, stage.Eventually(ctx, time.Minute, func() error {
		if err := s.Cluster.Published(ctx, chain.name, "ca.crt", bundle); err != nil {
			return err
		}
		if n := len(certificates(t, bundle)); n != 2 {
			return fmt.Errorf("ca.crt has %d certificates", n)
		}
		return nil
	}), "the other authority is published beside the old")
	s.restart(ctx, t)
	must(t, s.keys(ctx, "rotate", chain.name, "--certificate-authority", "--confirm", "--wait"), "confirm")

	next := slices.DeleteFunc(certificates(t, bundle), func(c *x509.Certificate) bool { return slices.ContainsFunc(old, c.Equal) })
	if len(next) != 1 {
		t.Fatalf("ca.crt has %d new certificates, want one", len(next))
	}
	for _, server := range s.URLs() {
		must(t, stage.Eventually(ctx, time.Minute, func() error {
			fresh, err := ask(ctx, server, chain)
			if err != nil {
				return err
			}
			leaf, err := fresh.certificate()
			if err != nil {
				return err
			}
			return leaf.CheckSignatureFrom(next[0])
		}), "%s has a certificate of the new authority", server)
	}
	for _, r := range s.trusting() {
		must(t, r.verify(ctx, dead), "%s still trusts the old authority, the dead key's token", r.title)
	}
	pause(ctx, 2*time.Second) // under load, with the new authority
	stop()
	l.wait.Wait()
	for name, c := range l.verifiers {
		t.Logf("%s: %d checks while the authority was replaced, %d refused, %d failed", name, c.checks, c.refused, c.failed)
		if c.refused > 0 || c.checks < 20 {
			t.Errorf("%s refused %d of %d tokens\n%s", name, c.refused, c.checks, strings.Join(l.notes, "\n"))
		}
	}

	only := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: next[0].Raw})
	must(t, os.WriteFile(bundle, only, 0o600), "write ca.crt")
	s.restart(ctx, t)
	for _, r := range s.trusting() {
		must(t, refused(r.verify(ctx, dead)), "%s, without the old authority", r.title)
		must(t, r.verify(ctx, s.signed(ctx, t, chain)), "%s, a new token", r.title)
	}
	if time.Now().After(dead.expires) {
		t.Error("The dead key's token has expired meanwhile: this machine was too slow for the test to show anything")
	}
}

// trusting are the registries that know the certificate authority.
func (s *scene) trusting() []*registry { return []*registry{s.modern, s.debian} }

// restart restarts the registries that know the certificate authority, so that they read ca.crt again.
func (s *scene) restart(ctx context.Context, t *testing.T) {
	t.Helper()
	for _, r := range s.trusting() {
		r.Restart()
		must(t, r.Ready(ctx), "restart %s", r.title)
	}
}

// certificates reads a file of PEM blocks.
func certificates(t *testing.T, path string) (out []*x509.Certificate) {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err, "read ca.crt")
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		must(t, err, "read ca.crt")
		out = append(out, c)
	}
	return out
}

// certificate is that of the token's key: the first of x5c.
func (t token) certificate() (*x509.Certificate, error) {
	var header struct {
		Chain [][]byte `json:"x5c"`
	}
	head, _, _ := strings.Cut(t.text, ".")
	data, err := base64.RawURLEncoding.DecodeString(head)
	if err == nil {
		err = json.Unmarshal(data, &header)
	}
	if err == nil && len(header.Chain) == 0 {
		err = errors.New("no x5c")
	}
	if err != nil {
		return nil, fmt.Errorf("read the token's header: %w", err)
	}
	return x509.ParseCertificate(header.Chain[0])
}
