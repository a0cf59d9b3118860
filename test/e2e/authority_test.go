//go:build e2e

package e2e

import (
	"context"
	"testing"
)

// testChain shows what a registry that knows the certificate authority makes of a revocation: the dead key's tokens pass
// until their end, because nothing tells it. New tokens pass without a restart.
func testChain(ctx context.Context, t *testing.T, s *scene) {
	dead := s.signed(ctx, t, chain)
	must(t, s.revokeAll(ctx, chain), "revoke")
	for _, server := range s.servers {
		fresh, err := ask(ctx, server, chain)
		must(t, err, "a new token of %s", server)
		for _, r := range []*registry{s.modern, s.debian} {
			must(t, r.verify(ctx, fresh), "%s, a new token of %s", r.title, server)
		}
	}
	for _, r := range []*registry{s.modern, s.debian} {
		must(t, r.verify(ctx, dead), "%s, the dead key's token, which only another authority would stop", r.title)
		if n := r.Restarts(); n != 0 {
			t.Errorf("%s was restarted %d times", r.title, n)
		}
	}
}
