//go:build e2e

package clients

import "testing"

// TestClients has each client work for alice, and takes her refresh token away from it.
func TestClients(t *testing.T) {
	ctx := within(t)
	skopeo, err := findSkopeo()
	if err != nil {
		t.Fatal(err)
	}
	s := newScene(ctx, t)
	containerd, err := s.startContainerd(ctx)
	if err != nil {
		t.Fatalf("Start containerd: %v", err)
	}
	for _, c := range []tool{s.crane(), s.skopeo(skopeo), s.regctl(), containerd.tool()} {
		t.Run(c.name, func(t *testing.T) { s.story(ctx, t, c) })
	}
}
