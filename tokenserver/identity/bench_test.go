package identity

import (
	"context"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// BenchmarkWarmPassword is what Basic authentication adds to a request of a caller who was here within the last minute.
func BenchmarkWarmPassword(b *testing.B) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		b.Fatal(err)
	}
	s := snapshot.Build(snapshot.Input{Providers: []*provider.Provider{
		users("plain", "", map[string][]byte{"alice": hash}, map[string][]string{"alice": {"devs", "ops"}})}})
	a, alice := New(Options{}), Credentials{Username: "alice", Password: "secret", Present: true}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Authenticate(context.Background(), s, alice, noon); err != nil {
			b.Fatal(err)
		}
	}
}
